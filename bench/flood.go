package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How the flood is made: so many clients log in with wrong passwords, each
// again as soon as it is answered, while two read at a modest rate.
const (
	floodClients = 64
	floodThink   = 5 * time.Millisecond // between two reads, on average
	floodLead    = 1500 * time.Millisecond
	// floodTime is how long a login waits at most before it is answered 503:
	// those that began together are answered together.
	floodTime = 3 * time.Second
)

// flooded is a server under the flood, and what was measured of it.
type flooded struct {
	title  string
	server *server
	rounds []floodRound
}

// floodRound is one quiet measurement and one under the flood. The outcomes are
// in the order of modestReads, the counts those of logins meanwhile.
type floodRound struct {
	quiet, flood  []outcome
	refused, busy int64
	seconds       float64
}

// flood measures how long anonymous reads take while others log in flat out.
func (s *stand) flood(ctx context.Context, o options) (string, error) {
	targets := []*flooded{{title: "one processor"}, {title: "one, GOMAXPROCS=1"}, {title: "two processors"}}
	settings := []struct {
		cpus string
		env  []string
	}{{s.cpus.server, nil}, {s.cpus.server, []string{"GOMAXPROCS=1"}}, {s.cpus.pair, nil}}
	for i, t := range targets {
		var err error
		t.server, err = s.startDueto(ctx, settings[i].cpus, fmt.Sprintf("flood-%d", i+1), nil, append(settings[i].env, "DUETO_THROTTLE=off")...)
		if err != nil {
			return "", err
		}
		defer t.server.stop()
	}
	rounds := (o.rounds + 1) / 2
	for round := range rounds {
		for _, t := range targets {
			got, err := s.floodOnce(ctx, o, t.server, round)
			if err != nil {
				return "", fmt.Errorf("flood on %s: %w", t.title, err)
			}
			t.rounds = append(t.rounds, got)
		}
		progress("flood: round %d of %d is done", round+1, rounds)
	}
	return floodSection(targets, o), nil
}

func (s *stand) floodOnce(ctx context.Context, o options, target *server, round int) (got floodRound, err error) {
	runtime.GC() // of the generator, before rather than while it measures
	if got.quiet, err = s.readModestly(ctx, modestReads, floodThink, o.duration, target); err != nil {
		return got, err
	}
	crowd := make([]*flooder, floodClients)
	var answers floodAnswers
	for i := range crowd {
		c, err := dial(ctx, target.addr())
		if err != nil {
			return got, err
		}
		defer c.close()
		crowd[i] = &flooder{client: c, target: target, prefix: fmt.Sprintf("guest.%d.%d", round, i), answers: &answers}
	}
	var wg sync.WaitGroup
	flooding, end := context.WithCancel(ctx)
	defer end()
	for _, f := range crowd {
		wg.Go(func() { f.flood(flooding) })
	}
	time.Sleep(floodLead)
	answers.refused.Store(0)
	answers.busy.Store(0)
	runtime.GC()
	begin := time.Now()
	got.flood, err = s.readModestly(ctx, modestReads, floodThink, floodTime, target)
	got.seconds, got.refused, got.busy = time.Since(begin).Seconds(), answers.refused.Load(), answers.busy.Load()
	end()
	errs := []error{err}
	for _, f := range crowd {
		f.client.close() // which ends its waiting
	}
	wg.Wait()
	for _, f := range crowd {
		errs = append(errs, f.err)
	}
	return got, errors.Join(append(errs, target.emptyLog())...)
}

// floodAnswers counts how logins were answered.
type floodAnswers struct{ refused, busy atomic.Int64 }

// flooder logs in with a wrong password, under another name each time.
type flooder struct {
	client  *client
	target  *server
	prefix  string
	answers *floodAnswers
	err     error
}

func (f *flooder) flood(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		body := fmt.Sprintf(`{"username":"%s.%d","password":"not the right one"}`, f.prefix, i)
		status, answer, err := f.client.send(request(f.target, http.MethodPost, "/auth/login", body))
		switch {
		case ctx.Err() != nil:
		case err != nil:
			f.err = err
			return
		case status == http.StatusUnauthorized:
			f.answers.refused.Add(1)
		case status == http.StatusServiceUnavailable:
			f.answers.busy.Add(1)
		default:
			f.err = fmt.Errorf("a login was answered %d: %s", status, answer)
			return
		}
	}
}

func floodSection(targets []*flooded, o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Reads during a flood of logins\n\n"+
		"%d clients log in flat out with wrong passwords, at the default cost of a hash and unthrottled, while two clients read, each pausing %s after an answer, on average.\n"+
		"Medians of %d rounds of %s without the flood and %s under it.\n"+
		"On one processor, Dueto lets Go have two threads unless GOMAXPROCS says otherwise; the threads that hash give way to the others (Linux). A ratio below 1 is that of a processor that needs no waking.%s\n\n",
		floodClients, floodThink, len(targets[0].rounds), o.duration, floodTime, sharedNote())
	row(&b, "server on", "read", "quiet p50 / p99 in ms", "flood p50 / p99 in ms", "p50, flood / quiet", "logins refused / s", "answered 503 / s")
	row(&b, slices.Repeat([]string{"---"}, 7)...)
	for _, t := range targets {
		for i, read := range modestReads {
			row(&b, t.title, read.title,
				t.latencies(func(r floodRound) outcome { return r.quiet[i] }),
				t.latencies(func(r floodRound) outcome { return r.flood[i] }),
				fmt.Sprintf("%.2f", median(t.rounds, func(r floodRound) float64 {
					return r.flood[i].percentile(50).Seconds() / r.quiet[i].percentile(50).Seconds()
				})),
				fmt.Sprintf("%.1f", median(t.rounds, func(r floodRound) float64 { return float64(r.refused) / r.seconds })),
				fmt.Sprintf("%.1f", median(t.rounds, func(r floodRound) float64 { return float64(r.busy) / r.seconds })))
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// sharedNote says where the server with two processors has the generator's.
func sharedNote() string {
	if runtime.NumCPU() > 2 {
		return ""
	}
	return " This machine has two processors only: the load generator runs on one of the server's."
}

func (t *flooded) latencies(of func(floodRound) outcome) string {
	at := func(p int) float64 {
		return median(t.rounds, func(r floodRound) float64 {
			o := of(r)
			return o.percentile(p).Seconds() * 1e3
		})
	}
	return fmt.Sprintf("%.2f / %.2f", at(50), at(99))
}
