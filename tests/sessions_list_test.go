package tests

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/models"
	"dueto/services"
)

// sessions lists the live sessions of the person's account.
func (p *person) sessions() []map[string]any {
	p.t.Helper()
	return p.do("GET", "/auth/sessions", nil).want(http.StatusOK).list()
}

// session gives the id of the person's own one.
func (p *person) session() int64 {
	p.t.Helper()
	for _, s := range p.sessions() {
		if s["current"] == true {
			return int64(s["id"].(float64))
		}
	}
	p.t.Fatal("no session is the current one")
	return 0
}

func sessionPath(id int64) string { return fmt.Sprintf("/auth/sessions/%d", id) }

// wantSessions checks which sessions are listed, in this order.
func (p *person) wantSessions(ids ...int64) {
	p.t.Helper()
	var got []int64
	for _, s := range p.sessions() {
		got = append(got, int64(s["id"].(float64)))
	}
	if !slices.Equal(got, ids) {
		p.t.Errorf("the sessions are %v, want %v", got, ids)
	}
}

func TestSessions_TellDeviceAddressModeAndTimes(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	alice := a.user("alice")
	own := alice.session()
	a.user("bob") // whose sessions are his own
	a.Clock.Advance(time.Second)
	login := func(mode string, headers ...header) {
		a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password, "mode": mode}, headers...).want(http.StatusOK)
		a.Clock.Advance(time.Second)
	}
	long := strings.Repeat("é", 150)
	login("json", header{"User-Agent", "curl/8.5.0"}, from("203.0.113.9"))
	login("one-cookie", header{"User-Agent", long}, from("2001:db8::1"))
	login("two-cookies", header{"User-Agent", "Mozilla \xff\"<b>\\/5.0"}, from("203.0.113.9, 198.51.100.7"))
	login("json", header{"User-Agent", " "}, from("not an address"))

	list := alice.sessions()
	if len(list) != 5 {
		t.Fatalf("%d sessions: %v", len(list), list)
	}
	for i, want := range []struct{ mode, agent, address string }{
		{"json", "", "127.0.0.1"},
		{"two-cookies", `Mozilla "<b>\/5.0`, "198.51.100.7"},
		{"one-cookie", strings.Repeat("é", 100), "2001:db8::1"},
		{"json", "curl/8.5.0", "203.0.113.9"},
		{"json", "Go-http-client/1.1", "127.0.0.1"},
	} {
		at := start.Add(time.Duration(4-i) * time.Second)
		id := list[i]["id"].(float64)
		wanted := map[string]any{
			"id": id, "url": fmt.Sprintf("http://dueto.test/auth/sessions/%v", id), "current": i == 4,
			"mode": want.mode, "user_agent": want.agent, "address": want.address,
			"created_at": at.Format(time.RFC3339), "last_used_at": at.Format(time.RFC3339), "expires_at": at.Add(720 * time.Hour).Format(time.RFC3339),
		}
		if !maps.Equal(list[i], wanted) {
			t.Errorf("session %d is %v, want %v", i, list[i], wanted)
		}
		r := alice.do("GET", sessionPath(int64(id)), nil).want(http.StatusOK)
		if got := r.object(); !maps.Equal(got, wanted) || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("session %d alone is %v with %v", i, got, r.Header)
		}
	}
	if list[4]["id"] != float64(own) {
		t.Errorf("the current session is %v, want %d", list[4]["id"], own)
	}
}

func TestSessions_AreListedByTheirLastUse(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	first := a.user("alice")
	one := first.session()
	a.Clock.Advance(time.Second)
	b := a.signedIn("alice", oneCookie)
	a.Clock.Advance(time.Second)
	third := a.login("alice")
	two, three := one+1, one+2
	third.wantSessions(three, two, one)
	a.Clock.Advance(time.Second)
	first.rotate()
	third.wantSessions(one, three, two)
	a.Clock.Advance(time.Second)
	b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
	third.wantSessions(two, one, three)
	for _, s := range b.do("GET", "/auth/sessions", nil).want(http.StatusOK).list() {
		if s["current"] != (s["id"] == float64(two)) {
			t.Errorf("seen from %d: %v", two, s)
		}
	}
	used := first.do("GET", sessionPath(two), nil).want(http.StatusOK).object()["last_used_at"]
	if used != "2026-10-18T12:00:04Z" {
		t.Errorf("last used at %v", used)
	}
}

func TestSessions_OnlyLiveOnesAreThere(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.SessionTTL = 2 * time.Hour })
	alice := a.user("alice")
	one := alice.session()
	a.Clock.Advance(time.Hour)
	second, third := a.login("alice"), a.login("alice")
	two, three := second.session(), third.session()
	a.logoutWith(third.Refresh).want(http.StatusNoContent)
	second.wantSessions(two, one)
	a.Clock.Advance(time.Hour)
	second.rotate()
	second.wantSessions(two)
	for _, id := range []int64{one, three} {
		for _, method := range []string{"GET", "DELETE"} {
			second.do(method, sessionPath(id), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
		}
	}
}

