package tests

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

func eventsPath(id int64) string { return userPath(id) + "/events" }

// eventsOf gives what happened to an account as somebody sees it, oldest first.
func (p *person) eventsOf(id int64) []map[string]any {
	p.t.Helper()
	list := p.do("GET", eventsPath(id)+"?page_size=200", nil).want(http.StatusOK).list()
	slices.Reverse(list)
	return list
}

func eventKinds(events []map[string]any) (kinds []string) {
	for _, e := range events {
		kinds = append(kinds, e["event"].(string))
	}
	return kinds
}

// loggedEvents gives the log's records of an account as the API should give
// them: without a time and an id.
func (a *app) loggedEvents(id int64) (events []map[string]any) {
	a.t.Helper()
	for _, record := range a.securityEvents() {
		if record["user_id"] != float64(id) {
			continue
		}
		event := map[string]any{"event": record["event"], "by": record["by"], "session": record["session_id"], "request_id": record["request_id"]}
		if event["request_id"] == "" {
			event["request_id"] = nil
		}
		events = append(events, event)
	}
	return events
}

// eventWant is what is expected of an event of one's own.
type eventWant struct {
	kind    string
	by      any // an id, or nil
	session any
}

// eventRun makes everything happen to alice that there is an event for.
type eventRun struct {
	*app
	alice, boss *person
	want        []eventWant
	requests    []any // the request id of each
	answers     []*response
}

// is notes that a request leaves an event of alice's.
func (e *eventRun) is(r *response, status int, kind string, more ...any) *response {
	e.t.Helper()
	r.want(status)
	want := eventWant{kind: kind}
	for i := 0; i < len(more); i += 2 {
		if more[i] == "by" {
			want.by = float64(more[i+1].(int64))
		} else {
			want.session = float64(more[i+1].(int))
		}
	}
	e.want = append(e.want, want)
	e.requests = append(e.requests, r.Header.Get("X-Request-Id"))
	e.answers = append(e.answers, r)
	return r
}

// mailed gives the token of the link in the newest message to alice, as an
// operator reads it.
func (e *eventRun) mailed() string {
	e.t.Helper()
	list, err := e.Services.Outbox.Messages(context.Background())
	if err != nil {
		e.t.Fatal(err)
	}
	shown, err := e.Services.Outbox.Show(context.Background(), list[0].ID)
	if err != nil {
		e.t.Fatal(err)
	}
	links := mailURL.FindAllString(shown.Text, -1)
	return links[0][strings.LastIndexByte(links[0], '/')+1:]
}

const eventSpy = "kookaburra" // alice's name, her address, and part of her passwords

