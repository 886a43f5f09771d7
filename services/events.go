package services

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"dueto/models"
)

const (
	// eventsKept is how many events of each kind an account keeps.
	eventsKept = 100
	// eventsQueued bounds the events that wait to be stored. The log has them
	// all the same.
	eventsQueued = 10_000
)

// Events writes what matters for security to the log, as records of their own,
// and keeps it with the account. The log's records name accounts by id: no name,
// address or token is in them.
//
// What is kept is stored a moment later, by a goroutine that ends when there is
// nothing left: whether an event has an account must not show in how long its
// request takes.
type Events struct {
	store *models.Store
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	queue   []models.SecurityEvent
	storing chan struct{} // closed when the queue is empty; nil while nothing is stored
}

// NewEvents takes the store, the log and the clock.
func NewEvents(store *models.Store, log *slog.Logger, now func() time.Time) *Events {
	return &Events{store: store, log: log, now: now}
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
	e.enqueue(row)
}

func (e *Events) enqueue(row models.SecurityEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) >= eventsQueued {
		return
	}
	e.queue = append(e.queue, row)
	if e.storing == nil {
		e.storing = make(chan struct{})
		go e.drain()
	}
}

// drain stores what is queued, all that waits at once, until nothing is.
func (e *Events) drain() {
	for {
		e.mu.Lock()
		batch := e.queue
		e.queue = nil
		if len(batch) == 0 {
			close(e.storing)
			e.storing = nil
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		err := e.store.Write(context.Background(), func(tx models.DB) error {
			for _, row := range batch {
				if err := models.AddSecurityEvent(tx, row, eventsKept); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			e.log.Error("security events were not stored", "count", len(batch), "error", err.Error())
		}
	}
}

// Flush waits until everything recorded so far is stored, or ctx ends.
func (e *Events) Flush(ctx context.Context) {
	e.mu.Lock()
	storing := e.storing
	e.mu.Unlock()
	if storing == nil {
		return
	}
	select {
	case <-storing:
	case <-ctx.Done():
	}
}

type requestKey struct{}

// request is what is known of the request that a context belongs to.
type request struct{ id, address string }

// WithRequest returns a context whose work is recorded under a request's id and
// its client's address.
func WithRequest(ctx context.Context, id, address string) context.Context {
	return context.WithValue(ctx, requestKey{}, request{id, address})
}

// RequestID gives the id that the context's work is recorded under, or "".
func RequestID(ctx context.Context) string {
	r, _ := ctx.Value(requestKey{}).(request)
	return r.id
}

// ClientAddress gives the address that the request of a context comes from, or "".
func ClientAddress(ctx context.Context) string {
	r, _ := ctx.Value(requestKey{}).(request)
	return r.address
}
