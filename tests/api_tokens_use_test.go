package tests

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

func TestAPIToken_IsTakenBySchemeTokenOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	key := alice.apiToken("script", nil).Key
	for _, field := range []string{"Token " + key, "token " + key, "TOKEN  " + key, "Token\t" + key, "  Token " + key + " "} {
		if got := a.do("GET", "/users/me", nil, header{"Authorization", field}).want(http.StatusOK).id(); got != alice.ID {
			t.Errorf("%.8q speaks for %d", field, got)
		}
	}
	for name, field := range map[string]string{
		"Bearer":             "Bearer " + key,
		"JWT":                "JWT " + key,
		"upper case":         "Token " + strings.ToUpper(key),
		"prefix upper case":  "Token DUETO_" + key[6:],
		"body upper case":    "Token dueto_" + strings.ToUpper(key[6:]),
		"cut short":          "Token " + key[:len(key)-1],
		"without checksum":   "Token " + key[:58],
		"first half":         "Token " + key[:32],
		"prefix only":        "Token dueto_",
		"nothing":            "Token ",
		"longer":             "Token " + key + "a",
		"twice":              "Token " + key + key,
		"wrong checksum":     "Token " + otherLetter(key, len(key)-1),
		"one letter changed": "Token " + otherLetter(key, 30),
		"another key":        "Token " + withChecksum(otherLetter(key, 30)[:58]),
		"unknown":            "Token " + withChecksum("dueto_"+strings.Repeat("q", 52)),
		"another prefix":     "Token " + withChecksum("dueta_"+key[6:58]),
		"without prefix":     "Token " + key[6:],
		"quoted":             `Token "` + key + `"`,
		"as a parameter":     "Token token=" + key,
		"a second word":      "Token " + key + " " + key,
		"a comma":            "Token " + key + ", Bearer x",
		"long":               "Token " + key + strings.Repeat("a", 5000),
		"long and summed":    "Token " + withChecksum("dueto_"+strings.Repeat("a", 5000)),
	} {
		t.Run(name, func(t *testing.T) {
			r := appIn(t, a).do("GET", "/users/me", nil, header{"Authorization", field})
			wantRefusedToken(t, r, services.CodeTokenNotValid)
			// It is not taken for an anonymous one where reads are open.
			wantRefusedToken(t, appIn(t, a).do("GET", "/tasks", nil, header{"Authorization", field}), services.CodeTokenNotValid)
		})
	}
	for _, field := range []string{"Basic " + key, key, "Key " + key, "Tokens " + key} {
		a.do("GET", "/users/me", nil, header{"Authorization", field}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
	for _, second := range []header{tokenKey(key), bearer(alice.Access), {"Authorization", "Basic x"}} {
		a.do("GET", "/users/me", nil, tokenKey(key), second).wantProblem(http.StatusBadRequest, services.CodeMalformed)
	}
	// A signed token may come as Token too, as with the framework that clients know.
	a.do("GET", "/users/me", nil, header{"Authorization", "Token " + alice.Access}).want(http.StatusOK)
	wantRefusedToken(t, a.do("GET", "/users/me", nil, header{"Authorization", "Token " + alice.Refresh}), services.CodeTokenNotValid)
}

func TestAPIToken_IsNoCredentialAnywhereElse(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	key := alice.apiToken("script", nil).Key
	for _, query := range []string{"token", "access_token", "key", "api_key", "Authorization"} {
		a.do("GET", "/users/me?"+query+"="+key, nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		a.do("POST", "/tasks?"+query+"="+key, map[string]any{"title": "x"}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		a.do("POST", "/tasks", map[string]any{"title": "x", query: key}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
	for _, name := range []string{"token", "key", "dueto", "sessionid", "Authorization"} {
		a.do("GET", "/users/me", nil, header{"Cookie", name + "=" + key}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
	for _, name := range []string{"jwt_access", "jwt_access_token"} { // there it is a bad one
		wantRefusedToken(t, a.do("GET", "/users/me", nil, header{"Cookie", name + "=" + key}), services.CodeTokenNotValid)
	}
	for _, name := range []string{"X-Api-Key", "Token", "X-Auth-Token", "Proxy-Authorization"} {
		a.do("GET", "/users/me", nil, header{name, "Token " + key}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
	wantRefusedToken(t, a.verifyToken(key), services.CodeTokenNotValid)
	wantRefusedToken(t, a.refreshWith(key), services.CodeTokenNotValid)
	wantRefusedToken(t, a.logoutWith(key), services.CodeTokenNotValid)
	wantRefusedToken(t, a.do("POST", "/auth/activate/"+key, nil), services.CodeTokenNotValid)
	a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": key}).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
}

func TestAPIToken_NeedsNoProofAgainstForgedRequests(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	token := a.user("alice").apiToken("script", nil)
	// No browser sends it by itself, and cookies beside it are not looked at.
	token.do("POST", "/tasks", map[string]any{"title": "x"}, header{"Origin", "https://evil.example"},
		header{"Sec-Fetch-Site", "cross-site"}, header{"Cookie", "jwt_access=junk"}).want(http.StatusCreated)
}

func TestAPIToken_EndsWithWhatItsAccountLoses(t *testing.T) {
	t.Parallel()
	works := func(t *testing.T, k *apiToken) { k.do("GET", "/users/me", nil).want(http.StatusOK) }
	refused := func(code services.Code) func(*testing.T, *apiToken) {
		return func(t *testing.T, k *apiToken) {
			wantRefusedToken(t, k.do("GET", "/users/me", nil), code)
			wantRefusedToken(t, k.do("GET", "/tasks", nil), code)
		}
	}
	ctx := context.Background()
	for name, tt := range map[string]struct {
		happens func(a *app, alice, boss *person)
		then    func(*testing.T, *apiToken)
	}{
		"deactivated by staff": {func(_ *app, alice, boss *person) {
			boss.do("PATCH", userPath(alice.ID), map[string]any{"is_active": false}).want(http.StatusOK)
		}, refused(services.CodeUserInactive)},
		"deactivated by an operator": {func(a *app, _, _ *person) {
			if err := a.Services.Accounts.DeactivateByName(ctx, "alice"); err != nil {
				a.t.Fatal(err)
			}
		}, refused(services.CodeUserInactive)},
		"deleted by herself": {func(_ *app, alice, _ *person) {
			alice.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
		}, refused(services.CodeTokenNotValid)},
		"deleted by staff": {func(_ *app, alice, boss *person) {
			boss.do("DELETE", userPath(alice.ID), nil).want(http.StatusNoContent)
		}, refused(services.CodeTokenNotValid)},
		"password taken away": {func(_ *app, alice, boss *person) {
			boss.do("POST", userPath(alice.ID)+"/password/reset", nil).want(http.StatusAccepted)
		}, refused(services.CodeTokenNotValid)},
		"password changed": {func(_ *app, alice, _ *person) {
			alice.do("POST", "/auth/password/change", map[string]any{"old_password": password, "new_password": secondPassword}).want(http.StatusNoContent)
		}, works},
		"all sessions ended": {func(_ *app, alice, _ *person) {
			alice.do("DELETE", "/auth/sessions?all=true", nil).want(http.StatusNoContent)
		}, works},
		"renamed": {func(_ *app, alice, _ *person) {
			alice.do("PATCH", "/users/me", map[string]any{"username": "alicia"}).want(http.StatusOK)
		}, works},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			alice, boss := a.user("alice"), a.staff("boss")
			token, others := alice.apiToken("script", nil), boss.apiToken("others", nil)
			works(t, token)
			tt.happens(a, alice, boss)
			tt.then(t, token)
			works(t, others)
		})
	}
}

func TestAPIToken_MayNoMoreThanItsAccountMayNow(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, helper, owner := a.staff("boss"), a.user("helper"), a.user("owner")
	path := taskPath(owner.task("Before"))
	limited, unlimited := helper.apiToken("limited", []string{"tasks.change", "tasks.view"}), helper.apiToken("unlimited", nil)
	change := func(status int) {
		t.Helper()
		for _, token := range []*apiToken{limited, unlimited} {
			token.do("PATCH", path, map[string]any{"title": "After"}).want(status)
		}
	}
	change(http.StatusForbidden)
	permGrant(boss, helper.ID, services.PermChangeTasks)
	change(http.StatusOK)
	permGrant(boss, helper.ID)
	change(http.StatusForbidden)
	boss.do("PATCH", userPath(helper.ID), map[string]any{"is_staff": true}).want(http.StatusOK)
	change(http.StatusOK)
	boss.do("PATCH", userPath(helper.ID), map[string]any{"is_staff": false}).want(http.StatusOK)
	change(http.StatusForbidden)
}

func TestAPIToken_DeletesItsAccountWithThePasswordOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	others := []string{"users.view", "users.add", "users.change", "tasks.view", "tasks.add", "tasks.change", "tasks.delete"}
	without, with := alice.apiToken("without", others), alice.apiToken("with", []string{services.PermDeleteUsers})
	body := map[string]any{"password": password}
	wantScopeRefusal(t, without.do("DELETE", "/users/me", body), services.PermDeleteUsers)
	wantScopeRefusal(t, without.do("DELETE", userPath(alice.ID), body), services.PermDeleteUsers)
	for _, path := range []string{"/users/me", userPath(alice.ID)} {
		with.do("DELETE", path, nil).wantFields("password")
		with.do("DELETE", path, map[string]any{"password": "not the password"}).wantFields("password")
	}
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	with.do("DELETE", "/users/me", body).want(http.StatusNoContent)
	wantRefusedToken(t, with.do("GET", "/", nil), services.CodeTokenNotValid)
	wantRefusedToken(t, alice.do("GET", "/users/me", nil), services.CodeUserInactive)
}

func TestAPIToken_CannotMoveItsOwnAddress(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, boss := a.user("alice"), a.staff("boss")
	a.Clock.Advance(time.Minute)
	for _, p := range []*person{alice, boss} {
		for _, words := range [][]string{{services.PermChangeUsers}, nil} {
			token := p.apiToken("script", words)
			for _, path := range []string{"/users/me", userPath(p.ID)} {
				wantScopeRefusal(t, token.do("PATCH", path, map[string]any{"email": "mallory@example.com"}), "")
				wantScopeRefusal(t, token.do("PATCH", path, map[string]any{"email": "mallory@example.com", "time_zone": "Europe/Berlin"}), "")
				o := token.do("PATCH", path, map[string]any{"email": p.Username + "@example.com"}).want(http.StatusOK).object() // sent back
				if o["email"] != p.Username+"@example.com" || o["time_zone"] != "UTC" {
					t.Errorf("%s has %v, %v", p.Username, o["email"], o["time_zone"])
				}
			}
		}
		if o := p.do("GET", "/users/me", nil).want(http.StatusOK).object(); o["email"] != p.Username+"@example.com" || (o["pending_email"] != nil && o["pending_email"] != "") {
			t.Errorf("the address is %v, pending %v", o["email"], o["pending_email"])
		}
	}
}
