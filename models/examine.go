package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Examination is what a thorough look at a database tells.
type Examination struct {
	Schema  int64
	Pending []string // the migrations that it lacks
	// Size is the database's, and Log that of the write-ahead log beside a file.
	Size, Log int64
	Server    *Server // nil for a file
	Rows      []TableRows
	Faults    []Fault
}

// Fault is something that is not as it should be, in a sentence.
type Fault struct {
	Area Area
	// Harmless ones are odd, but nothing is lost or wrong.
	Harmless bool
	Problem  string
}

// Area is what an examination looks at.
type Area string

// The areas.
const (
	AreaServer     Area = "server"     // how it keeps what it acknowledges
	AreaIntegrity  Area = "integrity"  // pages, indexes, constraints
	AreaReferences Area = "references" // from row to row
	AreaSchema     Area = "schema"     // tables, columns, indexes, triggers
	AreaRules      Area = "rules"      // what the schema cannot state
)

// maxFaults bounds what is told of one area.
const maxFaults = 20

// examined is an engine as an examination sees it.
type examined interface {
	dialect() string
	// integrity looks for what is broken and the engine can tell.
	integrity(x *examiner)
	// references looks for rows that refer to none, where want is the schema.
	references(x *examiner, want []schemaObject)
	// fresh gives the schema that migrations make of nothing.
	fresh(ctx context.Context, applied []migration) ([]schemaObject, error)
	// objects lists what a schema has, but for what the engine makes by itself.
	objects(ctx context.Context, conn *sql.Conn) ([]schemaObject, error)
	// tables lists those whose rows can be read.
	tables(ctx context.Context, conn *sql.Conn) ([]string, error)
	// columns lists those of a table, each after its type.
	columns(ctx context.Context, conn *sql.Conn, table string) ([]string, error)
	// mistyped is a condition on a column of a type: that it holds another; ""
	// where that cannot be.
	mistyped(kind, column string) string
	// notTexts is a condition on a column that ought to be a JSON array of texts.
	notTexts(column string) string
	// lastGiven is the last id that a table gave out, NULL where it counts none.
	lastGiven(x *examiner, table string) string
	// absent reports whether a query was for what is not in the schema.
	absent(err error) bool
}

// Examine reads all of a database, changes nothing, and may be run beside a
// server. It fails with ErrCorrupt on what cannot be read as a database of ours
// at all, with ErrSchemaNewer on a newer version's, with ErrUnfinished, and with
// ErrUnfinishedMove.
func Examine(ctx context.Context, url string) (Examination, error) {
	if path, ok := sqliteFile(url); ok {
		return examineFile(ctx, path)
	}
	found, err := examinePostgres(ctx, url)
	if err != nil {
		err = fmt.Errorf("%s: %w", Redacted(url), err)
	}
	return found, err
}

// examine looks at a database whose schema is of a version.
func examine(ctx context.Context, engine examined, conn *sql.Conn, schema int64) (found Examination, err error) {
	list, err := migrations(engine.dialect())
	if err != nil {
		return found, err
	}
	moved, err := integerOn(ctx, conn, progressTables[engine.dialect()])
	if err != nil {
		return found, err
	}
	if moved > 0 {
		return found, ErrUnfinishedMove
	}
	lacking, err := pending(list, schema)
	if err != nil {
		return found, err
	}
	for _, m := range lacking {
		found.Pending = append(found.Pending, m.name)
	}
	found.Schema = schema
	want, err := engine.fresh(ctx, list[:schema])
	if err != nil {
		return found, err
	}
	x := examiner{ctx: ctx, engine: engine, conn: conn, found: &found}
	engine.integrity(&x)
	x.rows()
	x.compareSchema(want)
	engine.references(&x, want)
	x.rules()
	return found, x.err
}

// examiner gathers faults. err is why it could not go on, which damage is not.
type examiner struct {
	ctx    context.Context
	engine examined
	conn   *sql.Conn
	found  *Examination
	err    error
}

func (x *examiner) fault(area Area, problem string, args ...any) {
	x.found.Faults = append(x.found.Faults, Fault{Area: area, Problem: fmt.Sprintf(problem, args...)})
}

