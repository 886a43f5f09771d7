package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"
)

// How reads are measured beside writes: so many clients read, half of them one
// task by id, the others the first page, each pausing after an answer; then
// again while all the others create tasks flat out.
const (
	pressReaders = 4
	pressThink   = 2 * time.Millisecond // on average
)

var pressed = []string{floor, floorGrouped, dueto}

// pressure is one round of it.
type pressure struct {
	Quiet  spell   `json:"quiet"`
	Loaded spell   `json:"loaded"`
	Writes float64 `json:"writes_per_second"`
}

// spell is how long the reads of a phase took.
type spell struct {
	Reads int           `json:"reads"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
}

func (s *stand) press(ctx context.Context, o options, target *server) (got pressure, err error) {
	requests, err := s.plan.creates(target)
	if err != nil {
		return got, err
	}
	if got.Quiet, err = s.spell(ctx, o.duration, target); err != nil {
		return got, err
	}
	type ended struct {
		outcome
		err error
	}
	// The writes begin before the reads, and end after them.
	writes := load{addr: target.addr(), sources: inTurn(requests, o.clients), duration: o.duration + 2*o.warmup}
	done := make(chan ended, 1)
	go func() {
		out, err := writes.run(ctx)
		done <- ended{out, err}
	}()
	time.Sleep(o.warmup)
	got.Loaded, err = s.spell(ctx, o.duration, target)
	wrote := <-done
	got.Writes = wrote.perSecond()
	return got, errors.Join(err, wrote.err, target.emptyLog())
}

// spell reads for a time.
func (s *stand) spell(ctx context.Context, duration time.Duration, target *server) (spell, error) {
	var reads []read
	for i := range pressReaders {
		reads = append(reads, modestReads[i%len(modestReads)])
	}
	runtime.GC() // of the generator, before rather than while it measures
	outcomes, err := s.readModestly(ctx, reads, pressThink, duration, target)
	if err != nil {
		return spell{}, err
	}
	var all outcome
	for _, o := range outcomes {
		all.latencies = append(all.latencies, o.latencies...)
	}
	slices.Sort(all.latencies)
	return spell{len(all.latencies), all.percentile(50), all.percentile(99)}, nil
}
