package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/mattn/go-sqlite3"
)

// Examination is what a thorough look at a database tells.
type Examination struct {
	Schema  int64
	Pending []string // the migrations that it lacks
	// Size is the file's, and Log that of the write-ahead log beside it.
	Size, Log int64
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
	AreaIntegrity  Area = "integrity"  // pages, indexes, constraints
	AreaReferences Area = "references" // from row to row
	AreaSchema     Area = "schema"     // tables, columns, indexes, triggers
	AreaRules      Area = "rules"      // what the schema cannot state
)

// maxFaults bounds what is told of one area.
const maxFaults = 20

// Examine reads all of a database, changes nothing, and may be run beside a
// server. It fails with ErrCorrupt on what cannot be read as a database of ours
// at all, with ErrSchemaNewer on a newer version's, with ErrUnfinished, and with
// an UnsupportedError on the URL of an engine that examines its databases itself.
func Examine(ctx context.Context, url string) (Examination, error) {
	path, ok := sqliteFile(url)
	if !ok {
		return Examination{}, unsupported("doctor", url)
	}
	path, err := existing(path)
	if err != nil {
		return Examination{}, err
	}
	for {
		mode, err := lookingMode(path)
		if err != nil {
			return Examination{}, err
		}
		found, err := examineSQLite(ctx, path, mode)
		// A file at rest is read without locks. If it was taken into use, what
		// was read may be neither the old nor the new.
		if now, nowErr := lookingMode(path); nowErr != nil || now == mode || errors.Is(err, context.Canceled) {
			return found, err
		}
	}
}

func examineSQLite(ctx context.Context, path, mode string) (found Examination, err error) {
	s, err := openSnapshot(ctx, path, mode)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	list, err := migrations("sqlite")
	if err != nil {
		return found, err
	}
	lacking, err := pending(list, s.schema)
	if err != nil {
		return found, err
	}
	for _, m := range lacking {
		found.Pending = append(found.Pending, m.name)
	}
	found.Schema, found.Size, found.Log = s.schema, sizeOf(path), sizeOf(path+"-wal")

	x := examiner{ctx: ctx, conn: s.conn, found: &found}
	x.integrity()
	x.references()
	x.rows()
	x.compareSchema(list[:s.schema])
	x.rules()
	return found, x.err
}

func sizeOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// examiner gathers faults. err is why it could not go on, which damage is not.
type examiner struct {
	ctx   context.Context
	conn  *sql.Conn
	found *Examination
	err   error
}

func (x *examiner) fault(area Area, problem string, args ...any) {
	x.found.Faults = append(x.found.Faults, Fault{Area: area, Problem: fmt.Sprintf(problem, args...)})
}

// damaged notes an error: where it tells of damage, as a fault. A query for what
// is missing from the schema has been told of by that.
func (x *examiner) damaged(err error) bool {
	var e sqlite3.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, &e) && e.Code == sqlite3.ErrError && slices.ContainsFunc(x.found.Faults, func(f Fault) bool { return f.Area == AreaSchema }):
	case errors.Is(err, ErrCorrupt):
		if len(x.found.Faults) == 0 { // otherwise it is one of those
			x.fault(AreaIntegrity, "It cannot be read through: %s.", err)
		}
	default:
		x.err = errors.Join(x.err, err)
	}
	return true
}

func (x *examiner) integrity() {
	lines, err := textsOf(x.ctx, x.conn, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFaults))
	for _, line := range lines {
		if line != "ok" {
			x.fault(AreaIntegrity, "%s.", oneLine(line))
		}
	}
	x.damaged(err)
}

func (x *examiner) references() {
	lines, err := textsOf(x.ctx, x.conn, `SELECT count(*) || ' rows of ' || "table" || ' refer to rows of ' || parent || ' that are not there'
		FROM pragma_foreign_key_check GROUP BY "table", parent`)
	for _, line := range lines {
		x.fault(AreaReferences, "%s.", line)
	}
	x.damaged(err)
}

func (x *examiner) rows() {
	names, err := tableNames(x.ctx, x.conn)
	x.damaged(err)
	for _, name := range names {
		n, err := oneInteger(x.ctx, x.conn, "SELECT count(*) FROM "+quoted(name))
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
	for _, r := range rowRules {
		if x.found.Schema >= r.since {
			x.rule(AreaRules, r.problem, r.query)
		}
	}
}

func (x *examiner) rule(area Area, problem, query string) {
	if n, err := oneInteger(x.ctx, x.conn, query); !x.damaged(err) && n > 0 {
		x.fault(area, problem, n)
	}
}

// rowRule counts the rows that break a rule. It goes for schemas of a version
// and later.
type rowRule struct {
	since          int64
	problem, query string
}

// notTexts is a condition on a column that ought to be a JSON array of texts.
func notTexts(column string) string {
	return "CASE WHEN NOT json_valid(" + column + ") THEN TRUE WHEN json_type(" + column + ") <> 'array' THEN TRUE " +
		"ELSE EXISTS (SELECT 1 FROM json_each(" + column + ") WHERE json_each.type <> 'text') END"
}

var rowRules = []rowRule{
	{1, "%d sessions have a generation below 1.", "SELECT count(*) FROM sessions WHERE generation < 1"},
	{1, "%d sessions end before they begin.", "SELECT count(*) FROM sessions WHERE expires_at < created_at"},
	{1, "%d accounts have permissions that are no list of words.", "SELECT count(*) FROM users WHERE " + notTexts("permissions")},
	{1, "%d accounts have a version below 1.", "SELECT count(*) FROM users WHERE version < 1"},
	{1, "%d tasks have tags that are no list of texts.", "SELECT count(*) FROM tasks WHERE " + notTexts("tags")},
	{1, "%d tasks have a version below 1.", "SELECT count(*) FROM tasks WHERE version < 1"},
	{1, "%d tasks are done at no time, or at a time and not done.", "SELECT count(*) FROM tasks WHERE done <> (done_at IS NOT NULL)"},
	{1, "The row that readiness is tried on is not there (%d is missing): the server would not be ready.", "SELECT 1 - count(*) FROM store_probe"},
	{2, "%d API tokens have permissions that are no list of words.", "SELECT count(*) FROM api_tokens WHERE permissions IS NOT NULL AND " + notTexts("permissions")},
	{2, "%d API tokens have no SHA-256 of a key.", "SELECT count(*) FROM api_tokens WHERE length(key_hash) <> 64 OR key_hash GLOB '*[^0-9a-f]*'"},
	{2, "%d messages of the outbox wait and are finished, or neither.", "SELECT count(*) FROM outbox WHERE (state = 'waiting') <> (finished_at IS NULL)"},
}