// faults notes a fault for each line that a query gives.
func (x *examiner) faults(area Area, query string) {
	lines, err := textsOn(x.ctx, x.conn, query)
	for _, line := range lines {
		x.fault(area, "%s", line)
	}
	x.damaged(err)
}

// odd is fault for what is harmless.
func (x *examiner) odd(area Area, problem string, args ...any) {
	x.found.Faults = append(x.found.Faults, Fault{area, true, fmt.Sprintf(problem, args...)})
}

// faulty reports whether there is a fault of an area.
func (x *examiner) faulty(area Area) bool {
	return slices.ContainsFunc(x.found.Faults, func(f Fault) bool { return f.Area == area })
}

// damaged notes an error: where it tells of damage, as a fault. A query for what
// is missing from the schema has been told of by that.
func (x *examiner) damaged(err error) bool {
	switch {
	case err == nil:
		return false
	case x.engine.absent(err) && x.faulty(AreaSchema):
	case errors.Is(err, ErrCorrupt):
		if !x.faulty(AreaIntegrity) { // otherwise it is one of those
			x.fault(AreaIntegrity, "It cannot be read through: %s.", err)
		}
	default:
		x.err = errors.Join(x.err, err)
	}
	return true
}

func (x *examiner) rows() {
	names, err := x.engine.tables(x.ctx, x.conn)
	x.damaged(err)
	for _, name := range names {
		n, err := integerOn(x.ctx, x.conn, "SELECT count(*) FROM "+quoted(name))
		if !x.damaged(err) {
			x.found.Rows = append(x.found.Rows, TableRows{name, n})
		}
	}
}

// rules looks for rows that keep the schema and that no code of ours writes.
func (x *examiner) rules() {
	for _, r := range x.rulesOfColumns() {
		x.rule(AreaRules, r.problem, r.query)
	}
	for _, r := range rowRules(x.engine.notTexts) {
		if slices.ContainsFunc(x.found.Rows, func(t TableRows) bool { return t.Table == r.table }) {
			x.rule(AreaRules, r.problem, r.query)
		}
	}
}

func (x *examiner) rule(area Area, problem, query string) {
	if n, err := integerOn(x.ctx, x.conn, query); !x.damaged(err) && n > 0 {
		x.fault(area, problem, n)
	}
}

// rowRule counts the rows of a table that break a rule.
type rowRule struct {
	table, problem, query string
}

// rowRules are the rules that the schema cannot state, in SQL that each engine
// understands.
func rowRules(notTexts func(column string) string) []rowRule {
	count := func(table, condition string) string { return "SELECT count(*) FROM " + table + " WHERE " + condition }
	return []rowRule{
		{"sessions", "%d sessions have a generation below 1.", count("sessions", "generation < 1")},
		{"sessions", "%d sessions end before they begin.", count("sessions", "expires_at < created_at")},
		{"users", "%d accounts have permissions that are no list of words.", count("users", notTexts("permissions"))},
		{"users", "%d accounts have a version below 1.", count("users", "version < 1")},
		{"tasks", "%d tasks have tags that are no list of texts.", count("tasks", notTexts("tags"))},
		{"tasks", "%d tasks have a version below 1.", count("tasks", "version < 1")},
		{"tasks", "%d tasks are done at no time, or at a time and not done.", count("tasks", "done <> (done_at IS NOT NULL)")},
		{"store_probe", "The row that readiness is tried on is not there (%d is missing): the server would not be ready.", "SELECT 1 - count(*) FROM store_probe"},
		{"api_tokens", "%d API tokens have permissions that are no list of words.", count("api_tokens", "permissions IS NOT NULL AND "+notTexts("permissions"))},
		{"api_tokens", "%d API tokens have no SHA-256 of a key.", count("api_tokens", "length(key_hash) <> 64 OR rtrim(key_hash, '0123456789abcdef') <> ''")},
		{"outbox", "%d messages of the outbox wait and are finished, or neither.", count("outbox", "(state = 'waiting') <> (finished_at IS NULL)")},
	}
}
