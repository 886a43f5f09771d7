package main

import (
	"database/sql"
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

const columns = `id, title, description, due_to, done, done_at, priority, tags, private,
	person_id, created_by, created_at, updated_at, version`

// row is a task as the driver gives it: what is scanned into an any is stored
// as it comes, without reflection. A column that is NULL is nil.
type row struct {
	values  [14]any
	targets [14]any // pointers to the values, to be scanned into
}

var rowPool = sync.Pool{New: func() any {
	r := new(row)
	for i := range r.values {
		r.targets[i] = &r.values[i]
	}
	return r
}}

func (r *row) version() int64 { return r.values[13].(int64) }

// appendJSON writes the task with the members that Dueto gives it.
func (r *row) appendJSON(b []byte, url string) []byte {
	id := r.values[0].(int64)
	b = strconv.AppendInt(append(b, `{"id":`...), id, 10)
	b = append(append(b, `,"url":"`...), url...)
	b = strconv.AppendInt(b, id, 10)
	b = appendText(append(b, `","title":`...), r.values[1].(string))
	b = appendText(append(b, `,"description":`...), r.values[2].(string))
	b = appendTime(append(b, `,"due_to":`...), r.values[3])
	b = strconv.AppendBool(append(b, `,"done":`...), r.values[4].(bool))
	b = appendTime(append(b, `,"done_at":`...), r.values[5])
	b = strconv.AppendInt(append(b, `,"priority":`...), r.values[6].(int64), 10)
	b = append(append(b, `,"tags":`...), r.values[7].(string)...)
	if r.values[8].(bool) {
		b = append(b, `,"visibility":"private","person":`...)
	} else {
		b = append(b, `,"visibility":"public","person":`...)
	}
	b = appendID(b, r.values[9])
	b = appendID(append(b, `,"created_by":`...), r.values[10])
	b = appendTime(append(b, `,"created_at":`...), r.values[11])
	b = appendTime(append(b, `,"updated_at":`...), r.values[12])
	return append(b, '}')
}

// appendList writes the rows as an array and closes them.
func (r *row) appendList(b []byte, rows *sql.Rows, url string) ([]byte, error) {
	defer func() { _ = rows.Close() }()
	b = append(b, '[')
	for n := 0; rows.Next(); n++ {
		if n > 0 {
			b = append(b, ',')
		}
		if err := rows.Scan(r.targets[:]...); err != nil {
			return b, err
		}
		b = r.appendJSON(b, url)
	}
	return append(b, ']', '\n'), rows.Err()
}

// appendText writes a JSON text; what needs escapes is rare and left to
// encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string: cannot fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendID(b []byte, value any) []byte {
	if value == nil {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, value.(int64), 10)
}

// appendTime writes microseconds as RFC 3339 in UTC, or null.
func appendTime(b []byte, value any) []byte {
	if value == nil {
		return append(b, "null"...)
	}
	t := time.UnixMicro(value.(int64)).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(b, '"', byte('0'+year/1000%10), byte('0'+year/100%10))
	b = append(append2(b, year%100), '-')
	b = append(append2(b, int(month)), '-')
	b = append(append2(b, day), 'T')
	b = append(append2(b, hour), ':')
	b = append(append2(b, minute), ':')
	b = append2(b, second)
	if micros := t.Nanosecond() / 1000; micros != 0 {
		b = append2(append2(append2(append(b, '.'), micros/10000), micros/100%100), micros%100)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z', '"')
}

func append2(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }
