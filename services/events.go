package services

import (
	"context"
	"log/slog"
	"time"

	"dueto/models"
)

// eventsKept is how many events of each kind an account keeps.
const eventsKept = 100

// Events writes what matters for security to the log, as records of their own,
// and keeps it with the account. The log's records name accounts by id: no name,
// address or token is in them.
type Events struct {
	// deferred, for whether an event has an account must not show in how long its
	// request takes.
	deferred *Deferred
	log      *slog.Logger
	now      func() time.Time
}

// NewEvents takes the log and the clock.
func NewEvents(deferred *Deferred, log *slog.Logger, now func() time.Time) *Events {
	return &Events{deferred: deferred, log: log, now: now}
}

// record notes an event of an account, 0 for none. attrs are pairs; of them
// "by" and "session_id" are ids.
func (e *Events) record(ctx context.Context, event string, userID int64, attrs ...any) {
	e.log.InfoContext(ctx, "security event",
		append([]any{"event", event, "user_id", userID, "request_id", RequestID(ctx)}, attrs...)...)
	row := models.SecurityEvent{
		UserID: userID, Event: event, At: models.Micros(e.now()), RequestID: RequestID(ctx), Address: ClientAddress(ctx),
	}
	for i := 0; i+1 < len(attrs); i += 2 {
		id, _ := attrs[i+1].(int64)
		switch attrs[i] {
		case "by":
			row.ByID.Int64, row.ByID.Valid = id, true
		case "session_id":
			row.SessionID.Int64, row.SessionID.Valid = id, true
		}
	}
	e.deferred.add(func(tx models.DB) error { return models.AddSecurityEvent(tx, row, eventsKept) })
}

type requestKey struct{}

// request is a context with what is known of the request that it belongs to.
type request struct {
	context.Context
	id, address string
}

// Value gives the request itself under its key.
func (r *request) Value(key any) any {
	if key == (requestKey{}) {
		return r
	}
	return r.Context.Value(key)
}

func requestOf(ctx context.Context) request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return *r
	}
	return request{}
}

// WithRequest returns a context whose work is recorded under a request's id and
// its client's address.
func WithRequest(ctx context.Context, id, address string) context.Context {
	return &request{ctx, id, address}
}

// RequestID gives the id that the context's work is recorded under, or "".
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

// ClientAddress gives the address that the request of a context comes from, or "".
func ClientAddress(ctx context.Context) string { return requestOf(ctx).address }
