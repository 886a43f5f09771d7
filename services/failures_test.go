package services

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// guards are the counts of some processes, which take turns.
type guards struct {
	of   []*Failures
	turn *atomic.Int32
}

func guardsOf(processes []*Shared, clock *hand) guards {
	g := guards{turn: new(atomic.Int32)}
	for _, shared := range processes {
		g.of = append(g.of, NewFailures(clock.now, shared))
	}
	return g
}

func (g guards) next() *Failures { return g.of[int(g.turn.Add(1))%len(g.of)] }

// guess makes an attempt and tells how long it would have to wait, 0 where it
// was made.
func guess(t *testing.T, f guards, key string, match bool) time.Duration {
	t.Helper()
	ran := false
	got, err := f.next().Guard(t.Context(), key, func() (bool, error) { ran = true; return match, nil })
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Code == CodeThrottled && !ran && !got {
		return refusal.RetryAfter
	}
	if err != nil || !ran || got != match {
		t.Fatalf("%v, %v; compared: %v", got, err, ran)
	}
	return 0
}

func wantWait(t *testing.T, f guards, key string, want time.Duration) {
	t.Helper()
	if wait := guess(t, f, key, false); wait != want {
		t.Fatalf("a wait of %s, want %s", wait, want)
	}
}

func exhaust(t *testing.T, f guards, key string) {
	t.Helper()
	for range freeFailures {
		wantWait(t, f, key, 0)
	}
}

func TestFailures_DelaysGrowAndStopGrowing(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		f := guardsOf(processes, clock)
		exhaust(t, f, "key")
		for _, delay := range []time.Duration{
			30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute, 15 * time.Minute,
		} {
			wantWait(t, f, "key", delay)
			wantWait(t, f, "key", delay) // to be refused is no failure
			clock.advance(delay - time.Second)
			wantWait(t, f, "key", time.Second)
			clock.advance(time.Second)
			wantWait(t, f, "key", 0)
		}
		wantWait(t, f, "another", 0)
	})
}

func TestFailures_AreForgotten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		delayed bool
		pause   time.Duration
		free    int // attempts after the pause
	}{
		"free ones, after their time":       {false, freeMemory, freeFailures},
		"free ones, before it":              {false, freeMemory - time.Second, 1},
		"more than the free ones, the same": {true, freeMemory, 1},
		"more, after a day":                 {true, delayedMemory, freeFailures},
	} {
		inProcesses(t, name, func(t *testing.T, clock *hand, processes []*Shared) {
			f := guardsOf(processes, clock)
			exhaust(t, f, "key")
			if c.delayed {
				clock.advance(firstDelay)
				wantWait(t, f, "key", 0)
			}
			clock.advance(c.pause)
			for range c.free {
				wantWait(t, f, "key", 0)
			}
			if guess(t, f, "key", false) == 0 {
				t.Errorf("more than %d attempts after %s", c.free, c.pause)
			}
		})
	}
}

func TestFailures_AMatchClearsThem(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		f := guardsOf(processes, clock)
		for range 3 {
			exhaust(t, f, "key")
			clock.advance(firstDelay)
			if wait := guess(t, f, "key", true); wait != 0 {
				t.Fatalf("the right one waits %s", wait)
			}
		}
		exhaust(t, f, "key")
		f.next().Clear(t.Context(), "key")
		exhaust(t, f, "key")
		wantWait(t, f, "key", firstDelay)
	})
}

func TestFailures_AnAttemptWithoutAResultIsTakenBack(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		f := guardsOf(processes, clock)
		busy := errors.New("too many are hashed")
		fail := func() {
			t.Helper()
			if _, err := f.next().Guard(t.Context(), "key", func() (bool, error) { return true, busy }); !errors.Is(err, busy) {
				t.Fatalf("got %v", err)
			}
		}
		for range 3 * freeFailures {
			fail()
		}
		for _, alone := range f.of {
			if len(alone.counts.entries) != 0 {
				t.Error("a key without a failure is kept")
			}
		}
		exhaust(t, f, "key")
		wantWait(t, f, "key", firstDelay)
		clock.advance(firstDelay)
		fail()
		wantWait(t, f, "key", 0) // the delay does not begin anew
		wantWait(t, f, "key", 2*firstDelay)
	})
}

func TestFailures_WhatWasClearedIsNotTakenBackToo(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		f, busy := guardsOf(processes, clock), errors.New("busy")
		first, second := f.of[0], f.of[len(f.of)-1]
		_, _ = first.Guard(t.Context(), "key", func() (bool, error) {
			second.Clear(t.Context(), "key")
			_, _ = second.Guard(t.Context(), "key", func() (bool, error) { return false, busy })
			return false, busy
		})
		exhaust(t, f, "key")
		wantWait(t, f, "key", firstDelay)
	})
}

func TestFailures_AtOnceNoMoreAreMadeThanAreFree(t *testing.T) {
	t.Parallel()
	inProcesses(t, "", func(t *testing.T, clock *hand, processes []*Shared) {
		f := guardsOf(processes, clock)
		const attempts = 64
		var made, arrived atomic.Int32
		wait := make(chan struct{})
		arrive := func() { // none is over before all are let through or refused
			if arrived.Add(1) == attempts {
				close(wait)
			}
		}
		var wg sync.WaitGroup
		for range attempts {
			wg.Go(func() {
				_, err := f.next().Guard(t.Context(), "key", func() (bool, error) {
					made.Add(1)
					arrive()
					<-wait
					return false, nil
				})
				if err != nil {
					arrive()
				}
			})
		}
		wg.Wait()
		if made.Load() != freeFailures {
			t.Errorf("%d were made, want %d", made.Load(), freeFailures)
		}
	})
}

func TestFailures_NeverGrow(t *testing.T) {
	t.Parallel()
	f := NewFailures((&hand{}).now, nil)
	f.counts.limit = 1000
	for i := range 5000 {
		wantWait(t, guards{[]*Failures{f}, new(atomic.Int32)}, strings.Repeat("long", 100)+strconv.Itoa(i), 0)
		if len(f.counts.entries) > 1000 {
			t.Fatalf("%d keys are kept", len(f.counts.entries))
		}
	}
	for key := range f.counts.entries {
		if len(key) > 32 {
			t.Fatalf("a key of %d bytes is kept", len(key))
		}
	}
}

func TestFailures_NilMakesNobodyWait(t *testing.T) {
	t.Parallel()
	f := guards{[]*Failures{nil}, new(atomic.Int32)}
	for range 3 * freeFailures {
		wantWait(t, f, "key", 0)
	}
	f.next().Clear(t.Context(), "key")
}
