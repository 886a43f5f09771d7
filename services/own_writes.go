package services

import (
	"context"
	"strconv"
	"sync"
	"time"

	"dueto/models"
)

const (
	// ownWritesFor is how long who asked for a change reads from the primary: more
	// than the longest request and the greatest delay of a replica take together.
	ownWritesFor = time.Minute
	// ownWritesNoted is how long an account's next change is not noted again.
	ownWritesNoted = 10 * time.Second
	// maxRecentClients bounds the addresses that are remembered.
	maxRecentClients = 100_000
)

// OwnWrites sees to it that nobody who changes something reads from a replica
// that does not have it yet: accounts by a note in the database, for every
// process; clients that are not signed in by their address, for this one.
type OwnWrites struct {
	store *models.Store
	now   func() time.Time
	start time.Time

	mu      sync.Mutex
	clients bounded[time.Duration] // when each last asked for a change
}

// NewOwnWrites makes it; now is the clock. Without replicas it is nil.
func NewOwnWrites(store *models.Store, now func() time.Time) *OwnWrites {
	if !store.HasReplicas() {
		return nil
	}
	return &OwnWrites{store: store, now: now, start: now(), clients: newBounded[time.Duration](maxRecentClients)}
}

// Begin notes that the actor is about to change something, and gives them back
// as one who reads from the primary. What cannot be noted must not begin: it
// would be acknowledged, and then not be there to read.
func (w *OwnWrites) Begin(ctx context.Context, actor Actor) (Actor, error) {
	w.mu.Lock()
	now := w.now().Sub(w.start)
	w.clients.put(ClientKey(ClientAddress(ctx)), now, func(at time.Duration) bool { return now-at >= ownWritesFor })
	w.mu.Unlock()
	if actor.Authenticated() && !actor.noted {
		if err := w.store.NoteWriter(ctx, actor.UserID); err != nil {
			return actor, err
		}
	}
	actor.Recent, actor.noted = true, true
	return actor, nil
}

// Recall gives the actor back as one who reads from the primary, where their
// address is one that changes came from a while ago.
func (w *OwnWrites) Recall(ctx context.Context, actor Actor) Actor {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, known := w.clients.entries[ClientKey(ClientAddress(ctx))]
	actor.Recent = actor.Recent || (known && w.now().Sub(w.start)-at < ownWritesFor)
	return actor
}

// reading gives the handle that an actor reads tasks and accounts with.
func reading(ctx context.Context, store *models.Store, actor Actor) models.DB {
	switch {
	case actor.Recent || !store.HasReplicas():
		return store.Read(ctx)
	case actor.Authenticated():
		return store.ReadReplica(ctx, "account "+strconv.FormatInt(actor.UserID, 10), false)
	default: // while the primary is away, what a replica has is better than nothing
		return store.ReadReplica(ctx, ClientKey(ClientAddress(ctx)), true)
	}
}
