package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dueto/config"
)

// patience bounds every wait for a process. It is reached only on failure.
const patience = 30 * time.Second

// builtBinary is the real program, with the race detector. It lies beside the
// test's own executable, in a folder that go test removes.
var builtBinary = sync.OnceValue(func() (built struct {
	path string
	err  error
}) {
	root, err := moduleRoot()
	if err != nil {
		built.err = err
		return built
	}
	self, err := os.Executable()
	if err != nil {
		built.err = err
		return built
	}
	dir, err := os.MkdirTemp(filepath.Dir(self), "dueto-binary-")
	if err != nil {
		built.err = err
		return built
	}
	built.path = filepath.Join(dir, "dueto")
	build := exec.Command("go", "build", "-race", "-o", built.path, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return built
})

// moduleRoot is the nearest folder above the test's that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// transcript keeps what a process prints, and lets a test wait for part of it.
type transcript struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{} // closed, and made anew, at each change
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.text = append(tr.text, p...)
	close(tr.changed)
	tr.changed = make(chan struct{})
	return len(p), nil
}

func (tr *transcript) String() string {
	text, _ := tr.read()
	return text
}

func (tr *transcript) read() (text string, changed <-chan struct{}) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return string(tr.text), tr.changed
}

// await waits until the text from an offset on matches, and gives the groups
// and the offset behind them. It fails where over is closed before.
func (tr *transcript) await(t testing.TB, over <-chan struct{}, pattern string, from int) (groups []string, end int) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.NewTimer(patience)
	defer late.Stop()
	for ended := false; ; {
		text, changed := tr.read()
		if at := re.FindStringSubmatchIndex(text[from:]); at != nil {
			return re.FindStringSubmatch(text[from:]), from + at[1]
		}
		if ended {
			t.Fatalf("it ended without printing %q:\n%s", pattern, text)
		}
		select {
		case <-changed:
		case <-over:
			ended = true
		case <-late.C:
			t.Fatalf("it does not print %q:\n%s", pattern, text)
		}
	}
}

// program is the real binary in a folder of its own, with nothing in its
// environment but what a test puts there.
type program struct {
	t   testing.TB
	dir string
	env []string
	// wrap, if any, is a command that runs the binary given as its last arguments.
	wrap []string
	// credential, if any, is of somebody else, who runs the binary.
	credential *syscall.Credential
	binary     string
	database   string // its URL
}

func newProgram(t testing.TB) *program {
	t.Helper()
	built := builtBinary()
	if built.err != nil {
		t.Fatal(built.err)
	}
	p := &program{t: t, dir: t.TempDir(), binary: built.path}
	if onPostgres {
		p.database = newDatabase(t)
		p.env = append(p.env, "DUETO_DATABASE="+p.database)
	} else {
		p.database = "sqlite:" + p.file("dueto.db") // what is its default
	}
	return p
}

// with gives the same program with more in its environment.
func (p *program) with(env ...string) *program {
	changed := *p
	changed.env = append(p.env[:len(p.env):len(p.env)], env...)
	return &changed
}

func (p *program) file(name string) string { return filepath.Join(p.dir, name) }

