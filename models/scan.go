package models

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync"
)

// scanner takes a row of so many columns into a T.
type scanner[T any] struct {
	columns int
	fill    func(*T, *rowBuffer)
}

// maxColumns is how many columns a scanner may have.
const maxColumns = 16

// row is one row of a query, wherever it runs.
type row struct {
	rows   *sql.Rows      // of database/sql
	values []driver.Value // or what the driver gave, and
	buffer *rowBuffer     // where it lies
}

// Scan takes the columns as sql.Rows.Scan does.
func (r row) Scan(into ...any) error {
	if r.rows != nil {
		return r.rows.Scan(into...)
	}
	if len(into) != len(r.values) {
		return fmt.Errorf("%d columns for %d places", len(r.values), len(into))
	}
	for i, place := range into {
		if err := put(place, r.values[i]); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
	}
	return nil
}

// put sets what a place points to.
func put(place any, value driver.Value) error {
	ok := true
	switch to := place.(type) {
	case *int64:
		*to, ok = value.(int64)
	case *string:
		*to, ok = value.(string)
	case *bool:
		*to, ok = value.(bool)
	case *any:
		*to = value
	case *sql.NullInt64:
		to.Int64, to.Valid = value.(int64)
		ok = to.Valid || value == nil
	case *sql.NullString:
		to.String, to.Valid = value.(string)
		ok = to.Valid || value == nil
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("a %T does not go into a %T", value, place)
	}
	return nil
}

// columns gives the row in a buffer: in that which it lies in, or else in b.
func (r row) columns(b *rowBuffer, n int) (*rowBuffer, error) {
	if r.buffer != nil {
		return r.buffer, nil
	}
	return b, b.read(r.rows, n)
}

// rowBuffer receives rows as the driver gives them, one after the other.
// Scanning into typed fields converts each by reflection, which costs a page
// more than the database does.
type rowBuffer struct {
	values  [maxColumns]driver.Value
	scanned [maxColumns]any
	into    [maxColumns]any
}

// rowBuffers are reused: filling in where the columns go costs as much as a row.
var rowBuffers = sync.Pool{New: func() any {
	b := new(rowBuffer)
	for i := range b.scanned {
		b.into[i] = &b.scanned[i]
	}
	return b
}}

// getRowBuffer lends a buffer, to be given back by put.
func getRowBuffer() *rowBuffer { return rowBuffers.Get().(*rowBuffer) }

func (b *rowBuffer) put() {
	clear(b.values[:]) // the pool keeps nobody's data
	clear(b.scanned[:])
	rowBuffers.Put(b)
}

// room gives places for so many columns.
func (b *rowBuffer) room(columns int) []driver.Value {
	if columns > maxColumns {
		return make([]driver.Value, columns)
	}
	return b.values[:columns]
}

func (b *rowBuffer) read(rows *sql.Rows, columns int) error {
	err := rows.Scan(b.into[:columns]...)
	for i := range columns {
		b.values[i] = b.scanned[i]
	}
	return err
}

// The accessors give a column by its place in the SELECT. The schema says what
// type it has; another is a defect, and panics.

func (b *rowBuffer) int64(i int) int64   { return b.values[i].(int64) }
func (b *rowBuffer) string(i int) string { return b.values[i].(string) }
func (b *rowBuffer) bool(i int) bool     { return b.values[i].(bool) }

func (b *rowBuffer) nullInt64(i int) sql.NullInt64 {
	n, ok := b.values[i].(int64)
	return sql.NullInt64{Int64: n, Valid: ok}
}

// one reads the row that a key finds, or fails with ErrNotFound.
func one[T any](db DB, scan scanner[T], query string, args ...any) (one T, err error) {
	buffer := getRowBuffer()
	defer buffer.put()
	err = first(db, func(r row) error {
		b, err := r.columns(buffer, scan.columns)
		if err == nil {
			scan.fill(&one, b)
		}
		return err
	}, query, args...)
	return one, err
}

// all reads the few rows that a key finds.
func all[T any](db DB, scan scanner[T], query string, args ...any) (rows []T, err error) {
	buffer := getRowBuffer()
	defer buffer.put()
	err = few(db, scan.adding(&rows, buffer), query, args...)
	return rows, err
}

// adding gives what adds each row to a list.
func (s scanner[T]) adding(rows *[]T, buffer *rowBuffer) func(row) error {
	return func(r row) error {
		b, err := r.columns(buffer, s.columns)
		if err == nil {
			*rows = append(*rows, *new(T))
			s.fill(&(*rows)[len(*rows)-1], b)
		}
		return err
	}
}
