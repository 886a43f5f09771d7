package tests

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

// permApp is the app with its complaints going to a subtest.
func permApp(t *testing.T, a *app) *app {
	b := *a
	b.t = t
	return &b
}

// permSnapshot is everything that the staff can read of a resource.
func permSnapshot(a *app, boss *person, path string) string {
	r := a.do("GET", path, nil, bearer(boss.Access))
	return fmt.Sprintf("%d %s %s", r.Status, r.Header.Get("ETag"), withoutRequestID(r))
}

// withoutRequestID gives a body without what differs from request to request.
func withoutRequestID(r *response) string {
	return strings.ReplaceAll(string(r.Body), r.Header.Get("X-Request-Id"), "")
}

// permWorld is a server with one of each kind of caller.
type permWorld struct {
	*app
	boss, stranger, owner, maker *person
	expired                      string
	callers                      map[string][]header
}

func newPermWorld(t *testing.T) *permWorld {
	a := newApp(t)
	w := &permWorld{app: a, expired: a.user("ghost").Access}
	a.Clock.Advance(6 * time.Minute)
	w.boss, w.stranger, w.owner, w.maker = a.staff("boss"), a.user("stranger"), a.user("owner"), a.user("maker")
	w.callers = map[string][]header{
		"anonymous":     nil,
		"bad token":     {bearer("not.a.token")},
		"expired token": {bearer(w.expired)},
		"stranger":      {bearer(w.stranger.Access)},
		"person":        {bearer(w.owner.Access)},
		"created_by":    {bearer(w.maker.Access)},
		"staff":         {bearer(w.boss.Access)},
	}
	return w
}

// as gives the headers of a caller: one of the world's, or the holder of words
// such as "tasks.view+tasks.change".
func (w *permWorld) as(caller string) []header {
	if _, known := w.callers[caller]; !known {
		p := w.user(strings.NewReplacer(".", "_").Replace(caller))
		permGrant(w.boss, p.ID, strings.Split(caller, "+")...)
		w.callers[caller] = []header{bearer(p.Access)}
	}
	return w.callers[caller]
}

func permGrant(boss *person, id int64, words ...string) {
	boss.t.Helper()
	boss.do("PATCH", userPath(id), map[string]any{"permissions": append([]string{}, words...)}).want(http.StatusOK)
}

// permCheck holds an answer against the status that a caller should get.
func permCheck(t *testing.T, caller string, r *response, want int) {
	t.Helper()
	unauthorized := map[string]services.Code{
		"anonymous": services.CodeNotAuthenticated, "bad token": services.CodeTokenNotValid,
		"expired token": services.CodeTokenExpired, "self": services.CodeUserInactive,
	}
	switch want {
	case http.StatusUnauthorized:
		r.wantProblem(want, unauthorized[caller])
	case http.StatusForbidden:
		if got := r.wantProblem(want, services.CodePermissionDenied).object()["detail"]; got != textForbidden {
			t.Errorf("the refusal says %q", got)
		}
	case http.StatusNotFound:
		if got := r.wantProblem(want, services.CodeNotFound).object()["detail"]; got != textNotFound {
			t.Errorf("what is hidden says %q", got)
		}
	default:
		r.want(want)
	}
}

