//go:build linux

package tests

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/creack/pty"
)

// session is a command on a terminal of its own.
type session struct {
	t      *testing.T
	cmd    *exec.Cmd
	tty    *os.File
	screen *transcript
	seen   int // how much of the screen was waited for
	exited chan struct{}
}

// onTerminal starts a command whose input and output are a terminal.
func (p *program) onTerminal(t *testing.T, args ...string) *session {
	t.Helper()
	s := &session{t: t, screen: newTranscript(), exited: make(chan struct{})}
	s.cmd = p.command(context.Background(), args...)
	var err error
	if s.tty, err = pty.Start(s.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(s.screen, s.tty) // ends with an error once the other side is closed
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exited
		_ = s.tty.Close()
	})
	return s
}

// expect waits until what came since the last call matches a pattern.
func (s *session) expect(text string) {
	s.t.Helper()
	_, s.seen = s.screen.await(s.t, s.exited, text, s.seen)
}

func (s *session) send(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.tty, keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) answer(prompt, text string) {
	s.t.Helper()
	s.expect(prompt)
	s.send(text + "\n")
}

// secretly answers once the terminal does not echo any more: people are slower
// than the system call between prompt and silence, tests are not.
func (s *session) secretly(prompt, text string) {
	s.t.Helper()
	s.expect(prompt)
	s.awaitEcho(false)
	s.send(text + "\n")
}

func (s *session) awaitEcho(on bool) {
	s.t.Helper()
	for begin := time.Now(); s.echoes() != on; time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			s.t.Fatalf("the terminal's echo stays %v:\n%s", !on, s.screen)
		}
	}
}

func (s *session) echoes() bool {
	s.t.Helper()
	raw, err := s.tty.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	var mode syscall.Termios
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TCGETS, uintptr(unsafe.Pointer(&mode)))
	})
	if err != nil || errno != 0 {
		s.t.Fatal(err, errno)
	}
	return mode.Lflag&syscall.ECHO != 0
}

func (s *session) wait() int {
	s.t.Helper()
	select {
	case <-s.exited:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("the command does not end:\n%s", s.screen)
		return -1
	}
}

// ends checks the exit code and that no password was on the screen.
func (s *session) ends(code int, passwords ...string) {
	s.t.Helper()
	if got := s.wait(); got != code {
		s.t.Fatalf("exit code %d, want %d:\n%s", got, code, s.screen)
	}
	for _, p := range passwords {
		if strings.Contains(s.screen.String(), p) {
			s.t.Errorf("the password %q is on the screen:\n%s", p, s.screen)
		}
	}
}

const (
	newPassword = "a quite different sentence"
	typo        = "correct hose battery"
)

func TestTerminal_CreatesuperuserAsksForWhatIsMissing(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.onTerminal(t, "createsuperuser", "--password-cost", "4")
	s.answer("Username: ", "root")
	s.answer("Email: ", "root@example.com")
	s.secretly(`Password: `, password)
	s.secretly(`Password \(again\): `, password)
	s.expect("Superuser root created\\.\r\n")
	s.ends(0, password)
	me := p.serve().app().login("root").do("GET", "/users/me", nil).want(http.StatusOK).object()
	if me["username"] != "root" || me["email"] != "root@example.com" || me["is_staff"] != true || me["is_active"] != true {
		t.Errorf("the account is %v", me)
	}
}

func TestTerminal_CreatesuperuserAsksOnlyForWhatIsMissing(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.onTerminal(t, "createsuperuser", "--password-cost", "4", "--username", "root", "--email", "root@example.com")
	s.secretly(`^Password: `, password)
	s.secretly(`^\r\nPassword \(again\): `, password)
	s.expect("^\r\nSuperuser root created\\.\r\n$")
	s.ends(0, password)
}

func TestTerminal_BlankAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.onTerminal(t, "createsuperuser", "--password-cost", "4", "--email", "root@example.com")
	s.answer("Username: ", "")
	s.answer("Username: ", "   ")
	s.answer("Username: ", " root ")
	s.secretly(`Password: `, password)
	s.secretly(`Password \(again\): `, password)
	s.expect("Superuser root created\\.\r\n")
	s.ends(0, password)
}

