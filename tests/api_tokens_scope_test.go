package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

// wantScopeRefusal checks that a request was refused because an API token sent
// it: for want of a word, or, with no word, whatever the token's.
func wantScopeRefusal(t testing.TB, r *response, word string) {
	t.Helper()
	text := "This API token lacks the permission " + word + "."
	if word == "" {
		text = "An API token cannot do this. Sign in."
	}
	if got := r.wantProblem(http.StatusForbidden, services.CodePermissionDenied).object()["detail"]; got != text {
		t.Errorf("%s: refused with %q, want %q", r.What, got, text)
	}
}

// allBut gives the words without one.
func allBut(word string) []string {
	return slices.DeleteFunc(services.Permissions(), func(w string) bool { return w == word })
}

// scopeCall is a request to a route that changes nothing, whoever may send it:
// what it names is not there, or its body is empty.
func scopeCall(r routes.Route) (path string, body any) {
	if r.Method != "GET" && r.Method != "HEAD" {
		body = map[string]any{}
	}
	return routePath(r.Path, 999), body
}

// outcomeOf is an answer as far as callers can be compared by it.
func outcomeOf(r *response) string {
	if len(r.Body) == 0 {
		return fmt.Sprint(r.Status)
	}
	var problem struct{ Code, Detail string }
	if r.Status >= 400 {
		r.decode(&problem)
	}
	return fmt.Sprint(r.Status, " ", problem.Code, " ", problem.Detail)
}

// TestAPITokenScope_EachRouteNeedsItsWord goes through the table, so that a
// route which is added has a word or is closed.
func TestAPITokenScope_EachRouteNeedsItsWord(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	unlimited, none := boss.apiToken("unlimited", nil), boss.apiToken("none", []string{})
	exact, others := map[string]*apiToken{}, map[string]*apiToken{}
	for _, word := range services.Permissions() {
		exact[word], others[word] = boss.apiToken(word, []string{word}), boss.apiToken("all but "+word, allBut(word))
	}
	every := boss.apiToken("every word", services.Permissions())
	scopes := map[string]int{}
	for _, route := range routes.Table() {
		if route.Access == routes.Credentials {
			continue
		}
		scopes[route.Scope]++
		methods := []string{route.Method}
		if route.Method == "GET" {
			methods = append(methods, "HEAD")
		}
		for _, method := range methods {
			t.Run(method+" "+route.Path, func(t *testing.T) {
				path, body := scopeCall(route)
				refused := func(token *apiToken) {
					t.Helper()
					r := (&apiToken{app: appIn(t, a), Key: token.Key}).do(method, path, body)
					if method == "HEAD" {
						r.want(http.StatusForbidden)
						return
					}
					word := route.Scope
					wantScopeRefusal(t, r, word)
				}
				passes := func(token *apiToken) {
					t.Helper()
					got, want := outcomeOf(token.do(method, path, body)), outcomeOf(boss.do(method, path, body))
					if got != want || strings.HasPrefix(want, "403") || strings.HasPrefix(want, "401") {
						t.Errorf("a token gets %s, its account gets %s", got, want)
					}
				}
				switch route.Scope {
				case "":
					for _, token := range []*apiToken{unlimited, none, every} {
						refused(token)
					}
				case services.AnyScope:
					for _, token := range []*apiToken{unlimited, none, every} {
						passes(token)
					}
				default:
					if exact[route.Scope] == nil {
						t.Fatalf("its word %q cannot be granted", route.Scope)
					}
					refused(none)
					refused(others[route.Scope])
					passes(exact[route.Scope])
					passes(every)
					passes(unlimited)
				}
			})
		}
	}
	for _, word := range append(services.Permissions(), "", services.AnyScope) {
		if scopes[word] == 0 {
			t.Errorf("no route needs %q: it says nothing", word)
		}
	}
}

// TestAPIToken_CannotDoWhatGuardsTheAccount names the routes that no word opens:
// the table alone would follow a mistake in the table.
func TestAPIToken_CannotDoWhatGuardsTheAccount(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, p := range []*person{a.user("alice"), a.staff("boss")} {
		target := p.apiToken("target", []string{})
		for _, token := range []*apiToken{p.apiToken("unlimited", nil), p.apiToken("all", services.Permissions())} {
			for _, call := range []struct {
				method, path string
				body         any
			}{
				{"POST", "/auth/tokens", map[string]any{"name": "child"}},
				{"GET", "/auth/tokens", nil},
				{"GET", apiTokenPath(target.ID), nil},
				{"DELETE", apiTokenPath(target.ID), nil},
				{"DELETE", apiTokenPath(token.ID), nil},
				{"GET", "/auth/sessions", nil},
				{"GET", "/auth/sessions/1", nil},
				{"DELETE", "/auth/sessions/1", nil},
				{"DELETE", "/auth/sessions", nil},
				{"DELETE", "/auth/sessions?all=true", nil},
				{"POST", "/auth/password/change", map[string]any{"old_password": password, "new_password": secondPassword}},
			} {
				wantScopeRefusal(t, token.do(call.method, call.path, call.body), "")
				wantScopeRefusal(t, token.do(call.method, routeWithSlash(strings.TrimSuffix(call.path, "?all=true")), call.body), "")
			}
			token.do("GET", "/tasks", nil).want(http.StatusOK)
		}
		p.do("GET", "/users/me", nil).want(http.StatusOK)
		if n := len(p.do("GET", "/auth/tokens", nil).want(http.StatusOK).listIDs()); n != 3 {
			t.Errorf("%d tokens, want 3", n)
		}
	}
	a.login("alice") // by the password of before
}

