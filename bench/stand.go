package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stand is the servers over one number of tasks, and what they are asked.
type stand struct {
	*bench
	tasks   int
	folder  string // of their databases and logs
	seeded  string // the database file that each has a copy of
	servers map[string]*server
	plan    *plan
}

const floorSecret = "kV8rT2nQ5xW9zB4mL7cJ1hF6gD3sA0pY8uE5iO2tR7" //nolint:gosec // guards random titles

// stand seeds, starts, and makes sure that all answer the same.
func (b *bench) stand(ctx context.Context, tasks int) (_ *stand, err error) {
	s := &stand{bench: b, tasks: tasks, servers: map[string]*server{}}
	if s.seeded, err = b.seed(ctx, tasks); err != nil {
		return nil, err
	}
	if s.folder, err = os.MkdirTemp(b.dir, "stand-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, name := range []string{dueto, floor, floorGrouped} {
		if err := copyFile(s.database(name), s.seeded); err != nil {
			return nil, err
		}
		if s.servers[name], err = s.start(ctx, name, "127.0.0.1:0"); err != nil {
			delete(s.servers, name)
			return nil, err
		}
	}
	token, err := floorToken(floorSecret, time.Now())
	if err != nil {
		return nil, err
	}
	s.servers[floor].token, s.servers[floorGrouped].token = token, token
	if err := signIn(s.servers[dueto]); err != nil {
		return nil, err
	}
	if s.plan, err = makePlan(s.servers[dueto], tasks); err != nil {
		return nil, err
	}
	if err := s.plan.agree(s.servers[dueto], s.servers[floor], s.servers[floorGrouped]); err != nil {
		return nil, err
	}
	return s, s.startConstant(ctx)
}

func (s *stand) database(name string) string { return filepath.Join(s.folder, name+".db") }

// start runs one of the servers over its database and waits until it listens.
func (s *stand) start(ctx context.Context, name, addr string) (*server, error) {
	program, env, args := s.command(name, addr)
	return s.cpus.start(ctx, s.folder, name, env, program, args...)
}

// command is how a server is run.
func (s *stand) command(name, addr string) (program string, env, args []string) {
	if name == dueto {
		// The access token has to last as long as the measurement; throttling would
		// take one busy client for what it is; a cheap hash is for the many logins
		// before measuring, of which none is measured here.
		return s.programs[dueto], []string{"DUETO_THROTTLE=off", "DUETO_ACCESS_TTL=24h", "DUETO_PASSWORD_COST=4"},
			[]string{"--addr=" + addr, "--database=sqlite:" + s.database(name)}
	}
	args = []string{"-addr", addr, "-database", s.database(name)}
	if name == floorGrouped {
		args = append(args, "-grouped")
	}
	return s.programs[floor], []string{"FLOOR_SECRET=" + floorSecret}, args
}

// startDueto starts another Dueto, on processors of its own choice and with a
// database of its own, to which more is added before, if there is more.
func (s *stand) startDueto(ctx context.Context, cpus, name string, more func(file string) error, env ...string) (*server, error) {
	file := s.database(name)
	if err := copyFile(file, s.seeded); err != nil {
		return nil, err
	}
	if more != nil {
		if err := more(file); err != nil {
			return nil, err
		}
	}
	return startOn(ctx, cpus, s.folder, name, env, s.programs[dueto], "--addr=127.0.0.1:0", "--database=sqlite:"+file)
}

// startConstant gives it answers as long as Dueto's.
func (s *stand) startConstant(ctx context.Context) error {
	sizes := [2]int{}
	for i, path := range []string{taskPath(s.plan.ids[0]), "/tasks"} {
		_, _, body, err := call(s.servers[dueto], "GET", path, "")
		if err != nil {
			return err
		}
		sizes[i] = len(body)
	}
	started, err := s.cpus.start(ctx, s.folder, constant, nil, s.programs[constant], fmt.Sprintf("-one=%d", sizes[0]), fmt.Sprintf("-list=%d", sizes[1]))
	if err == nil {
		s.servers[constant] = started
	}
	return err
}

// stop ends the servers, which fold their logs into their files.
func (s *stand) stop() {
	for name, server := range s.servers {
		server.stop()
		delete(s.servers, name)
	}
}

func (s *stand) close() {
	s.stop()
	_ = os.RemoveAll(s.folder) // the folder around it goes at the end
}
