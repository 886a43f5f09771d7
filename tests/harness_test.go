// Package tests drives the server as its clients do: over HTTP, through the
// same routes.New that main serves.
package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dueto/config"
	"dueto/models"
	"dueto/routes"
	"dueto/services"
)

// start is what the clock of every test shows at first.
var start = time.Date(2026, 10, 18, 12, 0, 0, 0, time.UTC)

const (
	secret   = "7Qm2vXc9Lr4TzB8nKd1WfH6yJp3GsA5eUo0RiVtE" //nolint:gosec // of tests only
	password = "correct horse battery"
)

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// app is a running server over a database of its own.
type app struct {
	t      testing.TB
	URL    string
	Config config.Config
	Store  *models.Store
	// Services are the server's rules, for what has no route.
	Services *routes.Services
	Clock    *clock
	Log      *syncBuffer
	server   *httptest.Server
	// stopMail ends the sending of mail, and waits for it.
	stopMail func()
}

// newApp starts a server with cheap password hashes and a clock that stands.
func newApp(t testing.TB, change ...func(*config.Config)) *app {
	t.Helper()
	return startApp(t, newDatabase(t), &clock{now: start}, change...)
}

// startApp starts a server over a database, which may be in use already.
func startApp(t testing.TB, database string, clk *clock, change ...func(*config.Config)) *app {
	t.Helper()
	a := &app{t: t, Config: config.Default(), Clock: clk, Log: &syncBuffer{}}
	server := httptest.NewUnstartedServer(nil)
	a.Config.Addr = server.Listener.Addr().String()
	a.Config.PasswordCost = 4
	a.Config.PublicURL = "http://dueto.test"
	a.Config.Database = database
	a.Config.Throttle = "off" // all tests come from one address
	for _, f := range change {
		f(&a.Config)
	}
	if err := a.Config.Check(); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(a.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx := context.Background()
	var err error
	if a.Store, err = models.Open(ctx, a.Config.Database, models.Options{Now: clk.Now, Replicas: a.Config.DatabaseReplicas}); err != nil {
		t.Fatal(err)
	}
	if _, err = a.Store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	deps := routes.Deps{Config: a.Config, Secret: []byte(secret), Store: a.Store, Logger: log, Now: clk.Now}
	if a.Config.SecretFile != "" {
		deps.Secret = nil // it is in the file
	}
	if deps.Services, err = routes.NewServices(deps); err != nil {
		t.Fatal(err)
	}
	a.Services = deps.Services
	handler, err := routes.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	a.sendMail()
	server.Config.Handler = handler
	server.Start()
	a.server, a.URL = server, server.URL
	describe(t, a.URL, describedBy(a.Config))
	t.Cleanup(func() {
		a.stop()
		wantCleanLog(t, a.Log.String())
	})
	return a
}

// databaseFile gives the file of an SQLite database.
func (a *app) databaseFile() string { return strings.TrimPrefix(a.Config.Database, "sqlite:") }

// sendMail sends what waits in the outbox until the server is stopped.
func (a *app) sendMail() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.Services.Outbox.Run(ctx) })
	a.stopMail = func() {
		cancel()
		running.Wait()
	}
}

// stop ends the server; the database stays until the test is over.
func (a *app) stop() {
	if a.server != nil {
		a.server.Close()
		a.server = nil
		a.stopMail()
		a.Services.Close()
		if err := a.Store.Close(); err != nil {
			a.t.Errorf("close the store: %v", err)
		}
	}
}

// restart stops the server and starts another over the same database.
func (a *app) restart() *app {
	a.t.Helper()
	a.stop()
	cfg := a.Config
	return startApp(a.t, a.Config.Database, a.Clock, func(c *config.Config) { *c = cfg })
}

// header is one field of a request.
type header struct{ name, value string }

func bearer(token string) header { return header{"Authorization", "Bearer " + token} }

// response is an answer, read to its end.
type response struct {
	t      testing.TB
	What   string // the request, for messages
	Status int
	Header http.Header
	Body   []byte
}

// do sends a request. body is nil, a string or []byte to send as it is, or a
// value to send as JSON; each but nil goes as application/json unless a header
// says otherwise. Redirects are not followed.
func (a *app) do(method, path string, body any, headers ...header) *response {
	a.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			a.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	url := path
	if strings.HasPrefix(path, "/") {
		url = a.URL + path
	}
	req, err := http.NewRequest(method, url, reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		if h == beyond {
			req = req.WithContext(context.WithValue(req.Context(), beyondTheDocument, true))
		} else if h.value == "" {
			req.Header.Del(h.name)
		} else if h.name == "Content-Type" {
			req.Header.Set(h.name, h.value)
		} else {
			req.Header.Add(h.name, h.value)
		}
	}
	res, err := noRedirects.Do(req)
	if err != nil {
		a.t.Errorf("%s %s: %v", method, path, err) // may be called from a goroutine: no Fatal
		return &response{t: a.t, What: method + " " + path, Header: http.Header{}}
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Errorf("%s %s: read the answer: %v", method, path, err)
	}
	return &response{t: a.t, What: method + " " + path, Status: res.StatusCode, Header: res.Header, Body: read}
}

