package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// read is a kind of read that is made at a modest rate while something else
// goes on.
type read struct {
	title string
	paths func(*plan) []string
}

var modestReads = []read{
	{"one task by id", func(p *plan) (paths []string) {
		for _, id := range p.ids {
			paths = append(paths, taskPath(id))
		}
		return paths
	}},
	{"first page of 50", func(*plan) []string { return []string{"/tasks"} }},
}

// readModestly makes all the reads for a time, each by a client that pauses
// after each answer. The outcomes are in the order of the reads.
func (s *stand) readModestly(ctx context.Context, reads []read, think, duration time.Duration, target *server) ([]outcome, error) {
	outcomes, errs := make([]outcome, len(reads)), make([]error, len(reads))
	until := time.Now().Add(duration)
	var wg sync.WaitGroup
	for i, r := range reads {
		wg.Go(func() { outcomes[i], errs[i] = readSlowly(ctx, target, r.paths(s.plan), think, until) })
	}
	wg.Wait()
	return outcomes, errors.Join(errs...)
}

func readSlowly(ctx context.Context, target *server, paths []string, think time.Duration, until time.Time) (got outcome, err error) {
	c, err := dial(ctx, target.addr())
	if err != nil {
		return got, err
	}
	defer c.close()
	for i := 0; time.Now().Before(until) && ctx.Err() == nil; i++ {
		ready := request(target, http.MethodGet, paths[i%len(paths)], "")
		begin := time.Now()
		status, _, err := c.send(ready)
		if err != nil || status != http.StatusOK {
			return got, fmt.Errorf("GET %s was answered %d: %w", paths[i%len(paths)], status, err)
		}
		got.latencies = append(got.latencies, time.Since(begin))
		// Not in step with the server's scheduler.
		time.Sleep(time.Duration(rand.Int64N(int64(2 * think)))) //nolint:gosec // no secret
	}
	slices.Sort(got.latencies)
	return got, ctx.Err()
}
