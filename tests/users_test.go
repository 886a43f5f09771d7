package tests

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

var (
	usersPublic  = []string{"date_joined", "id", "task_count", "tasks", "tasks_url", "url", "username"}
	usersPrivate = []string{"email", "is_active", "is_staff", "last_login", "pending_email", "permissions", "time_zone"}
)

// usersMembers gives the names of an object's members, sorted.
func usersMembers(o map[string]any) []string { return slices.Sorted(maps.Keys(o)) }

// usersAll gives the members that oneself and the staff see.
func usersAll() []string {
	return slices.Sorted(slices.Values(slices.Concat(usersPublic, usersPrivate)))
}

// usersNames gives the accounts of a list, in its order.
func usersNames(r *response) []string {
	r.t.Helper()
	names := []string{}
	for _, u := range r.want(http.StatusOK).list() {
		name, _ := u["username"].(string)
		names = append(names, name)
	}
	return names
}

func TestGetUser_ShowsPublicMembersToAllAndPrivateOnesToOneselfAndStaff(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice, bob := a.staff("boss"), a.user("alice"), a.user("bob")
	first, second := alice.task("First"), alice.task("Second")
	public := map[string]any{
		"id": float64(alice.ID), "url": "http://dueto.test" + userPath(alice.ID), "username": "alice", "date_joined": "2026-10-18T12:00:00Z",
		"task_count": float64(2), "tasks": []any{float64(second), float64(first)},
		"tasks_url": fmt.Sprintf("http://dueto.test/tasks?person=%d", alice.ID),
	}
	full := maps.Clone(public)
	maps.Copy(full, map[string]any{
		"email": "alice@example.com", "pending_email": nil, "is_active": true, "is_staff": false, "permissions": []any{}, "last_login": "2026-10-18T12:00:00Z", "time_zone": "UTC",
	})
	for name, test := range map[string]struct {
		r    *response
		want map[string]any
	}{
		"anonymous": {a.do("GET", userPath(alice.ID), nil), public},
		"stranger":  {bob.do("GET", userPath(alice.ID), nil), public},
		"oneself":   {alice.do("GET", userPath(alice.ID), nil), full},
		"me":        {alice.do("GET", "/users/me", nil), full},
		"staff":     {boss.do("GET", userPath(alice.ID), nil), full},
	} {
		if got := test.r.want(http.StatusOK).object(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s sees %v, want %v", name, got, test.want)
		}
		if body := strings.ToLower(string(test.r.Body)); strings.Contains(body, "password") || strings.Contains(body, "v1$") {
			t.Errorf("%s is told of a password: %s", name, body)
		}
	}
	if tasks := a.do("GET", strings.TrimPrefix(public["tasks_url"].(string), "http://dueto.test"), nil).want(http.StatusOK).list(); len(tasks) != 2 {
		t.Errorf("tasks_url lists %v", tasks)
	}
}

func TestGetUser_ListsTheNewestHundredTasksAndCountsAll(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	var ids []any
	for range 102 {
		ids = append(ids, float64(alice.task("One of many")))
	}
	got := a.do("GET", userPath(alice.ID), nil).want(http.StatusOK).object()
	slices.Reverse(ids)
	if got["task_count"] != float64(102) || !reflect.DeepEqual(got["tasks"], ids[:100]) {
		t.Errorf("102 tasks are told as %v: %v", got["task_count"], got["tasks"])
	}
}

