package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

// madeUp is a report in which Dueto has exactly what the aims ask for, or what
// the change makes of it.
func madeUp(change func(*sizeReport)) report {
	r := report{Rounds: 2, Duration: time.Second, Clients: 32, Accounts: accounts}
	for _, tasks := range []int{100_000, 1_000_000} {
		size := sizeReport{
			Tasks: tasks, Works: map[string]map[string][]sample{},
			Pressure: map[string][]pressure{dueto: {{Quiet: spell{P99: 2 * time.Millisecond}, Loaded: spell{P99: 6 * time.Millisecond}}}},
			Memory:   map[string]memory{dueto: {Resident: 60 << 20, Peak: 70 << 20}},
			Starts:   map[string][]time.Duration{dueto: {40 * time.Millisecond, 60 * time.Millisecond, 50 * time.Millisecond}},
		}
		perSecond := map[string]float64{constant: 1600, floor: 1000, floorGrouped: 3750, dueto: 800}
		for _, w := range workloads(32) {
			size.Works[w.name] = map[string][]sample{}
			for _, name := range w.servers {
				rate := perSecond[name]
				if name == dueto && (w.name == "create" || w.name == "change") {
					rate = 3000
				}
				one := sample{PerSecond: rate, P50: time.Millisecond, P99: 5 * time.Millisecond, Processor: time.Microsecond}
				size.Works[w.name][name] = []sample{one, one}
			}
		}
		if change != nil {
			change(&size)
		}
		r.Sizes = append(r.Sizes, size)
	}
	return r
}

func table(r report) string {
	var b strings.Builder
	r.aimsTable(&b)
	return b.String()
}

func TestAims_AreMetAtTheirBounds(t *testing.T) {
	t.Parallel()
	got := table(madeUp(nil))
	if strings.Contains(got, "missed") || strings.Count(got, ", met |") != 2*len(aims()) {
		t.Errorf("not all are met:\n%s", got)
	}
	for _, want := range []string{
		"| create, durable | dueto / floor | at least 3 | 3.00 (3.00 to 3.00), met | 3.00 (3.00 to 3.00), met |",
		"| memory after the whole run | resident | under 64 MiB and 96 MiB | 60.0 MiB, met | 60.0 MiB, met |",
		"| start on an existing database | exec to first answer | under 150 ms | 50 ms (40 to 60), met | 50 ms (40 to 60), met |",
		"| token refresh | dueto / floor's create | at least 0.5 | 0.80 (0.80 to 0.80), met |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestAims_TellWhatIsMissed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*sizeReport)
		missed int
	}{
		"a read in both":      {func(s *sizeReport) { s.Works["get"][dueto] = []sample{{PerSecond: 799}, {PerSecond: 799}} }, 2},
		"memory at one size":  {func(s *sizeReport) { s.Memory[dueto] = memory{Resident: 64 << 20} }, 1},
		"a start as long":     {func(s *sizeReport) { s.Starts[dueto] = []time.Duration{150 * time.Millisecond} }, 2},
		"reads beside writes": {func(s *sizeReport) { s.Pressure[dueto][0].Loaded.P99 = 10 * time.Millisecond }, 2},
		"one round of three":  {func(s *sizeReport) { s.Starts[dueto][0] = time.Second }, 0},
	} {
		if got := table(madeUp(c.change)); strings.Count(got, "missed") != c.missed {
			t.Errorf("%s: not %d missed:\n%s", name, c.missed, got)
		}
	}
}

func TestAims_SayWhatWasNotMeasured(t *testing.T) {
	t.Parallel()
	got := table(madeUp(func(s *sizeReport) {
		s.Works, s.Memory, s.Starts, s.Pressure = nil, nil, nil, nil
	}))
	if strings.Count(got, "| not measured") != 2*len(aims()) {
		t.Errorf("got:\n%s", got)
	}
}

func TestRatios_AreWithinARound(t *testing.T) {
	t.Parallel()
	of := []sample{{PerSecond: 10}, {PerSecond: 30}, {PerSecond: 5}}
	to := []sample{{PerSecond: 20}, {PerSecond: 30}, {PerSecond: 0}}
	s, ok := spreadOf(ratios(rate, of, to))
	if want := (spread{0.75, 0.5, 1}); !ok || s != want {
		t.Errorf("got %+v, %v; want %+v", s, ok, want)
	}
	if _, ok := spreadOf(ratios(rate, of, nil)); ok {
		t.Error("there is a ratio to nothing")
	}
}

func TestReport_SaysWhatChangesWithTheSize(t *testing.T) {
	t.Parallel()
	r := madeUp(func(s *sizeReport) {
		if s.Tasks == 1_000_000 {
			s.Works["deep"][dueto] = []sample{{PerSecond: 600}, {PerSecond: 600}}
		}
	})
	got := r.markdown(true)
	const want = "| page 50,000 rows deep, by cursor | -25 % | +0 % | 0.80 (0.80 to 0.80) | 0.60 (0.60 to 0.60) |"
	if !strings.Contains(got, want) || !strings.Contains(got, "## 1,000,000 tasks") {
		t.Errorf("no %q in:\n%s", want, got)
	}
	if strings.Contains(got, "NaN") || strings.Contains(got, "Inf") || strings.Contains(got, "%!") {
		t.Errorf("a figure is none:\n%s", got)
	}
}

func TestOutcome_Percentiles(t *testing.T) {
	t.Parallel()
	var o outcome
	for i := range 200 {
		o.latencies = append(o.latencies, time.Duration(i))
	}
	if o.percentile(50) != 100 || o.percentile(99) != 198 || o.percentile(100) != 199 {
		t.Errorf("got %d, %d, %d", o.percentile(50), o.percentile(99), o.percentile(100))
	}
	if m := median([]float64{4, 1, 3, 2}, math.Abs); m != 2.5 {
		t.Errorf("the median is %v", m)
	}
}
