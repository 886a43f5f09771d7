package handlers

import (
	"database/sql"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"dueto/models"
	"dueto/services"
)

// trimmed is a text without the white space around it.
type trimmed string

// UnmarshalJSON implements json.Unmarshaler.
func (t *trimmed) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*t = trimmed(strings.TrimSpace(s))
	return nil
}

// newPassword is one that an account is to get.
type newPassword string

// texts turns trimmed texts into plain ones, each kept once.
func texts(list []trimmed) []string {
	out := make([]string, 0, len(list))
	seen := map[trimmed]bool{}
	for _, t := range list {
		if !seen[t] {
			seen[t] = true
			out = append(out, string(t))
		}
	}
	return out
}

const timeComplaint = "Enter a time with an offset, such as 2026-10-18T19:12:01Z."

// rfc3339 is the grammar of RFC 3339, 5.6. Go's parser takes more: a comma
// before the fraction, one digit for the hour, offsets of a day.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// timestamp is a time that a client sends: RFC 3339 with an offset.
type timestamp struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return complaintError(timeComplaint)
	}
	return t.parse(s)
}

// parse reads the time into UTC, cut to microseconds. Years 1 to 9998 leave
// room for the offset that any client may print the time with.
func (t *timestamp) parse(s string) error {
	s = strings.ToUpper(s) // t and z are as good as T and Z (5.6)
	parsed, err := time.Parse(time.RFC3339, s)
	if err != nil || !rfc3339.MatchString(s) {
		return complaintError(timeComplaint)
	}
	parsed = parsed.UTC().Truncate(time.Microsecond)
	if parsed.Year() < 1 || parsed.Year() > 9998 {
		return complaintError("Enter a time in the years 1 to 9998 (UTC).")
	}
	t.Time = parsed
	return nil
}

func timeChange(o Opt[timestamp]) services.Change[*time.Time] {
	c := services.Change[*time.Time]{Set: o.Set}
	if o.Set && !o.Null {
		c.To = &o.Value.Time
	}
	return c
}

// moment is a stored time in an answer: RFC 3339 in UTC, or null. The fraction
// is there only if there is one.
type moment sql.NullInt64

func momentOf(micros int64) moment { return moment{Int64: micros, Valid: true} }

// appendMoment writes a time several times faster than time.Format does.
func appendMoment(b []byte, m moment) []byte {
	if !m.Valid {
		return append(b, "null"...)
	}
	t := models.Time(m.Int64)
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append2(append2(append(b, '"'), year/100), year%100)
	b = append2(append(b, '-'), int(month))
	b = append2(append(b, '-'), day)
	b = append2(append(b, 'T'), hour)
	b = append2(append(b, ':'), minute)
	b = append2(append(b, ':'), second)
	if fraction := t.Nanosecond() / 1000; fraction != 0 {
		b = append2(append(b, '.'), fraction/10000)
		b = append2(append2(b, fraction/100%100), fraction%100)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z', '"')
}

// append2 writes a number below 100 in two digits.
func append2(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// reference is the id of another row in an answer, or null.
type reference sql.NullInt64

func appendReference(b []byte, r reference) []byte {
	if !r.Valid {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, r.Int64, 10)
}

// appendNonEmpty writes a text, or null where it is empty.
func appendNonEmpty(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}
