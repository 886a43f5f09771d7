package middleware

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// Request begins a request: its id, taken from X-Request-Id where that is
// well-formed, and the time within which a change must have begun. Queries are
// bounded by the store.
func Request(timeout time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		id := c.Request.Header.Get("X-Request-Id")
		if !wellFormed(id) {
			id = rand.Text()
		}
		c.Writer.Header()["X-Request-Id"] = []string{id}
		ctx := services.WithRequest(c.Request.Context(), id, c.ClientIP())
		if m := c.Request.Method; m != http.MethodGet && m != http.MethodHead {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}

// wellFormed keeps what a client sends fit for a log line and a header.
func wellFormed(id string) bool {
	if len(id) < 1 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		b := id[i]
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' && b != '.' {
			return false
		}
	}
	return true
}

// AccessLine is the message of the line that each request leaves.
const AccessLine = "request"

// AccessLog writes a line for each request. It has the route's pattern, never
// the path: a path may be a confirmation link.
func AccessLog(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		defer func() { logRequest(c, log.Handler(), start) }() // also when the connection is cut
		c.Next()
	}
}

// logRequest hands the line to the log's handler itself: a Logger looks up for
// each line where it is called from, which nobody is told.
func logRequest(c *gin.Context, handler slog.Handler, start time.Time) {
	ctx, now := c.Request.Context(), time.Now()
	if !handler.Enabled(ctx, slog.LevelInfo) {
		return
	}
	line := slog.NewRecord(now, slog.LevelInfo, AccessLine, 0)
	line.AddAttrs(
		slog.String("method", printable(c.Request.Method)),
		slog.String("route", c.FullPath()),
		slog.Int("status", c.Writer.Status()),
		slog.Duration("duration", now.Sub(start)),
		slog.String("request_id", services.RequestID(ctx)))
	if actor := Actor(c); actor.Authenticated() {
		line.AddAttrs(slog.Int64("user_id", actor.UserID))
	}
	_ = handler.Handle(ctx, line) // a log that cannot be written has nowhere to say so
}

// Recover turns a panic into an answer without internals.
func Recover(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			c.Abort()
			fail(c, log, err)
		}()
		c.Next()
	}
}

// LimitBody bounds what a handler can read of a body, in bytes.
func LimitBody(limit int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.Body != nil && c.Request.Body != http.NoBody {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
		}
		c.Next()
	}
}

// APIPolicy is the Content-Security-Policy of everything that is not a page.
const APIPolicy = "default-src 'none'; frame-ancestors 'none'"

// Vary, of all answers and of most answers to reads. Shared, and never changed:
// appending to them makes a copy, for they have no room.
var (
	varyByCaller = []string{"Authorization, Cookie"}
	varyOfReads  = []string{varyByCaller[0], "Accept"}
)

// SecureHeaders sets what every answer carries. https is whether the public
// URL is: only then may browsers be told to insist on it.
func SecureHeaders(https bool) gin.HandlerFunc {
	// Shared, and never changed: one slice a header, not one a request.
	nosniff, referrer, policy := []string{"nosniff"}, []string{"no-referrer"}, []string{APIPolicy}
	vary, hsts := varyByCaller, []string{"max-age=31536000; includeSubDomains"}
	return func(c *gin.Context) {
		h := c.Writer.Header()
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = referrer
		h["Content-Security-Policy"] = policy
		if set, ok := h["Vary"]; ok {
			h["Vary"] = append(set, vary...)
		} else {
			h["Vary"] = vary
		}
		if https {
			h["Strict-Transport-Security"] = hsts
		}
		c.Next()
	}
}
