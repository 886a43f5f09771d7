package tests

import (
	"fmt"
	"net/http"
	"testing"

	"dueto/config"
)

// runAgain makes an app on PostgreSQL whose writes can be undone, as the server
// does to keep transactions apart.
type runAgain struct {
	*mailApp
	url string
}

func newRunAgain(t *testing.T) *runAgain {
	t.Helper()
	url := emptyPostgres(t)
	r := &runAgain{newMailApp(t, func(c *config.Config) { c.Database, c.Throttle = url, "on" }), url}
	execSQL(t, url, "CREATE SEQUENCE runs", `CREATE FUNCTION undo_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('runs') = 1 THEN RAISE SQLSTATE '40001'; END IF;
		RETURN NULL;
	END $$`, "SELECT setval('runs', 1)") // not yet
	for _, table := range []string{"users", "sessions", "tasks", "api_tokens", "outbox"} {
		execSQL(t, url, "CREATE CONSTRAINT TRIGGER undo AFTER INSERT OR UPDATE OR DELETE ON "+table+
			" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION undo_first()")
	}
	return r
}

// twice undoes the first write of what do asks for, at its commit, and so has it
// run a second time.
func (r *runAgain) twice(do func() *response) *response {
	r.t.Helper()
	r.settle() // the outbox writes, too
	execSQL(r.t, r.url, "SELECT setval('runs', 1, false)")
	answer := do()
	var runs int
	if err := openDatabase(r.t, r.url).QueryRow("SELECT last_value FROM runs").Scan(&runs); err != nil || runs < 2 {
		r.t.Fatalf("%s: nothing was undone, %v", answer.What, err)
	}
	return answer
}

func TestPostgres_AWriteThatIsRunAgainLeavesNothingOfTheFirstTime(t *testing.T) {
	t.Parallel()
	r := newRunAgain(t)
	root := r.staff("root")
	alice := &person{app: r.app}

	registered := r.twice(func() *response { return r.ask("alice", address("alice")) }).want(http.StatusCreated)
	link := r.linkOf(r.wantInbox(address("alice"), subjectActivation)[0])
	r.twice(func() *response { return r.do("POST", link, nil) }).want(http.StatusOK)
	alice.setTokens(r.twice(func() *response {
		return r.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password})
	}).want(http.StatusOK))
	if me := alice.do("GET", "/users/me", nil).want(http.StatusOK); me.id() != registered.id() {
		t.Errorf("she registered as %d and is %d", registered.id(), me.id())
	}
	alice.setTokens(r.twice(func() *response {
		return r.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh})
	}).want(http.StatusOK))
	alice.setTokens(r.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh}).want(http.StatusOK))

	made := r.twice(func() *response { return alice.do("POST", "/tasks", map[string]any{"title": "once"}) }).want(http.StatusCreated)
	first := alice.do("GET", taskPath(made.id()), nil).want(http.StatusOK)
	changed := r.twice(func() *response {
		return alice.do("PATCH", taskPath(made.id()), map[string]any{"title": "twice"}, header{"If-Match", first.Header.Get("ETag")})
	}).want(http.StatusOK)
	if now := alice.do("GET", taskPath(made.id()), nil); string(now.Body) != string(changed.Body) || now.Header.Get("ETag") != changed.Header.Get("ETag") {
		t.Errorf("the change was answered with %s, and is %s", changed.Body, now.Body)
	}
	if list := alice.do("GET", "/tasks?count=exact", nil); list.Header.Get("X-Total-Count") != "1" {
		t.Errorf("there are %s", list.Body)
	}
	r.twice(func() *response { return alice.do("DELETE", taskPath(made.id()), nil) }).want(http.StatusNoContent)

	token := r.twice(func() *response { return alice.do("POST", "/auth/tokens", map[string]any{"name": "script"}) }).want(http.StatusCreated)
	r.do("GET", "/tasks", nil, tokenKey(fmt.Sprint(token.object()["key"]))).want(http.StatusOK)
	if list := alice.do("GET", "/auth/tokens", nil).list(); len(list) != 1 || list[0]["id"] != float64(token.id()) {
		t.Errorf("the tokens are %v", list)
	}

	// Each of these counts against a limit, and writes to somebody.
	r.twice(func() *response { return alice.do("PATCH", "/users/me", map[string]any{"email": "next@example.com"}) }).want(http.StatusOK)
	r.wantInbox("next@example.com", subjectEmailChange)
	r.twice(func() *response {
		return root.do("PATCH", userPath(registered.id()), map[string]any{"email": "staff-says@example.com"})
	}).want(http.StatusOK)
	r.twice(func() *response { return root.do("POST", userPath(registered.id())+"/password/reset", nil) }).want(http.StatusAccepted)
	r.wantInbox("staff-says@example.com", subjectPasswordReset)
	r.wantInbox(address("alice"), subjectActivation, subjectEmailChanging, subjectEmailChanged)

	events := map[string]int{}
	for _, e := range root.do("GET", userPath(registered.id())+"/events?page_size=100", nil).want(http.StatusOK).list() {
		events[fmt.Sprint(e["event"])]++
	}
	for _, event := range []string{"registered", "activated", "login", "API token created", "password reset forced"} {
		if events[event] != 1 {
			t.Errorf("%q is noted %d times", event, events[event])
		}
	}
	r.twice(func() *response { return root.do("DELETE", userPath(registered.id()), nil) }).want(http.StatusNoContent)
}