var noRedirects = &http.Client{
	Transport:     conforming{&http.Transport{MaxIdleConnsPerHost: 128}},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       60 * time.Second,
}

// want checks the status and gives the response back.
func (r *response) want(status int) *response {
	r.t.Helper()
	if r.Status != status {
		r.t.Fatalf("%s: status %d, want %d: %s", r.What, r.Status, status, r.Body)
	}
	return r
}

// wantProblem checks that the answer is the error that is wanted, in full.
func (r *response) wantProblem(status int, code services.Code) *response {
	r.t.Helper()
	r.want(status)
	p := r.object()
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		r.t.Fatalf("%s: Content-Type %q of an error", r.What, got)
	}
	if p["code"] != string(code) || p["status"] != float64(status) || p["title"] != http.StatusText(status) || p["type"] != "about:blank" {
		r.t.Fatalf("%s: want code %q and status %d in %s", r.What, code, status, r.Body)
	}
	if p["detail"] == "" || p["request_id"] != r.Header.Get("X-Request-Id") {
		r.t.Fatalf("%s: detail or request_id is missing in %s", r.What, r.Body)
	}
	if status == http.StatusUnauthorized && !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
		r.t.Fatalf("%s: a 401 without a Bearer challenge", r.What)
	}
	return r
}

// wantFields checks that the error complains of exactly these members.
func (r *response) wantFields(names ...string) *response {
	r.t.Helper()
	r.wantProblem(http.StatusBadRequest, services.CodeInvalid)
	errs, _ := r.object()["errors"].(map[string]any)
	for _, name := range names {
		if list, _ := errs[name].([]any); len(list) == 0 {
			r.t.Fatalf("%s: no complaint about %s in %s", r.What, name, r.Body)
		}
	}
	if len(errs) != len(names) {
		r.t.Fatalf("%s: want complaints about %v only: %s", r.What, names, r.Body)
	}
	return r
}

// decode reads the body as JSON.
func (r *response) decode(into any) {
	r.t.Helper()
	if err := json.Unmarshal(r.Body, into); err != nil {
		r.t.Fatalf("%s: %v in %q", r.What, err, r.Body)
	}
}

func (r *response) object() (o map[string]any) {
	r.t.Helper()
	r.decode(&o)
	return o
}

func (r *response) list() (l []map[string]any) {
	r.t.Helper()
	r.decode(&l)
	return l
}

// id gives the id of the resource that is answered.
func (r *response) id() int64 {
	r.t.Helper()
	var o struct {
		ID int64 `json:"id"`
	}
	r.decode(&o)
	return o.ID
}

// person is an account that is signed in.
type person struct {
	*app
	ID       int64
	Username string
	Access   string
	Refresh  string
}

// do sends a request as the person.
func (p *person) do(method, path string, body any, headers ...header) *response {
	p.t.Helper()
	return p.app.do(method, path, body, append(headers, bearer(p.Access))...)
}

// register makes an account that waits for its confirmation, and gives the path
// of its link.
func (a *app) register(name string) (id int64, activation string) {
	a.t.Helper()
	r := a.do("POST", "/auth/register", map[string]any{
		"username": name, "email": name + "@example.com", "password": password,
	}).want(http.StatusCreated)
	url, _ := r.object()["confirmation_url"].(string)
	return r.id(), strings.TrimPrefix(url, a.Config.PublicURL)
}

// login signs an account in.
func (a *app) login(name string) *person {
	a.t.Helper()
	r := a.do("POST", "/auth/login", map[string]any{"username": name, "password": password}).want(http.StatusOK)
	p := &person{app: a, Username: name}
	p.setTokens(r)
	p.ID = p.do("GET", "/users/me", nil).want(http.StatusOK).id()
	return p
}

func (p *person) setTokens(r *response) {
	o := r.object()
	p.Access, _ = o["access"].(string)
	p.Refresh, _ = o["refresh"].(string)
}

// user makes an account, confirms it and signs it in.
func (a *app) user(name string) *person {
	a.t.Helper()
	_, activation := a.register(name)
	a.do("GET", activation, nil).want(http.StatusOK)
	return a.login(name)
}

// staff makes a superuser and signs it in.
func (a *app) staff(name string) *person {
	a.t.Helper()
	_, err := a.Services.Accounts.CreateSuperuser(context.Background(), services.NewAccount{
		Username: name, Email: name + "@example.com", Password: password,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.login(name)
}

// task makes a task and gives its id.
func (p *person) task(title string, members ...map[string]any) int64 {
	p.t.Helper()
	body := map[string]any{"title": title}
	for _, m := range members {
		for k, v := range m {
			body[k] = v
		}
	}
	return p.do("POST", "/tasks", body).want(http.StatusCreated).id()
}

func taskPath(id int64) string { return fmt.Sprintf("/tasks/%d", id) }

func userPath(id int64) string { return fmt.Sprintf("/users/%d", id) }