func TestSessions_EndingOneBitesAtOnce(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, second, third := a.user("alice"), a.login("alice"), a.login("alice")
	b := a.signedIn("alice", twoCookies)
	ended := second.session()
	if r := alice.do("DELETE", sessionPath(ended), nil).want(http.StatusNoContent); len(r.Body) != 0 {
		t.Errorf("204 with the body %q", r.Body)
	}
	second.wantSignedOut(services.CodeTokenNotValid)
	alice.do("DELETE", sessionPath(ended), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	alice.do("GET", sessionPath(ended), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)

	alice.do("DELETE", sessionPath(ended+2), nil).want(http.StatusNoContent) // the browser's
	wantRefusedToken(t, b.do("GET", "/users/me", nil), services.CodeTokenNotValid)
	wantRefusedToken(t, b.page("POST", "/auth/refresh", nil), services.CodeTokenNotValid)
	b.wantCleared(b.page("POST", "/auth/logout", nil).want(http.StatusNoContent))

	alice.do("DELETE", sessionPath(alice.session()), nil).want(http.StatusNoContent) // one's own
	alice.wantSignedOut(services.CodeTokenNotValid)
	third.wantSessions(third.session())
	third.rotate()
}

func TestSessions_OthersAreNotThere(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice, bob := a.staff("boss"), a.user("alice"), a.user("bob")
	id := alice.session()
	for _, p := range []*person{boss, bob} {
		p.wantSessions(p.session())
		for _, method := range []string{"GET", "DELETE"} {
			p.do(method, sessionPath(id), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
		}
		p.do("DELETE", "/auth/sessions?all=false", nil).want(http.StatusNoContent)
	}
	for _, id := range []string{"0", "-1", "999", "01", "+1", "abc", "9223372036854775807", "9223372036854775808", "1x", "%20"} {
		for _, method := range []string{"GET", "DELETE"} {
			alice.do(method, "/auth/sessions/"+id, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
		}
	}
	boss.do("DELETE", "/auth/sessions?all=true", nil).want(http.StatusNoContent)
	boss.wantSignedOut(services.CodeTokenNotValid)
	alice.wantSessions(id)
}

func TestSessions_EndingTheOthersKeepsOnesOwn(t *testing.T) {
	t.Parallel()
	for query, own := range map[string]bool{"": false, "?all=false": false, "?all=0": false, "?all=true": true, "?all=1": true} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			alice, second, bob := a.user("alice"), a.login("alice"), a.user("bob")
			b := a.signedIn("alice", oneCookie)
			if r := alice.do("DELETE", "/auth/sessions"+query, nil).want(http.StatusNoContent); len(r.Body) != 0 {
				t.Errorf("204 with the body %q", r.Body)
			}
			second.wantSignedOut(services.CodeTokenNotValid)
			wantRefusedToken(t, b.do("GET", "/users/me", nil), services.CodeTokenNotValid)
			bob.rotate()
			if own {
				alice.wantSignedOut(services.CodeTokenNotValid)
				return
			}
			alice.wantSessions(alice.session())
			alice.rotate()
			alice.do("DELETE", "/auth/sessions"+query, nil).want(http.StatusNoContent) // there are none: no error
			alice.rotate()
		})
	}
}

func TestSessions_BadQueriesEndNone(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, second := a.user("alice"), a.login("alice")
	for query, member := range map[string]string{
		"?all=": "all", "?all=yes": "all", "?all=2": "all", "?all=true&all=true": "all", "?al=true": "al", "?ALL=true": "ALL", "?all=true&x=1": "x",
	} {
		alice.do("DELETE", "/auth/sessions"+query, nil).wantFields(member)
	}
	alice.do("GET", "/auth/sessions?all=true", nil).wantFields("all")
	alice.do("DELETE", sessionPath(second.session())+"?all=true", nil).wantFields("all")
	second.rotate()
	alice.rotate()
}

func TestSessions_AreNotForAPITokens(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	id := boss.session()
	for _, body := range []map[string]any{{"name": "ci"}, {"name": "narrow", "permissions": services.Permissions()}} {
		key, _ := boss.do("POST", "/auth/tokens", body).want(http.StatusCreated).object()["key"].(string)
		apiToken := header{"Authorization", "Token " + key}
		for _, request := range []string{
			"GET /auth/sessions", "DELETE /auth/sessions", "DELETE /auth/sessions?all=true", "GET " + sessionPath(id), "DELETE " + sessionPath(id), "GET " + sessionPath(999),
			"POST /auth/password/change",
		} {
			method, path, _ := strings.Cut(request, " ")
			r := a.do(method, path, nil, apiToken).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
			if got := r.object()["detail"]; got != "An API token cannot do this. Sign in." {
				t.Errorf("%s: %v", request, got)
			}
		}
	}
	boss.rotate()
}

