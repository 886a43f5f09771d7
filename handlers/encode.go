package handlers

import (
	"strconv"
	"sync"
	"unicode/utf8"

	"dueto/openapi"
)

// member writes one member of an answer. A resource's answer is a list of
// members: all of them, or those that ?fields= names. Lists of rows are what
// the server answers most, and reflection costs more than the database there;
// a test holds the members against encoding/json.
type member[T any] struct {
	name   string
	append func(b []byte, v *T) []byte
	key    string // the name as it is written, with the comma before it
	// schema says what it is; where a request has it too, only what its struct
	// does not say.
	schema *openapi.Schema
}

// keyed prepares the keys of a resource's members.
func keyed[T any](members []member[T]) []member[T] {
	for i := range members {
		members[i].key = `,"` + members[i].name + `":`
	}
	return members
}

func memberNames[T any](members []member[T]) []string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = m.name
	}
	return list
}

// appendObject writes the members of v as an object.
func appendObject[T any](b []byte, v *T, members []member[T]) []byte {
	b = append(b, '{')
	for i := range members {
		key := members[i].key
		if i == 0 {
			key = key[1:]
		}
		b = members[i].append(append(b, key...), v)
	}
	return append(b, '}')
}

// appendList writes a list of objects; convert makes each of them.
func appendList[R, T any](b []byte, rows []R, convert func(*R) T, members func(*T) []member[T]) []byte {
	b = append(b, '[')
	var v T // one for all: it escapes
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		v = convert(&rows[i])
		b = appendObject(b, &v, members(&v))
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON text (RFC 8259, section 7). Bytes that are not
// UTF-8 become U+FFFD, as in encoding/json.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendIDs(b []byte, ids []int64) []byte {
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return append(b, ']')
}

// buffers are reused: a page is tens of kilobytes.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// maxKept keeps a rare huge answer from staying in memory.
const maxKept = 1 << 18

// getBuffer lends an empty buffer, to be given back by putBuffer.
func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(p *[]byte, b []byte) {
	if cap(b) <= maxKept {
		*p = b[:0]
		buffers.Put(p)
	}
}
