package tests

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/models"
	"dueto/routes"
)

// What a request costs whatever the machine: the statements it sends to the
// database, and what is allocated on the heap while it is answered. A change
// that makes one dearer is seen before anybody measures times; one that makes
// it cheaper is recorded, so that it stays.

const (
	recordCosts = `record what it costs now with "make costs"`
	costTasks   = 2000
	costUsers   = 300
)

// costsFile is where the costs on the engine in use are recorded.
func costsFile() string {
	if onPostgres {
		return "testdata/request_costs_postgres.golden"
	}
	return "testdata/request_costs.golden"
}

// cost is what a request costs.
type cost struct {
	allocations, bytes int64
	statements         []string
}

func (c cost) String() string {
	return fmt.Sprintf("%11d %7d %s", c.allocations, c.bytes, strings.Join(c.statements, ", "))
}

// dearer says by how much a measure is beyond what was recorded, or below it.
// A few allocations come and go with the release of Go.
func dearer(what string, got, recorded, slack int64) string {
	switch over := got - recorded; {
	case over > max(slack, recorded*3/100):
		return fmt.Sprintf("%d %s, %d more than the recorded %d: make it cheaper, or %s", got, what, over, recorded, recordCosts)
	case got < recorded*85/100:
		return fmt.Sprintf("%d %s, %d less than the recorded %d: %s", got, what, -over, recorded, recordCosts)
	}
	return ""
}

// costWork is one kind of request.
type costWork struct {
	name   string
	status int
	next   func(i int) *http.Request
	after  func(answer []byte) // takes what the next request needs
}

// costServer is the handler that main serves, called in this process.
type costServer struct {
	t               testing.TB
	handler         http.Handler
	access, refresh string
	work            []costWork
}

// newCostServer fills a database, the same way every time.
func newCostServer(t testing.TB, wrapped *statements) *costServer {
	t.Helper()
	ctx := context.Background()
	opts := models.Options{Now: func() time.Time { return start }}
	if wrapped != nil {
		opts.Wrap = wrapped.wrap
	}
	cfg := config.Default()
	cfg.PublicURL, cfg.Database = "http://dueto.test", newDatabase(t)
	cfg.PasswordCost, cfg.Throttle = 4, "off"
	store, err := models.Open(ctx, cfg.Database, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := store.Write(ctx, seedCosts); err != nil {
		t.Fatal(err)
	}
	deps := routes.Deps{Config: cfg, Secret: []byte(secret), Store: store, Now: opts.Now,
		Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))} //nolint:sloglint // to format lines is part of the cost
	if deps.Services, err = routes.NewServices(deps); err != nil {
		t.Fatal(err)
	}
	s := &costServer{t: t}
	if s.handler, err = routes.New(deps); err != nil {
		t.Fatal(err)
	}
	s.signIn()
	s.work = s.allWork()
	deps.Services.Close() // writes what signing in left to be written later
	return s
}

// seedCosts makes accounts and tasks; ids are above those that Go keeps without
// an allocation.
func seedCosts(tx models.DB) error {
	now := models.Micros(start)
	for i := range costUsers {
		name := fmt.Sprintf("person%03d", i)
		u := models.User{Username: name, UsernameKey: name, Email: name + "@example.com", EmailKey: name + "@example.com",
			Permissions: "[]", DateJoined: now, ActivatedAt: sql.NullInt64{Int64: now, Valid: true}}
		if err := models.CreateUser(tx, &u); err != nil {
			return err
		}
	}
	for i := range int64(costTasks) {
		person := sql.NullInt64{Int64: costUsers - i%10, Valid: true}
		task := models.Task{
			Title: fmt.Sprintf("Something to do, number %05d", i), Description: "Some words on how it is to be done.", Tags: `["home","later"]`,
			DueTo: sql.NullInt64{Int64: now + i*1_000_000, Valid: i%4 > 0}, Done: i%3 == 0, PersonID: person, CreatedBy: person,
			Priority: i % 5, CreatedAt: now + i, UpdatedAt: now + i,
		}
		if err := models.CreateTask(tx, &task); err != nil {
			return err
		}
	}
	return nil
}

// request makes a request of its own for each call.
func (s *costServer) request(method, path, body string, headers ...header) *http.Request {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		r.Header.Set(h.name, h.value)
	}
	return r
}

// ask sends a request that is not measured.
func (s *costServer) ask(r *http.Request) *httptest.ResponseRecorder {
	s.t.Helper()
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	if answer.Code >= 300 {
		s.t.Fatalf("%s %s answered %d: %s", r.Method, r.URL, answer.Code, answer.Body)
	}
	return answer
}

func (s *costServer) signIn() {
	s.t.Helper()
	var made struct {
		URL string `json:"confirmation_url"`
	}
	answer := s.ask(s.request("POST", "/auth/register", `{"username":"measured","email":"measured@example.com","password":"`+password+`"}`))
	if err := json.Unmarshal(answer.Body.Bytes(), &made); err != nil {
		s.t.Fatal(err)
	}
	s.ask(s.request("POST", strings.TrimPrefix(made.URL, "http://dueto.test"), ""))
	s.takeTokens(s.ask(s.request("POST", "/auth/login", `{"username":"measured","password":"`+password+`"}`)).Body.Bytes())
}

