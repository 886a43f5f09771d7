package models

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// moveTable is a table that a move takes over.
type moveTable struct {
	name string
	key  string
	// numbered is whether the table gives out its ids itself.
	numbered bool
	columns  []moveColumn
}

// moveTables are all that a move takes over: those that a table refers to come
// before it.
var moveTables = []moveTable{
	{name: "users", key: "id", numbered: true},
	{name: "sessions", key: "id", numbered: true},
	{name: "tasks", key: "id", numbered: true},
	{name: "api_tokens", key: "id", numbered: true},
	{name: "outbox", key: "id", numbered: true},
	{name: "security_events", key: "id", numbered: true},
	{name: "reserved_names", key: "username_key"},
	{name: "store_probe", key: "id"},
}

// notMoved are the other tables that a database may have, each with why it
// stays.
var notMoved = map[string]string{
	"schema_migrations":   "each engine has migrations of its own",
	"move_progress":       "it is the move's own, and gone at its end",
	"recent_writers":      "it is of the last minute",
	"secret_fingerprints": "servers note them when they start",
	"shared_limits":       "counts that begin anew after a pause anyway",
	"shared_failures":     "counts that begin anew after a pause anyway",
}

// columnKind is what a column holds, whatever an engine calls it.
type columnKind string

const (
	integers columnKind = "integer"
	booleans columnKind = "boolean"
	texts    columnKind = "text"
)

var columnKinds = map[string]columnKind{
	"INTEGER": integers, "BIGINT": integers, "INT8": integers, "INT4": integers,
	"BOOLEAN": booleans, "BOOL": booleans,
	"TEXT": texts,
}

type moveColumn struct {
	name string
	kind columnKind
}

// columnsOf gives the columns that a table has, sorted by their names: engines
// may have them in different orders.
func columnsOf(db DB, table string) (columns []moveColumn, err error) {
	rows, err := db.base.Statement.ConnPool.QueryContext(db.ctx, "SELECT * FROM "+table+" LIMIT 0")
	if err != nil {
		return nil, translate(err)
	}
	defer func() { _ = rows.Close() }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	for _, column := range types {
		kind, known := columnKinds[column.DatabaseTypeName()]
		if !known {
			return nil, fmt.Errorf("a move does not know what %s.%s holds: %s", table, column.Name(), column.DatabaseTypeName())
		}
		columns = append(columns, moveColumn{column.Name(), kind})
	}
	slices.SortFunc(columns, func(a, b moveColumn) int { return cmp.Compare(a.name, b.name) })
	return columns, translate(rows.Err())
}

func (t moveTable) names() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// keyOf gives a row's key, an integer or a text.
func (t moveTable) keyOf(row []any) any {
	return row[slices.IndexFunc(t.columns, func(c moveColumn) bool { return c.name == t.key })]
}

// read gives the batch of rows that follows a key, nil for the first one.
func (t moveTable) read(db DB, after any, size int) (batch [][]any, err error) {
	query, args := "SELECT "+t.names()+" FROM "+t.name, []any{}
	if after != nil {
		query, args = query+" WHERE "+t.key+" > ?", append(args, after)
	}
	query += fmt.Sprintf(" ORDER BY %s LIMIT %d", t.key, size)
	err = db.run(db.ctx, func(rows row) error {
		row, into := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		batch = append(batch, row)
		return nil
	}, query, args)
	for _, row := range batch {
		for i, c := range t.columns {
			if !c.holds(row[i]) {
				return nil, fmt.Errorf("%s: the row with the %s %v has a %s that is no %s", t.name, t.key, t.keyOf(row), c.name, c.kind)
			}
		}
	}
	return batch, err
}

// holds reports whether a value is of the column's kind; SQLite does not see to
// that.
func (c moveColumn) holds(value any) bool {
	if value == nil {
		return true
	}
	var ok bool
	switch c.kind {
	case integers:
		_, ok = value.(int64)
	case booleans:
		_, ok = value.(bool)
	case texts:
		_, ok = value.(string)
	}
	return ok
}

// tally counts and sums up the rows of a table, batch by batch.
type tally struct {
	rows int64
	last any
	over bool
	hash hash.Hash
	row  []byte
}

func newTally() *tally { return &tally{hash: sha256.New()} }

// add reads the next batch.
func (c *tally) add(db DB, t moveTable, size int) error {
	if c.over {
		return nil
	}
	rows, err := t.read(db, c.last, size)
	if err != nil {
		return err
	}
	c.over = len(rows) == 0
	for _, row := range rows {
		c.row = encodeRow(c.row[:0], row)
		c.hash.Write(c.row)
		c.last = t.keyOf(row)
		c.rows++
	}
	return nil
}

func (c *tally) sum() string { return hex.EncodeToString(c.hash.Sum(nil)) }

// encodeRow appends a row in a form that no other row has: each value begins
// with its type, and a text with its length.
func encodeRow(to []byte, row []any) []byte {
	for _, value := range row {
		switch v := value.(type) {
		case nil:
			to = append(to, 'n')
		case int64:
			to = binary.BigEndian.AppendUint64(append(to, 'i'), uint64(v))
		case bool:
			to = append(to, 'f')
			if v {
				to[len(to)-1] = 't'
			}
		case string:
			to = binary.BigEndian.AppendUint64(append(to, 's'), uint64(len(v)))
			to = append(to, v...)
		}
	}
	return to
}

// scalarSlow is scalar for a query that may take its time.
func scalarSlow(db DB, query string, args ...any) (n int64, err error) {
	return integerBy(DB.whole, db, query, args)
}

// whole is each without its bounds.
func (db DB) whole(scan func(row) error, query string, args ...any) error {
	return db.run(db.ctx, scan, query, args)
}
