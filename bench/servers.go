package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a process under measurement.
type server struct {
	name  string
	url   string
	token string // for writes
	cmd   *exec.Cmd
	log   string
	ended chan error
}

func (s *server) addr() string { return strings.TrimPrefix(s.url, "http://") }

// processors are where the server and the load generator run. All are empty
// where there is nothing to pin or to pin with.
type processors struct {
	server, generator string
	// pair is for a server that has two: the generator's is one of them where
	// there is no third.
	pair string
}

// findProcessors picks the first two that this process may use.
func findProcessors() (processors, string) {
	if runtime.NumCPU() < 2 {
		return processors{}, "There is one processor only: servers and load generator share it, so the figures say little."
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return processors{}, "There is no taskset here: nothing is pinned to a processor."
	}
	allowed := []string{"0", "1"}
	status, _ := os.ReadFile("/proc/self/status")
	if m := regexp.MustCompile(`Cpus_allowed_list:\s*(\S+)`).FindSubmatch(status); m != nil {
		allowed = expand(string(m[1]))
	}
	return processors{allowed[0], allowed[1], allowed[0] + "," + allowed[min(2, len(allowed)-1)]}, ""
}

// expand turns a list such as 0,2-4 into its members.
func expand(list string) (members []string) {
	for part := range strings.SplitSeq(list, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		from, _ := strconv.Atoi(low)
		to, _ := strconv.Atoi(high)
		for i := from; i <= to; i++ {
			members = append(members, strconv.Itoa(i))
		}
	}
	return members
}

// pinSelf moves this process, the load generator, to its processor.
func (p processors) pinSelf() error {
	if p.generator == "" {
		return nil
	}
	runtime.GOMAXPROCS(1)
	out, err := exec.Command("taskset", "-a", "-c", "-p", p.generator, strconv.Itoa(os.Getpid())).CombinedOutput() //nolint:gosec // numbers
	if err != nil {
		return fmt.Errorf("pin to processor %s: %w: %s", p.generator, err, out)
	}
	return nil
}

// start runs a program on the servers' processor and waits until it listens.
func (p processors) start(ctx context.Context, dir, name string, env []string, program string, args ...string) (*server, error) {
	return startOn(ctx, p.server, dir, name, append(env, "GOMAXPROCS=1"), program, args...)
}

// startOn is start on given processors, all where none are given.
func startOn(ctx context.Context, cpus, dir, name string, env []string, program string, args ...string) (*server, error) {
	s, err := launch(ctx, cpus, dir, name, env, program, args...)
	if err != nil {
		return nil, err
	}
	if err := s.awaitListening(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return s, nil
}

// launch runs a program, and waits for nothing.
func launch(ctx context.Context, cpus, dir, name string, env []string, program string, args ...string) (*server, error) {
	if cpus != "" {
		args = append([]string{"-c", cpus, program}, args...)
		program = "taskset"
	}
	s := &server{name: name, log: filepath.Join(dir, name+".log"), ended: make(chan error, 1)}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.CommandContext(ctx, program, args...) //nolint:gosec // programs of ours
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, log, log
	s.cmd.Env = append(plainEnvironment(), env...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 5 * time.Second
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	return s, nil
}

// plainEnvironment leaves out what would change Dueto's settings or Go's scheduling.
func plainEnvironment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DUETO_") && !strings.HasPrefix(v, "GO") {
			env = append(env, v)
		}
	}
	return env
}

// startPatience is how long a server may take before it listens.
const startPatience = 15 * time.Second

var listening = regexp.MustCompile(`listening on (http://\S+)`)

func (s *server) awaitListening(ctx context.Context) error {
	for deadline := time.Now().Add(startPatience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		log, err := os.ReadFile(s.log)
		if err != nil {
			return err
		}
		if m := listening.FindSubmatch(log); m != nil {
			s.url = string(m[1])
			return nil
		}
		if err := s.gone(); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return fmt.Errorf("it does not listen after %s: %s", startPatience, s.lastLog())
}

// gone fails where the process has ended, with what it said last.
func (s *server) gone() error {
	select {
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("it ended (%w): %s", err, s.lastLog())
	default:
		return nil
	}
}

func (s *server) lastLog() string {
	log, _ := os.ReadFile(s.log)
	return string(log)
}

// emptyLog keeps the log, which grows by megabytes a second, from filling the disk.
func (s *server) emptyLog() error { return os.Truncate(s.log, 0) }

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended: //nolint:errcheck // a signal ended it: that is no failure
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended //nolint:errcheck // as above
	}
}

// processorTime gives what the server's threads have used so far, or 0 where
// /proc does not tell.
func (s *server) processorTime() (used time.Duration) {
	threads, _ := filepath.Glob("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/task/*/schedstat")
	for _, thread := range threads {
		stat, _ := os.ReadFile(thread) //nolint:gosec // of the process started here
		running, _, _ := strings.Cut(string(stat), " ")
		nanoseconds, _ := strconv.ParseInt(running, 10, 64)
		used += time.Duration(nanoseconds)
	}
	return used
}

// build compiles a package of the module into a program.
func build(ctx context.Context, dir, pkg, name string) (program string, err error) {
	program = filepath.Join(dir, name)
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, pkg).CombinedOutput() //nolint:gosec // packages of ours
	if err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return program, nil
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from) //nolint:gosec // a file of ours
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // likewise
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