func TestTerminal_PasswordsThatDifferAreAskedAgain(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.onTerminal(t, "createsuperuser", "--password-cost", "4", "--username", "root", "--email", "root@example.com")
	s.secretly(`Password: `, password)
	s.secretly(`Password \(again\): `, typo)
	s.expect("The two are not the same\\.\r\n")
	s.secretly(`Password: `, newPassword)
	s.secretly(`Password \(again\): `, newPassword)
	s.expect("Superuser root created\\.\r\n")
	s.ends(0, password, typo, newPassword)
	logsInWith(p.serve().app(), "root", newPassword, password, typo)
}

func TestTerminal_WeakPasswordIsExplainedAndAskedAgain(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.onTerminal(t, "createsuperuser", "--password-cost", "4", "--username", "iceberg", "--email", "iceberg@example.com")
	for weak, complaints := range map[string][]string{
		"tiny":        {"This password is too short. It must contain at least 8 characters."},
		"password123": {"This password is too common."},
		"iceberg9!xy": {"The password is too similar to the email.", "The password is too similar to the username."},
	} {
		s.secretly(`Password: `, weak)
		s.secretly(`Password \(again\): `, weak)
		for _, c := range complaints {
			s.expect("password: " + strings.ReplaceAll(c, ".", `\.`))
		}
	}
	s.secretly(`Password: `, password)
	s.secretly(`Password \(again\): `, password)
	s.expect("Superuser iceberg created\\.\r\n")
	s.ends(0, "tiny", "password123", "iceberg9!xy", password)
}

func TestTerminal_ChangepasswordAsksTwiceUntilItWillDo(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	s := p.onTerminal(t, "changepassword", "--password-cost", "4", "root")
	s.secretly(`Password: `, newPassword)
	s.secretly(`Password \(again\): `, typo)
	s.expect("The two are not the same\\.\r\n")
	s.secretly(`Password: `, newPassword)
	s.secretly(`Password \(again\): `, newPassword)
	s.expect("Password of root changed; its sessions and API tokens are ended\\.\r\n")
	s.ends(0, newPassword, typo)
	logsInWith(p.serve().app(), "root", newPassword, password)
}

func TestTerminal_ChangepasswordExplainsAWeakPasswordAndAsksAgain(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	s := p.onTerminal(t, "changepassword", "--password-cost", "4", "root")
	s.secretly(`Password: `, "tiny")
	s.secretly(`Password \(again\): `, "tiny")
	s.expect(`password: This password is too short\. It must contain at least 8 characters\.`)
	s.secretly(`Password: `, newPassword)
	s.secretly(`Password \(again\): `, newPassword)
	s.expect("Password of root changed; its sessions and API tokens are ended\\.\r\n")
	s.ends(0, "tiny", newPassword)
}

func TestTerminal_ChangepasswordOfNobodyIsRefusedBeforeItAsks(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	s := p.onTerminal(t, "changepassword", "--password-cost", "4", "nobody")
	s.expect(`^\S+: `)
	if screen := s.screen.String(); strings.HasPrefix(screen, "Password") {
		t.Fatalf("it asks for a password first: %q", screen)
	}
	s.ends(1)
	if got, want := s.screen.String(), "dueto: There is no user nobody.\r\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestTerminal_InterruptAtAPromptEndsTheCommandAndRestoresTheEcho(t *testing.T) {
	t.Parallel()
	const ctrlC = "\x03"
	for _, prompt := range []string{"Username: ", "Password: "} {
		t.Run(strings.TrimSuffix(prompt, ": "), func(t *testing.T) {
			t.Parallel()
			p := newProgram(t)
			args := []string{"createsuperuser", "--password-cost", "4", "--email", "root@example.com"}
			if prompt == "Password: " {
				args = append(args, "--username", "root")
			}
			s := p.onTerminal(t, args...)
			s.expect(prompt)
			s.awaitEcho(prompt != "Password: ")
			s.send(ctrlC)
			if code := s.wait(); code == 0 {
				t.Errorf("exit code 0:\n%s", s.screen)
			}
			if !s.echoes() {
				t.Error("the terminal is left without echo")
			}
		})
	}
}

// logsInWith checks which of some passwords is the account's.
func logsInWith(a *app, name, right string, wrong ...string) {
	a.t.Helper()
	try := func(with string) *response {
		return a.do("POST", "/auth/login", map[string]string{"username": name, "password": with})
	}
	try(right).want(http.StatusOK)
	for _, w := range wrong {
		try(w).wantProblem(http.StatusUnauthorized, "no_active_account")
	}
}

