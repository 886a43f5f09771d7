package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"dueto/config"
	"dueto/routes"
)

// logDelay is the longest that a line waits to be written. A busy server writes
// thousands a second, each otherwise a system call before the next request.
const logDelay = 100 * time.Millisecond

// newLogger writes to stderr: text to a terminal, else JSON, unless the
// settings say which. flush writes what waits; it is called at the end.
func newLogger(stderr io.Writer, c *config.Config) (log *slog.Logger, flush func()) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked
	options := &slog.HandlerOptions{Level: level}
	lines := &delayedWriter{to: stderr}
	var handler slog.Handler = requestHandler{slog.NewJSONHandler(lines, options), lines}
	if logFormat(stderr, c) == "text" {
		handler = slog.NewTextHandler(lines, options)
	}
	return slog.New(promptHandler{handler, lines}), lines.flush
}

// logFormat is the one that is set, or follows from where the log goes.
func logFormat(stderr io.Writer, c *config.Config) string {
	if c.LogFormat != "" {
		return c.LogFormat
	}
	if file, ok := stderr.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return "text"
	}
	return "json"
}

// promptHandler lets access lines wait, and nothing else: what a crash leaves
// unwritten is at most a moment of them.
type promptHandler struct {
	slog.Handler
	lines *delayedWriter
}

// Handle implements slog.Handler.
func (h promptHandler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Message != routes.AccessLine {
		h.lines.flush()
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h promptHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return promptHandler{h.Handler.WithAttrs(attrs), h.lines}
}

// WithGroup implements slog.Handler.
func (h promptHandler) WithGroup(name string) slog.Handler {
	return promptHandler{h.Handler.WithGroup(name), h.lines}
}

// delayedWriter gathers lines and writes them together, soon.
type delayedWriter struct {
	to      io.Writer
	mu      sync.Mutex
	waiting bytes.Buffer
	timer   *time.Timer
}

// maxWaiting is how many bytes may wait.
const maxWaiting = 64 << 10

// Write implements io.Writer.
func (w *delayedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting.Len() == 0 {
		w.timer = time.AfterFunc(logDelay, w.flush)
	}
	n, err := w.waiting.Write(p)
	if w.waiting.Len() > maxWaiting {
		w.write()
	}
	return n, err
}

func (w *delayedWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write()
}

func (w *delayedWriter) write() {
	if w.waiting.Len() == 0 {
		return
	}
	w.timer.Stop()
	_, _ = w.to.Write(w.waiting.Bytes()) // a log that cannot be written has nowhere to say so
	w.waiting.Reset()
}