func TestTaskMatrix_EachCallerGetsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	methods := [4]string{"GET", "PUT", "PATCH", "DELETE"}
	all, refused := [4]int{200, 200, 200, 204}, [4]int{401, 401, 401, 401}
	readOnly, hidden := [4]int{200, 403, 403, 403}, [4]int{404, 404, 404, 404}
	change, remove := [4]int{200, 200, 200, 403}, [4]int{200, 403, 403, 204}
	w := newPermWorld(t)
	for _, row := range []struct {
		caller          string
		public, private [4]int
	}{
		{"anonymous", [4]int{200, 401, 401, 401}, [4]int{404, 401, 401, 401}},
		{"bad token", refused, refused},
		{"expired token", refused, refused},
		{"stranger", readOnly, hidden},
		{"person", all, all},
		{"created_by", all, all},
		{"tasks.add", readOnly, hidden},
		{"tasks.view", readOnly, readOnly},
		{"tasks.change", change, hidden},
		{"tasks.delete", remove, hidden},
		{"tasks.view+tasks.change", change, change},
		{"tasks.view+tasks.delete", remove, remove},
		{"users.view+users.add+users.change+users.delete", readOnly, hidden},
		{"staff", all, all},
	} {
		caller := w.as(row.caller)
		for visibility, statuses := range map[string][4]int{"public": row.public, "private": row.private} {
			for i, method := range methods {
				path := taskPath(w.maker.task("Before", map[string]any{"visibility": visibility, "person": w.owner.ID}))
				t.Run(row.caller+"/"+visibility+"/"+method, func(t *testing.T) {
					a := permApp(t, w.app)
					before := permSnapshot(a, w.boss, path)
					var body any
					if method == "PUT" || method == "PATCH" {
						body = map[string]any{"title": "After"}
					}
					r := a.do(method, path, body, caller...)
					permCheck(t, row.caller, r, statuses[i])
					switch {
					case statuses[i] >= 400:
						if after := permSnapshot(a, w.boss, path); after != before {
							t.Fatalf("a refused %s changed the task from %s to %s", method, before, after)
						}
					case method == "DELETE":
						a.do("GET", path, nil, bearer(w.boss.Access)).wantProblem(http.StatusNotFound, services.CodeNotFound)
					default:
						want := map[string]string{"GET": "Before", "PUT": "After", "PATCH": "After"}[method]
						if got := r.object()["title"]; got != want {
							t.Fatalf("the title is %v, want %s", got, want)
						}
					}
				})
			}
		}
	}
}

func TestUserMatrix_EachCallerGetsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	methods := [3]string{"GET", "PATCH", "DELETE"}
	refused, hidden := [3]int{401, 401, 401}, [3]int{404, 404, 404}
	readOnly, change, remove, all := [3]int{200, 403, 403}, [3]int{200, 200, 403}, [3]int{200, 403, 204}, [3]int{200, 200, 204}
	w := newPermWorld(t)
	type account struct {
		id    int64
		token string // of a session from before it was deactivated
	}
	var made int
	there := map[string]account{}
	// target gives the account that is in a state; a refused request leaves it
	// for the next one.
	target := func(state string) account {
		if _, ok := there[state]; !ok {
			made++
			name := fmt.Sprintf("target%d", made)
			if state == "pending" {
				id, _ := w.register(name)
				there[state] = account{id: id}
				return there[state]
			}
			p := w.user(name)
			there[state] = account{p.ID, p.Access}
			if state == "deactivated" {
				w.boss.do("PATCH", userPath(p.ID), map[string]any{"is_active": false}).want(http.StatusOK)
			}
		}
		return there[state]
	}
	for _, row := range []struct {
		caller                       string
		private                      bool
		active, pending, deactivated [3]int
	}{
		{"anonymous", false, [3]int{200, 401, 401}, [3]int{404, 401, 401}, [3]int{404, 401, 401}},
		{"bad token", false, refused, refused, refused},
		{"expired token", false, refused, refused, refused},
		{"stranger", false, readOnly, hidden, hidden},
		{"self", true, all, [3]int{}, refused}, // a pending account cannot sign in
		{"users.add", false, readOnly, hidden, hidden},
		{"users.view", true, readOnly, readOnly, readOnly},
		{"users.change", false, change, hidden, hidden},
		{"users.delete", false, remove, hidden, hidden},
		{"users.view+users.change", true, change, change, change},
		{"users.view+users.delete", true, remove, remove, remove},
		{"tasks.view+tasks.add+tasks.change+tasks.delete", false, readOnly, hidden, hidden},
		{"staff", true, all, all, all},
	} {
		states := map[string][3]int{"active": row.active, "pending": row.pending, "deactivated": row.deactivated}
		for state, statuses := range states {
			if statuses == [3]int{} {
				continue
			}
			for i, method := range methods {
				account := target(state)
				caller := []header{bearer(account.token)}
				if row.caller != "self" {
					caller = w.as(row.caller)
				}
				t.Run(row.caller+"/"+state+"/"+method, func(t *testing.T) {
					a, path := permApp(t, w.app), userPath(account.id)
					before := permSnapshot(a, w.boss, path)
					body := map[string]any{"GET": nil, "PATCH": map[string]any{"time_zone": "Europe/Berlin"},
						"DELETE": map[string]any{"password": password}}[method]
					r := a.do(method, path, body, caller...)
					permCheck(t, row.caller, r, statuses[i])
					switch {
					case statuses[i] >= 400:
						if after := permSnapshot(a, w.boss, path); after != before {
							t.Fatalf("a refused %s changed the account from %s to %s", method, before, after)
						}
					case method == "DELETE":
						delete(there, state)
						a.do("GET", path, nil, bearer(w.boss.Access)).wantProblem(http.StatusNotFound, services.CodeNotFound)
					default:
						if _, shown := r.object()["email"]; shown != row.private {
							t.Fatalf("private members shown: %v, want %v, in %s", shown, row.private, r.Body)
						}
					}
				})
			}
		}
	}
}

