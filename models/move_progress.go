package models

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// progressTables counts the tables of moves in a database of each engine.
var progressTables = map[string]string{
	"sqlite":   "SELECT count(*) FROM sqlite_schema WHERE name = 'move_progress'",
	"postgres": "SELECT count(*) FROM pg_class WHERE oid = to_regclass('move_progress')",
}

// unfinishedMove fails with ErrUnfinishedMove where a move into the database has
// begun and not ended.
func unfinishedMove(db DB, engine string) error {
	n, err := scalar(db, progressTables[engine])
	if err == nil && n > 0 {
		err = ErrUnfinishedMove
	}
	return err
}

// identity tells a database from others: by when it was made, to the
// microsecond.
func (s *moveSource) identity() (string, error) {
	made, err := scalarSlow(s.db, "SELECT applied_at FROM schema_migrations WHERE version = 1")
	return fmt.Sprintf("%s %d", s.dialect.dialect(), made), err
}

// movable fails where a database is not of this binary's version.
func movable(db DB, engine string) error {
	at, err := schemaVersion(db)
	if err != nil {
		return err
	}
	if at == 0 {
		return errors.New("there is nothing in it")
	}
	list, err := lacking(db, engine)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("it lacks the migration %s; run dueto migrate with --database naming it first", list[0].name)
	}
	return err
}

// mark gives the target, if it is empty, its tables and one that says how far
// the move is; or finds the latter, and how many rows there are already.
func (m *move) mark() (began int64, err error) {
	identity, err := m.source.identity()
	if err != nil {
		return 0, err
	}
	switch err := unfinishedMove(m.written(), m.target.dialect()); {
	case errors.Is(err, ErrUnfinishedMove):
		return m.resume(identity)
	case err != nil:
		return 0, err
	}
	if err := wantEmpty(m.written()); err != nil { // before anything is changed
		return 0, err
	}
	if _, err := m.target.migrate(m.ctx, m.opts.Now()); err != nil {
		return 0, fmt.Errorf("the database to move to: %w", err)
	}
	return 0, m.write(func(tx DB) error {
		if err := wantEmpty(tx); err != nil {
			return err
		}
		err := tx.exec(`CREATE TABLE move_progress (
			table_name TEXT NOT NULL PRIMARY KEY, source TEXT NOT NULL, last_key TEXT, copied BIGINT NOT NULL)`)
		if err != nil {
			return err
		}
		for _, t := range moveTables {
			if err := tx.exec("INSERT INTO move_progress (table_name, source, copied) VALUES (?, ?, 0)", t.name, identity); err != nil {
				return err
			}
		}
		return tx.exec("DELETE FROM store_probe") // the one row that migrations make
	})
}

// wantEmpty fails where there is a row that is not of the migrations.
func wantEmpty(db DB) error {
	var filled []string
	for _, t := range moveTables {
		if t.name == "store_probe" || !db.gorm().Migrator().HasTable(t.name) {
			continue
		}
		n, err := scalarSlow(db, "SELECT count(*) FROM (SELECT 1 FROM "+t.name+" LIMIT 1) AS first")
		if err != nil {
			return err
		}
		if n > 0 {
			filled = append(filled, t.name)
		}
	}
	if len(filled) > 0 {
		return fmt.Errorf("the database to move to is not empty; it has rows in %s", strings.Join(filled, ", "))
	}
	return nil
}

var errOtherMove = errors.New("another move into the database is under way")

// resume looks at what an earlier run has left.
func (m *move) resume(identity string) (began int64, err error) {
	list, err := migrations(m.target.dialect())
	if err != nil {
		return 0, err
	}
	at, err := schemaVersion(m.written())
	if err != nil {
		return 0, err
	}
	begun, err := scalarSlow(m.written(), "SELECT count(*) FROM move_progress")
	if err != nil {
		return 0, err
	}
	if at != int64(len(list)) || begun != int64(len(moveTables)) {
		return 0, errors.New("another version of Dueto has begun to move into the database: empty it and start anew")
	}
	others, err := scalarSlow(m.written(), "SELECT count(*) FROM move_progress WHERE source <> ?", identity)
	if err != nil {
		return 0, err
	}
	if others > 0 {
		return 0, errors.New("a move from another database has begun there: finish that one, or empty the database to move to and start anew")
	}
	return scalarSlow(m.written(), "SELECT CAST(sum(copied) AS BIGINT) FROM move_progress")
}

// lastCopied gives the key of the last row of a table that was copied, nil for
// none.
func lastCopied(db DB, t moveTable) (key any, err error) {
	var last sql.NullString
	err = db.run(db.ctx, func(rows row) error { return rows.Scan(&last) },
		"SELECT last_key FROM move_progress WHERE table_name = ?", []any{t.name})
	if err != nil || !last.Valid {
		return nil, err
	}
	for _, c := range t.columns {
		if c.name == t.key && c.kind == integers {
			return strconv.ParseInt(last.String, 10, 64)
		}
	}
	return last.String, nil
}

// advance notes that rows up to a key were copied. It fails with errOtherMove
// where somebody else has done so since.
func advance(tx DB, t moveTable, from, to any, rows int) error {
	query, args := "last_key IS NULL", []any{fmt.Sprint(to), rows, t.name}
	if from != nil {
		query, args = "last_key = ?", append(args, fmt.Sprint(from))
	}
	err := affectedOne(tx.execCount("UPDATE move_progress SET last_key = ?, copied = copied + ? WHERE table_name = ? AND "+query, args...))
	if errors.Is(err, ErrNotFound) {
		return errOtherMove
	}
	return err
}