// write puts a file into the program's folder.
func (p *program) write(name, content string) string {
	p.t.Helper()
	if err := os.WriteFile(p.file(name), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.file(name)
}

func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	argv := append(append(p.wrap[:len(p.wrap):len(p.wrap)], p.binary), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = p.dir
	// The race detector would have each process sleep for a second at its end.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=20"}, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	return cmd
}

// outcome is what became of a command.
type outcome struct {
	t              testing.TB
	what           string
	code           int
	stdout, stderr string
}

// run runs a command to its end, without a terminal.
func (p *program) run(args ...string) *outcome {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := p.command(ctx, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("dueto %s: %v", strings.Join(args, " "), err)
	}
	o := &outcome{p.t, "dueto " + strings.Join(args, " "), cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if strings.Contains(o.stderr, "DATA RACE") || strings.Contains(o.stderr, "goroutine ") {
		p.t.Fatalf("%s: a race or a stack trace:\n%s", o.what, o.stderr)
	}
	return o
}

// want checks the exit code.
func (o *outcome) want(code int) *outcome {
	o.t.Helper()
	if o.code != code {
		o.t.Fatalf("%s: exit code %d, want %d\n%s%s", o.what, o.code, code, o.stdout, o.stderr)
	}
	return o
}

// prints checks all that was printed.
func (o *outcome) prints(stdout, stderr string) *outcome {
	o.t.Helper()
	if o.stdout != stdout || o.stderr != stderr {
		o.t.Fatalf("%s\nprinted: %q\n   want: %q\n stderr: %q\n   want: %q", o.what, o.stdout, stdout, o.stderr, stderr)
	}
	return o
}

// superuser makes an active staff account, with the password of all tests.
func (p *program) superuser(name string) {
	p.t.Helper()
	p.with("DUETO_SUPERUSER_PASSWORD="+password).
		run("createsuperuser", "--no-input", "--username", name, "--email", name+"@example.com", "--password-cost", "4").want(0)
}

// serving is a running server.
type serving struct {
	t      testing.TB
	dir    string // its working directory
	path   string // the binary
	cmd    *exec.Cmd
	URL    string
	stderr *transcript
	exited chan struct{}
}

// startBinary starts the real server in a folder of its own.
func startBinary(t testing.TB, args ...string) *serving {
	t.Helper()
	return newProgram(t).serve(args...)
}

// serve starts the server on a free port and waits until it listens.
func (p *program) serve(args ...string) *serving {
	p.t.Helper()
	s := p.launch(args...)
	s.listening()
	return s
}

// launch starts the server and does not wait.
func (p *program) launch(args ...string) *serving {
	p.t.Helper()
	return p.start(append([]string{"serve", "--addr=127.0.0.1:0", "--password-cost=4", "--throttle=off"}, args...)...)
}

func (p *program) start(args ...string) *serving {
	p.t.Helper()
	s := &serving{t: p.t, dir: p.dir, path: p.binary, stderr: newTranscript(), exited: make(chan struct{})}
	s.cmd = p.command(context.Background(), args...)
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the exit code tells
		close(s.exited)
	}()
	p.t.Cleanup(func() {
		s.kill()
		if strings.Contains(s.stderr.String(), "DATA RACE") {
			p.t.Errorf("a data race in the server:\n%s", s.stderr)
		}
		wantCleanLog(p.t, s.stderr.String())
	})
	return s
}

// listening waits for the line that says where.
func (s *serving) listening() {
	s.t.Helper()
	groups, _ := s.stderr.await(s.t, s.exited, `(?m)^listening on (\S+)\n`, 0)
	s.URL = groups[1]
	describe(s.t, s.URL, servedDocument(s.URL+publicPath(s.app().Config.PublicURL)))
}

func (s *serving) port() string { return s.URL[strings.LastIndexByte(s.URL, ':')+1:] }

// app gives the server as the harness's clients know it; it has no Store.
func (s *serving) app() *app {
	a := &app{t: s.t, URL: s.URL, Config: config.Config{PublicURL: s.URL}}
	if set := regexp.MustCompile(`--public-url[= ](\S+)`).FindStringSubmatch(strings.Join(s.cmd.Args, " ")); set != nil {
		a.Config.PublicURL = set[1]
	}
	return a
}

func (s *serving) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// wait gives the exit code, -1 after a signal that it did not handle.
func (s *serving) wait() int {
	s.t.Helper()
	select {
	case <-s.exited:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("the server does not end:\n%s", s.stderr)
		return -1
	}
}

// stop asks the server to end and expects that it does so in good order.
func (s *serving) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		s.t.Fatalf("exit code %d after SIGTERM:\n%s", code, s.stderr)
	}
}

// kill ends the server as a power failure would.
func (s *serving) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.exited
}

// wantFiles checks what is in a folder.
func wantFiles(t testing.TB, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(entries))
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("the folder has %q, want %q", got, names)
	}
}

func overwrite(t *testing.T, file, with string, at int) {
	t.Helper()
	old := readFile(t, file)
	if err := os.WriteFile(file, []byte(old[:at]+with+old[at+len(with):]), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
