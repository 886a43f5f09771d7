package services

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"dueto/models"
)

const (
	// sharedRetry is how long a database that did not answer is left alone, so
	// that not every request waits for it.
	sharedRetry = 5 * time.Second
	// sharedLog is how often the log tells of it.
	sharedLog = time.Minute
	// tidyEvery is how often what counts no more is removed.
	tidyEvery = time.Minute
)

// Shared has the limits hold across all processes over one store: their counts
// are in its database. Where that does not answer, each process goes by its own
// counts until it does. A nil one is of a process that has its store to itself.
type Shared struct {
	limits *models.Limits
	keys   *Keyring
	log    *slog.Logger
	now    func() time.Time
	start  time.Time // as in Limiter

	retry  atomic.Int64 // when the database is asked again, 0 while it answers
	told   atomic.Int64 // when the log may tell again
	tidied atomic.Int64 // when there is something to remove again
	turns  turns
}

// NewShared gives what processes over the store share, or nil where there is
// only one.
func NewShared(store *models.Store, keys *Keyring, log *slog.Logger, now func() time.Time) *Shared {
	limits := store.Limits()
	if limits == nil {
		return nil
	}
	return &Shared{limits: limits, keys: keys, log: log, now: now, start: now(), turns: turns{seed: maphash.MakeSeed()}}
}

// ask runs a statement and reports whether it came to a result. It does not
// begin one for a request that is over.
func (s *Shared) ask(ctx context.Context, statement func(context.Context) error) bool {
	if s == nil || ctx.Err() != nil || !s.reachable() {
		return false
	}
	if err := statement(ctx); err != nil {
		if ctx.Err() == nil { // it was not the client who went away
			s.failed(err)
		}
		return false
	}
	s.retry.Store(0)
	s.tidy(ctx)
	return true
}

// after runs what undoes something, even for a request that is over.
func (s *Shared) after(ctx context.Context, statement func(context.Context) error) {
	s.ask(context.WithoutCancel(ctx), statement)
}

// reachable reports whether to ask the database. Once it did not answer, one
// request now and then finds out whether it does again.
func (s *Shared) reachable() bool {
	retry := s.retry.Load()
	if retry == 0 {
		return true
	}
	now := s.elapsed()
	return now >= retry && s.retry.CompareAndSwap(retry, now+int64(sharedRetry))
}

func (s *Shared) failed(err error) {
	now := s.elapsed()
	s.retry.Store(now + int64(sharedRetry))
	if told := s.told.Load(); now >= told && s.told.CompareAndSwap(told, now+int64(sharedLog)) {
		s.log.Warn("limits hold for each process by itself: the database does not count", "error", err.Error())
	}
}

// tidy has one request a minute remove what counts no more, and the next ones
// go on where that was a lot.
func (s *Shared) tidy(ctx context.Context) {
	now, due := s.elapsed(), s.tidied.Load()
	if now < due || !s.tidied.CompareAndSwap(due, now+int64(tidyEvery)) {
		return
	}
	more, err := s.limits.Tidy(ctx, failureRules)
	if err == nil && more {
		s.tidied.Store(now)
	}
}

func (s *Shared) elapsed() int64 { return int64(s.now().Sub(s.start)) }

// seal gives the form in which a key reaches the database: nothing can be had
// from it without the secret.
func (s *Shared) seal(name, key string) []byte {
	mac := hmac.New(sha256.New, s.keys.derived(purposeLimits)[0])
	mac.Write([]byte(name + "\x00" + key))
	return mac.Sum(nil)[:16]
}

// turns let one request at a time ask about a key: a flood of one must not take
// the connections from the others.
type turns struct {
	seed  maphash.Seed
	locks [64]sync.Mutex
}

func (t *turns) take(key string) (done func()) {
	lock := &t.locks[maphash.String(t.seed, key)%uint64(len(t.locks))]
	lock.Lock()
	return lock.Unlock
}
