package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

func TestLoginMode_IsOneThatTheServerAllows(t *testing.T) {
	t.Parallel()
	every := []string{"json", oneCookie, twoCookies}
	for _, allowed := range [][]string{every, {"json"}, {oneCookie}, {twoCookies, "json"}, {oneCookie, twoCookies}} {
		a := newApp(t, func(c *config.Config) { c.AuthModes = allowed })
		a.staffAccount("alice")
		login := func(mode any) *response {
			return a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password, "mode": mode})
		}
		for _, mode := range every {
			if slices.Contains(allowed, mode) {
				r := login(mode).want(http.StatusOK)
				if got := r.object()["mode"]; (mode == "json") != (got == nil) || (got != nil && got != mode) || (mode == "json") != (len(r.setCookies()) == 0) {
					t.Errorf("%v: mode %s answers %s with %v", allowed, mode, r.Body, r.setCookies())
				}
				continue
			}
			r := login(mode).wantFields("mode")
			if got := fmt.Sprint(r.complaintsOf("mode")); !strings.Contains(got, strings.Join(allowed, ", ")) || len(r.setCookies()) != 0 {
				t.Errorf("%v: mode %s is refused with %s", allowed, mode, got)
			}
		}
		for _, mode := range []any{"", "cookie", "JSON", "one-cookie ", nil, 1, []string{"json"}} {
			login(mode).wantFields("mode")
		}
		r := a.loginAs("alice", password).want(http.StatusOK)
		want := any(allowed[0])
		if slices.Contains(allowed, "json") {
			want = nil // its answer names no mode
		}
		if got := r.object()["mode"]; got != want {
			t.Errorf("%v: without a mode a login answers %s", allowed, r.Body)
		}
	}
}

func TestCookies_AServerWithoutThemTakesNone(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		access := b.access()
		alice.stop()
		b.app = startApp(t, alice.Config.Database, alice.Clock, func(c *config.Config) { *c = alice.Config; c.AuthModes = []string{"json"} })

		b.do("GET", "/tasks", nil).want(http.StatusOK) // as anybody
		b.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		b.page("POST", "/tasks", map[string]any{"title": "One"}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		b.page("POST", "/auth/refresh", nil).wantFields("refresh")
		b.page("POST", "/auth/logout", nil).wantFields("refresh")
		b.page("POST", "/auth/verify", nil).wantFields("token")
		wantRefusedToken(t, b.app.do("GET", "/tasks", nil, bearer(access)), services.CodeTokenNotValid)
		wantRefusedToken(t, b.verifyToken(access), services.CodeTokenNotValid)
		wantRefusedToken(t, b.refreshWith(b.cookie("jwt_refresh")), services.CodeTokenNotValid)
		b.app.do("GET", "/tasks", nil, cookies("jwt_access=nonsense", "jwt_access=twice", "jwt_access_token=nonsense")).want(http.StatusOK)

		b.app.do("GET", "/users/me", nil, bearer(alice.Access)).want(http.StatusOK) // its mode is still allowed
	})
}

func TestCookies_SessionsOfAModeNoLongerAllowedAreRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	one, two := a.signedIn("alice", oneCookie), a.signedIn("alice", twoCookies)
	oneAccess := one.access()
	a.stop()
	a = startApp(t, a.Config.Database, a.Clock, func(c *config.Config) { *c = a.Config; c.AuthModes = []string{"json", twoCookies} })
	one.app, two.app = a, a
	two.do("GET", "/users/me", nil).want(http.StatusOK)
	two.page("POST", "/auth/refresh", nil).want(http.StatusOK)

	one.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	wantRefusedToken(t, a.do("GET", "/users/me", nil, cookies("jwt_access_token="+oneAccess)), services.CodeTokenNotValid)
	r := one.page("POST", "/auth/refresh", nil)
	wantRefusedToken(t, r, services.CodeTokenNotValid)
	if len(r.setCookies()) != 0 {
		t.Errorf("cookies of a mode that is not allowed: %v", r.setCookies())
	}
	one.wantCleared(one.page("POST", "/auth/logout", nil).want(http.StatusNoContent))
}