func newEventRun(t *testing.T) *eventRun {
	t.Helper()
	e := &eventRun{app: newApp(t)}
	e.boss = e.staff("boss")
	const first, second, third = eventSpy + " sings once", eventSpy + " sings twice", eventSpy + " sings thrice"
	const mail = "laughing." + eventSpy + "@example.com"
	name := "bird-" + eventSpy[:4] // passwords must not hold the name
	login := func(password string) *response { return e.loginAs(name, password) }
	wrong := "not the " + eventSpy

	registered := e.is(e.do("POST", "/auth/register", map[string]any{"username": name, "email": mail, "password": first}), 201, "registered")
	e.is(login(first), 401, "login failed")
	e.is(e.do("POST", "/auth/activate/resend", map[string]any{"email": mail}), 202, "activation asked for")
	link := strings.TrimPrefix(registered.object()["confirmation_url"].(string), e.Config.PublicURL)
	e.is(e.do("POST", link, nil), 200, "activated")
	e.is(login(wrong), 401, "login failed")
	e.is(login(first), 200, "login", "session", 2) // the first is the staff's
	e.alice = &person{app: e.app, ID: registered.id(), Username: name}
	e.alice.setTokens(e.is(login(first), 200, "login", "session", 3))
	e.is(e.alice.do("DELETE", "/auth/sessions/2", nil), 204, "session ended", "session", 2)
	third3 := e.is(login(first), 200, "login", "session", 4).object()
	e.is(e.logoutWith(third3["refresh"].(string)), 204, "logout", "session", 4)
	e.is(login(first), 200, "login", "session", 5)
	e.is(e.alice.do("DELETE", "/auth/sessions", nil), 204, "sessions ended")
	spent := e.is(login(first), 200, "login", "session", 6).object()["refresh"].(string)
	e.refreshWith(spent).want(200)
	e.Clock.Advance(time.Minute)
	e.is(e.refreshWith(spent), 401, "refresh token reused", "session", 6)

	change := func(old, next string) *response {
		return e.alice.do("POST", "/auth/password/change", map[string]any{"old_password": old, "new_password": next})
	}
	e.is(change(wrong, second), 400, "wrong password at its change")
	e.is(change(first, second), 204, "password changed")
	e.is(e.alice.do("DELETE", "/users/me", map[string]any{"password": wrong}), 400, "wrong password at deletion")
	e.is(e.do("POST", "/auth/password/reset", map[string]any{"email": mail}), 202, "password reset asked for")
	e.is(e.do("POST", "/auth/password/reset/confirm", map[string]any{"token": e.mailed(), "new_password": third}), 204, "password reset")
	e.alice.setTokens(e.is(login(third), 200, "login", "session", 7))
	e.is(e.alice.do("PATCH", "/users/me", map[string]any{"email": "next." + mail}), 200, "email change asked for")
	e.is(e.do("POST", "/auth/email/confirm/"+e.mailedOf("email_change"), nil), 200, "email changed")
	e.is(e.alice.do("POST", "/auth/tokens", map[string]any{"name": eventSpy + "'s"}), 201, "API token created")
	e.is(e.alice.do("DELETE", "/auth/tokens/1", nil), 204, "API token revoked")

	staff := func(body map[string]any) *response { return e.boss.do("PATCH", userPath(e.alice.ID), body) }
	e.is(staff(map[string]any{"permissions": []string{"tasks.view"}}), 200, "permissions changed", "by", e.boss.ID)
	e.is(staff(map[string]any{"is_staff": true}), 200, "staff changed", "by", e.boss.ID)
	e.is(staff(map[string]any{"is_staff": false}), 200, "staff changed", "by", e.boss.ID)
	e.is(staff(map[string]any{"is_active": false}), 200, "deactivated", "by", e.boss.ID)
	e.is(staff(map[string]any{"is_active": true}), 200, "activated", "by", e.boss.ID)
	e.is(staff(map[string]any{"email": "moved." + mail}), 200, "email changed", "by", e.boss.ID)
	e.is(e.boss.do("POST", userPath(e.alice.ID)+"/password/reset", nil), 202, "password reset forced", "by", e.boss.ID)
	e.is(e.do("POST", "/auth/password/reset/confirm", map[string]any{"token": e.mailed(), "new_password": first}), 204, "password reset")
	e.alice.setTokens(e.is(login(first), 200, "login", "session", 8))
	return e
}

// mailedOf is mailed, for the newest message of a kind.
func (e *eventRun) mailedOf(kind string) string {
	e.t.Helper()
	list, err := e.Services.Outbox.Messages(context.Background())
	if err != nil {
		e.t.Fatal(err)
	}
	for _, m := range list {
		if m.Kind != kind {
			continue
		}
		shown, err := e.Services.Outbox.Show(context.Background(), m.ID)
		if err != nil {
			e.t.Fatal(err)
		}
		link := mailURL.FindString(shown.Text)
		return link[strings.LastIndexByte(link, '/')+1:]
	}
	e.t.Fatalf("no message is of the kind %s", kind)
	return ""
}