func TestPrivateTasks_AppearNowhereForThoseWhoMayNotSeeThem(t *testing.T) {
	t.Parallel()
	w := newPermWorld(t)
	open := w.maker.task("Open", map[string]any{"person": w.owner.ID, "priority": 1})
	etags := map[string]string{}
	for _, caller := range []string{"anonymous", "stranger"} {
		etags[caller] = w.do("GET", userPath(w.owner.ID), nil, w.as(caller)...).want(http.StatusOK).Header.Get("ETag")
	}
	secret := w.maker.task("Secret", map[string]any{"person": w.owner.ID, "priority": 1, "visibility": "private"})
	for caller, sees := range map[string]bool{
		"anonymous": false, "stranger": false, "tasks.change": false, "users.view": false,
		"person": true, "created_by": true, "tasks.view": true, "staff": true,
	} {
		want := []int64{open}
		if sees {
			want = append(want, secret)
		}
		for _, query := range []string{
			"count=exact", "count=exact&ordering=-title", fmt.Sprintf("count=exact&person=%d", w.owner.ID),
			fmt.Sprintf("count=exact&created_by=%d&priority=1", w.maker.ID), "count=exact&page=1", "count=exact&done=false&page_size=2",
		} {
			r := w.do("GET", "/tasks?"+query, nil, w.as(caller)...).want(http.StatusOK)
			var got []int64
			for _, task := range r.list() {
				got = append(got, int64(task["id"].(float64)))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) || r.Header.Get("X-Total-Count") != fmt.Sprint(len(want)) {
				t.Errorf("%s: %s lists %v of %s, want %v", caller, query, got, r.Header.Get("X-Total-Count"), want)
			}
		}
		private := w.do("GET", "/tasks?count=exact&visibility=private", nil, w.as(caller)...).want(http.StatusOK)
		if n := len(private.list()); (n == 1) != sees || private.Header.Get("X-Total-Count") != fmt.Sprint(n) {
			t.Errorf("%s: the private tasks are %s", caller, private.Body)
		}
		one := w.do("GET", userPath(w.owner.ID), nil, w.as(caller)...).want(http.StatusOK)
		views := []map[string]any{one.object()}
		for _, u := range w.do("GET", "/users", nil, w.as(caller)...).want(http.StatusOK).list() {
			if u["id"] == float64(w.owner.ID) {
				views = append(views, u)
			}
		}
		if len(views) != 2 {
			t.Errorf("%s: the owner is not in the list of users", caller)
		}
		for _, view := range views {
			ids := view["tasks"].([]any)
			if view["task_count"] != float64(len(want)) || len(ids) != len(want) || ids[len(ids)-1] != float64(open) {
				t.Errorf("%s: the owner has %v tasks, %v, want %v", caller, view["task_count"], ids, want)
			}
		}
		if before, noted := etags[caller]; noted && one.Header.Get("ETag") != before {
			t.Errorf("%s: the owner's ETag tells of a private task", caller)
		}
	}
}

func TestPrecondition_TellsNothingToThoseWhoMayNotWrite(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	owner, stranger := a.user("owner"), a.user("stranger")
	open, secret := taskPath(owner.task("Open")), taskPath(owner.task("Secret", map[string]any{"visibility": "private"}))
	for _, tag := range []string{`"0"`, `"1"`, "*"} {
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			body := map[string]any{"title": "After"}
			stranger.do(method, open, body, header{"If-Match", tag}).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
			stranger.do(method, secret, body, header{"If-Match", tag}).wantProblem(http.StatusNotFound, services.CodeNotFound)
			stranger.do("PATCH", userPath(owner.ID), map[string]any{}, header{"If-Match", tag}).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
		}
		stranger.do("GET", secret, nil, header{"If-None-Match", tag}).wantProblem(http.StatusNotFound, services.CodeNotFound)
	}
}

