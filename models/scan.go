package models

import (
	"database/sql"
	"sync"
)

// scanner takes a row of so many columns into a T.
type scanner[T any] struct {
	columns int
	fill    func(*T, *rowBuffer)
}

// maxColumns is how many columns a scanner may have.
const maxColumns = 16

// rowBuffer receives rows as the driver gives them, one after the other.
// Scanning into typed fields converts each by reflection, which costs a page
// more than the database does.
type rowBuffer struct {
	values [maxColumns]any
	into   [maxColumns]any
}

// rowBuffers are reused: filling in where the columns go costs as much as a row.
var rowBuffers = sync.Pool{New: func() any {
	b := new(rowBuffer)
	for i := range b.values {
		b.into[i] = &b.values[i]
	}
	return b
}}

// getRowBuffer lends a buffer, to be given back by put.
func getRowBuffer() *rowBuffer { return rowBuffers.Get().(*rowBuffer) }

func (b *rowBuffer) put() {
	clear(b.values[:]) // the pool keeps nobody's data
	rowBuffers.Put(b)
}

func (b *rowBuffer) read(rows *sql.Rows, columns int) error { return rows.Scan(b.into[:columns]...) }

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
func one[T any](db DB, scan scanner[T], query string, args ...any) (row T, err error) {
	buffer := getRowBuffer()
	defer buffer.put()
	err = first(db, func(rows *sql.Rows) error {
		err := buffer.read(rows, scan.columns)
		if err == nil {
			scan.fill(&row, buffer)
		}
		return err
	}, query, args...)
	return row, err
}

// all reads the few rows that a key finds.
func all[T any](db DB, scan scanner[T], query string, args ...any) (rows []T, err error) {
	buffer := getRowBuffer()
	defer buffer.put()
	err = few(db, func(r *sql.Rows) error {
		err := buffer.read(r, scan.columns)
		if err == nil {
			rows = append(rows, *new(T))
			scan.fill(&rows[len(rows)-1], buffer)
		}
		return err
	}, query, args...)
	return rows, err
}