func TestAPITokenScope_OpenRoutesDoNotLookAtIt(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	none := alice.apiToken("none", []string{})
	for _, route := range routes.Table() {
		if route.Access != routes.Credentials {
			continue
		}
		path, body := scopeCall(route)
		want := outcomeOf(a.do(route.Method, path, body))
		for _, key := range []string{none.Key, none.Key + "x", alice.apiToken("unlimited", nil).Key} {
			if got := outcomeOf(a.do(route.Method, path, body, tokenKey(key))); got != want {
				t.Errorf("%s %s: %s with a token, %s without", route.Method, path, got, want)
			}
		}
	}
	for path, methods := range routeAllows() {
		for _, headers := range [][]header{nil, {tokenKey(none.Key)}} {
			r := a.do("OPTIONS", routePath(path, 1), nil, headers...).want(http.StatusOK)
			if got := routeAllow(r); !slices.Equal(got, methods) {
				t.Errorf("OPTIONS %s: Allow is %v, want %v", path, got, methods)
			}
		}
	}
	none.do("GET", "/nowhere", nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	none.do("PUT", "/tasks", nil).wantProblem(http.StatusMethodNotAllowed, services.CodeMethodNotAllowed)
}

func TestAPITokenScope_WhereReadsAreClosedATokenOpensThemByItsWord(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.ReadAccess = "authenticated" })
	alice := a.user("alice")
	task := taskPath(alice.task("Mine"))
	readers := 0
	for _, route := range routes.Table() {
		if route.Access != routes.Reader {
			continue
		}
		readers++
		path := strings.Replace(routePath(route.Path, alice.ID), "/tasks/1", task, 1)
		a.do("GET", path, nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		wantScopeRefusal(t, alice.apiToken("others", allBut(route.Scope)).do("GET", path, nil), route.Scope)
		alice.apiToken("its word", []string{route.Scope}).do("GET", path, nil).want(http.StatusOK)
		alice.apiToken("unlimited", nil).do("GET", path, nil).want(http.StatusOK)
	}
	if readers == 0 {
		t.Error("no route is for readers")
	}
}

