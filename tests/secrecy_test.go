package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

// The words of the run, each unlike anything that a log has by itself.
const (
	spyName        = "zanzibarina"
	spyAddress     = "quokkas.mail@vexillology.example"
	spyPassword    = "umbrageous walrus parade"
	wrongPassword  = "perfidious lamprey waltz"
	secondPassword = "sesquipedalian heron choir"
	spyTitle       = "Feed the axolotl discreetly"
	spyText        = "Its tank stands behind the harpsichord"
	spyTag         = "crepuscular"
	spyQuery       = "2031-07-19T03:04:05Z"
	spyMember      = "favouriteMarsupial"
)

// spyNotes collects what a run sends and gets.
type spyNotes struct {
	*app
	answers []*response
	tokens  []string // issued by the server
}

func (n *spyNotes) do(method, path string, body any, headers ...header) *response {
	n.t.Helper()
	r := n.app.do(method, path, body, headers...)
	n.answers = append(n.answers, r)
	var pair struct{ Access, Refresh string }
	if json.Unmarshal(r.Body, &pair) == nil && pair.Access != "" {
		n.tokens = append(n.tokens, pair.Access, pair.Refresh)
	}
	return r
}

func (n *spyNotes) login(username, password string, status int) (access, refresh string) {
	n.t.Helper()
	n.do("POST", "/auth/login", map[string]any{"username": username, "password": password}).want(status)
	if status != http.StatusOK {
		return "", ""
	}
	last := n.tokens[len(n.tokens)-2:]
	return last[0], last[1]
}

