package tests

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

func TestCookies_CarryASessionFromLoginToLogout(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		names, carrier := cookiesOf(mode)
		b := alice.browser()
		body := map[string]any{"mode": mode, "expires_in": 300.0}
		b.wantNoToken(b.signIn("alice", mode), body)
		b.wantKept(names...)
		b.wantSignedIn(alice.ID)

		path := taskPath(b.page("POST", "/tasks", map[string]any{"title": "One", "visibility": "private"}).want(http.StatusCreated).id())
		b.page("PATCH", path, map[string]any{"title": "Two"}).want(http.StatusOK)
		if got := b.do("GET", path, nil).want(http.StatusOK).object()["title"]; got != "Two" {
			t.Errorf("the title is %v", got)
		}
		alice.app.do("GET", path, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
		b.page("DELETE", path, nil).want(http.StatusNoContent)
		b.do("GET", path, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)

		claims := claimsOf(t, b.access())
		if got := b.page("POST", "/auth/verify", nil).want(http.StatusOK).object(); !reflect.DeepEqual(got, claims) {
			t.Errorf("verify tells %v, want %v", got, claims)
		}

		access, refresh, csrf := b.access(), b.cookie("jwt_refresh"), b.cookie("csrftoken")
		b.Clock.Advance(time.Second)
		b.wantNoToken(b.page("POST", "/auth/refresh", nil).want(http.StatusOK), body)
		b.wantKept(names...)
		if b.access() == access || b.cookie("jwt_refresh") == refresh || b.cookie("csrftoken") != csrf {
			t.Error("a refresh must replace both tokens, and keep the CSRF token")
		}
		b.wantSignedIn(alice.ID)

		access, refresh = b.access(), b.cookie("jwt_refresh")
		r := b.page("POST", "/auth/logout", nil).want(http.StatusNoContent)
		if len(r.Body) != 0 {
			t.Errorf("204 with the body %q", r.Body)
		}
		b.wantCleared(r)
		b.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		wantRefusedToken(t, alice.app.do("GET", "/users/me", nil, bearer(access)), services.CodeTokenNotValid)
		wantRefusedToken(t, alice.app.do("GET", "/users/me", nil, cookies(carrier+"="+access)), services.CodeTokenNotValid)
		wantRefusedToken(t, b.refreshWith(refresh), services.CodeTokenNotValid)
		alice.do("GET", "/users/me", nil).want(http.StatusOK) // another session
	})
}

func TestCookies_SpentRefreshTokenIsTakenWithinGraceOnly(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		spent := b.cookie("jwt_refresh")
		b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
		successor := b.cookie("jwt_refresh")

		b.Clock.Advance(10 * time.Second)
		b.put("jwt_refresh", spent)
		b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
		if b.cookie("jwt_refresh") != successor {
			t.Fatal("the spent token gave another successor")
		}
		b.wantSignedIn(alice.ID)

		b.Clock.Advance(time.Second)
		b.put("jwt_refresh", spent)
		wantRefusedToken(t, b.page("POST", "/auth/refresh", nil), services.CodeTokenNotValid)
		wantRefusedToken(t, b.do("GET", "/users/me", nil), services.CodeTokenNotValid)
		b.put("jwt_refresh", successor)
		wantRefusedToken(t, b.page("POST", "/auth/refresh", nil), services.CodeTokenNotValid)
		b.wantCleared(b.page("POST", "/auth/logout", nil).want(http.StatusNoContent))
	})
}

func TestCookies_TabsThatRefreshAtOnceStaySignedIn(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		successors := map[string]bool{}
		for _, r := range sendAtOnce(10, func(int) *response { return b.page("POST", "/auth/refresh", nil) }) {
			for _, c := range r.want(http.StatusOK).setCookies() {
				if c.Name == "jwt_refresh" {
					successors[c.Value] = true
				}
			}
		}
		if len(successors) != 1 || !successors[b.cookie("jwt_refresh")] {
			t.Errorf("%d successors of one token", len(successors))
		}
		b.wantSignedIn(alice.ID)
	})
}

func TestCookies_ExpiredAccessTokenIsRenewed(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		b.Clock.Advance(5 * time.Minute)
		for _, path := range []string{"/users/me", "/tasks", "/"} {
			wantRefusedToken(t, b.do("GET", path, nil), services.CodeTokenExpired)
		}
		wantRefusedToken(t, b.page("POST", "/auth/verify", nil), services.CodeTokenExpired)
		b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
		b.wantSignedIn(alice.ID)

		b.Clock.Advance(24 * time.Hour)
		wantRefusedToken(t, b.page("POST", "/auth/refresh", nil), services.CodeTokenExpired)
		r := b.page("POST", "/auth/logout", nil)
		wantRefusedToken(t, r, services.CodeTokenExpired)
		b.wantCleared(r) // they are good for nothing
	})
}