func TestListUsers_LeavesOutPendingAndDeactivatedExceptForStaff(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice, off := a.staff("boss"), a.user("alice"), a.user("off")
	a.register("pending")
	boss.do("PATCH", userPath(off.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	for name, test := range map[string]struct {
		caller []header
		names  []string
		full   []string // whose private members are shown
	}{
		"anonymous": {nil, []string{"boss", "alice"}, nil},
		"alice":     {[]header{bearer(alice.Access)}, []string{"boss", "alice"}, []string{"alice"}},
		"staff":     {[]header{bearer(boss.Access)}, []string{"boss", "alice", "off", "pending"}, []string{"boss", "alice", "off", "pending"}},
	} {
		for _, query := range []string{"?count=exact", "?count=exact&page=1&page_size=10"} {
			r := a.do("GET", "/users"+query, nil, test.caller...)
			if got := usersNames(r); !slices.Equal(got, test.names) || r.Header.Get("X-Total-Count") != fmt.Sprint(len(test.names)) {
				t.Errorf("%s lists %v of %s, want %v", name, got, r.Header.Get("X-Total-Count"), test.names)
			}
			for _, u := range r.list() {
				want := usersPublic
				if slices.Contains(test.full, u["username"].(string)) {
					want = usersAll()
				}
				if got := usersMembers(u); !slices.Equal(got, want) {
					t.Errorf("%s sees %v of %v, want %v", name, got, u["username"], want)
				}
			}
		}
	}
	if r := a.do("GET", "/users", nil); r.Header.Get("X-Total-Count") != "" {
		t.Error("the list is counted without being asked")
	}
}

func TestListUsers_OrdersPagesAndPicksMembers(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, name := range []string{"cleo", "Anna", "dora", "bert"} {
		a.user(name)
		a.Clock.Advance(time.Second)
	}
	for query, want := range map[string][]string{
		"":                              {"cleo", "Anna", "dora", "bert"},
		"?ordering=-id":                 {"bert", "dora", "Anna", "cleo"},
		"?ordering=username":            {"Anna", "bert", "cleo", "dora"},
		"?ordering=-username":           {"dora", "cleo", "bert", "Anna"},
		"?ordering=-date_joined,id":     {"bert", "dora", "Anna", "cleo"},
		"?page=2&page_size=3":           {"bert"},
		"?page=9":                       {},
		"?page_size=2&ordering=-id":     {"bert", "dora"},
		"?fields=username&page_size=1":  {"cleo"},
		"?fields=email&page_size=1":     {""},
		"?fields=username,id,tasks_url": {"cleo", "Anna", "dora", "bert"},
	} {
		if got := usersNames(a.do("GET", "/users"+query, nil)); !slices.Equal(got, want) {
			t.Errorf("%q lists %v, want %v", query, got, want)
		}
	}
	if got := usersMembers(a.do("GET", "/users?fields=username,email,url", nil).list()[0]); !slices.Equal(got, []string{"url", "username"}) {
		t.Errorf("an anonymous reader picked %v", got)
	}
	for query, field := range map[string]string{
		"page_size=0": "page_size", "page_size=201": "page_size", "page=0": "page", "ordering=email": "ordering", "ordering=password_hash": "ordering",
		"fields=password": "fields", "cursor=x": "cursor", "count=yes": "count", "usernam=x": "usernam", "page=1&page=2": "page", "page=1000000": "page",
	} {
		a.do("GET", "/users?"+query, nil).wantFields(field)
	}
	var walked []string
	for next := "/users?page_size=1&ordering=username"; ; {
		r := a.do("GET", next, nil)
		walked = append(walked, usersNames(r)...)
		before, _, more := strings.Cut(r.Header.Get("Link"), `>; rel="next"`)
		if !more || len(walked) > 4 {
			break
		}
		next = before[strings.LastIndex(before, "<http://dueto.test")+len("<http://dueto.test"):]
	}
	if !slices.Equal(walked, []string{"Anna", "bert", "cleo", "dora"}) {
		t.Errorf("the cursors lead through %v", walked)
	}
}

func TestPatchUser_OneselfChangesNameAndTimeZoneOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	a.user("bob")
	before := alice.do("GET", "/users/me", nil).want(http.StatusOK)
	// What was read can be sent back, changed where that is allowed.
	body := before.object()
	body["username"], body["time_zone"], body["id"], body["last_login"] = "Alice2", "Europe/Berlin", 99, nil
	after := alice.do("PATCH", "/users/me", body).want(http.StatusOK)
	want := before.object()
	want["username"], want["time_zone"] = "Alice2", "Europe/Berlin"
	if got := after.object(); !reflect.DeepEqual(got, want) {
		t.Errorf("the patch gives %v, want %v", got, want)
	}
	again := alice.do("GET", userPath(alice.ID), nil).want(http.StatusOK)
	if string(again.Body) != string(after.Body) || again.Header.Get("ETag") != after.Header.Get("ETag") || again.Header.Get("ETag") == before.Header.Get("ETag") {
		t.Errorf("read again it is %s with %s, after %s", again.Body, again.Header.Get("ETag"), after.Header.Get("ETag"))
	}
	a.login("ALICE2")
	for name, test := range map[string]struct {
		body   any
		fields []string
	}{
		"taken":        {map[string]any{"username": "BOB"}, []string{"username"}},
		"reserved":     {map[string]any{"username": "Me"}, []string{"username"}},
		"bad name":     {map[string]any{"username": "a b"}, []string{"username"}},
		"null":         {map[string]any{"username": nil, "email": nil, "time_zone": nil}, []string{"username", "email", "time_zone"}},
		"bad zone":     {map[string]any{"time_zone": "../../etc/passwd"}, []string{"time_zone"}},
		"not a member": {map[string]any{"password": "another good phrase", "nonsense": 1}, []string{"password", "nonsense"}},
		"wrong types":  {map[string]any{"username": 1, "is_active": "yes", "permissions": "tasks.view"}, []string{"username", "is_active", "permissions"}},
		"no address":   {map[string]any{"email": "new"}, []string{"email"}},
		"bob's":        {map[string]any{"email": "Bob@Example.com"}, []string{"email"}},
	} {
		r := alice.do("PATCH", "/users/me", test.body).wantFields(test.fields...)
		if now := alice.do("GET", "/users/me", nil); r.Status != http.StatusBadRequest || now.object()["username"] != "Alice2" || now.object()["email"] != "alice@example.com" {
			t.Errorf("%s: the account is %s", name, now.Body)
		}
	}
	for _, body := range []any{map[string]any{"is_active": false}, map[string]any{"is_staff": true}, map[string]any{"permissions": []string{"tasks.view"}}} {
		alice.do("PATCH", "/users/me", body).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	}
}

func TestPatchUser_StaffActivateDeactivateAndGrant(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	id, link := a.register("pending")
	if got := boss.do("PATCH", userPath(id), map[string]any{"is_active": true}).want(http.StatusOK).object()["is_active"]; got != true {
		t.Errorf("the pending account is active: %v", got)
	}
	a.login("pending")
	a.do("POST", link, nil).wantProblem(http.StatusConflict, services.CodeAlreadyActive)

	boss.do("PATCH", userPath(alice.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	alice.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, services.CodeUserInactive)
	a.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh}).wantProblem(http.StatusUnauthorized, services.CodeUserInactive)
	a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	boss.do("PATCH", userPath(alice.ID), map[string]any{"is_active": true}).want(http.StatusOK)
	// The sessions of before stay ended.
	alice.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
	a.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh}).wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)

	changed := boss.do("PATCH", userPath(alice.ID), map[string]any{
		"email": "moved@example.com", "is_staff": true, "permissions": []string{"users.view", "tasks.view", "users.view"},
	}).want(http.StatusOK).object()
	if changed["email"] != "moved@example.com" || changed["is_staff"] != true || !reflect.DeepEqual(changed["permissions"], []any{"tasks.view", "users.view"}) {
		t.Errorf("the staff made it %v", changed)
	}
	a.login("moved@example.com")
	a.do("POST", "/auth/login", map[string]any{"username": "alice@example.com", "password": password}).want(http.StatusUnauthorized)
	boss.do("PATCH", userPath(alice.ID), map[string]any{"permissions": []string{"everything"}}).wantFields("permissions")
	boss.do("PATCH", userPath(alice.ID), map[string]any{"email": "BOSS@example.com"}).wantFields("email")
	boss.do("PATCH", userPath(999), map[string]any{}).wantProblem(http.StatusNotFound, services.CodeNotFound)
}

