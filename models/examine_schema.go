package models

import (
	"context"
	"database/sql"
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

// objectsOn reads objects without their columns, as eachOn does.
func objectsOn(ctx context.Context, conn *sql.Conn, query string) (list []schemaObject, err error) {
	err = eachOn(ctx, conn, func(rows row) error {
		var o schemaObject
		err := rows.Scan(&o.kind, &o.name, &o.sql)
		list = append(list, o)
		return err
	}, query)
	return list, err
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
func (x *examiner) compareSchema(want []schemaObject) {
	have, err := x.engine.objects(x.ctx, x.conn)
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
		have = slices.Delete(have, i, i+1)
	}
	for _, h := range have {
		x.odd(AreaSchema, "The %s %s is not Dueto's.", h.kind, h.name)
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
// column's type, times can be written, and ids are positive and do not come
// back.
func (x *examiner) rulesOfColumns() (list []rowRule) {
	for _, t := range x.found.Rows {
		columns, err := x.engine.columns(x.ctx, x.conn, t.Table)
		if x.damaged(err) {
			continue
		}
		var odd, outside []string
		for _, column := range columns {
			kind, name, _ := strings.Cut(column, " ")
			if condition := x.engine.mistyped(kind, quoted(name)); condition != "" {
				odd = append(odd, condition)
			}
			number := kind == "INTEGER" || kind == "BIGINT"
			if number && isTime(name) {
				outside = append(outside, fmt.Sprintf("%s NOT BETWEEN %d AND %d", quoted(name), minMicros, maxMicros))
			}
			if number && name == "id" {
				list = append(list, idRules(t.Table, x.engine.lastGiven(x, t.Table))...)
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

// idRules look at what numbers a table's rows; last is the last id that was
// given out, NULL where the table counts none.
func idRules(table, last string) []rowRule {
	ids := " FROM (SELECT coalesce(max(id), 0) AS highest FROM " + quoted(table) + ") AS there, (SELECT " + last + " AS last) AS counted"
	return []rowRule{
		{problem: "%d rows of " + table + " have an id below 1.", query: "SELECT count(*) FROM " + quoted(table) + " WHERE id < 1"},
		{problem: "Ids of " + table + " may come back to mean others: the last one that was given out is noted %d too low.",
			query: "SELECT CASE WHEN highest > last THEN highest - last ELSE 0 END" + ids},
		{problem: "Ids of " + table + " are at %d, and run out.",
			query: fmt.Sprintf("SELECT CASE WHEN last > %d THEN last ELSE 0 END%s", int64(maxSequence), ids)},
	}
}