func TestSessions_AreFiftyAtMost(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	first := alice.session()
	for i := range 54 {
		a.Clock.Advance(time.Second)
		a.loginAs("alice", password).want(http.StatusOK)
		if i == 48 {
			alice.wantSessions(countdown(first+49, 50)...)
			alice.rotate() // the eldest, but it has been used
		}
	}
	wanted := countdown(first+54, 49)
	at := slices.Index(wanted, first+48) // the next one began in the second of that use
	alice.wantSessions(slices.Insert(wanted, at, first)...)
}

// countdown lists n numbers downward.
func countdown(from int64, n int) (list []int64) {
	for i := range n {
		list = append(list, from-int64(i))
	}
	return list
}

func TestSessions_DoNotComeBackWithTheAccount(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	b := a.signedIn("alice", twoCookies)
	for what, end := range map[string]func(){
		"deactivated by staff": func() {
			boss.do("PATCH", userPath(alice.ID), map[string]any{"is_active": false}).want(http.StatusOK)
			wantRefusedToken(t, b.do("GET", "/tasks", nil), services.CodeUserInactive)
			wantRefusedToken(t, b.page("POST", "/auth/refresh", nil), services.CodeUserInactive)
			boss.do("PATCH", userPath(alice.ID), map[string]any{"is_active": true}).want(http.StatusOK)
		},
		"deactivated by the operator": func() {
			for _, f := range []func(context.Context, string) error{a.Services.Accounts.DeactivateByName, a.Services.Accounts.ActivateByName} {
				if err := f(context.Background(), "alice"); err != nil {
					t.Fatal(err)
				}
			}
		},
		"given a password by the operator": func() {
			if err := a.Services.Accounts.SetPassword(context.Background(), "alice", password); err != nil {
				t.Fatal(err)
			}
		},
	} {
		end()
		alice.wantSignedOut(services.CodeTokenNotValid)
		wantRefusedToken(t, b.do("GET", "/tasks", nil), services.CodeTokenNotValid)
		wantRefusedToken(t, b.page("POST", "/auth/refresh", nil), services.CodeTokenNotValid)
		alice = a.login("alice")
		if list := alice.sessions(); len(list) != 1 {
			t.Errorf("%s: the sessions are %v", what, list)
		}
		b.signIn("alice", twoCookies)
		b.wantSignedIn(alice.ID)
	}
	boss.do("POST", userPath(alice.ID)+"/password/reset", nil).want(http.StatusAccepted)
	alice.wantSignedOut(services.CodeTokenNotValid)
	wantRefusedToken(t, b.do("GET", "/tasks", nil), services.CodeTokenNotValid)
	a.loginAs("alice", password).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	live, err := models.LiveSessionsOf(a.Store.Read(context.Background()), alice.ID, models.Micros(a.Clock.Now()))
	if err != nil || len(live) != 0 {
		t.Errorf("live sessions after all: %v, %v", live, err)
	}
}

func TestListSessions_LeavesOutWhatCanNoLongerBeUsed(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	idle := a.user("alice")
	a.Clock.Advance(13 * time.Hour)
	busy := a.login("alice")
	a.Clock.Advance(12 * time.Hour)
	busy.setTokens(a.do("POST", "/auth/refresh", map[string]any{"refresh": busy.Refresh}).want(http.StatusOK))
	a.do("POST", "/auth/refresh", map[string]any{"refresh": idle.Refresh}).wantProblem(http.StatusUnauthorized, services.CodeTokenExpired)
	list := busy.do("GET", "/auth/sessions", nil).want(http.StatusOK).list()
	if len(list) != 1 || list[0]["current"] != true {
		t.Errorf("the sessions are %v", list)
	}
	busy.do("GET", "/auth/sessions/1", nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
}

func TestLogout_ABrowserThatHasOnlyItsAccessTokenLeft(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	login := a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password, "mode": "two-cookies"}).want(http.StatusOK)
	var cookies []string
	csrf := ""
	for _, c := range (&http.Response{Header: login.Header}).Cookies() {
		switch c.Name {
		case "jwt_access_token":
			cookies = append(cookies, c.Name+"="+c.Value)
		case "csrftoken":
			csrf = c.Value
		}
	}
	held := header{"Cookie", strings.Join(cookies, "; ")}
	a.do("POST", "/auth/logout", nil, held).wantProblem(http.StatusForbidden, services.CodeCSRF)
	a.do("GET", "/users/me", nil, held).want(http.StatusOK)
	a.do("POST", "/auth/logout", nil, held, header{"X-CSRFToken", csrf}).want(http.StatusNoContent)
	a.do("GET", "/users/me", nil, held).wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
}
