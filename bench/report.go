package main

import (
	"fmt"
	"slices"
	"strings"
)

var columns = []string{constant, floor, floorGrouped, dueto}

// markdown gives what was measured as text, with its plots where they are kept.
func (r report) markdown(plots bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds of %s in which the servers took turns; in brackets, the lowest and the highest of the rounds.\n"+
		"Each server alone on one processor (GOMAXPROCS=1), the load on another, %d connections, %d accounts.\n"+
		"Only the ratios travel between machines. Repeat it with `make bench` (`go run ./bench -quick` for a first look, `-help` for the rest).\n\n",
		r.Rounds, r.Duration, r.Clients, r.Accounts)
	r.aimsTable(&b)
	if plots {
		b.WriteString("![Dueto's requests per second as parts of the others', with the aims](ratios.svg)\n\n" +
			"![Latencies of Dueto and of the floor](latency.svg)\n\n")
	}
	r.growth(&b)
	b.WriteString("- `constant`: bare net/http, a body of the same length that is always the same.\n" +
		"- `floor`: the same answers and the same durability from the same data, by hand on net/http, database/sql and the SQLite driver; one commit a write.\n" +
		"- `floor-grouped`: the same, waiting writes committed together.\n" +
		"- `dueto`: the binary as users run it, with its log in a file; its settings differ in that it throttles nobody, that an access token lasts for the run, and in a cheap hash for the logins before it.\n\n" +
		"What the floors do for a write: they check the signature and the claims of the access token, read the session and its account as Dueto does, check the body's members, and answer the whole task with its ETag. " +
		"They let a task be changed by its person and its maker only, in one statement that writes the columns named in the body and so spares the other indexes. " +
		"They keep no log, set no timeouts, and know no `If-Match`, no other kinds of token and no other `person`. " +
		"Before the rounds, their answers are compared with Dueto's, refusals among them. Refreshing a token, which they do not, is set beside the floor's creates: it is one durable write.\n\n")
	for _, size := range r.Sizes {
		r.size(&b, size)
	}
	fmt.Fprintf(&b, "Dueto's binary, linked as `go build` does, has %.1f MiB.\n\n", float64(r.Binary)/(1<<20))
	b.WriteString(r.Machine.String())
	return b.String()
}

