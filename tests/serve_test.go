package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServe_TellsItsAddressWhichIsThePublicURLByDefault(t *testing.T) {
	t.Parallel()
	s := startBinary(t)
	a := s.app()
	a.do("GET", "/healthz", nil).want(http.StatusOK)
	alice := a.user("alice")
	task := a.do("GET", taskPath(alice.task("Next one")), nil).want(http.StatusOK).object()
	if want := s.URL + "/tasks/1"; task["url"] != want {
		t.Errorf("url %q, want %q", task["url"], want)
	}
	if strings.HasSuffix(s.URL, ":0") {
		t.Errorf("listening on %s", s.URL)
	}
}

func TestServe_TellsItsAddressWhateverThePublicURL(t *testing.T) {
	t.Parallel()
	s := startBinary(t, "--public-url=https://tasks.example.com/api")
	if !regexp.MustCompile(`^http://127\.0\.0\.1:[1-9]\d*$`).MatchString(s.URL) {
		t.Fatalf("listening on %s: nobody can tell which port was picked", s.URL)
	}
	links := s.app().do("GET", "/api/", nil).want(http.StatusOK).object()
	if links["tasks"] != "https://tasks.example.com/api/tasks" {
		t.Errorf("links are %v", links)
	}
}

func TestServe_IsTheCommandThatNeedsNoName(t *testing.T) {
	t.Parallel()
	s := newProgram(t).start("--addr=127.0.0.1:0")
	s.listening()
	s.app().do("GET", "/readyz", nil).want(http.StatusOK)
	s.stop()
}

func TestServe_ListensOnAllAddressesAndTellsOneThatWorks(t *testing.T) {
	t.Parallel()
	s := startBinary(t, "--addr=:0")
	if !strings.HasPrefix(s.URL, "http://localhost:") {
		t.Errorf("listening on %s", s.URL)
	}
	s.app().do("GET", "/healthz", nil).want(http.StatusOK)
}

func TestServe_TokensOutliveARestart(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	first := p.serve("--public-url=http://dueto.test")
	alice := first.app().user("alice")
	id := alice.task("Next one")
	info, err := os.Stat(p.file("dueto.secret"))
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the secret has mode %v, %v", info.Mode(), err)
	}
	made := readFile(t, p.file("dueto.secret"))
	if strings.Contains(first.stderr.String(), strings.TrimSpace(made)) {
		t.Error("the secret is in the log")
	}
	first.stop()
	p.wantLeft("dueto.secret")

	alice.app = p.serve("--public-url=http://dueto.test").app()
	alice.do("PATCH", taskPath(id), map[string]any{"done": true}).want(http.StatusOK)
	alice.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh}).want(http.StatusOK)
	if readFile(t, p.file("dueto.secret")) != made {
		t.Error("the secret was made anew")
	}
}

// accepted is a request that the server has begun to read: it has asked for
// the body, which is not sent yet.
type accepted struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	body string
}

func (s *serving) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+s.port())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (s *serving) begin(t *testing.T, access, title string) *accepted {
	t.Helper()
	conn := s.dial(t)
	body := fmt.Sprintf(`{"title":%q}`, title)
	fmt.Fprintf(conn, "POST /tasks HTTP/1.1\r\nHost: dueto\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", access, len(body))
	in := bufio.NewReader(conn)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := in.ReadString('\n'); err != nil || line != want {
			t.Fatalf("got %q, %v; want %q", line, err, want)
		}
	}
	return &accepted{t, conn, in, body}
}

// finish sends the body and gives the status of the answer.
func (r *accepted) finish() int {
	r.t.Helper()
	if _, err := io.WriteString(r.conn, r.body); err != nil {
		r.t.Fatal(err)
	}
	return readStatus(r.t, r.in)
}

func readStatus(t *testing.T, in *bufio.Reader) int {
	t.Helper()
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode
}