func TestCreateUser_IsForStaff(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	account := map[string]any{"username": "carol", "email": "carol@example.com", "password": password, "permissions": []string{"tasks.view"}}
	a.do("POST", "/users", account).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	alice.do("POST", "/users", account).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	r := boss.do("POST", "/users", account).want(http.StatusCreated)
	got := r.object()
	if url := "http://dueto.test" + userPath(r.id()); r.Header.Get("Location") != url || got["url"] != url {
		t.Errorf("the account is at %s, Location %s", got["url"], r.Header.Get("Location"))
	}
	if !slices.Equal(usersMembers(got), usersAll()) || got["is_active"] != true || got["last_login"] != nil || !reflect.DeepEqual(got["permissions"], []any{"tasks.view"}) {
		t.Errorf("the account is %v", got)
	}
	if read := boss.do("GET", userPath(r.id()), nil); string(read.Body) != string(r.Body) || read.Header.Get("ETag") != r.Header.Get("ETag") {
		t.Errorf("read again it is %s", read.Body)
	}
	a.login("carol")
	boss.do("POST", "/users", account).wantFields("username", "email")
	boss.do("POST", "/users", map[string]any{}).wantFields("username", "email", "password")
	boss.do("POST", "/users", map[string]any{"username": "dave", "email": "no", "password": "short"}).wantFields("email", "password")
}

