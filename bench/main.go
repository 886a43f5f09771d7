// Bench measures Dueto's binary against servers that do the same work, or none,
// by hand: over real HTTP, each server alone on one processor, the load on
// another, in rounds that take turns, so that whatever else the machine does
// falls on all alike. Only ratios within one run mean something elsewhere.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type options struct {
	rounds   int
	duration time.Duration
	warmup   time.Duration
	tasks    []int
	clients  int
	parts    []part
	works    []workload
	dir      string
	out      string
	render   bool
}

// quick are the flags' values for a first look, where they are not given.
var quick = map[string]string{
	"rounds": "1", "duration": "400ms", "warmup": "100ms", "tasks": "100000", "only": "speed", "out": "",
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = run(ctx, o)
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	var tasks, only, work string
	var first bool
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "how often each measurement is made")
	f.DurationVar(&o.duration, "duration", 1200*time.Millisecond, "how long a measurement takes")
	f.DurationVar(&o.warmup, "warmup", 200*time.Millisecond, "how long a server is driven before it is measured")
	f.StringVar(&tasks, "tasks", "100000,1000000", "tasks in the database, comma-separated for several")
	f.IntVar(&o.clients, "clients", 32, "connections")
	f.StringVar(&only, "only", "", "parts to measure, comma-separated; the results of the others are kept. There are: "+strings.Join(names(parts()), ","))
	f.StringVar(&work, "work", "", "measure these works alone, comma-separated, and write no file. There are: "+strings.Join(names(workloads(1)), ","))
	f.StringVar(&o.dir, "dir", "", "folder for the databases, on the kind of disk to be measured; default: the temporary folder")
	f.StringVar(&o.out, "out", filepath.Join("bench", "RESULTS.md"), "file for the results, beside which their plots and figures go; empty for none")
	f.BoolVar(&first, "quick", false, "one short round at 100,000 tasks, and no file; other flags have the last word")
	f.BoolVar(&o.render, "render", false, "measure nothing: write the results' file and plots from the figures that are there")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if first {
		given := map[string]bool{}
		f.Visit(func(f *flag.Flag) { given[f.Name] = true })
		for name, value := range quick {
			if !given[name] {
				if err := f.Set(name, value); err != nil {
					return o, err
				}
			}
		}
	}
	if work != "" {
		only, o.out = "speed", ""
	}
	if o.tasks, err = sizes(tasks); err != nil {
		return o, err
	}
	if o.parts, err = choose("part", parts(), only); err != nil {
		return o, err
	}
	if o.works, err = choose("work", workloads(o.clients), work); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.duration <= 0 || o.clients < 1 || o.clients > maxClients {
		return o, fmt.Errorf("at least one round, and one to %d clients are needed", maxClients)
	}
	return o, nil
}

const minTasks = 2000

// sizes reads a list of numbers of tasks, the smallest first.
func sizes(list string) (tasks []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < minTasks {
			return nil, fmt.Errorf("%q is not a number of tasks: give %d or more, comma-separated", text, minTasks)
		}
		tasks = append(tasks, n)
	}
	slices.Sort(tasks)
	return slices.Compact(tasks), nil
}

type named interface{ called() string }

func names[T named](list []T) (names []string) {
	for _, v := range list {
		names = append(names, v.called())
	}
	return names
}

// choose gives those that are named, in their own order, or all for "".
func choose[T named](what string, all []T, list string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	wanted, known := strings.Split(list, ","), names(all)
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no %s %q; there are: %s", what, name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(v T) bool { return !slices.Contains(wanted, v.called()) }), nil
}

func run(ctx context.Context, o options) (err error) {
	results := resultsAt(o.out)
	if o.render {
		return results.render()
	}
	b, err := newBench(ctx, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for _, p := range o.parts {
		begin := time.Now()
		text, err := p.run(b, ctx, o, results)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Println(text)
		progress("%s took %s", p.name, time.Since(begin).Round(time.Second))
		if err := results.render(); err != nil { // each time: the next part may fail
			return err
		}
	}
	return nil
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// bench is what all measurements need: the programs, and where they run.
type bench struct {
	dir      string
	programs map[string]string
	cpus     processors
	seeded   map[int]string // by the number of tasks: the database file that each server has a copy of
	machine  machine
}

func newBench(ctx context.Context, parent string) (_ *bench, err error) {
	dir, err := os.MkdirTemp(parent, "dueto-bench-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	b := &bench{dir: dir, programs: map[string]string{}, seeded: map[int]string{}}
	var warning string
	if b.cpus, warning = findProcessors(); warning != "" {
		progress("%s", warning)
	}
	progress("building")
	for name, pkg := range map[string]string{dueto: ".", floor: "./bench/floor", constant: "./bench/constant"} {
		if b.programs[name], err = build(ctx, dir, pkg, name); err != nil {
			return nil, err
		}
	}
	if err := b.cpus.pinSelf(); err != nil {
		return nil, err
	}
	if b.machine, err = b.describe(); err != nil {
		return nil, err
	}
	return b, nil
}

// seed gives the file with so many tasks, which is made once.
func (b *bench) seed(ctx context.Context, tasks int) (string, error) {
	if file := b.seeded[tasks]; file != "" {
		return file, nil
	}
	begin := time.Now()
	file := filepath.Join(b.dir, fmt.Sprintf("seeded-%d.db", tasks))
	if err := seedDatabase(ctx, file, tasks, time.Now()); err != nil {
		return "", err
	}
	progress("%s tasks are made, in %s", thousands(tasks), time.Since(begin).Round(time.Second))
	b.seeded[tasks] = file
	return file, nil
}

// machine is what figures were taken with.
type machine struct {
	Go         string        `json:"go"`
	System     string        `json:"system"`
	Processors int           `json:"processors"`
	Pinned     bool          `json:"pinned"`
	Engine     string        `json:"engine"`
	Fsync      time.Duration `json:"fsync_ns"`
}

func (b *bench) describe() (machine, error) {
	fsync, err := timeFsync(b.dir)
	return machine{
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU(),
		Pinned: b.cpus.server != "", Engine: engineVersion(), Fsync: fsync,
	}, err
}

func (m machine) String() string {
	pinned := "pinned"
	if !m.Pinned {
		pinned = "not pinned"
	}
	return fmt.Sprintf("Measured with %s on %s, %d processors (%s), %s; an fsync of 4 kB took %s.\n",
		m.Go, m.System, m.Processors, pinned, m.Engine, m.Fsync.Round(time.Microsecond))
}

// timeFsync tells whether the disk is one that makes anything durable: the
// median of some small appends.
func timeFsync(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	times := make([]time.Duration, 0, 50)
	for range cap(times) {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		begin := time.Now()
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
