package services

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"dueto/models"
)

// What guessing costs. Failures within the free ones are forgotten soon; once
// there were more they are remembered for a day, or the longest delay would be
// followed by as many free ones again.
const (
	freeFailures   = 10
	freeMemory     = 15 * time.Minute
	delayedMemory  = 24 * time.Hour
	firstDelay     = 30 * time.Second
	maxDelay       = 15 * time.Minute
	maxFailureKeys = 100_000
)

// Failures makes guessing at a password slow: beyond the free failures of a
// key, each attempt has to wait longer than the one before. A nil one makes
// nobody wait.
type Failures struct {
	now    func() time.Time
	start  time.Time // as in Limiter
	shared *Shared   // counts instead, while the database answers

	mu     sync.Mutex
	counts bounded[failureCount]
}

// failureCount is what is held against a key: attempts that failed, or have
// begun and may fail.
type failureCount struct {
	n    int
	last time.Duration // when the last of them began
}

// NewFailures makes an empty count, or takes up that of the processes that share
// one; now is the clock.
func NewFailures(now func() time.Time, shared *Shared) *Failures {
	return &Failures{now: now, start: now(), shared: shared, counts: newBounded[failureCount](maxFailureKeys)}
}

// Guard runs a comparison of a password with what a key names, or fails with
// CodeThrottled and does not. An attempt counts as a failure from its beginning,
// so that many at once get no further than one after the other; it is taken
// back where it comes to no result, and a match clears the count.
func (f *Failures) Guard(ctx context.Context, key string, compare func() (match bool, err error)) (bool, error) {
	if f == nil {
		return compare()
	}
	takeBack, err := f.begin(ctx, key)
	if err != nil {
		return false, err
	}
	match, err := compare()
	switch {
	case err != nil:
		takeBack()
	case match:
		f.Clear(ctx, key)
	}
	return match, err
}

// Clear forgets what is held against a key.
func (f *Failures) Clear(ctx context.Context, key string) {
	if f == nil {
		return
	}
	f.shared.clearAttempts(ctx, key)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.counts.entries, hashed(key))
}

// begin counts an attempt, or refuses it.
func (f *Failures) begin(ctx context.Context, key string) (takeBack func(), err error) {
	if takeBack, wait, ok := f.shared.beginAttempt(ctx, key); ok {
		if wait > 0 {
			return nil, Throttled(wait)
		}
		return takeBack, nil
	}
	return f.beginHere(hashed(key))
}

// beginHere is begin by the counts of this process.
func (f *Failures) beginHere(key string) (takeBack func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now().Sub(f.start)
	before := f.counts.entries[key]
	if before.forgotten(now) {
		before = failureCount{}
	}
	if wait := before.last + before.delay() - now; before.n > 0 && wait > 0 {
		return nil, Throttled(wait)
	}
	f.counts.put(key, failureCount{before.n + 1, now}, func(c failureCount) bool { return c.forgotten(now) })
	return func() { f.takeBack(key, before, now) }, nil
}

// takeBack undoes an attempt that began at a moment.
func (f *Failures) takeBack(key string, before failureCount, at time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.counts.entries[key]
	if !ok {
		return
	}
	c.n--
	if c.n == 0 {
		delete(f.counts.entries, key)
		return
	}
	if c.last == at && before.n > 0 {
		c.last = before.last
	}
	f.counts.entries[key] = c
}

// delay is how long after the last attempt the next may begin.
func (c failureCount) delay() time.Duration {
	delay := firstDelay
	for range c.n - freeFailures {
		if delay *= 2; delay >= maxDelay {
			return maxDelay
		}
	}
	if c.n < freeFailures {
		return 0
	}
	return delay
}

func (c failureCount) forgotten(now time.Duration) bool { return now-c.last >= c.memory() }

// memory is how long it is remembered.
func (c failureCount) memory() time.Duration {
	if c.n > freeFailures {
		return delayedMemory
	}
	return freeMemory
}

// failureRules are the same rules as the database applies them.
var failureRules = func() (rules models.FailureRules) {
	for c := (failureCount{n: 1}); ; c.n++ {
		rules.Delays = append(rules.Delays, c.delay())
		rules.Memories = append(rules.Memories, c.memory())
		if c.delay() == maxDelay {
			return rules
		}
	}
}()

// hashed makes keys equally short: a name that is typed may be long.
func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return string(sum[:16])
}