// eventfulRun lets one person live through all that can happen, and breaks the
// database at its end.
func eventfulRun(t *testing.T) *spyNotes {
	t.Helper()
	n := &spyNotes{app: newApp(t)}
	account := map[string]any{"username": spyName, "email": spyAddress, "password": spyPassword}
	r := n.do("POST", "/auth/register", account).want(http.StatusCreated)
	link := strings.TrimPrefix(r.object()["confirmation_url"].(string), n.Config.PublicURL)
	n.tokens = append(n.tokens, strings.TrimPrefix(link, "/auth/activate/"))
	n.do("POST", "/auth/register", account).want(http.StatusBadRequest)
	n.login(spyName, spyPassword, http.StatusUnauthorized)
	n.do("POST", "/auth/activate/resend", map[string]any{"email": spyAddress}).want(http.StatusAccepted)
	n.do("HEAD", link, nil).want(http.StatusOK)
	n.do("GET", link, nil, browserAccept).want(http.StatusOK)
	n.do("HEAD", link+"?"+url.Values{spyMember: {spyText}}.Encode(), nil).want(http.StatusOK)
	n.do("GET", link+"x", nil).want(http.StatusUnauthorized)
	n.do("PUT", link, nil).want(http.StatusMethodNotAllowed)
	n.do("GET", link+"/more", nil).want(http.StatusNotFound)
	n.do("POST", link, nil).want(http.StatusOK)
	n.do("POST", link, nil).want(http.StatusConflict)
	n.login(spyName, wrongPassword, http.StatusUnauthorized)
	n.login(spyAddress, wrongPassword, http.StatusUnauthorized)
	n.login("nobody."+spyAddress, wrongPassword, http.StatusUnauthorized)

	access, refresh := n.login(spyAddress, spyPassword, http.StatusOK)
	spy := bearer(access)
	task := map[string]any{"title": spyTitle, "description": spyText, "tags": []string{spyTag}}
	path := taskPath(n.do("POST", "/tasks", task, spy).want(http.StatusCreated).id())
	n.do("PATCH", path, map[string]any{"title": spyTitle + "!", "person": 99}, spy).want(http.StatusBadRequest)
	n.do("POST", "/tasks", `{"title":"`+spyTitle+`"`, spy).want(http.StatusBadRequest)
	n.do("POST", "/tasks", map[string]any{"title": spyTitle, spyMember: spyText}, spy).want(http.StatusBadRequest)
	n.do("POST", "/tasks", spyText, spy, header{"Content-Type", "text/plain"}).want(http.StatusUnsupportedMediaType)
	n.do("GET", "/tasks?due_before="+url.QueryEscape(spyQuery), nil, spy).want(http.StatusOK)
	n.do("GET", "/tasks?"+spyMember+"="+url.QueryEscape(spyText), nil).want(http.StatusBadRequest)
	n.do("GET", "/tasks?access_token="+access, nil).want(http.StatusBadRequest)
	n.do("GET", "/users/"+spyName, nil).want(http.StatusNotFound)
	n.do("GET", "/users/me", nil, bearer(access+"x")).want(http.StatusUnauthorized)
	n.do("GET", "/users/me", nil, spy, spy).want(http.StatusBadRequest)
	n.do("GET", "/users/me", nil, spy).want(http.StatusOK)
	n.do("GET", "/users", nil, spy).want(http.StatusOK)
	n.do("POST", "/auth/verify", map[string]any{"token": access}).want(http.StatusOK)

	rotated := n.do("POST", "/auth/refresh", map[string]any{"refresh": refresh}).want(http.StatusOK).object()
	n.do("POST", "/auth/logout", map[string]any{"refresh": rotated["refresh"]}).want(http.StatusNoContent)
	_, refresh = n.login(spyName, spyPassword, http.StatusOK)
	n.do("POST", "/auth/refresh", map[string]any{"refresh": refresh}).want(http.StatusOK)
	n.Clock.Advance(11 * time.Second)
	n.do("POST", "/auth/refresh", map[string]any{"refresh": refresh}).want(http.StatusUnauthorized)
	if err := n.Services.Accounts.SetPassword(context.Background(), spyName, secondPassword); err != nil {
		t.Fatal(err)
	}
	access, refresh = n.login(spyName, secondPassword, http.StatusOK)
	spy = bearer(access)
	n.do("DELETE", "/users/me", map[string]any{"password": wrongPassword}, spy).want(http.StatusBadRequest)

	n.breakTable("tasks")
	n.do("POST", "/tasks", task, spy).wantProblem(http.StatusInternalServerError, services.CodeInternal)
	n.do("PATCH", path, task, spy).wantProblem(http.StatusInternalServerError, services.CodeInternal)
	n.do("GET", "/tasks?due_before="+url.QueryEscape(spyQuery), nil, spy).wantProblem(http.StatusInternalServerError, services.CodeInternal)
	n.breakTable("sessions")
	n.do("GET", "/users/me", nil, spy).wantProblem(http.StatusInternalServerError, services.CodeInternal)
	n.login(spyName, secondPassword, http.StatusInternalServerError)
	n.breakTable("users")
	account["username"], account["email"] = "other."+spyName, "other."+spyAddress
	n.do("POST", "/auth/register", account).wantProblem(http.StatusInternalServerError, services.CodeInternal)
	n.do("POST", link, nil).wantProblem(http.StatusInternalServerError, services.CodeInternal)

	if err := n.Store.Close(); err != nil {
		t.Fatal(err)
	}
	n.do("POST", "/auth/logout", map[string]any{"refresh": refresh}).wantProblem(http.StatusServiceUnavailable, services.CodeStorage)
	n.do("POST", link, nil).wantProblem(http.StatusServiceUnavailable, services.CodeStorage)
	n.server.Close()
	n.server = nil // the store is closed already
	return n
}

// breakTable takes a table away behind the server's back.
func (a *app) breakTable(name string) {
	a.t.Helper()
	db := openDatabase(a.t, a.Config.Database)
	if _, err := db.Exec("ALTER TABLE " + name + " RENAME TO broken_" + name); err != nil {
		a.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		a.t.Fatal(err)
	}
}

// wantNone checks that a text holds none of the secrets, as they are or as
// they stand in a URL.
func wantNone(t *testing.T, where string, text []byte, secrets []string) {
	t.Helper()
	if len(text) == 0 {
		t.Fatalf("%s is empty", where)
	}
	for _, s := range secrets {
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			if at := bytes.Index(text, []byte(form)); at >= 0 {
				t.Errorf("%s holds %q: ...%s...", where, form, text[max(0, at-150):min(len(text), at+len(form)+50)])
				break
			}
		}
	}
}

// partsOf gives the tokens and the segments that are theirs alone.
func partsOf(tokens []string) (parts []string) {
	for _, token := range tokens {
		segments := strings.Split(token, ".")
		parts = append(parts, token, segments[1], segments[2])
	}
	return parts
}

