package services

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hand is a clock that tests move by hand.
type hand struct{ since atomic.Int64 }

func (h *hand) now() time.Time          { return time.Unix(1_800_000_000, h.since.Load()) }
func (h *hand) advance(d time.Duration) { h.since.Add(int64(d)) }

func TestLimiter_HoldsAKeyToItsRate(t *testing.T) {
	t.Parallel()
	type step struct {
		after time.Duration // since the step before
		wait  time.Duration // 0: it is allowed
	}
	for name, c := range map[string]struct {
		rate  Rate
		steps []step
	}{
		"a burst, then at the rate": {Rate{Requests: 30, Per: time.Minute, Burst: 3}, []step{
			{0, 0}, {0, 0}, {0, 0}, {0, 2 * time.Second}, {time.Second, time.Second}, {time.Second, 0}, {0, 2 * time.Second},
		}},
		"no burst": {Rate{Requests: 10, Per: time.Hour, Burst: 1}, []step{
			{0, 0}, {time.Minute, 5 * time.Minute}, {5 * time.Minute, 0}, {0, 6 * time.Minute},
		}},
		"what is refused does not count": {Rate{Requests: 1, Per: time.Second, Burst: 1}, []step{
			{0, 0}, {0, time.Second}, {0, time.Second}, {0, time.Second}, {time.Second, 0},
		}},
		"a rest gives the burst back, and no more": {Rate{Requests: 1, Per: time.Second, Burst: 2}, []step{
			{0, 0}, {0, 0}, {time.Hour, 0}, {0, 0}, {0, time.Second},
		}},
		"an even pace is never refused": {Rate{Requests: 2, Per: time.Second, Burst: 1}, []step{
			{0, 0}, {500 * time.Millisecond, 0}, {500 * time.Millisecond, 0}, {499 * time.Millisecond, time.Millisecond},
		}},
	} {
		inProcesses(t, name, func(t *testing.T, clock *hand, processes []*Shared) {
			l := limiters(processes, clock, c.rate)
			for i, s := range c.steps {
				clock.advance(s.after)
				if wait, ok := l[i%len(l)].Allow(t.Context(), "key"); wait != s.wait || ok != (s.wait == 0) {
					t.Errorf("step %d: wait %s, allowed %v; want %s", i, wait, ok, s.wait)
				}
			}
			if _, ok := l[0].Allow(t.Context(), "another"); !ok {
				t.Error("another key pays for this one")
			}
		})
	}
}

func TestLimiter_AtOnceLetsThroughNoMoreThanTheBurst(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		l := limiters(processes, clock, Rate{Requests: 1, Per: time.Hour, Burst: 20})
		var allowed atomic.Int32
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if _, ok := l[i%len(l)].Allow(t.Context(), "key"); ok {
					allowed.Add(1)
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 20 {
			t.Errorf("%d were allowed, want 20", allowed.Load())
		}
	})
}

func TestLimiter_WhatCameToNothingIsGivenBack(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		l := limiters(processes, clock, Rate{Requests: 1, Per: time.Minute, Burst: 2})
		first, last := l[0], l[len(l)-1]
		for i := range 5 {
			if _, ok := first.Allow(t.Context(), "key"); !ok {
				t.Fatalf("request %d is refused although those before it came to nothing", i+1)
			}
			over, end := context.WithCancel(t.Context())
			end()
			first.giveBack(over, "key") // its request is over
		}
		for i := range 2 {
			if _, ok := last.Allow(t.Context(), "key"); !ok {
				t.Fatalf("request %d of the burst is refused", i+1)
			}
		}
		if wait, ok := first.Allow(t.Context(), "key"); ok || wait != time.Minute {
			t.Errorf("more was given back than was taken: a wait of %s", wait)
		}
	})
}

func TestLimiter_ForgetsThoseAtRestFirst(t *testing.T) {
	t.Parallel()
	clock := &hand{}
	l := NewLimiter(Rate{Requests: 1, Per: time.Minute, Burst: 1}, clock.now)
	l.next.limit = 100
	key := func(i int) string { return "key " + strconv.Itoa(i) }
	for i := range 60 {
		l.Allow(t.Context(), key(i))
	}
	clock.advance(time.Minute)
	for i := 60; i <= 100; i++ { // the last finds no room
		if _, ok := l.Allow(t.Context(), key(i)); !ok {
			t.Fatalf("key %d is refused", i)
		}
	}
	for i := 60; i <= 100; i++ {
		if _, ok := l.Allow(t.Context(), key(i)); ok {
			t.Errorf("key %d was forgotten while others were at rest", i)
		}
	}
}

func TestLimiter_NeverGrowsAndNeverRefusesForWantOfRoom(t *testing.T) {
	t.Parallel()
	l := NewLimiter(Rate{Requests: 1, Per: time.Hour, Burst: 1}, (&hand{}).now)
	for i := range 3 * maxThrottled {
		if _, ok := l.Allow(t.Context(), strconv.Itoa(i)); !ok {
			t.Fatalf("key %d is refused", i)
		}
		if len(l.next.entries) > maxThrottled {
			t.Fatalf("%d keys are kept", len(l.next.entries))
		}
	}
	if len(l.next.entries) < maxThrottled/2 {
		t.Errorf("only %d keys are kept", len(l.next.entries))
	}
}

func TestClientKey_IsTheAddressOrItsNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1":                  "192.0.2.1",
		"::ffff:192.0.2.1":           "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":       "2001:db8:1:2::/64",
		"2001:DB8:1:2:ffff::":        "2001:db8:1:2::/64",
		"2001:db8:1:3::1":            "2001:db8:1:3::/64",
		"fe80::1%eth0":               "fe80::/64",
		"::1":                        "::/64",
		"":                           "",
		"what no proxy should send":  "what no proxy should send",
		"2001:db8:1:2:3:4:192.0.2.1": "2001:db8:1:2::/64",
	} {
		if got := ClientKey(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestThrottled_TellsWholeSeconds(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		time.Nanosecond:               "Request was throttled. Expected available in 1 second.",
		time.Second:                   "Request was throttled. Expected available in 1 second.",
		time.Second + time.Nanosecond: "Request was throttled. Expected available in 2 seconds.",
		6 * time.Minute:               "Request was throttled. Expected available in 360 seconds.",
	} {
		err := Throttled(wait)
		if err.Code != CodeThrottled || err.Message != want || err.RetryAfter < wait || err.RetryAfter%time.Second != 0 || err.RetryAfter-wait >= time.Second {
			t.Errorf("%s: %q, %s", wait, err.Message, err.RetryAfter)
		}
	}
}

func TestThrottle_CountsEachClassByItself(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		throttle := NewThrottle(clock.now, processes[0])
		for class, rate := range rates {
			for i := range rate.Burst {
				if err := throttle.Allow(t.Context(), class, "192.0.2.1"); err != nil {
					t.Fatalf("class %q, request %d: %v", class, i+1, err)
				}
			}
			var refusal *Error
			if err := throttle.Allow(t.Context(), class, "192.0.2.1"); !errors.As(err, &refusal) || refusal.Code != CodeThrottled {
				t.Errorf("class %q: one more gives %v", class, err)
			}
			if err := throttle.Allow(t.Context(), class, "192.0.2.2"); err != nil {
				t.Errorf("class %q: another address gets %v", class, err)
			}
		}
		var off *Throttle
		for range 1000 {
			if err := throttle.Allow(t.Context(), RateExempt, "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
			if err := off.Allow(t.Context(), RateRegister, "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
		}
	})
}