func (s *costServer) takeTokens(answer []byte) {
	s.t.Helper()
	var tokens struct{ Access, Refresh string }
	if err := json.Unmarshal(answer, &tokens); err != nil || tokens.Refresh == "" {
		s.t.Fatalf("%s: %v", answer, err)
	}
	s.access, s.refresh = tokens.Access, tokens.Refresh
}

// makeTask gives the path of a new task.
func (s *costServer) makeTask() string {
	s.t.Helper()
	answer := s.ask(s.request("POST", "/tasks", `{"title":"Soon gone"}`, bearer(s.access)))
	return strings.TrimPrefix(answer.Header().Get("Location"), "http://dueto.test")
}

// deepPage follows the cursors.
func (s *costServer) deepPage() (path string) {
	s.t.Helper()
	path = "/tasks"
	for range 12 {
		link := s.ask(s.request("GET", path, "")).Header().Get("Link")
		path, _, _ = strings.Cut(link[strings.Index(link, "/tasks?"):], ">")
	}
	return path
}

// allWork lists the hot routes.
func (s *costServer) allWork() []costWork {
	get := func(path string, headers ...header) func(int) *http.Request {
		return func(int) *http.Request { return s.request("GET", path, "", headers...) }
	}
	const task = "/tasks/1001"
	tag := s.ask(s.request("GET", task, "")).Header().Get("ETag")
	mine := s.makeTask()
	due := start.Add(time.Hour).Format(time.RFC3339)
	return []costWork{
		{name: "one task, anonymous", status: 200, next: get(task)},
		{name: "one task, signed in", status: 200, next: get(task, bearer(s.access))},
		{name: "one task, unchanged", status: 304, next: get(task, header{"If-None-Match", tag})},
		{name: "first page of 50", status: 200, next: get("/tasks")},
		{name: "first page of 50, signed in", status: 200, next: get("/tasks", bearer(s.access))},
		{name: "filtered page, by due date", status: 200, next: get("/tasks?person=300&done=false&ordering=due_to")},
		{name: "deep page, by cursor", status: 200, next: get(s.deepPage())},
		{name: "create a task", status: 201, next: func(i int) *http.Request {
			return s.request("POST", "/tasks", fmt.Sprintf(`{"title":"Number %05d","due_to":%q,"tags":["home"]}`, i, due), bearer(s.access))
		}},
		{name: "change a task", status: 200, next: func(i int) *http.Request {
			return s.request("PATCH", mine, fmt.Sprintf(`{"title":"Number %05d","done":%t}`, i, i%2 == 0), bearer(s.access))
		}},
		{name: "delete a task", status: 204, next: func(int) *http.Request {
			return s.request("DELETE", s.makeTask(), "", bearer(s.access))
		}},
		{name: "refresh a login", status: 200, after: s.takeTokens, next: func(int) *http.Request {
			return s.request("POST", "/auth/refresh", `{"refresh":"`+s.refresh+`"}`)
		}},
		{name: "one account", status: 200, next: get("/users/300")},
		{name: "page of 50 accounts", status: 200, next: get("/users?ordering=-id")},
	}
}

// answerSink takes an answer into memory that is there already.
type answerSink struct {
	header http.Header
	status int
	body   []byte
}

func (s *answerSink) Header() http.Header         { return s.header }
func (s *answerSink) WriteHeader(status int)      { s.status = status }
func (s *answerSink) Write(p []byte) (int, error) { s.body = append(s.body, p...); return len(p), nil }

// run sends the work's requests one after the other and hands each to measure,
// which calls answer once.
func (s *costServer) run(w costWork, times int, measure func(answer func())) {
	s.t.Helper()
	sink := &answerSink{header: make(http.Header, 32), body: make([]byte, 0, 1<<18)}
	for i := range times {
		clear(sink.header)
		sink.status, sink.body = http.StatusOK, sink.body[:0]
		r := w.next(i)
		measure(func() { s.handler.ServeHTTP(sink, r) })
		if sink.status != w.status {
			s.t.Fatalf("%s: %s %s answered %d: %s", w.name, r.Method, r.URL, sink.status, sink.body)
		}
		if w.after != nil {
			w.after(sink.body)
		}
	}
}

// readCosts gives what was recorded, by the name of the work.
func readCosts(t testing.TB) map[string]cost {
	t.Helper()
	recorded := map[string]cost{}
	text, err := os.ReadFile(costsFile())
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), ": ")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		var c cost
		numbers := strings.Fields(rest)
		if len(numbers) < 3 {
			t.Fatalf("%s: %q is no record", costsFile(), line)
		}
		for i, into := range []*int64{&c.allocations, &c.bytes} {
			if *into, err = strconv.ParseInt(numbers[i], 10, 64); err != nil {
				t.Fatalf("%s: %q: %v", costsFile(), line, err)
			}
		}
		c.statements = strings.Split(strings.Join(numbers[2:], " "), ", ")
		recorded[name] = c
	}
	return recorded
}

