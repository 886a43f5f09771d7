package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"
)

// speedFile holds what the part measured, as report has it.
const speedFile = "speed.json"

// report is what was measured of Dueto beside the other servers.
type report struct {
	Machine  machine       `json:"machine"`
	Rounds   int           `json:"rounds"`
	Duration time.Duration `json:"duration_ns"`
	Clients  int           `json:"clients"`
	Accounts int           `json:"accounts"`
	Binary   int64         `json:"binary_bytes"`
	Sizes    []sizeReport  `json:"sizes"` // the smallest first
}

// sizeReport is what was measured with so many tasks. The maps are by server.
type sizeReport struct {
	Tasks    int                            `json:"tasks"`
	Works    map[string]map[string][]sample `json:"works"` // by work, then by server
	Pressure map[string][]pressure          `json:"pressure,omitempty"`
	Memory   map[string]memory              `json:"memory,omitempty"`
	Starts   map[string][]time.Duration     `json:"starts_ns,omitempty"`
}

// sample is one server's share of one round.
type sample struct {
	PerSecond float64       `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Processor time.Duration `json:"processor_ns"` // of the server, for a request
	Refused   int           `json:"refused,omitempty"`
}

// speed measures every work at every size, one size after the other.
func (b *bench) speed(ctx context.Context, o options, keep results) (string, error) {
	program, err := os.Stat(b.programs[dueto])
	if err != nil {
		return "", err
	}
	r := report{
		Machine: b.machine, Rounds: o.rounds, Duration: o.duration, Clients: o.clients, Accounts: accounts, Binary: program.Size(),
	}
	for _, tasks := range o.tasks {
		s, err := b.stand(ctx, tasks)
		if err != nil {
			return "", err
		}
		progress("%s tasks: the servers agree; measuring %d rounds", thousands(tasks), o.rounds)
		size, err := s.measure(ctx, o)
		s.close()
		if err != nil {
			return "", err
		}
		r.Sizes = append(r.Sizes, size)
	}
	kept, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	return r.markdown(false), keep.write(speedFile, string(kept)+"\n")
}

// measure makes the rounds. In each, every work goes to every server in turn.
// What is left of the servers is measured at the end.
func (s *stand) measure(ctx context.Context, o options) (sizeReport, error) {
	r := sizeReport{
		Tasks: s.tasks, Works: map[string]map[string][]sample{}, Pressure: map[string][]pressure{},
		Memory: map[string]memory{}, Starts: map[string][]time.Duration{},
	}
	whole := len(o.works) == len(workloads(o.clients))
	for round := range o.rounds {
		for _, w := range o.works {
			if round == 0 {
				r.Works[w.name] = map[string][]sample{}
			}
			for _, name := range w.servers {
				got, err := s.sample(ctx, o, w, s.servers[name])
				if err != nil {
					return r, fmt.Errorf("%s of %s: %w", w.name, name, err)
				}
				r.Works[w.name][name] = append(r.Works[w.name][name], got)
			}
		}
		if whole {
			for _, name := range pressed {
				got, err := s.press(ctx, o, s.servers[name])
				if err != nil {
					return r, fmt.Errorf("reads of %s while others write: %w", name, err)
				}
				r.Pressure[name] = append(r.Pressure[name], got)
			}
		}
		progress("%s tasks: round %d of %d is done", thousands(s.tasks), round+1, o.rounds)
	}
	if !whole {
		return r, nil
	}
	var err error
	for _, name := range []string{floor, floorGrouped, dueto} {
		if r.Memory[name], err = s.servers[name].memory(); err != nil {
			return r, err
		}
	}
	s.stop()
	r.Starts, err = s.starts(ctx, o.rounds)
	return r, err
}

func (s *stand) sample(ctx context.Context, o options, w workload, target *server) (sample, error) {
	sources, err := w.sources(s.plan, target)
	if err != nil {
		return sample{}, err
	}
	runtime.GC() // of the generator, before rather than while it measures
	l := load{addr: target.addr(), sources: sources, duration: o.warmup}
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
		PerSecond: got.perSecond(), P50: got.percentile(50), P99: got.percentile(99), Refused: got.refused,
		Processor: (target.processorTime() - before) / time.Duration(got.answered),
	}, target.emptyLog()
}
