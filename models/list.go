package models

import (
	"slices"
	"strconv"
	"strings"
)

// Order is a list's sort keys, the first one deciding most. Ties are broken by
// ascending id, which need not be named.
type Order []SortKey

// SortKey names a key from an allow-list such as TaskSortKeys.
type SortKey struct {
	Name string
	Desc bool
}

// Page says which part of an ordered list is wanted.
type Page struct {
	Order Order
	// Limit is the greatest number of rows.
	Limit int
	// Offset skips rows from the start. It is not used together with Position.
	Offset int
	// Position is a row's sort values (see TaskPosition): the page starts after
	// it, or ends before it where Backward is set. Nil is the list's start.
	Position []any
	Backward bool
}

// sortColumn is how a sort key is written in SQL. Both expressions stand in an
// index, and neither is ever NULL, so that a position compares with plain < and >.
type sortColumn[T any] struct {
	asc, desc string
	value     func(row T, desc bool) any
}

// column is a sort key whose column needs no expression.
func column[T any](name string, value func(T) any) sortColumn[T] {
	return sortColumn[T]{asc: name, desc: name, value: func(row T, _ bool) any { return value(row) }}
}

// sortColumns is an allow-list of sort keys by name; "id" is in each.
type sortColumns[T any] map[string]sortColumn[T]

// names lists the keys, sorted.
func (c sortColumns[T]) names() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// withID ends the order at the id, which makes it total.
func (o Order) withID() Order {
	for i, k := range o {
		if k.Name == "id" {
			return o[:i+1]
		}
	}
	return append(o[:len(o):len(o)], SortKey{Name: "id"})
}

// position gives the sort values of a row.
func (c sortColumns[T]) position(order Order, row T) []any {
	order = order.withID()
	values := make([]any, len(order))
	for i, k := range order {
		values[i] = c[k.Name].value(row, k.Desc)
	}
	return values
}

// listQuery is a SELECT without its order and limits.
type listQuery struct {
	sel   string // SELECT ... FROM ...
	where []string
	args  []any
}

// How a value is bound that a column must equal. SQLite looks at one that is bound
// bare while it plans, unless a unique key finds the row, and so prepares the
// statement anew for each query: that costs more than to run it.
const (
	boundInteger = "CAST(? AS BIGINT)"
	boundBoolean = "CAST(? AS BOOLEAN)"
	boundText    = "CAST(? AS TEXT)"
)

func (q *listQuery) filter(condition string, args ...any) {
	q.where = append(q.where, condition)
	q.args = append(q.args, args...)
}

// sql puts the parts together.
func (q *listQuery) sql(tail string) string {
	if len(q.where) == 0 {
		return q.sel + tail
	}
	return q.sel + " WHERE " + strings.Join(q.where, " AND ") + tail
}

// list reads one page. After a position it asks in turn for the rows that tie
// with it on all keys but the last, on all but the last two, and so on. Where
// the order is one key, each question is a contiguous range of its index, and
// the thousandth page costs what the first one does; other orders are sorted,
// on every page alike.
func list[T any](db DB, q listQuery, cols sortColumns[T], p Page, scan scanner[T]) ([]T, error) {
	rows := make([]T, 0, p.Limit)
	buffer := getRowBuffer()
	defer buffer.put()
	take := scan.adding(&rows, buffer)
	order := p.Order.withID()
	exprs, terms := orderBy(cols, order, p.Backward)
	if p.Position == nil {
		err := each(db, take, q.sql(" ORDER BY "+strings.Join(terms, ", ")+limit(p.Limit, p.Offset)), q.args...)
		return rows, err
	}
	for last := len(order) - 1; last >= 0 && len(rows) < p.Limit; last-- {
		part := listQuery{sel: q.sel, where: slices.Clone(q.where), args: slices.Clone(q.args)}
		for i := range last {
			part.filter(exprs[i]+" = "+placed(p.Position[i]), p.Position[i])
		}
		part.filter(exprs[last]+after(order[last].Desc != p.Backward), p.Position[last])
		// The keys before the last are equal in all these rows: ordering by them
		// too would hide from the planner that the index has the order.
		if err := each(db, take, part.sql(" ORDER BY "+strings.Join(terms[last:], ", ")+limit(p.Limit-len(rows), 0)), part.args...); err != nil {
			return nil, err
		}
	}
	if p.Backward {
		slices.Reverse(rows)
	}
	return rows, nil
}

// limit writes the numbers out: SQLite plans by them, and would prepare the
// statement anew for each query that binds them.
func limit(rows, offset int) string {
	clause := " LIMIT " + strconv.Itoa(rows)
	if offset > 0 {
		clause += " OFFSET " + strconv.Itoa(offset)
	}
	return clause
}

// placed gives how a value of a position is bound.
func placed(value any) string {
	if _, ok := value.(string); ok {
		return boundText
	}
	return boundInteger
}

func after(desc bool) string {
	if desc {
		return " < ?"
	}
	return " > ?"
}

// orderBy gives each key's expression and its term in an ORDER BY clause,
// reversed for a page that is read backward.
func orderBy[T any](cols sortColumns[T], order Order, backward bool) (exprs, terms []string) {
	terms = make([]string, len(order))
	for i, k := range order {
		expr, direction := cols[k.Name].asc, ""
		if k.Desc {
			expr = cols[k.Name].desc
		}
		if k.Desc != backward {
			direction = " DESC"
		}
		exprs = append(exprs, expr)
		terms[i] = expr + direction
	}
	return exprs, terms
}