// An Authorization field, whatever is in it, says that the request is no
// browser's own.
func TestCookies_AreIgnoredBesideAnAuthorizationHeader(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		bob := alice.user("bob")
		secretTask := taskPath(alice.task("Mine", map[string]any{"visibility": "private"}))
		b := alice.signedIn("alice", mode)
		csrf := csrfToken(b.cookie("csrftoken"))
		for _, field := range []string{"Basic YWxpY2U6eA==", "Digest x", "Bearer2 x", "Negotiate", "OAuth " + b.access()} {
			other := header{"Authorization", field}
			b.do("GET", "/users/me", nil, other).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
			b.do("GET", "/tasks", nil, other).want(http.StatusOK)
			b.do("GET", secretTask, nil, other).wantProblem(http.StatusNotFound, services.CodeNotFound)
			b.do("POST", "/tasks", map[string]any{"title": "One"}, other, csrf).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
			b.do("POST", "/auth/refresh", nil, other, csrf).wantFields("refresh")
			b.do("POST", "/auth/logout", nil, other, csrf).wantFields("refresh")
			b.do("POST", "/auth/verify", nil, other, csrf).wantFields("token")
		}
		if got := b.do("GET", "/users/me", nil, bearer(bob.Access)).want(http.StatusOK).id(); got != bob.ID {
			t.Errorf("the header of %d and the cookies of %d speak for %d", bob.ID, alice.ID, got)
		}
		for _, bad := range []header{bearer("nonsense"), {"Authorization", "Bearer"}, {"Authorization", "JWT " + b.cookie("jwt_refresh")}, {"Authorization", "Token nonsense"}} {
			wantRefusedToken(t, b.do("GET", "/tasks", nil, bad), services.CodeTokenNotValid)
		}
		for _, spoilt := range []header{cookies("jwt_access=nonsense"), cookies("jwt_access=a", "jwt_access=b", "jwt_access_token=nonsense")} {
			alice.do("GET", "/users/me", nil, spoilt).want(http.StatusOK)
			alice.do("POST", "/tasks", map[string]any{"title": "One"}, spoilt).want(http.StatusCreated)
		}
		b.wantSignedIn(alice.ID)
	})
}

func TestCookies_TwoOfOneNameAreRefused(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		_, name := cookiesOf(mode)
		csrf := csrfToken(b.cookie("csrftoken"))
		good, refresh := name+"="+b.access(), "jwt_refresh="+b.cookie("jwt_refresh")
		for what, twice := range map[string][]header{
			"the same":             {cookies(good, good)},
			"a bad one first":      {cookies(name+"=nonsense", good)},
			"a bad one last":       {cookies(good, "theme=dark", name+"=nonsense")},
			"an empty one":         {cookies(good, name+"=")},
			"one that has no form": {cookies(good, name+`="a\b"`)},
			"fields of their own":  {cookies(good), cookies(name + "=nonsense")},
		} {
			for _, path := range []string{"/tasks", "/users/me", "/", "/nowhere"} {
				if r := alice.app.do("GET", path, nil, twice...); r.Status != http.StatusBadRequest {
					t.Errorf("%s: GET %s is answered with %d", what, path, r.Status)
				}
			}
			alice.app.do("POST", "/tasks", map[string]any{"title": "One"}, append(twice, csrf)...).wantProblem(http.StatusBadRequest, services.CodeMalformed)
			alice.app.do("POST", "/auth/verify", nil, append(twice, csrf)...).wantProblem(http.StatusBadRequest, services.CodeMalformed)
		}
		for _, path := range []string{"/auth/refresh", "/auth/logout"} {
			r := alice.app.do("POST", path, nil, cookies(refresh, refresh), csrf).wantProblem(http.StatusBadRequest, services.CodeMalformed)
			if len(r.setCookies()) != 0 {
				t.Errorf("%s sets %v", r.What, r.setCookies())
			}
		}
		b.wantSignedIn(alice.ID)
		alice.app.do("GET", "/users/me", nil, cookies(good, "theme=dark", "theme=light", good[1:])).want(http.StatusOK) // others' cookies are not ours to judge
	})
}