func TestPermission_BitesOnTheNextRequestWhenGivenOrTaken(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, helper, owner := a.staff("boss"), a.user("helper"), a.user("owner")
	path := taskPath(owner.task("Before"))
	change := func() *response { return helper.do("PATCH", path, map[string]any{"title": "After"}) }
	change().wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	permGrant(boss, helper.ID, services.PermChangeTasks)
	change().want(http.StatusOK)
	permGrant(boss, helper.ID)
	change().wantProblem(http.StatusForbidden, services.CodePermissionDenied)

	boss.do("PATCH", userPath(helper.ID), map[string]any{"is_staff": true}).want(http.StatusOK)
	change().want(http.StatusOK)
	boss.do("PATCH", userPath(helper.ID), map[string]any{"is_staff": false}).want(http.StatusOK)
	change().wantProblem(http.StatusForbidden, services.CodePermissionDenied)
}

func TestUserWords_ReachNeitherStaffNorRank(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, holder, other := a.staff("boss"), a.user("holder"), a.user("other")
	permGrant(boss, holder.ID, "users.view", "users.add", "users.change", "users.delete")
	account := map[string]any{"username": "newone", "email": "newone@example.com", "password": password}
	with := func(extra map[string]any) map[string]any {
		all := maps.Clone(account)
		maps.Copy(all, extra)
		return all
	}
	users := func() string { return string(boss.do("GET", "/users", nil).want(http.StatusOK).Body) }
	before := users()
	for name, try := range map[string]struct {
		method, path string
		body         any
	}{
		"rename staff":           {"PATCH", userPath(boss.ID), map[string]any{"username": "taken"}},
		"take staff's address":   {"PATCH", userPath(boss.ID), map[string]any{"email": "holder2@example.com"}},
		"deactivate staff":       {"PATCH", userPath(boss.ID), map[string]any{"is_active": false}},
		"delete staff":           {"DELETE", userPath(boss.ID), map[string]any{"password": password}},
		"make oneself staff":     {"PATCH", userPath(holder.ID), map[string]any{"is_staff": true}},
		"the same by /users/me":  {"PATCH", "/users/me", map[string]any{"is_staff": true}},
		"grant oneself a word":   {"PATCH", "/users/me", map[string]any{"permissions": []string{"tasks.change", "users.add", "users.change", "users.delete", "users.view"}}},
		"make another staff":     {"PATCH", userPath(other.ID), map[string]any{"is_staff": true}},
		"grant another a word":   {"PATCH", userPath(other.ID), map[string]any{"permissions": []string{"users.view"}}},
		"make a staff account":   {"POST", "/users", with(map[string]any{"is_staff": true})},
		"make a granted account": {"POST", "/users", with(map[string]any{"permissions": []string{"users.view"}})},
	} {
		holder.do(try.method, try.path, try.body).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
		if after := users(); after != before {
			t.Fatalf("%s: the refused request changed the accounts from %s to %s", name, before, after)
		}
	}
	holder.do("PATCH", userPath(other.ID), map[string]any{"email": "moved@example.com", "is_active": false}).want(http.StatusOK)
	holder.do("POST", "/users", account).want(http.StatusCreated)
}

func TestReadAccess_AuthenticatedClosesReads(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.ReadAccess = "authenticated" })
	alice := a.user("alice")
	id := alice.task("Open")
	for _, path := range []string{"/tasks", taskPath(id), taskPath(999), "/users", userPath(alice.ID), userPath(999), "/tasks?count=exact"} {
		r := a.do("GET", path, nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		if r.Header.Get("X-Total-Count") != "" || r.Header.Get("ETag") != "" {
			t.Errorf("%s: the refusal tells what is there: %v", path, r.Header)
		}
		a.do("HEAD", path, nil).want(http.StatusUnauthorized)
		signedIn := http.StatusOK
		if strings.HasSuffix(path, "/999") {
			signedIn = http.StatusNotFound
		}
		alice.do("GET", path, nil).want(signedIn)
	}
	for _, path := range []string{"/", "/healthz", "/readyz"} {
		a.do("GET", path, nil).want(http.StatusOK)
	}
}