func TestServe_SIGTERMAnswersWhatWasAcceptedAndFoldsTheLog(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.serve()
	a := s.app()
	alice := a.user("alice")
	a.do("GET", "/readyz", nil).want(http.StatusOK)

	var requests []*accepted
	for i := range 10 {
		requests = append(requests, s.begin(t, alice.Access, fmt.Sprintf("task %d", i)))
	}
	s.signal(syscall.SIGTERM)
	s.stderr.await(t, s.exited, `stopping: finishing what has begun`, 0)

	// Refused at the door, or told: either keeps a balancer away.
	if res, err := noRedirects.Get(s.URL + "/readyz"); err == nil {
		_ = res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("/readyz answers %d while the server stops", res.StatusCode)
		}
	}
	for _, r := range requests {
		if status := r.finish(); status != http.StatusCreated {
			t.Errorf("a request that was accepted is answered %d", status)
		}
	}
	if code := s.wait(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, s.stderr)
	}
	copied := p
	if !onPostgres {
		if info, err := os.Stat(p.file("dueto.db-wal")); err == nil && info.Size() > 0 {
			t.Errorf("a log of %d bytes is left", info.Size())
		}
		// The file alone has all of it.
		copied = newProgram(t)
		copied.write("dueto.db", readFile(t, p.file("dueto.db")))
	}
	again := copied.serve("--log-format=text")
	if got := len(again.app().do("GET", "/tasks", nil).want(http.StatusOK).list()); got != len(requests) {
		t.Errorf("%d tasks of %d are there", got, len(requests))
	}
	if log := again.stderr.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "migrated") {
		t.Errorf("the second start is not clean:\n%s", log)
	}
}

func TestServe_FurtherSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	s := startBinary(t)
	s.begin(t, s.app().user("alice").Access, "never finished")
	s.signal(os.Interrupt)
	s.stderr.await(t, s.exited, `stopping: finishing what has begun`, 0)
	for ended := false; !ended; {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-s.exited:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	if code := s.wait(); code == 0 {
		t.Error("exit code 0: it waited for the request")
	}
}

func TestServe_SlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	s := startBinary(t)
	slow := map[string]net.Conn{"": nil, "GET /tasks HTTP/1.1\r\nHost: dueto\r\nX-Slow: ": nil}
	for sent := range slow {
		slow[sent] = s.dial(t)
		fmt.Fprint(slow[sent], sent)
	}
	for sent, conn := range slow {
		if got, err := io.ReadAll(conn); err != nil || strings.Contains(string(got), "200 OK") {
			t.Errorf("after %q: %q, %v; want the connection closed", sent, got, err)
		}
	}
}

func TestServe_HeadersOver16KiBAreRefused(t *testing.T) {
	t.Parallel()
	s := startBinary(t)
	for size, want := range map[int]int{12 << 10: http.StatusOK, 24 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		conn := s.dial(t)
		fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: dueto\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", size))
		if got := readStatus(t, bufio.NewReader(conn)); got != want {
			t.Errorf("%d bytes: status %d, want %d", size, got, want)
		}
	}
}

func TestServe_WriteWhoseClientGoesAwayIsDoneOrNot(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.serve()
	a := s.app()
	const people, each = 12, 5
	for i := range people {
		leaver := a.user(fmt.Sprintf("leaver%d", i))
		for range each {
			leaver.task("of somebody who leaves")
		}
		conn := s.dial(t).(*net.TCPConn)
		body := fmt.Sprintf(`{"password":%q}`, password)
		fmt.Fprintf(conn, "DELETE /users/me?tasks=delete HTTP/1.1\r\nHost: dueto\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", leaver.Access, len(body), body)
		if i%2 == 0 {
			_ = conn.SetLinger(0) // a reset instead of a farewell
		}
		_ = conn.Close()
	}
	s.stop()
	a = p.serve().app()
	left := a.do("GET", "/users?page_size=200&fields=id,task_count", nil).want(http.StatusOK).list()
	for _, u := range left {
		if u["task_count"] != float64(each) {
			t.Errorf("half of a deletion was kept: %v", u)
		}
	}
	tasks := a.do("GET", "/tasks?page_size=200", nil).want(http.StatusOK).list()
	if len(tasks) != len(left)*each {
		t.Errorf("%d tasks are left of %d people", len(tasks), len(left))
	}
}