func TestCookies_LoginInTheOtherModeReplacesThem(t *testing.T) {
	t.Parallel()
	alice := newApp(t).user("alice")
	b := alice.browser()
	for _, mode := range []string{oneCookie, twoCookies, oneCookie, oneCookie} {
		names, _ := cookiesOf(mode)
		b.signIn("alice", mode)
		b.wantKept(names...)
		b.wantSignedIn(alice.ID)
	}
	if r := b.signIn("alice", "json"); len(r.setCookies()) != 0 {
		t.Errorf("a login without cookies sets %v", r.setCookies())
	}
}

func TestCookies_AnotherLoginSpeaksForTheOtherAccount(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		bob := alice.user("bob")
		b := alice.signedIn("alice", mode)
		b.signIn("bob", mode)
		b.wantSignedIn(bob.ID)
	})
}

func TestCookies_JSONModeSetsNone(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	for _, mode := range []any{nil, "json"} {
		login := map[string]any{"username": "alice", "password": password}
		if mode != nil {
			login["mode"] = mode
		}
		r := a.do("POST", "/auth/login", login).want(http.StatusOK)
		alice.setTokens(r)
		if refreshed := a.refreshWith(alice.Refresh).want(http.StatusOK); len(r.setCookies())+len(refreshed.setCookies()) != 0 {
			t.Errorf("mode %v: cookies %v, %v", mode, r.setCookies(), refreshed.setCookies())
		}
		if r := a.logoutWith(alice.Refresh).want(http.StatusNoContent); len(r.setCookies()) != 0 {
			t.Errorf("mode %v: a logout sets %v", mode, r.setCookies())
		}
	}
}

// cookieAttributes gives the attributes of each cookie that an answer sets,
// without their order.
func cookieAttributes(t *testing.T, r *response) map[string]string {
	t.Helper()
	set := map[string]string{}
	for _, line := range r.Header["Set-Cookie"] {
		pair, rest, _ := strings.Cut(line, "; ")
		name, value, _ := strings.Cut(pair, "=")
		attributes := strings.Split(rest, "; ")
		slices.Sort(attributes)
		if _, twice := set[name]; twice {
			t.Errorf("%s is set twice", name)
		}
		set[name] = strings.Join(attributes, "; ")
		if (value == "") != slices.Contains(attributes, "Max-Age=0") {
			t.Errorf("%s has the value %q and %s", name, value, rest)
		}
	}
	return set
}

func TestCookies_HaveTheirAttributes(t *testing.T) {
	t.Parallel()
	for public, where := range map[string]struct {
		path, auth string
		secure     bool
	}{
		"http://dueto.test":                          {"/", "/auth", false},
		"https://dueto.test":                         {"/", "/auth", true},
		"http://dueto.test/api/v1":                   {"/api/v1", "/api/v1/auth", false},
		"https://dueto.test/api/v1/":                 {"/api/v1", "/api/v1/auth", true},
		"https://dueto.test/aufgaben%20b%C3%BCro":    {"/aufgaben%20b%C3%BCro", "/aufgaben%20b%C3%BCro/auth", true},
		"https://dueto.test/aufgaben%20b%C3%BCro/v1": {"/aufgaben%20b%C3%BCro/v1", "/aufgaben%20b%C3%BCro/v1/auth", true},
	} {
		t.Run(public, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, func(c *config.Config) { c.PublicURL = public })
			prefix := strings.TrimSuffix(where.auth, "/auth")
			a.staffAccount("alice")
			want := func(r *response, ages map[string]string) {
				t.Helper()
				expected := map[string]string{}
				for name, age := range ages {
					list := []string{"Max-Age=" + age, "Path=" + where.path, "SameSite=Lax"}
					if name == "jwt_refresh" {
						list[1] = "Path=" + where.auth
					}
					if name != "csrftoken" && name != "jwt_access_payload" {
						list = append(list, "HttpOnly")
					}
					if where.secure {
						list = append(list, "Secure")
					}
					slices.Sort(list)
					expected[name] = strings.Join(list, "; ")
				}
				if got := cookieAttributes(t, r); !reflect.DeepEqual(got, expected) {
					t.Errorf("%s:\ngot  %v\nwant %v", r.What, got, expected)
				}
			}
			for _, mode := range cookieModes {
				ages := func(session string) map[string]string {
					ages := map[string]string{"jwt_access": "0", "jwt_access_token": "0", "jwt_access_payload": "0", "jwt_refresh": "86400", "csrftoken": session}
					names, _ := cookiesOf(mode)
					for _, name := range names {
						if ages[name] == "0" {
							ages[name] = "86400"
						}
					}
					return ages
				}
				r := a.do("POST", prefix+"/auth/login", map[string]any{"username": "alice", "password": password, "mode": mode}).want(http.StatusOK)
				want(r, ages("2592000"))
				sent := map[string]string{}
				for _, c := range r.setCookies() {
					sent[c.Name] = c.Value
				}
				a.Clock.Advance(time.Hour)
				r = a.do("POST", prefix+"/auth/refresh", nil, cookies("jwt_refresh="+sent["jwt_refresh"]), csrfToken(sent["csrftoken"])).want(http.StatusOK)
				want(r, ages("2588400"))
				r = a.do("POST", prefix+"/auth/logout", nil, cookies("jwt_refresh="+sent["jwt_refresh"]), csrfToken(sent["csrftoken"])).want(http.StatusNoContent)
				want(r, map[string]string{"jwt_access": "0", "jwt_access_token": "0", "jwt_access_payload": "0", "jwt_refresh": "0", "csrftoken": "0"})
			}
		})
	}
}

