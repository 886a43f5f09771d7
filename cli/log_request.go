package cli

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"dueto/routes"
)

// requestHandler writes the lines of requests as slog's JSON handler does, at
// half the cost: each answer pays for one. All else it leaves to that handler.
type requestHandler struct {
	slog.Handler
	lines *delayedWriter
}

// Handle implements slog.Handler.
func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == routes.AccessLine {
		buffer := lineBuffers.Get().(*[]byte)
		defer lineBuffers.Put(buffer)
		if line, ok := appendLine((*buffer)[:0], r); ok {
			*buffer = line
			_, err := h.lines.Write(line)
			return err
		}
	}
	return h.Handler.Handle(ctx, r)
}

var lineBuffers = sync.Pool{New: func() any { return new(make([]byte, 0, 512)) }}

// appendLine writes a record whose attributes are plain texts and numbers, or
// gives false.
func appendLine(b []byte, r slog.Record) (_ []byte, ok bool) {
	b = r.Time.AppendFormat(append(b, `{"time":"`...), time.RFC3339Nano)
	b = append(append(b, `","level":"`...), r.Level.String()...)
	b = append(append(append(b, `","msg":"`...), r.Message...), '"')
	ok = true
	r.Attrs(func(a slog.Attr) bool {
		b = append(append(append(b, `,"`...), a.Key...), `":`...)
		switch a.Value.Kind() { //nolint:exhaustive // the others are not written here
		case slog.KindString:
			text := a.Value.String()
			b = append(append(append(b, '"'), text...), '"')
			ok = plain(text)
		case slog.KindInt64:
			b = strconv.AppendInt(b, a.Value.Int64(), 10)
		case slog.KindDuration:
			b = strconv.AppendInt(b, int64(a.Value.Duration()), 10)
		default:
			ok = false
		}
		return ok
	})
	return append(b, "}\n"...), ok
}

// plain reports whether a text stands for itself in JSON.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