// size has the tables of one number of tasks.
func (r report) size(b *strings.Builder, size sizeReport) {
	fmt.Fprintf(b, "## %s tasks\n\nRequests per second that were answered. The last column is dueto / floor again, from the processor time that each spent on a request: "+
		"other programs on the machine disturb it less, waiting for the disk is not in it.\n\n", thousands(size.Tasks))
	row(b, append(append([]string{"work"}, columns...), "dueto / floor", "dueto / grouped", "dueto / constant", "by processor time")...)
	row(b, slices.Repeat([]string{"---"}, len(columns)+5)...)
	measured := slices.DeleteFunc(workloads(r.Clients), func(w workload) bool { return len(size.Works[w.name][dueto]) == 0 })
	for _, w := range measured {
		cells := []string{w.title}
		got := size.Works[w.name]
		for _, name := range columns {
			cells = append(cells, cell(got[name], func(s []sample) string { return fmt.Sprintf("%.0f", median(s, rate)) }))
		}
		row(b, append(cells, between(ratios(rate, got[dueto], got[floor])), between(ratios(rate, got[dueto], got[floorGrouped])),
			between(ratios(rate, got[dueto], got[constant])), between(ratios(cost, got[floor], got[dueto])))...)
	}
	b.WriteString("\nLatency p50 / p99 in ms, and the server's processor time for a request in µs:\n\n")
	row(b, append([]string{"work"}, columns...)...)
	row(b, slices.Repeat([]string{"---"}, len(columns)+1)...)
	for _, w := range measured {
		cells := []string{w.title}
		for _, name := range columns {
			cells = append(cells, cell(size.Works[w.name][name], latencies))
		}
		row(b, cells...)
	}
	b.WriteByte('\n')
	refusals(b, measured, size)
	pressTable(b, r.Clients, size)
	leftTable(b, size)
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func cell(samples []sample, text func([]sample) string) string {
	if len(samples) == 0 {
		return ""
	}
	return text(samples)
}

// between gives the median, and the lowest and highest where there are several.
func between(figures []float64) string {
	s, ok := spreadOf(figures)
	switch {
	case !ok:
		return ""
	case len(figures) == 1:
		return fmt.Sprintf("%.2f", s.median)
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.low, s.high)
}

func latencies(list []sample) string {
	p50, p99 := p50ms(list), p99ms(list)
	used := median(list, func(s sample) float64 { return s.Processor.Seconds() * 1e6 })
	if used == 0 { // unknown here
		return fmt.Sprintf("%.2f / %.2f", p50, p99)
	}
	return fmt.Sprintf("%.2f / %.2f, %.0f µs", p50, p99, used)
}

func p50ms(list []sample) float64 {
	return median(list, func(s sample) float64 { return s.P50.Seconds() * 1e3 })
}

func p99ms(list []sample) float64 {
	return median(list, func(s sample) float64 { return s.P99.Seconds() * 1e3 })
}

// refusals says where requests were not answered with success.
func refusals(b *strings.Builder, list []workload, size sizeReport) {
	for _, w := range list {
		for _, name := range w.servers {
			total := 0
			for _, s := range size.Works[w.name][name] {
				total += s.Refused
			}
			if total > 0 {
				fmt.Fprintf(b, "%s refused %d requests of %q.\n\n", name, total, w.title)
			}
		}
	}
}

// pressTable has the reads beside writes.
func pressTable(b *strings.Builder, clients int, size sizeReport) {
	if len(size.Pressure[dueto]) == 0 {
		return
	}
	fmt.Fprintf(b, "Reads while others write: %d clients read, half of them one task by id and half the first page, each pausing %s after an answer, on average; "+
		"first on a quiet server, then while %d clients create tasks flat out, in turn. The ratio is that of a round's two p99.\n\n", pressReaders, pressThink, clients)
	row(b, "server", "quiet p50 / p99 in ms", "loaded p50 / p99 in ms", "p99, loaded / quiet", "creates / s meanwhile")
	row(b, slices.Repeat([]string{"---"}, 5)...)
	for _, name := range pressed {
		rounds := size.Pressure[name]
		if len(rounds) == 0 {
			continue
		}
		of := func(phase func(pressure) spell) string {
			return fmt.Sprintf("%.2f / %.2f", median(rounds, func(p pressure) float64 { return phase(p).P50.Seconds() * 1e3 }),
				median(rounds, func(p pressure) float64 { return phase(p).P99.Seconds() * 1e3 }))
		}
		row(b, name, of(func(p pressure) spell { return p.Quiet }), of(func(p pressure) spell { return p.Loaded }),
			between(pressures(rounds)), fmt.Sprintf("%.0f", median(rounds, func(p pressure) float64 { return p.Writes })))
	}
	b.WriteByte('\n')
}

// leftTable has what the servers take besides time.
func leftTable(b *strings.Builder, size sizeReport) {
	if len(size.Memory) == 0 {
		return
	}
	b.WriteString("Memory after all of this, as the system counts it, with the pages of files that are mapped; and the start from exec to the first answer, over the database that this left, from the system's cache:\n\n")
	row(b, "server", "resident MiB", "at most MiB", "start in ms (median, lowest to highest)")
	row(b, "---", "---", "---", "---")
	for _, name := range []string{floor, floorGrouped, dueto} {
		start := ""
		if s, ok := spreadOf(milliseconds(size.Starts[name])); ok {
			start = fmt.Sprintf("%.0f (%.0f to %.0f)", s.median, s.low, s.high)
		}
		m := size.Memory[name]
		row(b, name, fmt.Sprintf("%.1f", float64(m.Resident)/(1<<20)), fmt.Sprintf("%.1f", float64(m.Peak)/(1<<20)), start)
	}
	b.WriteByte('\n')
}