func TestCookies_ABadOneIsNeverTakenForNone(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		a := alice.app
		b := a.signedIn("alice", mode)
		_, name := cookiesOf(mode)
		access, csrf := b.access(), csrfToken(b.cookie("csrftoken"))
		a.Clock.Advance(time.Minute)
		stale := draftOf(t, kindAccess, a.Clock.Now(), access)
		stale.claims["exp"] = stale.unixIn(-time.Second)
		foreign := draftOf(t, kindAccess, a.Clock.Now(), access)
		foreign.key = []byte(strings.Repeat("another server's", 4))
		_, activation := a.register("pending")
		key, _ := alice.do("POST", "/auth/tokens", map[string]any{"name": "ci"}).want(http.StatusCreated).object()["key"].(string)
		many := strings.Repeat("a=; ", 3001)
		for what, c := range map[string]struct {
			header string
			code   services.Code
		}{
			"nothing":                    {name + "=", services.CodeTokenNotValid},
			"no sign of equality":        {name, services.CodeTokenNotValid},
			"nonsense":                   {name + "=nonsense", services.CodeTokenNotValid},
			"three parts":                {name + "=a.b.c", services.CodeTokenNotValid},
			"too long":                   {name + "=" + strings.Repeat("a", 5000), services.CodeTokenNotValid},
			"a good one with more":       {name + "=" + access + "x", services.CodeTokenNotValid},
			"a good one cut short":       {name + "=" + access[:len(access)-1], services.CodeTokenNotValid},
			"percent-encoded":            {name + "=" + strings.ReplaceAll(access, ".", "%2E"), services.CodeTokenNotValid},
			"a backslash":                {name + `=` + access + `\`, services.CodeTokenNotValid},
			"a quotation mark":           {name + `="` + access, services.CodeTokenNotValid},
			"what is not ASCII":          {name + "=" + access + "\xff", services.CodeTokenNotValid},
			"after thousands of others":  {many + name + "=nonsense", services.CodeTokenNotValid},
			"of another server":          {name + "=" + foreign.sign(), services.CodeTokenNotValid},
			"the refresh token":          {name + "=" + b.cookie("jwt_refresh"), services.CodeTokenNotValid},
			"the CSRF token":             {name + "=" + csrf.value, services.CodeTokenNotValid},
			"a link's token":             {name + "=" + strings.TrimPrefix(activation, "/auth/activate/"), services.CodeTokenNotValid},
			"an API token":               {name + "=" + key, services.CodeTokenNotValid},
			"a scheme before the token":  {name + "=Bearer " + access, services.CodeTokenNotValid},
			"expired":                    {name + "=" + stale.sign(), services.CodeTokenExpired},
			"beside a good refresh one":  {name + "=nonsense; jwt_refresh=" + b.cookie("jwt_refresh"), services.CodeTokenNotValid},
			"the payload of a good one":  {name + "=" + strings.Split(access, ".")[1], services.CodeTokenNotValid},
			"without its signature":      {name + "=" + access[:strings.LastIndexByte(access, '.')+1], services.CodeTokenNotValid},
			"a good one, and then a tab": {name + "=" + access + "\t" + "x", services.CodeTokenNotValid},
		} {
			t.Run(what, func(t *testing.T) {
				a := appIn(t, a)
				sent := header{"Cookie", c.header}
				for _, path := range []string{"/tasks", "/tasks/1", "/users", "/users/me", "/", "/nowhere"} {
					wantRefusedToken(t, a.do("GET", path, nil, sent), c.code)
				}
				a.do("HEAD", "/tasks", nil, sent).want(http.StatusUnauthorized)
				wantRefusedToken(t, a.do("OPTIONS", "/tasks", nil, sent), c.code)
				wantRefusedToken(t, a.do("POST", "/tasks", map[string]any{"title": "One"}, sent, csrf), c.code)
				wantRefusedToken(t, a.do("POST", "/auth/verify", nil, sent, csrf), c.code)
			})
		}
		for _, r := range routes.Table() {
			if r.Access != routes.Credentials {
				wantRefusedToken(t, a.do(r.Method, routePath(r.Path, 1), nil, cookies(name+"=nonsense"), csrf), services.CodeTokenNotValid)
			}
		}
		a.do("GET", "/users/me", nil, cookies(many[:len(many)-2], name+"="+access)).want(http.StatusOK)
		a.do("GET", "/users/me", nil, header{"Cookie", " theme=\"dark\";" + name + "=" + access + " ;;\ta=\\"}).want(http.StatusOK)
	})
}