func TestDeleteUser_OneselfNeedsThePassword(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice, bob := a.staff("boss"), a.user("alice"), a.user("bob")
	for _, path := range []string{"/users/me", userPath(alice.ID)} {
		alice.do("DELETE", path, nil).wantFields("password")
		alice.do("DELETE", path, map[string]any{}).wantFields("password")
		alice.do("DELETE", path, map[string]any{"password": "wrong password"}).wantFields("password")
		alice.do("DELETE", path, map[string]any{"password": password, "sure": true}).wantFields("sure")
		alice.do("DELETE", path+"?tasks=burn", map[string]any{"password": password}).wantFields("tasks")
	}
	boss.do("DELETE", "/users/me", nil).wantFields("password")
	bob.do("DELETE", userPath(alice.ID), map[string]any{"password": password}).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	alice.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
	bob.do("DELETE", userPath(bob.ID), map[string]any{"password": password}).want(http.StatusNoContent)
	for _, p := range []*person{alice, bob} {
		p.do("GET", "/tasks", nil).wantProblem(http.StatusUnauthorized, services.CodeUserInactive)
		a.do("POST", "/auth/refresh", map[string]any{"refresh": p.Refresh}).wantProblem(http.StatusUnauthorized, services.CodeUserInactive)
		a.do("GET", userPath(p.ID), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
		a.do("POST", "/auth/login", map[string]any{"username": p.Username, "password": password}).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	}
	if again := a.user("alice"); again.ID == alice.ID {
		t.Error("the id of a deleted account came back")
	}
}

func TestDeleteUser_TasksStayForNobodyUnlessAskedFor(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice, bob, carol := a.staff("boss"), a.user("alice"), a.user("bob"), a.user("carol")
	own := alice.task("Own")
	byAlice := alice.task("For Carol", map[string]any{"person": carol.ID})
	forAlice := carol.task("For Alice", map[string]any{"person": alice.ID})
	secret := alice.task("Secret", map[string]any{"visibility": "private"})
	etags := map[int64]string{}
	for _, id := range []int64{own, byAlice, forAlice} {
		etags[id] = a.do("GET", taskPath(id), nil).want(http.StatusOK).Header.Get("ETag")
	}
	boss.do("DELETE", userPath(alice.ID), nil).want(http.StatusNoContent)
	for id, want := range map[int64][2]any{own: {nil, nil}, byAlice: {float64(carol.ID), nil}, forAlice: {nil, float64(carol.ID)}} {
		r := a.do("GET", taskPath(id), nil, header{"If-None-Match", etags[id]})
		if r.Status != http.StatusOK {
			t.Errorf("task %d lost an account, and has the ETag of before: %d", id, r.Status)
		}
		if got := a.do("GET", taskPath(id), nil).want(http.StatusOK).object(); got["person"] != want[0] || got["created_by"] != want[1] {
			t.Errorf("task %d is for %v by %v, want %v", id, got["person"], got["created_by"], want)
		}
	}
	a.do("GET", taskPath(secret), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	boss.do("GET", taskPath(secret), nil).want(http.StatusOK)

	gone := bob.task("Own")
	kept := bob.task("For Carol", map[string]any{"person": carol.ID})
	bob.do("DELETE", "/users/me?tasks=delete", map[string]any{"password": password}).want(http.StatusNoContent)
	boss.do("GET", taskPath(gone), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	if got := a.do("GET", taskPath(kept), nil).want(http.StatusOK).object(); got["person"] != float64(carol.ID) || got["created_by"] != nil {
		t.Errorf("somebody else's task is for %v by %v", got["person"], got["created_by"])
	}
}

func TestUserETag_DiffersByViewerAndGuardsWrites(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	path := userPath(alice.ID)
	public, own := a.do("GET", path, nil).want(http.StatusOK), alice.do("GET", path, nil).want(http.StatusOK)
	if public.Header.Get("ETag") == own.Header.Get("ETag") || public.Header.Get("ETag") == "" {
		t.Errorf("anonymous and oneself get the ETags %s and %s", public.Header.Get("ETag"), own.Header.Get("ETag"))
	}
	for _, r := range []*response{
		a.do("GET", path, nil, header{"If-None-Match", public.Header.Get("ETag")}).want(http.StatusNotModified),
		a.do("GET", path, nil, header{"If-None-Match", `"other", W/` + public.Header.Get("ETag")}).want(http.StatusNotModified),
		a.do("HEAD", path, nil, header{"If-None-Match", public.Header.Get("ETag")}).want(http.StatusNotModified),
	} {
		if len(r.Body) != 0 || r.Header.Get("ETag") != public.Header.Get("ETag") {
			t.Errorf("not modified, and yet %q with %v", r.Body, r.Header)
		}
	}
	for _, r := range []*response{public, own, a.do("GET", "/users", nil), a.do("GET", "/users/999", nil)} {
		if got := r.Header.Values("Vary"); !slices.Equal(got, []string{"Authorization, Cookie", "Accept"}) {
			t.Errorf("%s varies by %v", r.What, got)
		}
	}
	alice.do("GET", path, nil, header{"If-None-Match", public.Header.Get("ETag")}).want(http.StatusOK)

	stale := own.Header.Get("ETag")
	zone := map[string]any{"time_zone": "Europe/Berlin"}
	alice.do("PATCH", "/users/me", zone, header{"If-Match", stale}).want(http.StatusOK)
	alice.do("PATCH", "/users/me", map[string]any{"time_zone": "UTC"}, header{"If-Match", stale}).wantProblem(http.StatusPreconditionFailed, services.CodePrecondition)
	boss.do("DELETE", path, nil, header{"If-Match", stale}).wantProblem(http.StatusPreconditionFailed, services.CodePrecondition)
	if got := alice.do("GET", path, nil).want(http.StatusOK).object()["time_zone"]; got != "Europe/Berlin" {
		t.Errorf("a stale change was made: %v", got)
	}
	alice.do("PATCH", "/users/me", zone, header{"If-Match", "*"}).want(http.StatusOK)
	boss.do("DELETE", path, nil, header{"If-Match", boss.do("GET", path, nil).Header.Get("ETag")}).want(http.StatusNoContent)
}

func TestUserETag_OfThePublicDoesNotTellOfPrivateChanges(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	before := a.do("GET", userPath(alice.ID), nil).want(http.StatusOK)
	a.login("alice")
	boss.do("PATCH", userPath(alice.ID), map[string]any{"email": "moved@example.com"}).want(http.StatusOK)
	after := a.do("GET", userPath(alice.ID), nil).want(http.StatusOK)
	if string(after.Body) != string(before.Body) || after.Header.Get("ETag") != before.Header.Get("ETag") {
		t.Errorf("%s with %s became %s with %s", before.Body, before.Header.Get("ETag"), after.Body, after.Header.Get("ETag"))
	}
}
