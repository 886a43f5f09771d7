package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"dueto/routes"
)

// requestLine is what the middleware hands to the log for a request.
func requestLine(more ...slog.Attr) slog.Record {
	line := slog.NewRecord(time.Date(2026, 11, 22, 9, 8, 7, 123456000, time.FixedZone("", 3600)), slog.LevelInfo, routes.AccessLine, 0)
	line.AddAttrs(
		slog.String("method", "GET"), slog.String("route", "/tasks/:id"), slog.Int("status", 200),
		slog.Duration("duration", 12345*time.Nanosecond), slog.String("request_id", "MFRGGZDFMZTWQ2LK"))
	line.AddAttrs(more...)
	return line
}

func TestRequestHandler_WritesLinesAsSlogDoes(t *testing.T) {
	other := requestLine()
	other.Message = `not a "request"`
	for name, line := range map[string]slog.Record{
		"anonymous":             requestLine(),
		"of somebody":           requestLine(slog.Int64("user_id", 7)),
		"a method with a quote": requestLine(slog.String("method", `G"E\T<>&`), slog.String("text", "ü\u2028\x00\n\xff")),
		"without a route":       requestLine(slog.String("route", "")),
		"another kind of value": requestLine(slog.Group("group", slog.Any("list", []int{1, 2}))),
		"another message":       other,
	} {
		t.Run(name, func(t *testing.T) {
			var want, got bytes.Buffer
			lines := &delayedWriter{to: &got}
			if err := slog.NewJSONHandler(&want, nil).Handle(context.Background(), line); err != nil {
				t.Fatal(err)
			}
			if err := (requestHandler{slog.NewJSONHandler(lines, nil), lines}).Handle(context.Background(), line); err != nil {
				t.Fatal(err)
			}
			lines.flush()
			if got.String() != want.String() {
				t.Errorf("got  %swant %s", &got, &want)
			}
		})
	}
}

func BenchmarkRequestLine(b *testing.B) {
	lines := &delayedWriter{to: io.Discard}
	standard := slog.NewJSONHandler(lines, nil) //nolint:sloglint // what is measured
	for name, handler := range map[string]slog.Handler{"slog": standard, "ours": requestHandler{standard, lines}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := handler.Handle(context.Background(), requestLine()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