func TestSecrecy_LogDatabaseAndAnswersKeepSecrets(t *testing.T) {
	t.Parallel()
	n := eventfulRun(t)
	if len(n.tokens) < 11 {
		t.Fatalf("%d tokens were issued", len(n.tokens))
	}
	passwords := []string{spyPassword, wrongPassword, secondPassword}
	issued := partsOf(n.tokens)
	said := []string{spyName, spyAddress, "vexillology", "quokkas", spyTitle, "axolotl", spyText, spyTag, spyQuery, "2031-07-19", spyMember, "$2a$", secret}
	log := n.Log.String()
	wantNone(t, "the log", []byte(log), slices.Concat(passwords, issued, said))
	noTable := "no such table"
	if onPostgres {
		noTable = "does not exist (SQLSTATE 42P01)"
	}
	for _, written := range []string{`"route":"/auth/activate/:token"`, `"msg":"request failed"`, noTable} {
		if !strings.Contains(log, written) {
			t.Errorf("the log does not say %s: it was not the one to look at", written)
		}
	}

	wantNone(t, "the database", atRest(t, n.Config.Database), slices.Concat(passwords, issued, []string{secret}))
	for _, r := range n.answers {
		text := bytes.Clone(r.Body)
		for name, values := range r.Header {
			text = append(text, (name + ": " + strings.Join(values, ", ") + "\n")...)
		}
		wantNone(t, "the answer to "+r.What, text, append(passwords, "$2a$", "v1$", "password_hash", "SELECT", "INSERT", "sqlite", "SQLSTATE", "postgres", noTable, ".go:"))
	}
}

func TestSQLite_WALHoldsNoSecretsWhileRunning(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	spent := alice.Refresh
	alice.rotate()
	wal, err := os.ReadFile(a.databaseFile() + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(wal, []byte("alice@example.com")) {
		t.Fatal("the log file of the database does not hold what was written last")
	}
	wantNone(t, "the database-wal", wal, append(partsOf([]string{alice.Access, alice.Refresh, spent}), password))
}

// securityEvents reads the records of their own out of the log.
func (a *app) securityEvents() (events []map[string]any) {
	a.t.Helper()
	for line := range strings.Lines(a.Log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			a.t.Fatalf("%v in the log line %q", err, line)
		}
		if record["msg"] == "security event" {
			delete(record, "time")
			events = append(events, record)
		}
	}
	return events
}

func TestSecurityEvents_AreRecordsOfTheirOwn(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	var want []map[string]any
	expect := func(r *response, event string, userID float64, more map[string]any) *response {
		record := map[string]any{"level": "INFO", "msg": "security event", "event": event, "user_id": userID, "request_id": r.Header.Get("X-Request-Id")}
		maps.Copy(record, more)
		want = append(want, record)
		return r
	}
	r := a.do("POST", "/auth/register", map[string]any{"username": "alice", "email": "alice@example.com", "password": password}, header{"X-Request-Id", "the-first.1"})
	link := strings.TrimPrefix(expect(r, "registered", 1, nil).object()["confirmation_url"].(string), a.Config.PublicURL)
	expect(a.loginAs("alice", password), "login failed", 1, nil) // not confirmed yet
	expect(a.do("POST", link, nil), "activated", 1, nil)
	a.do("POST", link, nil).want(http.StatusConflict) // what did not happen is no event
	expect(a.loginAs("alice", "not the password"), "login failed", 1, nil)
	expect(a.loginAs("nobody", password), "login failed", 0, nil)
	first, second := map[string]any{"session_id": 1.0}, map[string]any{"session_id": 2.0}
	o := expect(a.loginAs("alice", password), "login", 1, first).object()
	a.refreshWith(o["refresh"].(string)).want(http.StatusOK)
	expect(a.logoutWith(o["refresh"].(string)), "logout", 1, first)
	a.logoutWith(o["refresh"].(string)).want(http.StatusNoContent)
	o = expect(a.loginAs("alice", password), "login", 1, second).object()
	a.refreshWith(o["refresh"].(string)).want(http.StatusOK)
	a.Clock.Advance(time.Minute)
	expect(a.refreshWith(o["refresh"].(string)), "refresh token reused", 1, second)

	got := a.securityEvents()
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("event %d: got  %v\nwant %v", i, got[i], want[i])
		}
	}
	if want[0]["request_id"] != "the-first.1" {
		t.Errorf("a well-formed request id was replaced by %v", want[0]["request_id"])
	}
}

func TestSecurityEvents_ARefusedChangeIsNotRecorded(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, root := a.user("alice"), a.staff("root")
	before := len(a.securityEvents())
	root.do("PATCH", userPath(alice.ID), map[string]any{"is_active": false, "username": "root"}).wantFields("username")
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	if events := a.securityEvents()[before:]; len(events) != 0 {
		t.Errorf("recorded: %v", events)
	}
}
