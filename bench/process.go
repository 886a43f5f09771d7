package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"time"
)

// memory is what a process has resident, and the most that it ever had, in bytes.
// Both are 0 where /proc does not tell.
type memory struct {
	Resident int64 `json:"resident_bytes"`
	Peak     int64 `json:"peak_bytes"`
}

func (s *server) memory() (memory, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/status")
	if errors.Is(err, os.ErrNotExist) {
		return memory{}, nil
	}
	return memoryOf(status), err
}

var memoryLine = regexp.MustCompile(`(?m)^Vm(RSS|HWM):\s+(\d+) kB$`)

// memoryOf reads a process's status.
func memoryOf(status []byte) (m memory) {
	for _, line := range memoryLine.FindAllSubmatch(status, -1) {
		n, _ := strconv.ParseInt(string(line[2]), 10, 64)
		if string(line[1]) == "RSS" {
			m.Resident = n << 10
		} else {
			m.Peak = n << 10
		}
	}
	return m
}

// startAttempt is how often a starting server is tried.
const startAttempt = 200 * time.Microsecond

// starts measures, in turn, how long the servers take from their exec to their
// first answer, over the databases that they leave behind: those are in the
// system's cache.
func (s *stand) starts(ctx context.Context, rounds int) (map[string][]time.Duration, error) {
	took := map[string][]time.Duration{}
	for range 2*rounds + 1 {
		for _, name := range []string{floor, dueto} {
			one, err := s.startOnce(ctx, name)
			if err != nil {
				return nil, fmt.Errorf("start %s: %w", name, err)
			}
			took[name] = append(took[name], one)
		}
	}
	return took, nil
}

func (s *stand) startOnce(ctx context.Context, name string) (took time.Duration, err error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return 0, err
	}
	program, env, args := s.command(name, addr)
	begin := time.Now()
	started, err := launch(ctx, s.cpus.server, s.folder, name+"-start", append(env, "GOMAXPROCS=1"), program, args...)
	if err != nil {
		return 0, err
	}
	defer started.stop()
	started.url = "http://" + addr
	ready := request(started, http.MethodGet, taskPath(s.plan.ids[0]), "")
	for time.Since(begin) < startPatience {
		if c, err := dial(ctx, addr); err == nil {
			status, _, err := c.send(ready)
			took = time.Since(begin)
			c.close()
			if err == nil && status == http.StatusOK {
				return took, nil
			}
		}
		if err := started.gone(); err != nil {
			return 0, err
		}
		time.Sleep(startAttempt)
	}
	return 0, errors.New("it does not answer")
}

// freeAddress gives one that nobody listens on at the moment.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