func TestEvents_TellWhatHappenedByWhomAndWhere(t *testing.T) {
	t.Parallel()
	e := newEventRun(t)
	got := e.boss.eventsOf(e.alice.ID)
	own := e.alice.eventsOf(e.alice.ID)
	if len(own) != len(got) {
		t.Fatalf("oneself sees %d events, staff %d", len(own), len(got))
	}
	for i, event := range own { // where staff sit is not told
		bySomebody := event["by"] != nil
		if (event["address"] == nil) != bySomebody || (event["request_id"] == nil) != bySomebody || event["event"] != got[i]["event"] {
			t.Errorf("oneself sees %v", event)
		}
	}
	if len(got) != len(e.want) {
		t.Fatalf("%d events, want %d: %q", len(got), len(e.want), eventKinds(got))
	}
	for i, want := range e.want {
		o := map[string]any{
			"id": got[i]["id"], "at": got[i]["at"], "event": want.kind, "by": want.by, "session": want.session,
			"address": "127.0.0.1", "request_id": e.requests[i],
		}
		if !reflect.DeepEqual(got[i], o) {
			t.Errorf("event %d: got  %v\nwant %v", i, got[i], o)
		}
		if i > 0 && got[i]["id"].(float64) <= got[i-1]["id"].(float64) {
			t.Errorf("event %d has the id %v, the one before %v", i, got[i]["id"], got[i-1]["id"])
		}
	}
	if got[0]["at"] != "2026-10-18T12:00:00Z" || got[len(got)-1]["at"] != "2026-10-18T12:01:00Z" {
		t.Errorf("the times are %v to %v", got[0]["at"], got[len(got)-1]["at"])
	}
	for i, logged := range e.loggedEvents(e.alice.ID) {
		for name, value := range logged {
			if got[i][name] != value {
				t.Errorf("event %d: its %s is %v, in the log %v", i, name, got[i][name], value)
			}
		}
	}
	if n := len(e.loggedEvents(e.alice.ID)); n != len(got) {
		t.Errorf("%d are in the log, %d are kept", n, len(got))
	}
	// Neither who is concerned nor what was typed is in any.
	body := e.boss.do("GET", eventsPath(e.alice.ID)+"?page_size=200", nil).want(200).Body
	wantNone(t, "the events", []byte(strings.ToLower(string(body))), []string{eventSpy, "bird-", "example", "boss", "dueto_"})
	wantNone(t, "the events", body, []string{"eyJ"}) // as tokens begin; the ids of requests have capitals only
}

