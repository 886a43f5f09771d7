// Package pgtest runs PostgreSQL servers for tests: each on a free port, in a
// folder of its own, gone with the test.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience bounds every wait for a server. It is reached only on failure.
const patience = 60 * time.Second

// ErrMissing says that PostgreSQL's programs are not on this machine.
var ErrMissing = errors.New("PostgreSQL, 15 or newer, is missing: on Debian, apt-get install postgresql; elsewhere, put its programs (initdb, postgres, pg_basebackup) on the PATH, or set DUETO_TEST_POSTGRES to the URL of a server on which databases may be made")

// MayGoWithout reports whether a test that needs a server of its own may be left
// out, because it was said which server to use instead. On CI none may.
func MayGoWithout(err error) bool {
	return errors.Is(err, ErrMissing) && os.Getenv("DUETO_TEST_POSTGRES") != "" && os.Getenv("CI") == ""
}

// Cluster is a PostgreSQL server of a test's own.
type Cluster struct {
	Dir  string // its data
	Port int

	bin     string // where the programs are
	cmd     *exec.Cmd
	log     bytes.Buffer
	exited  chan struct{}
	foreign *syscall.Credential // of an ordinary user, where this one is root: the server refuses to be root's
}

// New makes a cluster in a folder below dir, and starts it. Settings are lines
// of postgresql.conf; by default nothing is flushed to the disk.
func New(dir string, settings ...string) (*Cluster, error) {
	c, err := prepared(dir)
	if err != nil {
		return nil, err
	}
	// A locale in which texts do not sort by their bytes, as most servers have one.
	out, err := c.command("initdb", "-D", c.Dir, "-U", "dueto", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions",
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := c.Configure(append([]string{"fsync = off", "full_page_writes = off"}, settings...)...); err != nil {
		return nil, err
	}
	return c, c.Start()
}

// Standby makes a streaming replica of the cluster in a folder below dir, and
// starts it.
func (c *Cluster) Standby(dir string, settings ...string) (*Cluster, error) {
	s, err := prepared(dir)
	if err != nil {
		return nil, err
	}
	out, err := s.command("pg_basebackup", "-D", s.Dir, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", c.URL("postgres")).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	if err := s.Configure(settings...); err != nil {
		return nil, err
	}
	return s, s.Start()
}

// prepared gives a cluster that has a folder and a port, and no data.
func prepared(dir string) (*Cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin}
	if c.Port, err = freePort(); err != nil {
		return nil, err
	}
	if c.Dir, err = os.MkdirTemp(dir, "postgres-"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if c.foreign, err = ordinaryUser(); err != nil {
			return nil, err
		}
		if err := os.Chown(c.Dir, int(c.foreign.Uid), int(c.foreign.Gid)); err != nil {
			return nil, err
		}
		letIn(filepath.Dir(c.Dir))
	}
	return c, nil
}

// letIn opens the folders above a cluster's, as far as they are ours, to the
// user that it runs as.
func letIn(dir string) {
	for ; len(dir) > 1 && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if os.Chmod(dir, 0o755) != nil { //nolint:gosec // a test's folder
			return
		}
	}
}

// programs gives the folder of PostgreSQL's programs: the newest on Debian,
// which has them off the PATH, else where the PATH has them.
func programs() (string, error) {
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(debian, func(a, b string) int { return version(a) - version(b) })
	if len(debian) > 0 {
		return filepath.Dir(debian[len(debian)-1]), nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrMissing
	}
	return filepath.Dir(initdb), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

func ordinaryUser() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...) //nolint:gosec // PostgreSQL's programs, with arguments of ours
	cmd.Dir = c.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.foreign}
	return cmd
}

// Configure adds lines to postgresql.conf; they are in force from the next
// start, or Reload.
func (c *Cluster) Configure(lines ...string) error {
	f, err := os.OpenFile(filepath.Join(c.Dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// Start starts the server and waits until it takes connections.
func (c *Cluster) Start() error {
	c.cmd = c.command("postgres", "-D", c.Dir, "-p", strconv.Itoa(c.Port), "-k", "", "-h", "127.0.0.1",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB", "-c", "max_wal_senders=5")
	return c.begin()
}

// begin starts the program and waits until it takes connections.
func (c *Cluster) begin() error {
	dieWithParent(c.cmd.SysProcAttr)
	c.log.Reset()
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	exited := make(chan struct{})
	c.exited = exited
	started := make(chan error, 1)
	go func() {
		// The kernel ends the server with the thread that started it.
		runtime.LockOSThread()
		started <- c.cmd.Start()
		_ = c.cmd.Wait()
		close(exited)
	}()
	if err := <-started; err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < patience; time.Sleep(20 * time.Millisecond) {
		if err := c.Exec("SELECT 1"); err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("it does not start:\n%s", c.log.String())
		default:
		}
	}
	return errors.New("it does not take connections")
}

// Stop shuts the server down at once but cleanly, ending its connections.
func (c *Cluster) Stop() error { return c.signal(syscall.SIGINT) }

// Kill ends the server and all its processes, as a power cut does.
func (c *Cluster) Kill() error { return c.signal(syscall.SIGQUIT) }

func (c *Cluster) signal(s syscall.Signal) error {
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.exited:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("it does not end upon %s", s)
	}
}

// Reload has the server read its settings again.
func (c *Cluster) Reload() error { return c.cmd.Process.Signal(syscall.SIGHUP) }

// Adopt gives a folder to the user that the server runs as.
func (c *Cluster) Adopt(dir string) error {
	if c.foreign == nil {
		return nil
	}
	return os.Chown(dir, int(c.foreign.Uid), int(c.foreign.Gid))
}

// Promote makes a replica the primary.
func (c *Cluster) Promote() error { return c.Exec("SELECT pg_promote()") }

// URL names a database of the cluster.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://dueto@127.0.0.1:%d/%s", c.Port, database)
}

// Exec runs a statement in the cluster's database "postgres".
func (c *Cluster) Exec(statement string) error { return exec1(c.URL("postgres"), statement) }

// exec1 runs a statement on a connection of its own.
func exec1(url, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}