// writeCosts records anew, one part of each cost, and the works in their order.
func writeCosts(t testing.TB, work []costWork, set func(name string, c *cost)) {
	t.Helper()
	recorded := readCosts(t)
	text := "# What requests cost, whatever the machine: allocations on the heap, their bytes, and the\n" +
		"# statements that reach the database. Recorded by \"make costs\".\n"
	for _, w := range work {
		c := recorded[w.name]
		set(w.name, &c)
		text += fmt.Sprintf("%-29s %v\n", w.name+":", c)
	}
	if err := os.MkdirAll(filepath.Dir(costsFile()), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(costsFile(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRequestCosts_StatementsAreTheRecordedOnes(t *testing.T) {
	seen := &statements{}
	s := newCostServer(t, seen)
	got := map[string][]string{}
	for _, w := range s.work {
		s.run(w, 3, func(answer func()) {
			seen.take()
			answer()
			sent := outlines(seen.take())
			if before, again := got[w.name]; again && !slices.Equal(before, sent) {
				t.Fatalf("%s: sent %q, and then %q", w.name, before, sent)
			}
			got[w.name] = sent
		})
	}
	if *update {
		writeCosts(t, s.work, func(name string, c *cost) { c.statements = got[name] })
	}
	recorded := readCosts(t)
	for _, w := range s.work {
		if sent, want := got[w.name], recorded[w.name].statements; !slices.Equal(sent, want) {
			t.Errorf("%s: %d statements, where %d are recorded:\n\tsent     %s\n\trecorded %s\nIf that is meant, %s.",
				w.name, len(sent), len(want), strings.Join(sent, ", "), strings.Join(want, ", "), recordCosts)
		}
	}
	if len(recorded) != len(s.work) {
		t.Errorf("%d works are recorded and %d are measured: %s", len(recorded), len(s.work), recordCosts)
	}
}

func TestRequestCosts_AllocationsAreTheRecordedOnes(t *testing.T) {
	if raceDetector {
		t.Skip(`the race detector allocates too: "make test" runs this once more, without it`)
	}
	s := newCostServer(t, nil)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would empty the pools
	got := map[string]cost{}
	for _, w := range s.work {
		runtime.GC()
		got[w.name] = s.allocated(w)
	}
	if *update {
		writeCosts(t, s.work, func(name string, c *cost) { c.allocations, c.bytes = got[name].allocations, got[name].bytes })
	}
	recorded := readCosts(t)
	for _, w := range s.work {
		c, want := got[w.name], recorded[w.name]
		for _, complaint := range []string{
			dearer("allocations", c.allocations, want.allocations, 2),
			dearer("bytes allocated", c.bytes, want.bytes, 512),
		} {
			if complaint != "" {
				t.Errorf("%s: %s.", w.name, complaint)
			}
		}
	}
}

// allocated gives the middle of what the work's requests allocate: one of them
// may meet a map that grows, or another goroutine's work.
func (s *costServer) allocated(w costWork) cost {
	s.t.Helper()
	s.run(w, 20, func(answer func()) { answer() }) // fills pools and caches
	var allocations, bytes []int64
	var before, after runtime.MemStats
	s.run(w, 61, func(answer func()) {
		runtime.ReadMemStats(&before)
		answer()
		runtime.ReadMemStats(&after)
		allocations = append(allocations, int64(after.Mallocs-before.Mallocs))
		bytes = append(bytes, int64(after.TotalAlloc-before.TotalAlloc))
	})
	slices.Sort(allocations)
	slices.Sort(bytes)
	return cost{allocations: allocations[len(allocations)/2], bytes: bytes[len(bytes)/2]}
}

func TestRequestCosts_RecordHoldsBothWays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		got, recorded int64
		want          string
	}{
		{100, 100, ""}, {103, 100, ""}, {104, 100, "4 more than the recorded 100"}, {12, 10, ""}, {13, 10, "3 more"},
		{85, 100, ""}, {84, 100, "16 less than the recorded 100"}, {5, 0, "5 more"}, {1030, 1000, ""}, {1031, 1000, "31 more"},
	} {
		got := dearer("allocations", tt.got, tt.recorded, 2)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%d where %d are recorded: %q, want %q", tt.got, tt.recorded, got, tt.want)
		}
	}
	for statement, want := range map[string]string{
		"SELECT id, title\n\tFROM tasks WHERE id = ?": "SELECT tasks", "INSERT INTO `tasks` (`a`) VALUES (?) RETURNING `id`": "INSERT tasks",
		`UPDATE "users" SET x = 1`: "UPDATE users", "DELETE FROM sessions WHERE id = ?": "DELETE sessions", "RELEASE one_write": "RELEASE",
		"COMMIT": "COMMIT", "SELECT a FROM (SELECT b FROM tasks) AS r": "SELECT tasks", "SAVEPOINT one_write": "SAVEPOINT",
	} {
		if got := outline(statement); got != want {
			t.Errorf("%q in short: %q, want %q", statement, got, want)
		}
	}
}