func TestEvents_OfOperatorsHaveNeitherRequestNorAddress(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	id, _ := a.register("alice")
	accounts, ctx := a.Services.Accounts, context.Background()
	name := "alice"
	for _, change := range []func() error{
		func() error { return accounts.ActivateByName(ctx, name) },
		func() error { return accounts.SetPassword(ctx, name, secondPassword) },
		func() error { _, err := accounts.GrantByName(ctx, name, "tasks.view"); return err },
		func() error { return accounts.PromoteByName(ctx, name) },
		func() error {
			_, _, err := a.Services.APITokens.CreateByName(ctx, name, services.NewAPIToken{Name: "script"}, false)
			return err
		},
		func() error { return a.Services.APITokens.RevokeByID(ctx, 1) },
		func() error { return accounts.DeactivateByName(ctx, name) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	got := boss.eventsOf(id)[1:] // it was registered
	want := []string{
		"activated by operator", "password set", "permissions changed by operator", "staff changed by operator",
		"API token created", "API token revoked", "deactivated by operator",
	}
	if !slices.Equal(eventKinds(got), want) {
		t.Errorf("the events are %q, want %q", eventKinds(got), want)
	}
	for _, event := range got {
		for _, member := range []string{"by", "session", "address", "request_id"} {
			if event[member] != nil {
				t.Errorf("%s has %s %v", event["event"], member, event[member])
			}
		}
	}
	if got := eventKinds(boss.eventsOf(boss.ID)); !slices.Equal(got, []string{"superuser created", "login"}) {
		t.Errorf("the superuser's events are %q", got)
	}
	r := boss.do("POST", "/users", map[string]any{"username": "made", "email": "made@example.com", "password": password}).want(http.StatusCreated)
	if got := boss.eventsOf(r.id()); len(got) != 1 || got[0]["event"] != "user created" || got[0]["by"] != float64(boss.ID) {
		t.Errorf("the events of one whom staff made are %v", got)
	}
}

func TestEvents_AThrottledLoginHasTheAddressThatItCameFrom(t *testing.T) {
	t.Parallel()
	a, stranger := throttledApp(t), strangers()
	alice := a.user("alice")
	a.guessed(stranger, "alice")
	r := a.loginFrom(from("203.0.113.9"), "alice", password).wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	events := alice.eventsOf(alice.ID)
	last := events[len(events)-1]
	if last["event"] != "login throttled" || last["address"] != "203.0.113.9" || last["request_id"] != r.Header.Get("X-Request-Id") || last["session"] != nil {
		t.Errorf("the last event is %v", last)
	}
	if failed := events[len(events)-2]; failed["event"] != "login failed" || !strings.HasPrefix(failed["address"].(string), "198.51.") {
		t.Errorf("the one before is %v", failed)
	}
}

func TestEvents_AreForOneselfForStaffAndForThoseWhoMayViewUsers(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice, bob, viewer, changer := a.staff("boss"), a.user("alice"), a.user("bob"), a.user("viewer"), a.user("changer")
	permGrant(boss, viewer.ID, services.PermViewUsers)
	permGrant(boss, changer.ID, services.PermChangeUsers, services.PermAddUsers, services.PermDeleteUsers)
	pending, _ := a.register("pending")
	want := string(alice.do("GET", "/users/me/events", nil).want(http.StatusOK).Body)
	for name, r := range map[string]*response{
		"alice":             alice.do("GET", eventsPath(alice.ID), nil),
		"staff":             boss.do("GET", eventsPath(alice.ID), nil),
		"users.view":        viewer.do("GET", eventsPath(alice.ID), nil),
		"alice's token":     alice.apiToken("x", []string{"users.view"}).do("GET", eventsPath(alice.ID), nil),
		"staff's token":     boss.apiToken("x", []string{"users.view"}).do("GET", eventsPath(alice.ID), nil),
		"staff's unlimited": boss.apiToken("x", nil).do("GET", eventsPath(alice.ID), nil),
		"a viewer's token":  viewer.apiToken("x", []string{"users.view"}).do("GET", eventsPath(alice.ID), nil),
	} {
		if got := string(r.want(http.StatusOK).Body); got != want && name != "alice's token" && !strings.Contains(got, `"API token created"`) {
			t.Errorf("%s sees %s, want %s", name, got, want)
		}
		if r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: it may be cached", name)
		}
	}
	for _, p := range []*person{bob, changer} {
		p.do("GET", eventsPath(alice.ID), nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
		p.do("GET", eventsPath(boss.ID), nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
		p.do("GET", eventsPath(pending), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
		p.do("GET", eventsPath(999), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	}
	bob.apiToken("x", nil).do("GET", eventsPath(alice.ID), nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	wantScopeRefusal(t, boss.apiToken("x", allBut("users.view")).do("GET", eventsPath(alice.ID), nil), "users.view")
	for _, path := range []string{eventsPath(alice.ID), eventsPath(999), "/users/me/events"} {
		a.do("GET", path, nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
	viewer.do("GET", eventsPath(pending), nil).want(http.StatusOK)
	boss.do("GET", eventsPath(999), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		boss.do(method, eventsPath(alice.ID), map[string]any{}).wantProblem(http.StatusMethodNotAllowed, services.CodeMethodNotAllowed)
	}
}

func TestEvents_ComeInPagesNewestFirst(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	for range 3 {
		a.loginAs("alice", "not the password").want(http.StatusUnauthorized)
		a.loginAs("bob", "not the password").want(http.StatusUnauthorized)
	}
	all := alice.do("GET", "/users/me/events", nil).want(http.StatusOK)
	ids := all.listIDs()
	if len(ids) != 6 || !slices.IsSortedFunc(ids, func(x, y int64) int { return int(y - x) }) || all.Header.Get("Link") != "" {
		t.Fatalf("the ids are %v, Link %q", ids, all.Header.Get("Link"))
	}
	for _, path := range []string{"/users/me/events", eventsPath(alice.ID)} {
		for _, size := range []int{1, 4, 5, 6, 200} {
			var walked []int64
			page := alice.do("GET", fmt.Sprint(path, "?page_size=", size), nil).want(http.StatusOK)
			for {
				if n := len(page.listIDs()); n > size {
					t.Errorf("page_size %d gives %d", size, n)
				}
				walked = append(walked, page.listIDs()...)
				next := page.listLinks()["next"]
				if next == nil || len(walked) > 50 {
					break
				}
				if next.Path != eventsPath(alice.ID) || next.Host != "dueto.test" {
					t.Errorf("the next page is %s", next)
				}
				if len(walked) == size { // what comes meanwhile moves no page
					a.loginAs("alice", "not the password").want(http.StatusUnauthorized)
				}
				page = alice.do("GET", next.RequestURI(), nil).want(http.StatusOK)
			}
			if len(walked) < 6 || !slices.Equal(walked[len(walked)-6:], ids) || len(slices.Compact(slices.Clone(walked))) != len(walked) {
				t.Errorf("%s: in pages of %d come %v, want %v at the end", path, size, walked, ids)
			}
		}
	}
	second := alice.do("GET", "/users/me/events?page_size=2&page=2", nil).want(http.StatusOK).listIDs()
	if first := alice.do("GET", "/users/me/events?page_size=4", nil).want(http.StatusOK).listIDs(); !slices.Equal(second, first[2:]) {
		t.Errorf("page 2 is %v of %v", second, first)
	}
	for query, member := range map[string]string{
		"page_size=0": "page_size", "page_size=201": "page_size", "page_size=x": "page_size", "cursor=x": "cursor", "cursor=": "cursor",
		"ordering=id": "ordering", "event=login": "event", "page=0": "page",
	} {
		alice.do("GET", "/users/me/events?"+query, nil).wantFields(member)
	}
	// Another list's cursor gives nothing of another account's.
	cursor := alice.do("GET", "/users/me/events?page_size=1", nil).listLinks()["next"].Query().Get("cursor")
	r := bob.do("GET", "/users/me/events?cursor="+url.QueryEscape(cursor), nil)
	if r.Status == http.StatusOK {
		for _, id := range r.listIDs() {
			if slices.Contains(ids, id) {
				t.Errorf("bob sees alice's event %d", id)
			}
		}
	}
}

func TestEvents_AFloodOfOneKindDoesNotWashAwayTheOthers(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	a.loginAs("bob", "not the password").want(http.StatusUnauthorized)
	const flood, kept = 130, 100
	for range flood - 1 {
		a.loginAs("alice", "not the password").want(http.StatusUnauthorized)
	}
	a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": "not the password"}, header{"X-Request-Id", "the-last"}).want(http.StatusUnauthorized)

	events := alice.eventsOf(alice.ID)
	if got := eventKinds(events)[:3]; !slices.Equal(got, []string{"registered", "activated", "login"}) {
		t.Errorf("the oldest are %q", got)
	}
	logged := a.loggedEvents(alice.ID)
	if len(logged) != 3+flood {
		t.Fatalf("%d are in the log", len(logged))
	}
	for i, want := range logged[len(logged)-kept:] {
		if i+3 >= len(events) || events[i+3]["request_id"] != want["request_id"] || events[i+3]["event"] != "login failed" {
			t.Fatalf("of %d events, number %d is not %v", len(events), i+3, want)
		}
	}
	if len(events) != 3+kept || events[len(events)-1]["request_id"] != "the-last" {
		t.Errorf("%d events are kept, the last is %v", len(events), events[len(events)-1])
	}
	if got := eventKinds(bob.eventsOf(bob.ID)); !slices.Equal(got, []string{"registered", "activated", "login", "login failed"}) {
		t.Errorf("another account keeps %q", got)
	}
}

func TestEvents_VanishWithTheAccount(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	a.loginAs("nobody", "not the password").want(http.StatusUnauthorized)
	if n := len(alice.eventsOf(alice.ID)); n != 3 {
		t.Fatalf("%d events", n)
	}
	alice.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
	boss.do("GET", eventsPath(alice.ID), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	a.stop()
	if kinds := storedEventKinds(t, a.Config.Database, alice.ID); kinds != nil {
		t.Errorf("still stored: %q", kinds)
	}
	if kinds := storedEventKinds(t, a.Config.Database, 0); kinds != nil {
		t.Errorf("stored for nobody: %q", kinds)
	}
	logged := a.loggedEvents(alice.ID)
	want := []string{"registered", "activated", "login", "user deleted"}
	if got := eventKinds(logged); !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

func TestEvents_AreStoredWhenTheServerStops(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	sendAtOnce(20, func(int) *response { return a.loginAs("alice", "not the password").want(http.StatusUnauthorized) })
	a.stop()
	want := append([]string{"registered", "activated", "login"}, slices.Repeat([]string{"login failed"}, 20)...)
	if got := storedEventKinds(t, a.Config.Database, alice.ID); !slices.Equal(got, want) {
		t.Errorf("stored: %q", got)
	}
	alice.app = startApp(t, a.Config.Database, a.Clock)
	if got := eventKinds(alice.eventsOf(alice.ID)); !slices.Equal(got, want) {
		t.Errorf("after a restart: %q", got)
	}
}

func TestEvents_OfTheRealServerAreStoredWhenItStops(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.serve()
	a := s.app()
	alice := a.user("alice")
	sendAtOnce(20, func(int) *response { return a.loginAs("alice", "not the password").want(http.StatusUnauthorized) })
	s.stop()
	want := append([]string{"registered", "activated", "login"}, slices.Repeat([]string{"login failed"}, 20)...)
	if got := storedEventKinds(t, p.database, alice.ID); !slices.Equal(got, want) {
		t.Errorf("stored: %q", got)
	}
	// A command's events are stored before it ends.
	p.run("token", "create", "alice").want(0)
	if got := storedEventKinds(t, p.database, alice.ID); got[len(got)-1] != "API token created" {
		t.Errorf("the last one stored is %q", got[len(got)-1])
	}
}

func TestSecurityEvents_AllHaveAnAccountAndARequest(t *testing.T) {
	t.Parallel()
	e := newEventRun(t)
	e.loginAs("nobody", "not the password").want(http.StatusUnauthorized)
	known := slices.Sorted(maps.Keys(map[string]bool{
		"level": true, "msg": true, "event": true, "user_id": true, "request_id": true, "by": true, "session_id": true,
		"token_id": true, "count": true, "staff": true, "permissions": true,
	}))
	events := e.securityEvents()
	for _, event := range events {
		id, isNumber := event["user_id"].(float64)
		if !isNumber || (id == 0) != (event["request_id"] == events[len(events)-1]["request_id"]) {
			t.Errorf("whose is %v", event)
		}
		if event["request_id"] == "" && event["event"] != "superuser created" {
			t.Errorf("by which request came %v", event)
		}
		for member := range event {
			if _, found := slices.BinarySearch(known, member); !found {
				t.Errorf("%s is new in %v: may it be logged?", member, event)
			}
		}
	}
	if len(events) < 30 {
		t.Errorf("%d events only", len(events))
	}
}

// storedEventKinds gives the kinds of what is stored for an account, oldest
// first.
func storedEventKinds(t testing.TB, database string, userID int64) (kinds []string) {
	t.Helper()
	db := openDatabase(t, database)
	defer func() { _ = db.Close() }()
	rows, err := db.Query(fmt.Sprintf("SELECT event FROM security_events WHERE user_id = %d ORDER BY id", userID))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind string
		if err := rows.Scan(&kind); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, kind)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return kinds
}
