package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// sample is one server's share of one round.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
	processor time.Duration // of the server, for a request
	refused   int
}

// results are the samples of each workload and server, a round each.
type results struct {
	chosen  []workload
	samples map[string]map[string][]sample
}

// measure makes the rounds. In each, every workload goes to every server in turn.
func (s *stand) measure(ctx context.Context, o options, chosen []workload) (*results, error) {
	r := &results{chosen: chosen, samples: map[string]map[string][]sample{}}
	for round := range o.rounds {
		for _, w := range chosen {
			if round == 0 {
				r.samples[w.name] = map[string][]sample{}
			}
			for _, name := range w.servers {
				got, err := s.sample(ctx, o, w, s.servers[name])
				if err != nil {
					return nil, fmt.Errorf("%s of %s: %w", w.name, name, err)
				}
				r.samples[w.name][name] = append(r.samples[w.name][name], got)
			}
		}
		progress("round %d of %d is done", round+1, o.rounds)
	}
	return r, nil
}

func (s *stand) sample(ctx context.Context, o options, w workload, target *server) (sample, error) {
	requests, err := w.requests(s.plan, target)
	if err != nil {
		return sample{}, err
	}
	runtime.GC() // of the generator, before rather than while it measures
	l := load{addr: target.addr(), requests: requests, clients: w.clients, duration: o.warmup}
	if _, err := l.run(ctx); err != nil {
		return sample{}, err
	}
	l.duration = o.duration
	before := target.processorTime()
	got, err := l.run(ctx)
	if err != nil {
		return sample{}, err
	}
	if got.answered == 0 {
		return sample{}, fmt.Errorf("no request was answered, %d were refused", got.refused)
	}
	return sample{
		perSecond: got.perSecond(), p50: got.percentile(50), p99: got.percentile(99), refused: got.refused,
		processor: (target.processorTime() - before) / time.Duration(got.answered),
	}, target.emptyLog()
}

// median gives the middle of the rounds' figures.
func median[T any](list []T, figure func(T) float64) float64 {
	figures := make([]float64, 0, len(list))
	for _, v := range list {
		figures = append(figures, figure(v))
	}
	slices.Sort(figures)
	n := len(figures)
	return (figures[(n-1)/2] + figures[n/2]) / 2
}

// rate and cost are the two ways in which servers are compared.
func rate(s sample) float64 { return s.perSecond }
func cost(s sample) float64 { return s.processor.Seconds() }

// ratio is the median over the rounds of one server's figure as a part of
// another's: both had the same neighbours within a round.
func (r *results) ratio(w workload, figure func(sample) float64, of, to string) string {
	a, b := r.samples[w.name][of], r.samples[w.name][to]
	if len(a) == 0 || len(b) == 0 || figure(b[0]) == 0 {
		return ""
	}
	type pair struct{ a, b sample }
	pairs := make([]pair, len(a))
	for i := range a {
		pairs[i] = pair{a[i], b[i]}
	}
	return fmt.Sprintf("%.2f", median(pairs, func(p pair) float64 { return figure(p.a) / figure(p.b) }))
}

var columns = []string{constant, floor, floorGrouped, dueto}

func (r *results) markdown(o options, s *stand, sections string) string {
	var b strings.Builder
	b.WriteString("# What Dueto reaches\n\n")
	if len(r.chosen) > 0 {
		r.tables(&b, o)
	}
	b.WriteString(sections)
	version, _, _ := sqlite3.Version()
	pinned := "pinned"
	if s.cpus.server == "" {
		pinned = "not pinned"
	}
	fmt.Fprintf(&b, "Measured with %s on %s/%s, %d processors (%s), SQLite %s; an fsync of 4 kB took %s.\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), pinned, version, s.fsync.Round(time.Microsecond))
	return b.String()
}

// tables are what the rounds gave.
func (r *results) tables(b *strings.Builder, o options) {
	fmt.Fprintf(b, "Requests per second that were answered, medians of %d rounds of %s in which the servers took turns.\n"+
		"Each server alone on one processor (GOMAXPROCS=1), the load on another, %d connections, %d accounts, %d tasks.\n"+
		"Only the ratios travel between machines. Repeat it with `go run ./bench` (`-quick` for a first look, `-help` for the rest).\n\n",
		o.rounds, o.duration, o.clients, accounts, o.tasks)
	fmt.Fprintf(b, "- `constant`: bare net/http, a body of the same length that is always the same.\n"+
		"- `floor`: the same answers and the same durability from the same data, by hand on net/http, database/sql and the SQLite driver; one commit a write.\n"+
		"- `floor-grouped`: the same, waiting writes committed together.\n- `dueto`: the binary as users run it, with its log in a file.\n\n"+
		"The last column is dueto / floor again, from the processor time that each spent on a request: other programs on the machine disturb it less, waiting for the disk is not in it.\n\n")
	row(b, append(append([]string{"work"}, columns...), "dueto / floor", "dueto / grouped", "dueto / constant", "by processor time")...)
	row(b, slices.Repeat([]string{"---"}, len(columns)+5)...)
	for _, w := range r.chosen {
		cells := []string{w.title}
		for _, name := range columns {
			cells = append(cells, r.cell(w, name, func(s []sample) string {
				return fmt.Sprintf("%.0f", median(s, func(s sample) float64 { return s.perSecond }))
			}))
		}
		row(b, append(cells, r.ratio(w, rate, dueto, floor), r.ratio(w, rate, dueto, floorGrouped),
			r.ratio(w, rate, dueto, constant), r.ratio(w, cost, floor, dueto))...)
	}
	b.WriteString("\nLatency p50 / p99 in ms, and the server's processor time for a request in µs:\n\n")
	row(b, append([]string{"work"}, columns...)...)
	row(b, slices.Repeat([]string{"---"}, len(columns)+1)...)
	for _, w := range r.chosen {
		cells := []string{w.title}
		for _, name := range columns {
			cells = append(cells, r.cell(w, name, latencies))
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
	r.refusals(b)
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func (r *results) cell(w workload, name string, text func([]sample) string) string {
	samples := r.samples[w.name][name]
	if len(samples) == 0 {
		return ""
	}
	return text(samples)
}

func latencies(list []sample) string {
	p50 := median(list, func(s sample) float64 { return s.p50.Seconds() * 1e3 })
	p99 := median(list, func(s sample) float64 { return s.p99.Seconds() * 1e3 })
	used := median(list, func(s sample) float64 { return s.processor.Seconds() * 1e6 })
	if used == 0 { // unknown here
		return fmt.Sprintf("%.2f / %.2f", p50, p99)
	}
	return fmt.Sprintf("%.2f / %.2f, %.0f µs", p50, p99, used)
}

// refusals says where requests were not answered with success.
func (r *results) refusals(b *strings.Builder) {
	for _, w := range r.chosen {
		for _, name := range w.servers {
			total := 0
			for _, s := range r.samples[w.name][name] {
				total += s.refused
			}
			if total > 0 {
				fmt.Fprintf(b, "%s refused %d requests of %q.\n\n", name, total, w.title)
			}
		}
	}
}
