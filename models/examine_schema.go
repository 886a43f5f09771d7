package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// schemaObject is a table, an index, a trigger or a view.
type schemaObject struct {
	kind, name, sql string
	columns         []string
}

// definition is the SQL that made it, however that was laid out.
func (o schemaObject) definition() string { return strings.Join(strings.Fields(o.sql), "") }

var (
	sqlComment  = regexp.MustCompile(`--[^\n]*`)
	checkBegins = regexp.MustCompile(`CHECK\s*\(`)
)

// checks gives the conditions of a table's CHECK constraints.
func (o schemaObject) checks() (list []string) {
	for _, rest := range checkBegins.Split(sqlComment.ReplaceAllString(o.sql, ""), -1)[1:] {
		depth := 1
		end := strings.IndexFunc(rest, func(r rune) bool {
			switch r {
			case '(':
				depth++
			case ')':
				depth--
			}
			return depth == 0
		})
		list = append(list, rest[:max(end, 0)])
	}
	return list
}

// compareSchema compares what is there with what the migrations make.
func (x *examiner) compareSchema(applied []migration) {
	want, err := freshSchema(x.ctx, applied)
	if err != nil {
		x.err = errors.Join(x.err, err)
		return
	}
	have, err := schemaObjects(x.ctx, x.conn)
	if x.damaged(err) {
		return
	}
	for _, w := range want {
		i := slices.IndexFunc(have, func(h schemaObject) bool { return h.kind == w.kind && h.name == w.name })
		if i < 0 {
			x.fault(AreaSchema, "The %s %s is missing.", w.kind, w.name)
			continue
		}
		x.compareObject(have[i], w)
		for _, condition := range w.checks() { // SQLite does not look at them where it may not write
			x.rule(AreaIntegrity, "%d rows of "+w.name+" break a CHECK: "+strings.ReplaceAll(condition, "%", "%%")+".",
				"SELECT count(*) FROM "+quoted(w.name)+" WHERE NOT ("+condition+")")
		}
		have = slices.Delete(have, i, i+1)
	}
	for _, h := range have {
		x.found.Faults = append(x.found.Faults, Fault{AreaSchema, true, fmt.Sprintf("There is a %s %s that is not Dueto's.", h.kind, h.name)})
	}
}

func (x *examiner) compareObject(have, want schemaObject) {
	faults := len(x.found.Faults)
	for _, c := range want.columns {
		if !slices.Contains(have.columns, c) {
			x.fault(AreaSchema, "The %s %s lacks the column %s, or has another of that name.", want.kind, want.name, c)
		}
	}
	for _, c := range have.columns {
		if !slices.Contains(want.columns, c) {
			x.fault(AreaSchema, "The %s %s has a column %s that is not Dueto's.", want.kind, want.name, c)
		}
	}
	if len(x.found.Faults) == faults && have.definition() != want.definition() {
		x.fault(AreaSchema, "The %s %s is defined in another way than Dueto does.", want.kind, want.name)
	}
}

// freshSchema gives the schema that migrations make of nothing.
func freshSchema(ctx context.Context, list []migration) (objects []schemaObject, err error) {
	pool := sql.OpenDB(newSQLiteConnector("fresh", "mode=memory", sharedPragmas))
	defer func() { err = errors.Join(err, pool.Close()) }()
	pool.SetMaxOpenConns(1) // each connection would have a database of its own
	base, err := openGorm(pool, Options{})
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if _, err := applyMigration(DB{base: base, ctx: ctx}, m, Time(0)); err != nil {
			return nil, err
		}
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return schemaObjects(ctx, conn)
}

// schemaObjects lists what a schema has, but for what SQLite makes by itself.
func schemaObjects(ctx context.Context, conn *sql.Conn) (list []schemaObject, err error) {
	rows, err := conn.QueryContext(ctx, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
	if err != nil {
		return nil, translate(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var o schemaObject
		if err := rows.Scan(&o.kind, &o.name, &o.sql); err != nil {
			return nil, translate(err)
		}
		list = append(list, o)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, translate(err)
	}
	for i := range list {
		if list[i].kind != "table" {
			continue
		}
		list[i].columns, err = textsOf(ctx, conn, `SELECT name || ' ' || type || iif("notnull", ' NOT NULL', '') || coalesce(' DEFAULT ' || dflt_value, '') ||
			iif(pk, ' in the primary key', '') FROM pragma_table_xinfo(?)`, list[i].name)
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// The least and the greatest time that can be written in an answer: years 1 to
// 9998.
const (
	minMicros = -62135596800000000
	maxMicros = 253370764799999999
)

// isTime reports whether a column holds times, which it does by its name.
func isTime(column string) bool {
	return strings.HasSuffix(column, "_at") || column == "at" || slices.Contains([]string{"due_to", "date_joined", "last_login"}, column)
}

// rulesOfColumns makes rules of the columns that there are: values are of their
// column's type, which SQLite lets be another, times can be written, and ids
// are positive and do not come back.
func (x *examiner) rulesOfColumns() (list []rowRule) {
	for _, t := range x.found.Rows {
		columns, err := textsOf(x.ctx, x.conn, "SELECT type || ' ' || name FROM pragma_table_xinfo(?)", t.Table)
		if x.damaged(err) {
			continue
		}
		var odd, outside []string
		for _, column := range columns {
			kind, name, _ := strings.Cut(column, " ")
			value := quoted(name)
			switch kind {
			case "INTEGER", "BIGINT":
				odd = append(odd, "typeof("+value+") NOT IN ('integer', 'null')")
			case "BOOLEAN":
				odd = append(odd, value+" NOT IN (0, 1)")
			case "TEXT":
				odd = append(odd, "typeof("+value+") NOT IN ('text', 'null')")
			}
			if isTime(name) {
				outside = append(outside, fmt.Sprintf("%s NOT BETWEEN %d AND %d", value, minMicros, maxMicros))
			}
			if name == "id" {
				list = append(list, idRules(t.Table)...)
			}
		}
		for _, one := range []struct {
			problem    string
			conditions []string
		}{{"have a value of another type than its column's", odd}, {"have a time that cannot be written", outside}} {
			if len(one.conditions) > 0 {
				list = append(list, rowRule{problem: "%d rows of " + t.Table + " " + one.problem + ".",
					query: "SELECT count(*) FROM " + quoted(t.Table) + " WHERE " + strings.Join(one.conditions, " OR ")})
			}
		}
	}
	return list
}

// idRules look at what numbers a table's rows.
func idRules(table string) []rowRule {
	name := "'" + strings.ReplaceAll(table, "'", "''") + "'"
	counts := "EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = " + name + " AND sql LIKE '%AUTOINCREMENT%')"
	last := "coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = " + name + "), 0)" // none before the first row
	return []rowRule{
		{problem: "%d rows of " + table + " have an id below 1.", query: "SELECT count(*) FROM " + quoted(table) + " WHERE id < 1"},
		{problem: "Ids of " + table + " may come back to mean others: the last one that was given out is noted %d too low.",
			query: "SELECT CASE WHEN " + counts + " THEN max(0, coalesce((SELECT max(id) FROM " + quoted(table) + "), 0) - " + last + ") ELSE 0 END"},
		{problem: "Ids of " + table + " are at %d, and run out.",
			query: fmt.Sprintf("SELECT CASE WHEN %s AND %s > %d THEN %[2]s ELSE 0 END", counts, last, int64(maxSequence))},
	}
}