func TestCookies_GoNowhereBesideThePublicPath(t *testing.T) {
	t.Parallel()
	for _, mode := range cookieModes {
		a := newApp(t, func(c *config.Config) { c.PublicURL = "http://dueto.test/api/v1" })
		id := a.staffAccount("alice")
		b := a.signedIn("alice", mode)
		b.wantSignedIn(id)
		b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
		b.wantSignedIn(id)
		for _, c := range b.jar.Cookies(b.at("/tasks")) {
			if c.Name == "jwt_refresh" {
				t.Error("the refresh token goes to /tasks")
			}
		}
		b.prefix = ""
		if got := b.jar.Cookies(b.at("/auth/refresh")); len(got) != 0 {
			t.Errorf("cookies go beside the public path: %v", got)
		}
		b.prefix = "/api/v1"
		b.wantCleared(b.page("POST", "/auth/logout", nil).want(http.StatusNoContent))
	}
}

func TestCookies_NeverOutliveTheSession(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.SessionTTL = time.Hour })
	a.user("alice")
	b := a.browser()
	want := func(r *response, access, rest int) {
		t.Helper()
		for _, c := range r.setCookies() {
			if max := map[string]int{"jwt_access": access, "jwt_refresh": rest, "csrftoken": rest}[c.Name]; max != 0 && c.MaxAge != max {
				t.Errorf("%s lasts %d s, want %d", c.Name, c.MaxAge, max)
			}
		}
	}
	want(b.signIn("alice", oneCookie), 3600, 3600)
	a.Clock.Advance(58 * time.Minute)
	r := b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
	want(r, 120, 120)
	if got := r.object()["expires_in"]; got != 120.0 {
		t.Errorf("expires_in is %v", got)
	}
}

func TestPayloadCookie_IsForReadingOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	b := a.signedIn("alice", twoCookies)
	payload := b.cookie("jwt_access_payload")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	if want := claimsOf(t, b.access()); !reflect.DeepEqual(claims, want) || claims["username"] != "alice" || claims["user_id"] != float64(alice.ID) {
		t.Errorf("the payload is %v, want %v", claims, want)
	}

	a.do("GET", "/users/me", nil, cookies("jwt_access_payload="+payload)).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	a.do("GET", "/tasks", nil, cookies("jwt_access_payload="+payload)).want(http.StatusOK)
	for _, name := range []string{"jwt_access", "jwt_access_token"} {
		wantRefusedToken(t, a.do("GET", "/tasks", nil, cookies(name+"="+payload)), services.CodeTokenNotValid)
	}
	wantRefusedToken(t, a.do("GET", "/tasks", nil, bearer(payload)), services.CodeTokenNotValid)
	wantRefusedToken(t, a.verifyToken(payload), services.CodeTokenNotValid)

	// What a page makes of it changes nothing.
	b.put("jwt_access_payload", strings.Split(bob.Access, ".")[1])
	b.wantSignedIn(alice.ID)
	b.put("jwt_access_payload", "nonsense")
	b.wantSignedIn(alice.ID)
}

func TestCookies_AnswersThatDependOnThemSaySo(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.browser()
		anonymous := b.do("GET", "/tasks", nil).want(http.StatusOK)
		for _, r := range []*response{
			b.signIn("alice", mode), b.do("GET", "/tasks", nil), b.do("GET", "/", nil), b.do("GET", "/users/me", nil),
			b.page("POST", "/tasks", map[string]any{"title": "One"}), b.do("POST", "/tasks", nil), b.do("GET", "/nowhere", nil),
			b.page("POST", "/auth/verify", nil), b.page("POST", "/auth/refresh", nil), b.page("POST", "/auth/logout", nil), anonymous,
		} {
			if vary := r.Header.Values("Vary"); !slices.Contains(vary, "Authorization, Cookie") {
				t.Errorf("%s: %d varies by %q", r.What, r.Status, vary)
			}
			want := "no-store"
			if r == anonymous {
				want = "no-cache"
			}
			if got := r.Header.Get("Cache-Control"); got != want {
				t.Errorf("%s: %d has Cache-Control %q, want %q", r.What, r.Status, got, want)
			}
		}
	})
}