func TestCookies_RoutesThatTakeNoCredentialIgnoreThem(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	bad := cookies("jwt_access=nonsense", "jwt_access_token=nonsense", "jwt_refresh=nonsense", "jwt_refresh=twice")
	a.do("GET", "/healthz", nil, bad).want(http.StatusOK)
	a.do("GET", "/readyz", nil, bad).want(http.StatusOK)
	a.do("POST", "/auth/register", map[string]any{"username": "bob", "email": "bob@example.com", "password": password}, bad).want(http.StatusCreated)
	for _, mode := range []string{"json", oneCookie, twoCookies} {
		a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password, "mode": mode}, bad).want(http.StatusOK)
	}
}

func TestRefreshCookie_TakesARefreshTokenOnly(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		a := alice.app
		b, other := a.signedIn("alice", mode), a.signedIn("alice", mode)
		csrf := csrfToken(b.cookie("csrftoken"))
		for what, value := range map[string]string{
			"an access token": b.access(), "nothing": "", "nonsense": "nonsense", "too long": strings.Repeat("a", 5000),
			"a backslash": b.cookie("jwt_refresh") + `\`, "cut short": b.cookie("jwt_refresh")[:40],
		} {
			r := a.do("POST", "/auth/refresh", nil, header{"Cookie", "jwt_refresh=" + value}, csrf)
			wantRefusedToken(t, r, services.CodeTokenNotValid)
			if len(r.setCookies()) != 0 {
				t.Errorf("%s: sets %v", what, r.setCookies())
			}
			r = a.do("POST", "/auth/logout", nil, header{"Cookie", "jwt_refresh=" + value}, csrf)
			wantRefusedToken(t, r, services.CodeTokenNotValid)
			if len(r.setCookies()) != len(allCookies) {
				t.Errorf("%s: a logout removes %v", what, r.setCookies())
			}
		}
		// Without cookies, and with those of the access token alone, there is nothing to refresh.
		a.do("POST", "/auth/refresh", nil, csrf).wantFields("refresh")
		_, name := cookiesOf(mode)
		a.do("POST", "/auth/refresh", nil, cookies(name+"="+b.access()), csrf).wantFields("refresh")
		b.wantSignedIn(alice.ID)

		// What the body names goes before the cookie.
		r := b.do("POST", "/auth/logout", map[string]any{"refresh": other.cookie("jwt_refresh")}).want(http.StatusNoContent)
		if len(r.setCookies()) != 0 {
			t.Errorf("the logout of another session sets %v", r.setCookies())
		}
		wantRefusedToken(t, other.do("GET", "/users/me", nil), services.CodeTokenNotValid)
		b.wantSignedIn(alice.ID)
	})
}

func TestCookies_DieWithTheAccount(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		key, _ := b.page("POST", "/auth/tokens", map[string]any{"name": "ci"}).want(http.StatusCreated).object()["key"].(string)
		apiToken := header{"Authorization", "Token " + key}
		alice.app.do("GET", "/users/me", nil, apiToken).want(http.StatusOK)

		b.page("DELETE", "/users/me", nil).wantFields("password")
		b.page("DELETE", "/users/me", map[string]any{"password": "not the password"}).wantFields("password")
		b.wantSignedIn(alice.ID)
		other := alice.signedIn("alice", mode)
		b.wantCleared(b.page("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent))
		b.do("GET", "/tasks", nil).want(http.StatusOK)

		wantRefusedToken(t, other.do("GET", "/tasks", nil), services.CodeUserInactive)
		wantRefusedToken(t, other.page("POST", "/auth/refresh", nil), services.CodeUserInactive)
		alice.wantSignedOut(services.CodeUserInactive)
		if r := alice.app.do("GET", "/tasks", nil, apiToken); r.Status != http.StatusUnauthorized {
			t.Errorf("the API token of a deleted account gets %d", r.Status)
		}
		other.wantCleared(other.page("POST", "/auth/logout", nil).want(http.StatusNoContent))
		other.do("GET", "/tasks", nil).want(http.StatusOK)
	})
}
