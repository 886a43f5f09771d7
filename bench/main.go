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
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	rounds   int
	duration time.Duration
	warmup   time.Duration
	tasks    int
	clients  int
	only     string
	dir      string
	out      string
	quick    bool
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each measurement is made")
	flag.DurationVar(&o.duration, "duration", 1200*time.Millisecond, "how long a measurement takes")
	flag.DurationVar(&o.warmup, "warmup", 200*time.Millisecond, "how long a server is driven before it is measured")
	flag.IntVar(&o.tasks, "tasks", 100_000, "tasks in the database")
	flag.IntVar(&o.clients, "clients", 32, "connections")
	flag.StringVar(&o.only, "only", "", "workloads to run, comma-separated: "+strings.Join(names(workloads(1), parts()), ","))
	flag.StringVar(&o.dir, "dir", "", "folder for the databases, on the kind of disk to be measured; default: the temporary folder")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "RESULTS.md"), "file for the results; empty for none")
	flag.BoolVar(&o.quick, "quick", false, "two short rounds, and no file")
	flag.Parse()
	if o.quick {
		o.rounds, o.duration, o.warmup, o.out = 2, 500*time.Millisecond, 150*time.Millisecond, ""
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// part is a measurement of Dueto alone, on servers of its own. It gives its
// section of the report.
type part struct {
	name string
	run  func(*stand, context.Context, options) (section string, err error)
}

func parts() []part {
	return []part{
		{"timing", (*stand).timing},
		{"flood", (*stand).flood},
	}
}

func names(list []workload, parts []part) (names []string) {
	for _, w := range list {
		names = append(names, w.name)
	}
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// chosen gives the workloads and parts that were asked for.
func (o options) chosen() ([]workload, []part, error) {
	all, alone := workloads(o.clients), parts()
	if o.only == "" {
		return all, alone, nil
	}
	wanted, known := strings.Split(o.only, ","), names(all, alone)
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, nil, fmt.Errorf("there is no workload %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(w workload) bool { return !slices.Contains(wanted, w.name) }),
		slices.DeleteFunc(alone, func(p part) bool { return !slices.Contains(wanted, p.name) }), nil
}

func run(ctx context.Context, o options) (err error) {
	chosen, alone, err := o.chosen()
	if err != nil {
		return err
	}
	if o.rounds < 1 || o.duration <= 0 || o.tasks < 2000 || o.clients < 1 {
		return errors.New("at least one round, one client and 2,000 tasks are needed")
	}
	dir, err := os.MkdirTemp(o.dir, "dueto-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	cpus, warning := findProcessors()
	if warning != "" {
		fmt.Println(warning)
	}
	s := &stand{dir: dir, cpus: cpus, servers: map[string]*server{}}
	defer s.stop()
	progress("building, and making %d tasks", o.tasks)
	if err := s.prepare(ctx, o.tasks); err != nil {
		return interrupted(ctx, err)
	}
	progress("the servers agree; measuring %d rounds", o.rounds)
	r, err := s.measure(ctx, o, chosen)
	if err != nil {
		return interrupted(ctx, err)
	}
	var sections strings.Builder
	for _, p := range alone {
		section, err := p.run(s, ctx, o)
		if err != nil {
			return interrupted(ctx, err)
		}
		sections.WriteString(section)
	}
	text := r.markdown(o, s, sections.String())
	fmt.Print(text)
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(text), 0o644) //nolint:gosec // for everybody to read
}

// interrupted gives the interrupt where that is why something failed.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// stand is everything that runs during the measurement.
type stand struct {
	dir     string
	dueto   string // the program
	seeded  string // the database file that each server has a copy of
	cpus    processors
	servers map[string]*server
	plan    *plan
	fsync   time.Duration
}

func (s *stand) stop() {
	for _, server := range s.servers {
		server.stop()
	}
}

// prepare builds, seeds, starts, and makes sure that all answer the same.
func (s *stand) prepare(ctx context.Context, tasks int) error {
	programs := map[string]string{dueto: ".", floor: "./bench/floor", constant: "./bench/constant"}
	for name, pkg := range programs {
		program, err := build(ctx, s.dir, pkg, name)
		if err != nil {
			return err
		}
		programs[name] = program
	}
	s.dueto, s.seeded = programs[dueto], filepath.Join(s.dir, "seeded.db")
	if err := seedDatabase(ctx, s.seeded, tasks, time.Now()); err != nil {
		return err
	}
	if err := s.cpus.pinSelf(); err != nil {
		return err
	}
	const secret = "kV8rT2nQ5xW9zB4mL7cJ1hF6gD3sA0pY8uE5iO2tR7" //nolint:gosec // guards random titles
	for _, name := range []string{dueto, floor, floorGrouped} {
		file := filepath.Join(s.dir, name+".db")
		if err := copyFile(file, s.seeded); err != nil {
			return err
		}
		var err error
		switch name {
		case dueto:
			// The access token has to last as long as the measurement; throttling
			// would take one busy client for what it is.
			s.servers[name], err = s.cpus.start(ctx, s.dir, name, []string{"DUETO_THROTTLE=off", "DUETO_ACCESS_TTL=24h"},
				programs[dueto], "--addr=127.0.0.1:0", "--database=sqlite:"+file)
		case floor:
			s.servers[name], err = s.cpus.start(ctx, s.dir, name, []string{"FLOOR_SECRET=" + secret}, programs[floor], "-database", file)
		case floorGrouped:
			s.servers[name], err = s.cpus.start(ctx, s.dir, name, []string{"FLOOR_SECRET=" + secret}, programs[floor], "-database", file, "-grouped")
		}
		if err != nil {
			delete(s.servers, name)
			return err
		}
	}
	token, err := floorToken(secret, time.Now())
	if err != nil {
		return err
	}
	s.servers[floor].token, s.servers[floorGrouped].token = token, token
	if err := signIn(s.servers[dueto]); err != nil {
		return err
	}
	if s.plan, err = makePlan(s.servers[dueto], tasks); err != nil {
		return err
	}
	if err := s.plan.agree(s.servers[dueto], s.servers[floor], s.servers[floorGrouped]); err != nil {
		return err
	}
	if err := s.startConstant(ctx, programs[constant]); err != nil {
		return err
	}
	s.fsync, err = timeFsync(s.dir)
	return err
}

// startDueto starts another Dueto, on processors of its own choice and with a
// database of its own, to which more is added before, if there is more.
func (s *stand) startDueto(ctx context.Context, cpus, name string, more func(file string) error, env ...string) (*server, error) {
	file := filepath.Join(s.dir, name+".db")
	if err := copyFile(file, s.seeded); err != nil {
		return nil, err
	}
	if more != nil {
		if err := more(file); err != nil {
			return nil, err
		}
	}
	return startOn(ctx, cpus, s.dir, name, env, s.dueto, "--addr=127.0.0.1:0", "--database=sqlite:"+file)
}

// startConstant gives it answers as long as Dueto's.
func (s *stand) startConstant(ctx context.Context, program string) error {
	sizes := [2]int{}
	for i, path := range []string{taskPath(s.plan.ids[0]), "/tasks"} {
		_, _, body, err := call(s.servers[dueto], "GET", path, "")
		if err != nil {
			return err
		}
		sizes[i] = len(body)
	}
	started, err := s.cpus.start(ctx, s.dir, constant, nil, program, fmt.Sprintf("-one=%d", sizes[0]), fmt.Sprintf("-list=%d", sizes[1]))
	if err == nil {
		s.servers[constant] = started
	}
	return err
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