func TestServe_TwoStartedAtOnceOnANewDatabaseMigrateOnce(t *testing.T) {
	t.Parallel()
	p := newProgram(t).withEmptyDatabase()
	var both [2]*serving
	for i := range both {
		both[i] = p.launch("--public-url=http://dueto.test")
	}
	for _, s := range both {
		s.listening()
	}
	if logs := both[0].stderr.String() + both[1].stderr.String(); strings.Count(logs, "migrated the database") != 1 || strings.Contains(logs, `"ERROR"`) {
		t.Errorf("migrated not once:\n%s", logs)
	}
	for i, s := range both {
		alice := s.app().user(fmt.Sprintf("alice%d", i))
		id := alice.task("made on one")
		alice.app = both[1-i].app()
		alice.do("PATCH", taskPath(id), map[string]any{"title": "changed on the other"}).want(http.StatusOK)
	}
	for _, s := range both {
		s.stop()
	}
	p.run("migrate").want(0).prints("Nothing to migrate.\n", "")
}

func TestServe_LogIsJSONUnlessTextIsAskedFor(t *testing.T) {
	t.Parallel()
	for format, args := range map[string][]string{"json": nil, "JSON": {"--log-format=json"}, "text": {"--log-format=text"}} {
		s := startBinary(t, args...)
		s.app().do("GET", "/healthz", nil, header{"X-Request-Id", "request-of-the-test"}).want(http.StatusOK)
		s.stop()
		requests := 0
		for line := range strings.Lines(s.stderr.String()) {
			var record struct{ Time, Level, Msg, Route string }
			switch {
			case strings.HasPrefix(line, "listening on "):
				continue
			case format != "text":
				if err := json.Unmarshal([]byte(line), &record); err != nil || record.Time == "" || record.Level == "" {
					t.Errorf("not a record: %s", line)
				}
			case !regexp.MustCompile(`^time=\S+ level=[A-Z]+ msg=\S`).MatchString(line):
				t.Errorf("not a record: %s", line)
			}
			if record.Route == "/healthz" || strings.Contains(line, " route=/healthz ") {
				requests++
			}
		}
		if requests != 1 {
			t.Errorf("%s: %d records of the request:\n%s", format, requests, s.stderr)
		}
	}
}

func TestServe_LogHasPatternsAndNothingThatIsSecret(t *testing.T) {
	t.Parallel()
	s := startBinary(t, "--log-level=debug")
	a := s.app()
	id, activation := a.register("alice")
	a.do("GET", activation, nil).want(http.StatusOK)
	a.do("POST", activation, nil).want(http.StatusConflict)
	alice := a.login("alice")
	alice.task("canary of a title")
	a.do("GET", "/tasks?fields=title&ordering=title&person=987654", nil).want(http.StatusOK)
	a.do("GET", "/nowhere/canary-of-a-path", nil).want(http.StatusNotFound)
	a.do("GET", "/tasks?canary=of-a-query", nil).want(http.StatusBadRequest)
	a.do("GET", "/tasks", nil, bearer("canary.of.a-token")).want(http.StatusUnauthorized)
	a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": "canary of a password"}).want(http.StatusUnauthorized)
	a.do("POST", "/auth/register", map[string]any{"username": "alice", "email": "canary@example.com", "password": password}).want(http.StatusBadRequest)
	a.do("GET", userPath(id), nil).want(http.StatusOK)
	s.stop()
	log := s.stderr.String()
	for _, route := range []string{"/auth/activate/:token", "/users/:id", "/tasks", "/auth/login"} {
		if !strings.Contains(log, `"route":"`+route+`"`) {
			t.Errorf("no request of %s in\n%s", route, log)
		}
	}
	for _, hidden := range []string{"canary", "987654", "alice", "example.com", password, filepath.Base(activation), alice.Access, alice.Refresh, "$2a$", "127.0.0.1\""} {
		if strings.Contains(log, hidden) {
			t.Errorf("%q is in the log", hidden)
		}
	}
	if strings.Contains(log, `"ERROR"`) {
		t.Errorf("mistakes of clients are errors of ours:\n%s", log)
	}
}