func TestNoInput_CreatesuperuserMakesAStaffAccountThatCanLogIn(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.with("DUETO_SUPERUSER_PASSWORD="+password).
		run("createsuperuser", "--no-input", "--username", "Root", "--email", "root@example.com", "--password-cost", "4").
		want(0).prints("Superuser Root created.\n", "")
	p.wantLeft("dueto.secret")
	root := p.serve().app().login("root")
	me := root.do("GET", "/users/me", nil).want(http.StatusOK).object()
	if me["username"] != "Root" || me["email"] != "root@example.com" || me["is_staff"] != true || me["is_active"] != true {
		t.Errorf("the account is %v", me)
	}
	root.do("POST", "/users", map[string]any{"username": "bob", "email": "bob@example.com", "password": password}).want(http.StatusCreated)
}

func TestNoInput_WithoutAllThatIsNeededExitsTwo(t *testing.T) {
	t.Parallel()
	const noPassword = "dueto: --no-input needs a password in DUETO_SUPERUSER_PASSWORD\n"
	const noTerminal = "dueto: standard input is no terminal to ask on: use --no-input and DUETO_SUPERUSER_PASSWORD\n"
	for _, tt := range []struct {
		args   string
		env    []string
		stderr string
	}{
		{"createsuperuser --no-input --username root --email root@example.com", nil, noPassword},
		{"createsuperuser --no-input --username root --email root@example.com", []string{"DUETO_SUPERUSER_PASSWORD="}, noPassword},
		{"createsuperuser --no-input --username root", []string{"DUETO_SUPERUSER_PASSWORD=" + password}, "dueto: --no-input needs --username and --email\n"},
		{"changepassword --no-input root", nil, noPassword},
		{"createsuperuser", nil, noTerminal},
		{"createsuperuser --username root --email root@example.com", []string{"DUETO_SUPERUSER_PASSWORD=" + password}, noTerminal},
		{"changepassword root", nil, noTerminal},
	} {
		p := newProgram(t).with(tt.env...)
		p.run(strings.Fields(tt.args)...).want(2).prints("", tt.stderr)
		wantFiles(t, p.dir)
	}
}

func TestNoInput_CreatesuperuserRefusesWhatRegisterRefuses(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	a := p.serve().app()
	a.user("alice")
	for _, in := range []map[string]string{
		{"username": "iceberg", "email": "iceberg@example.com", "password": "iceberg1"},
		{"username": "admin1", "email": "admin1@example.com", "password": "short"},
		{"username": "admin1", "email": "admin1@example.com", "password": "password123"},
		{"username": "ad", "email": "nowhere", "password": "x"},
		{"username": "me", "email": "a@b", "password": "tab\there and more"},
		{"username": "no spaces", "email": "a b@example.com", "password": strings.Repeat("long", 65)},
		{"username": "ALICE", "email": "Alice@Example.com", "password": password},
	} {
		errs, _ := a.do("POST", "/auth/register", in).wantProblem(http.StatusBadRequest, "invalid").object()["errors"].(map[string]any)
		var lines []string
		for field, list := range errs {
			for _, complaint := range list.([]any) {
				lines = append(lines, fmt.Sprintf("  %s: %s\n", field, complaint))
			}
		}
		slices.Sort(lines)
		p.with("DUETO_SUPERUSER_PASSWORD="+in["password"]).
			run("createsuperuser", "--no-input", "--username", in["username"], "--email", in["email"], "--password-cost", "4").
			want(1).prints("", "dueto: The user is not valid.\n"+strings.Join(lines, ""))
	}
}

func TestSQLite_UserOnADatabaseThatIsNotThereMakesNone(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	for _, args := range [][]string{{"user", "activate", "alice"}, {"user", "deactivate", "alice"}, {"changepassword", "alice", "--no-input"}} {
		p.with("DUETO_SUPERUSER_PASSWORD="+password).run(append(args, "--database=sqlite:typo.db")...).want(1).
			prints("", "dueto: there is no database: stat typo.db: no such file or directory\n")
	}
	if left, err := os.ReadDir(p.dir); err != nil || len(left) > 0 {
		t.Errorf("%v was left behind, %v", left, err)
	}
}