func TestAPITokenScope_OwnershipNeedsTheWordToo(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	own, others := taskPath(alice.task("Hers")), taskPath(bob.task("His"))
	hidden := taskPath(bob.task("Hidden", map[string]any{"visibility": "private"}))
	private := taskPath(alice.task("Private", map[string]any{"visibility": "private"}))
	reads, writes := alice.apiToken("reads", []string{"tasks.view"}), alice.apiToken("writes", []string{"tasks.change", "tasks.delete", "tasks.add"})
	body := map[string]any{"title": "After"}

	reads.do("GET", private, nil).want(http.StatusOK)
	reads.do("GET", hidden, nil).wantProblem(http.StatusNotFound, services.CodeNotFound) // the word opens no more than the account has
	for _, method := range []string{"PUT", "PATCH"} {
		wantScopeRefusal(t, reads.do(method, own, body), services.PermChangeTasks)
		writes.do(method, own, body).want(http.StatusOK)
		if got := writes.do(method, others, body).wantProblem(http.StatusForbidden, services.CodePermissionDenied).object()["detail"]; got != textForbidden {
			t.Errorf("the refusal says %q", got)
		}
		writes.do(method, hidden, body).wantProblem(http.StatusNotFound, services.CodeNotFound)
	}
	wantScopeRefusal(t, writes.do("GET", own, nil), services.PermViewTasks)
	wantScopeRefusal(t, reads.do("POST", "/tasks", body), services.PermAddTasks)
	wantScopeRefusal(t, reads.do("DELETE", own, nil), services.PermDeleteTasks)
	made := writes.do("POST", "/tasks", body).want(http.StatusCreated)
	if got := made.object()["created_by"]; got != float64(alice.ID) {
		t.Errorf("made by %v", got)
	}
	writes.do("DELETE", others, nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	writes.do("DELETE", own, nil).want(http.StatusNoContent)
}

func TestAPITokenScope_LimitsTheWordsOfTheAccount(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, helper, owner := a.staff("boss"), a.user("helper"), a.user("owner")
	hidden := taskPath(owner.task("Hidden", map[string]any{"visibility": "private"}))
	permGrant(boss, helper.ID, "tasks.view", "tasks.change", "users.view")
	body := map[string]any{"title": "After"}

	// What the token does not name, its account does not have for it.
	changes := helper.apiToken("changes", []string{"tasks.change", "users.change"})
	changes.do("PATCH", hidden, body).wantProblem(http.StatusNotFound, services.CodeNotFound)
	views := helper.apiToken("views", []string{"tasks.view"})
	views.do("GET", hidden, nil).want(http.StatusOK)
	wantScopeRefusal(t, views.do("PATCH", hidden, body), services.PermChangeTasks)
	both := helper.apiToken("both", []string{"tasks.view", "tasks.change", "tasks.delete"})
	both.do("PATCH", hidden, body).want(http.StatusOK)
	both.do("DELETE", hidden, nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied) // its account lacks it
	changes.do("PATCH", userPath(owner.ID), map[string]any{"time_zone": "Europe/Berlin"}).wantProblem(http.StatusForbidden, services.CodePermissionDenied)

	// An account's private members are shown by users.view, which both must hold.
	shows := func(token *apiToken, id int64) bool {
		t.Helper()
		_, shown := token.do("GET", userPath(id), nil).want(http.StatusOK).object()["email"]
		return shown
	}
	usersView, ownersView := helper.apiToken("users", []string{"users.view"}), owner.apiToken("users", []string{"users.view"})
	if !shows(usersView, owner.ID) || !shows(usersView, helper.ID) || !shows(ownersView, owner.ID) || shows(ownersView, helper.ID) {
		t.Error("users.view shows what it should not, or the other way round")
	}
	usersView.do("GET", "/users?is_staff=true", nil).want(http.StatusOK)
	ownersView.do("GET", "/users?is_staff=true", nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
}

func TestAPIToken_OfStaffIsStaffUnlessItIsLimited(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, second, owner := a.staff("boss"), a.staff("second"), a.user("owner")
	limited, unlimited := boss.apiToken("limited", services.Permissions()), boss.apiToken("unlimited", nil)
	account := func(name string, more map[string]any) map[string]any {
		return changedTask(map[string]any{"username": name, "email": name + "@example.com", "password": password}, more)
	}
	path := userPath(owner.ID)
	for i, call := range []struct {
		method, path string
		body         func(name string) any
		status       int
	}{
		{"PATCH", path, func(string) any { return map[string]any{"is_staff": true} }, 200},
		{"PATCH", path, func(string) any { return map[string]any{"is_staff": false} }, 200},
		{"PATCH", path, func(string) any { return map[string]any{"permissions": []string{"tasks.view"}} }, 200},
		{"PATCH", path, func(string) any { return map[string]any{"permissions": []string{}} }, 200},
		{"PATCH", userPath(second.ID), func(string) any { return map[string]any{"time_zone": "Europe/Berlin"} }, 200},
		{"POST", "/users", func(name string) any { return account(name, map[string]any{"is_staff": true}) }, 201},
		{"POST", "/users", func(name string) any {
			return account(name, map[string]any{"permissions": []string{"tasks.view"}})
		}, 201},
		{"POST", userPath(second.ID) + "/password/reset", func(string) any { return nil }, 202},
		{"PATCH", "/users/me", func(string) any { return map[string]any{"permissions": []string{"tasks.view"}} }, 200},
	} {
		name := fmt.Sprint("made", i)
		if i != 1 && i != 3 { // there it asks for what is so already
			limited.do(call.method, call.path, call.body(name)).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
		}
		unlimited.do(call.method, call.path, call.body(name)).want(call.status)
	}
	limited.do("PATCH", "/users/me", map[string]any{"is_staff": false}).wantProblem(http.StatusForbidden, services.CodePermissionDenied)

	// It has the words, for what they are for.
	hidden := taskPath(owner.task("Hidden", map[string]any{"visibility": "private"}))
	limited.do("GET", hidden, nil).want(http.StatusOK)
	limited.do("PATCH", hidden, map[string]any{"title": "After"}).want(http.StatusOK)
	limited.do("PATCH", path, map[string]any{"is_active": false}).want(http.StatusOK)
	limited.do("GET", path, nil).want(http.StatusOK)
	limited.do("PATCH", path, map[string]any{"is_active": true}).want(http.StatusOK)
	limited.do("POST", path+"/password/reset", nil).want(http.StatusAccepted)
	limited.do("POST", "/users", account("plain", nil)).want(http.StatusCreated)
	limited.do("DELETE", path, nil).want(http.StatusNoContent)
	boss.apiToken("none", []string{"tasks.change"}).do("PATCH", hidden, map[string]any{"title": "Again"}).wantProblem(http.StatusNotFound, services.CodeNotFound)
}
