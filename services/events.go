package services

import (
	"context"
	"log/slog"
)

// Events writes what matters for security to the log, as records of their own.
// They name accounts by id: no name, address or token is in them.
type Events struct{ log *slog.Logger }

// NewEvents takes the log.
func NewEvents(log *slog.Logger) *Events { return &Events{log: log} }

func (e *Events) record(ctx context.Context, event string, userID int64, attrs ...any) {
	attrs = append([]any{"event", event, "user_id", userID, "request_id", RequestID(ctx)}, attrs...)
	e.log.InfoContext(ctx, "security event", attrs...)
}

type requestIDKey struct{}

// WithRequestID returns a context whose work is logged under a request's id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID gives the id that the context's work is logged under, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
