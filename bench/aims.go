package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// spread is the median of the rounds' figures, and between what they lay.
type spread struct{ median, low, high float64 }

func spreadOf(figures []float64) (spread, bool) {
	if len(figures) == 0 {
		return spread{}, false
	}
	same := func(v float64) float64 { return v }
	return spread{median(figures, same), slices.Min(figures), slices.Max(figures)}, true
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
func rate(s sample) float64 { return s.PerSecond }
func cost(s sample) float64 { return s.Processor.Seconds() }

// ratios gives one list's figures as parts of another's, round by round: both
// had the same neighbours within a round.
func ratios(figure func(sample) float64, of, to []sample) (list []float64) {
	for i := range min(len(of), len(to)) {
		if whole := figure(to[i]); whole != 0 {
			list = append(list, figure(of[i])/whole)
		}
	}
	return list
}

// aim is what Dueto ought to reach.
type aim struct {
	work    string
	measure string
	atLeast bool // else the figure has to stay below the bound
	bound   func(tasks int) float64
	figures func(sizeReport) []float64
	unit    string
	digits  int
}

func aims() []aim {
	always := func(bound float64) func(int) float64 { return func(int) float64 { return bound } }
	against := func(of, work, to string) func(sizeReport) []float64 {
		return func(r sizeReport) []float64 { return ratios(rate, r.Works[of][dueto], r.Works[work][to]) }
	}
	var list []aim
	ratio := func(work, to string, bound float64) {
		list = append(list, aim{title(work), "dueto / " + to, true, always(bound), against(work, work, to), "", 2})
	}
	ratio("get", floor, 0.8)
	ratio("list", floor, 0.8)
	ratio("filtered", floor, 0.8)
	ratio("deep", floor, 0.8)
	ratio("create", floor, 3)
	ratio("create", floorGrouped, 0.8)
	ratio("change", floor, 3)
	ratio("change", floorGrouped, 0.8)
	ratio("conditional", constant, 0.5)
	return append(list,
		aim{title("refresh"), "dueto / floor's create", true, always(0.5), against("refresh", "create", floor), "", 2},
		aim{"memory after the whole run", "resident", false, memoryBound, func(r sizeReport) []float64 {
			if r.Memory[dueto].Resident == 0 {
				return nil
			}
			return []float64{float64(r.Memory[dueto].Resident) / (1 << 20)}
		}, " MiB", 1},
		aim{"start on an existing database", "exec to first answer", false, always(150), func(r sizeReport) []float64 {
			return milliseconds(r.Starts[dueto])
		}, " ms", 0},
		aim{"p99 of reads while others write flat out", "loaded / quiet", false, always(5), func(r sizeReport) []float64 {
			return pressures(r.Pressure[dueto])
		}, "", 2},
	)
}

// memoryBound is in MiB.
func memoryBound(tasks int) float64 {
	if tasks <= 100_000 {
		return 64
	}
	return 96
}

func pressures(rounds []pressure) (list []float64) {
	for _, p := range rounds {
		list = append(list, p.Loaded.P99.Seconds()/p.Quiet.P99.Seconds())
	}
	return list
}

func milliseconds(times []time.Duration) (list []float64) {
	for _, t := range times {
		list = append(list, t.Seconds()*1e3)
	}
	return list
}

func (a aim) number(v float64) string { return fmt.Sprintf("%.*f", a.digits, v) }

// wanted says the aim for the sizes, once where it is the same for all.
func (a aim) wanted(sizes []sizeReport) string {
	var bounds []string
	for _, r := range sizes {
		bounds = append(bounds, fmt.Sprintf("%g%s", a.bound(r.Tasks), a.unit))
	}
	bounds = slices.Compact(bounds)
	if a.atLeast {
		return "at least " + strings.Join(bounds, " and ")
	}
	return "under " + strings.Join(bounds, " and ")
}

// met reports whether a size's median is where it ought to be.
func (a aim) met(r sizeReport, s spread) bool {
	if a.atLeast {
		return s.median >= a.bound(r.Tasks)
	}
	return s.median < a.bound(r.Tasks)
}

// cell is what was measured at a size, between what the rounds lay, and whether
// the aim is met.
func (a aim) cell(r sizeReport) string {
	figures := a.figures(r)
	s, ok := spreadOf(figures)
	if !ok {
		return "not measured"
	}
	text := a.number(s.median) + a.unit
	if len(figures) > 1 {
		text += fmt.Sprintf(" (%s to %s)", a.number(s.low), a.number(s.high))
	}
	if a.met(r, s) {
		return text + ", met"
	}
	return text + ", **missed**"
}

// aimsTable has them all, with what was measured at each size.
func (r report) aimsTable(b *strings.Builder) {
	head := []string{"work", "measure", "aim"}
	for _, size := range r.Sizes {
		head = append(head, thousands(size.Tasks)+" tasks")
	}
	row(b, head...)
	row(b, slices.Repeat([]string{"---"}, len(head))...)
	for _, a := range aims() {
		cells := []string{a.work, a.measure, a.wanted(r.Sizes)}
		for _, size := range r.Sizes {
			cells = append(cells, a.cell(size))
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
}

// growth says what is otherwise with the most tasks than with the fewest.
func (r report) growth(b *strings.Builder) {
	if len(r.Sizes) < 2 {
		return
	}
	few, many := r.Sizes[0], r.Sizes[len(r.Sizes)-1]
	fmt.Fprintf(b, "What changes from %s to %s tasks:\n\n", thousands(few.Tasks), thousands(many.Tasks))
	row(b, "work", "Dueto's requests per second", "the floor's", "dueto / floor at first", "and then")
	row(b, slices.Repeat([]string{"---"}, 5)...)
	change := func(before, after []sample) string {
		if len(before) == 0 || len(after) == 0 {
			return ""
		}
		return fmt.Sprintf("%+.0f %%", 100*(median(after, rate)/median(before, rate)-1))
	}
	for _, w := range workloads(r.Clients) {
		before, after := few.Works[w.name], many.Works[w.name]
		if len(before[dueto]) == 0 || len(after[dueto]) == 0 {
			continue
		}
		row(b, w.title, change(before[dueto], after[dueto]), change(before[floor], after[floor]),
			between(ratios(rate, before[dueto], before[floor])), between(ratios(rate, after[dueto], after[floor])))
	}
	b.WriteByte('\n')
}

// thousands writes a number in groups of three.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// title gives a work's own.
func title(work string) string {
	list := workloads(1)
	return list[slices.IndexFunc(list, func(w workload) bool { return w.name == work })].title
}
