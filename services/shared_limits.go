package services

import (
	"context"
	"sync"
	"time"

	"dueto/models"
)

// common is a limit that holds for all processes over a store together.
type common struct {
	shared *Shared
	name   string
	rate   models.LimitRate
	// lot is how many requests of a key are asked for at once. Where it is more
	// than one, a process lets some through by itself before it asks.
	lot  int
	free *Limiter

	mu   sync.Mutex
	lots bounded[lot]
}

// lotPart is which part of a burst is asked for at once, and which part of the
// limit each process has for itself.
const lotPart = 20

// lot is what a process may let through of a key without asking: the requests
// that would be due evenly spaced from one moment to another. None is let
// through after it was due, for by then the database has forgotten that it was
// taken; so all of them together keep to the rate.
type lot struct {
	from, to time.Duration
	refused  time.Duration // until when there is none to be had
}

// roughlySharedWith is sharedWith for a limit on so many requests that the
// database cannot be asked about each. Each process lets a twentieth of the rate
// through by itself, so that most clients cost nothing; what is beyond that
// comes from the other nineteen, which all share, a twentieth of a burst at once.
func (l *Limiter) roughlySharedWith(shared *Shared, name string, rate Rate) {
	own := Rate{Requests: rate.Requests, Per: rate.Per * lotPart, Burst: rate.Burst / lotPart}
	rest := Rate{Requests: rate.Requests * (lotPart - 1), Per: rate.Per * lotPart, Burst: rate.Burst - own.Burst}
	if l.sharedWith(shared, name, rest); l.common != nil {
		l.common.lot, l.common.free, l.common.lots = own.Burst, NewLimiter(own, l.now), newBounded[lot](maxThrottled)
	}
}

// allow counts a request of a key, or tells how long it has to wait. Where the
// database does not answer it refuses nothing.
func (c *common) allow(ctx context.Context, key string) (retryAfter time.Duration, ok bool) {
	if c == nil {
		return 0, true
	}
	if c.free != nil {
		if _, ok := c.free.allow(key); ok {
			return 0, true
		}
		if wait, known := c.fromLot(key); known {
			return wait, wait == 0
		}
	}
	defer c.shared.turns.take(key)()
	if wait, known := c.fromLot(key); known { // who had the turn before may have got some
		return wait, wait == 0
	}
	began := time.Duration(c.shared.elapsed())
	var got models.Allowance
	asked := c.shared.ask(ctx, func(ctx context.Context) (err error) {
		got, err = c.shared.limits.Take(ctx, c.shared.seal(c.name, key), c.rate, c.lot)
		return err
	})
	if !asked {
		return 0, true
	}
	wait := time.Duration(0)
	if got.Taken == 0 {
		wait = max(time.Microsecond, got.Due+c.rate.Spacing*time.Duration(1-c.rate.Burst))
	}
	c.keep(key, began, got, wait)
	return wait, wait == 0
}

// fromLot lets a request through that was asked for already, or refuses it
// where there was none to be had.
func (c *common) fromLot(key string) (retryAfter time.Duration, known bool) {
	if c.free == nil {
		return 0, false
	}
	now := time.Duration(c.shared.elapsed())
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.lots.entries[key]
	if wait := held.refused - now; wait > 0 {
		return wait, true
	}
	if held.from = max(held.from, now); held.from+c.rate.Spacing > held.to {
		return 0, false
	}
	held.from += c.rate.Spacing
	c.lots.entries[key] = held
	return 0, true
}

// keep puts by what was got beyond the one request that asked. Who got none
// waits until there is a lot again: more would be asked for one by one.
func (c *common) keep(key string, began time.Duration, got models.Allowance, wait time.Duration) {
	if c.free == nil {
		return
	}
	held := lot{to: began + got.Due}
	held.from = held.to - c.rate.Spacing*time.Duration(got.Taken-1)
	if wait > 0 {
		held = lot{refused: began + wait + c.rate.Spacing*time.Duration(c.lot-1)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lots.put(key, held, func(l lot) bool { return l.to <= began && l.refused <= began })
}

// giveBack undoes an allow whose request came to nothing.
func (c *common) giveBack(ctx context.Context, key string) {
	if c == nil {
		return
	}
	c.shared.after(ctx, func(ctx context.Context) error {
		return c.shared.limits.GiveBack(ctx, c.shared.seal(c.name, key), c.rate)
	})
}

const failuresName = "failures"

// beginAttempt counts an attempt as a failure, or tells how long it has to
// wait; ok is whether the database said so.
func (s *Shared) beginAttempt(ctx context.Context, key string) (takeBack func(), wait time.Duration, ok bool) {
	if s == nil {
		return nil, 0, false
	}
	defer s.turns.take(key)()
	sealed := s.seal(failuresName, key)
	var begun models.Attempt
	ok = s.ask(ctx, func(ctx context.Context) (err error) {
		begun, err = s.limits.BeginAttempt(ctx, sealed, failureRules)
		return err
	})
	return func() {
		s.after(ctx, func(ctx context.Context) error { return s.limits.TakeBackAttempt(ctx, sealed, begun) })
	}, begun.Wait, ok
}

// clearAttempts forgets what is held against a key.
func (s *Shared) clearAttempts(ctx context.Context, key string) {
	s.after(ctx, func(ctx context.Context) error { return s.limits.ClearAttempts(ctx, s.seal(failuresName, key)) })
}
