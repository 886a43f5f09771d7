package services

import (
	"context"
	"sync"
	"time"

	"dueto/models"
)

// Rate is so many requests per period, of which Burst may come at once.
type Rate struct {
	Requests int
	Per      time.Duration
	Burst    int
}

// spacing is how far apart requests at the rate are, in whole microseconds.
func (r Rate) spacing() time.Duration {
	spacing := r.Per / time.Duration(r.Requests)
	return (spacing + time.Microsecond - 1).Truncate(time.Microsecond)
}

// maxThrottled is how many keys a limiter remembers; it takes some megabytes.
const maxThrottled = 100_000

// Limiter holds each key to a rate, by the generic cell rate algorithm (ITU-T
// I.371): all it keeps of a key is when the next request would be due if those
// so far had come evenly spaced.
type Limiter struct {
	spacing time.Duration
	ahead   time.Duration // how far that moment may lie ahead
	now     func() time.Time
	start   time.Time // moments are counted from here, so that a step of the wall clock moves none
	common  *common   // nil where there are no other processes

	mu   sync.Mutex
	next bounded[time.Duration]
}

// NewLimiter makes a limiter for this process alone; now is the clock.
func NewLimiter(rate Rate, now func() time.Time) *Limiter {
	spacing := rate.spacing()
	return &Limiter{
		spacing: spacing, ahead: spacing * time.Duration(rate.Burst),
		now: now, start: now(), next: newBounded[time.Duration](maxThrottled),
	}
}

// sharedWith has the rate hold for all processes together, which know the limit
// by its name. They ask the database about each request.
func (l *Limiter) sharedWith(shared *Shared, name string, rate Rate) *Limiter {
	if shared != nil {
		l.common = &common{shared: shared, name: name, rate: models.LimitRate{Spacing: rate.spacing(), Burst: rate.Burst}, lot: 1}
	}
	return l
}

// Allow counts a request of a key, or tells how long it has to wait. What is
// refused does not count.
func (l *Limiter) Allow(ctx context.Context, key string) (retryAfter time.Duration, ok bool) {
	// What this process alone let through is too much in any case, and is what
	// holds where the database does not answer.
	if wait, ok := l.allow(key); !ok {
		return wait, false
	}
	if wait, ok := l.common.allow(ctx, key); !ok {
		l.takeBack(key)
		return wait, false
	}
	return 0, true
}

// allow is Allow by the counts of this process.
func (l *Limiter) allow(key string) (retryAfter time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().Sub(l.start)
	next := max(l.next.entries[key], now) + l.spacing
	if wait := next - now - l.ahead; wait > 0 {
		return wait, false
	}
	l.next.put(key, next, func(next time.Duration) bool { return next <= now })
	return 0, true
}

// giveBack undoes an Allow whose request came to nothing.
func (l *Limiter) giveBack(ctx context.Context, key string) {
	l.takeBack(key)
	l.common.giveBack(ctx, key)
}

func (l *Limiter) takeBack(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if next, known := l.next.entries[key]; known {
		l.next.entries[key] = next - l.spacing
	}
}
