package tests

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dueto/services"
)

// staffWorld is a server with accounts in every state, and those who may and
// may not tell them apart.
type staffWorld struct {
	*app
	boss, viewer, alice *person
}

// newStaffWorld makes boss (staff), viewer (users.view), alice, old_staff
// (deactivated staff), off (deactivated), pending and pending2 (never
// activated), and blocked (deactivated before it was activated), in this order.
func newStaffWorld(t *testing.T) *staffWorld {
	t.Helper()
	a := newApp(t)
	w := &staffWorld{app: a, boss: a.staff("boss"), viewer: a.user("viewer"), alice: a.user("alice")}
	permGrant(w.boss, w.viewer.ID, services.PermViewUsers)
	oldStaff, off := a.staff("old_staff"), a.user("off")
	for _, p := range []*person{oldStaff, off} {
		w.boss.do("PATCH", userPath(p.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	}
	for _, name := range []string{"pending", "pending2", "blocked"} {
		a.register(name)
	}
	if err := a.Services.Accounts.DeactivateByName(context.Background(), "blocked"); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestUserFilters_NarrowTheListForThoseWhoSeePrivateFields(t *testing.T) {
	t.Parallel()
	w := newStaffWorld(t)
	for query, want := range map[string]string{
		"":                                    "boss viewer alice old_staff off pending pending2 blocked",
		"is_active=true":                      "boss viewer alice",
		"is_active=false":                     "old_staff off pending pending2 blocked",
		"is_staff=true":                       "boss old_staff",
		"is_staff=false":                      "viewer alice off pending pending2 blocked",
		"never_activated=true":                "pending pending2 blocked",
		"never_activated=false":               "boss viewer alice old_staff off",
		"is_active=false&is_staff=true":       "old_staff",
		"never_activated=true&is_active=true": "",
		"never_activated=false&is_active=false&is_staff=false": "off",
		"is_active=false&search=PEND":                          "pending pending2",
		"never_activated=true&search=2+pend":                   "pending2",
		"is_active=false&ordering=-username":                   "pending2 pending old_staff off blocked",
		"is_active=false&ordering=-date_joined,-username":      "pending2 pending old_staff off blocked",
		"is_active=false&page=2&page_size=2":                   "pending pending2",
		"is_staff=true&fields=username,is_staff":               "boss old_staff",
		"search=@example.com&is_active=true&ordering=username": "alice boss viewer",
		"search=" + url.QueryEscape(" O  s "):                  "boss old_staff",
		"search=" + url.QueryEscape("ＯＬＤ_ＳＴＡＦＦ"):               "old_staff",
		"search=" + url.QueryEscape("Old_Staff@EXAMPLE.com"):   "old_staff",
		"search=off%40": "off",
		"search=nobody": "",
		"search=" + url.QueryEscape(strings.Repeat("o ", 10)):      "boss viewer alice old_staff off pending pending2 blocked",
		"search=" + url.QueryEscape(strings.Repeat("a", 100)):      "",
		"search=" + url.QueryEscape("pending pending2 @ . com en"): "pending2",
	} {
		names := strings.Fields(want)
		for who, p := range map[string]*person{"staff": w.boss, "users.view": w.viewer} {
			r := p.do("GET", "/users?count=exact&"+query, nil)
			if got := usersNames(r); !slices.Equal(got, names) {
				t.Errorf("%s asks for %q and gets %v, want %v", who, query, got, names)
			}
			total := strconv.Itoa(len(names))
			if strings.Contains(query, "page=") {
				total = "5"
			}
			if got := r.Header.Get("X-Total-Count"); got != total {
				t.Errorf("%s asks for %q and is told of %s, want %s", who, query, got, total)
			}
		}
	}
	for query, field := range map[string]string{
		"is_active=maybe": "is_active", "is_staff=": "is_staff", "never_activated=2": "never_activated", "isactive=true": "isactive",
		"is_active=true&is_active=false": "is_active",
	} {
		w.boss.do("GET", "/users?"+query, nil).wantFields(field)
	}
}

func TestUserFilters_AreRefusedToThoseWhoMayNotSeeTheState(t *testing.T) {
	t.Parallel()
	w := newStaffWorld(t)
	helper := w.user("helper")
	permGrant(w.boss, helper.ID, services.PermAddUsers, services.PermChangeUsers, services.PermDeleteUsers, services.PermViewTasks)
	for _, filter := range []string{"is_active", "is_staff", "never_activated"} {
		for _, value := range []string{"true", "false"} {
			for _, more := range []string{"", "&search=alice", "&count=exact&page=1", "&fields=id&ordering=-id", "&cursor=x"} {
				path := "/users?" + filter + "=" + value + more
				r := w.do("GET", path, nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
				for _, p := range []*person{w.alice, helper} {
					refused := p.do("GET", path, nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
					if refused.Header.Get("X-Total-Count") != "" || r.Header.Get("X-Total-Count") != "" {
						t.Errorf("%s: the refusal tells how many there are", path)
					}
				}
				w.do("HEAD", path, nil).want(http.StatusUnauthorized)
			}
		}
	}
	permGrant(w.boss, helper.ID, services.PermViewUsers)
	helper.do("GET", "/users?is_staff=true", nil).want(http.StatusOK)
	permGrant(w.boss, helper.ID)
	helper.do("GET", "/users?is_staff=true", nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
}

func TestUserSearch_FindsByNameAndNobodyByAddress(t *testing.T) {
	t.Parallel()
	w := newStaffWorld(t)
	w.boss.do("POST", "/users", map[string]any{"username": "Zoe", "email": "hidden.name@bücher.example", "password": password}).want(http.StatusCreated)
	w.boss.do("POST", "/users", map[string]any{"username": "z+5_o", "email": "other@example.com", "password": password}).want(http.StatusCreated)
	for search, want := range map[string]struct{ public, all string }{
		"ali":                        {"alice", "alice"},
		"LICE":                       {"alice", "alice"},
		"o":                          {"boss Zoe z+5_o", "boss viewer alice old_staff off pending pending2 blocked Zoe z+5_o"},
		"e i":                        {"viewer alice", "viewer alice pending pending2 Zoe"},
		"zoe":                        {"Zoe", "Zoe"},
		"%":                          {"", ""},
		"_":                          {"z+5_o", "old_staff z+5_o"},
		"5_":                         {"z+5_o", "z+5_o"},
		"z_e":                        {"", ""},
		"z%o":                        {"", ""},
		`\`:                          {"", ""},
		`z\+`:                        {"", ""},
		"'":                          {"", ""},
		"pending":                    {"", "pending pending2"},
		"off":                        {"", "off"},
		"example":                    {"", "boss viewer alice old_staff off pending pending2 blocked Zoe z+5_o"},
		"alice@example.com":          {"", "alice"},
		"alice @":                    {"", "alice"},
		"hidden.name":                {"", "Zoe"},
		"hidden zoe":                 {"", "Zoe"},
		"Hidden.Name@BÜCHER.example": {"", "Zoe"},
	} {
		path := "/users?count=exact&search=" + url.QueryEscape(search)
		for who, test := range map[string]struct {
			r    *response
			want string
		}{
			"nobody": {w.do("GET", path, nil), want.public}, "somebody": {w.alice.do("GET", path, nil), want.public},
			"users.view": {w.viewer.do("GET", path, nil), want.all}, "staff": {w.boss.do("GET", path, nil), want.all},
		} {
			names := strings.Fields(test.want)
			if got := usersNames(test.r); !slices.Equal(got, names) || test.r.Header.Get("X-Total-Count") != strconv.Itoa(len(names)) {
				t.Errorf("%s searches %q and finds %v of %s, want %v", who, search, got, test.r.Header.Get("X-Total-Count"), names)
			}
		}
	}
	for _, search := range []string{"", "   ", strings.Repeat("a", 101), strings.Repeat("ü", 101), strings.Repeat("a ", 11), "\u00a0"} {
		w.do("GET", "/users?search="+url.QueryEscape(search), nil).wantFields("search")
	}
	w.do("GET", "/users?search=%00", nil).wantFields("search")
	w.do("GET", "/users?search=%ff", nil).wantFields("search")
	w.do("GET", "/users?search=a&search=b", nil).wantFields("search")
}

func TestUserFilters_CursorsLeadThroughAllThatMatchAndNoOtherList(t *testing.T) {
	t.Parallel()
	w := newStaffWorld(t)
	for i := range 25 {
		w.register(fmt.Sprintf("newcomer%02d", i))
	}
	for _, ordering := range []string{"id", "-id", "username", "-username", "date_joined", "-date_joined,username"} {
		query := "never_activated=true&search=newcomer+1&ordering=" + ordering
		want := usersNames(w.boss.do("GET", "/users?page_size=100&"+query, nil))
		if len(want) != 12 {
			t.Fatalf("%s: %v", query, want)
		}
		var walked []string
		next := "/users?page_size=5&" + query
		for next != "" && len(walked) <= len(want) {
			r := w.boss.do("GET", next, nil)
			walked = append(walked, usersNames(r)...)
			next = ""
			if link := r.listLinks()["next"]; link != nil {
				next = link.RequestURI()
			}
		}
		if !slices.Equal(walked, want) {
			t.Errorf("%s: the cursors lead through %v, want %v", query, walked, want)
		}
	}
	cursor := w.boss.do("GET", "/users?page_size=2&is_active=false", nil).want(http.StatusOK).listLinks()["next"].Query().Get("cursor")
	for _, other := range []string{"", "&is_active=true", "&is_active=false&is_staff=true", "&is_active=false&search=a"} {
		w.boss.do("GET", "/users?page_size=2&cursor="+cursor+other, nil).wantFields("cursor")
	}
	w.alice.do("GET", "/users?page_size=2&is_active=false&cursor="+cursor, nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
}

func TestPermission_ChangesReachTheTokenThatIsOutAndTheNextOne(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, helper, owner := a.staff("boss"), a.user("helper"), a.user("owner")
	task := taskPath(owner.task("Before"))
	perms := func() []any {
		pair := a.refreshWith(helper.Refresh).want(http.StatusOK)
		helper.Refresh, _ = pair.object()["refresh"].(string)
		access, _ := pair.object()["access"].(string)
		return draftOf(t, kindAccess, start, access).claims["perms"].([]any)
	}
	change := func() *response { return helper.do("PATCH", task, map[string]any{"title": "After"}) }
	permGrant(boss, helper.ID, services.PermChangeTasks, services.PermViewUsers)
	change().want(http.StatusOK) // with the access token of before
	if got := perms(); !reflect.DeepEqual(got, []any{"tasks.change", "users.view"}) {
		t.Errorf("granted, the token has %v", got)
	}
	permGrant(boss, helper.ID, services.PermViewUsers)
	change().wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	if got := perms(); !reflect.DeepEqual(got, []any{"users.view"}) {
		t.Errorf("revoked, the token has %v", got)
	}
	boss.do("PATCH", userPath(helper.ID), map[string]any{"is_staff": true}).want(http.StatusOK)
	change().want(http.StatusOK)
	if got := perms(); len(got) != len(services.Permissions()) {
		t.Errorf("staff's token has %v", got)
	}
	boss.do("PATCH", userPath(helper.ID), map[string]any{"is_staff": false}).want(http.StatusOK)
	helper.do("POST", "/users", map[string]any{"username": "newone", "email": "newone@example.com", "password": password}).
		wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	if got := perms(); !reflect.DeepEqual(got, []any{"users.view"}) {
		t.Errorf("no longer staff, the token has %v", got)
	}
}

func TestStaffChanges_LeaveAnEventThatNamesWhoDidThem(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, helper, alice := a.staff("boss"), a.user("helper"), a.user("alice")
	permGrant(boss, helper.ID, services.PermViewUsers, services.PermChangeUsers)
	pending, _ := a.register("pending")
	before := len(a.securityEvents())
	var want []map[string]any
	expect := func(by *person, id int64, body map[string]any, events ...map[string]any) {
		t.Helper()
		r := by.do("PATCH", userPath(id), body).want(http.StatusOK)
		for _, event := range events {
			record := map[string]any{"level": "INFO", "msg": "security event", "user_id": float64(id), "by": float64(by.ID), "request_id": r.Header.Get("X-Request-Id")}
			maps.Copy(record, event)
			want = append(want, record)
		}
	}
	granted := func(words ...any) map[string]any {
		return map[string]any{"event": "permissions changed", "permissions": append([]any{}, words...)}
	}
	expect(boss, alice.ID, map[string]any{"permissions": []string{"tasks.view", "tasks.add"}}, granted("tasks.add", "tasks.view"))
	expect(boss, alice.ID, map[string]any{"permissions": []string{"tasks.add", "tasks.view", "tasks.add"}}) // the same
	expect(boss, alice.ID, map[string]any{"is_staff": true}, map[string]any{"event": "staff changed", "staff": true})
	expect(boss, alice.ID, map[string]any{"is_staff": true, "is_active": true, "username": "alice"})
	expect(boss, alice.ID, map[string]any{"is_staff": false, "is_active": false, "permissions": []string{}},
		map[string]any{"event": "deactivated"}, map[string]any{"event": "staff changed", "staff": false}, granted())
	expect(helper, alice.ID, map[string]any{"is_active": true}, map[string]any{"event": "activated"})
	expect(helper, pending, map[string]any{"is_active": true}, map[string]any{"event": "activated"})
	expect(helper, pending, map[string]any{"is_active": false, "time_zone": "Europe/Berlin"}, map[string]any{"event": "deactivated"})
	expect(helper, pending, map[string]any{"is_active": false})
	// What is refused is no event.
	helper.do("PATCH", userPath(alice.ID), map[string]any{"is_active": false, "is_staff": true}).want(http.StatusForbidden)
	boss.do("PATCH", userPath(boss.ID), map[string]any{"is_staff": false}).want(http.StatusConflict)
	got := a.securityEvents()[before:]
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("event %d: got  %v\nwant %v", i, got[i], want[i])
		}
	}
}

func TestOperatorChanges_LeaveAnEventWhereSomethingChanged(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	accounts, ctx := a.Services.Accounts, context.Background()
	id, _ := a.register("alice")
	before := len(a.securityEvents())
	for _, change := range []func() error{
		func() error { _, err := accounts.GrantByName(ctx, "Alice", "users.view", "tasks.add"); return err },
		func() error { _, err := accounts.GrantByName(ctx, "alice", "tasks.add"); return err },
		func() error { _, err := accounts.RevokeByName(ctx, "alice", "tasks.delete"); return err },
		func() error { _, err := accounts.RevokeByName(ctx, "alice", "users.view"); return err },
		func() error { return accounts.PromoteByName(ctx, "alice") },
		func() error { return accounts.PromoteByName(ctx, "alice") },
		func() error { return accounts.DemoteByName(ctx, "alice") },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, event := range a.securityEvents()[before:] {
		if event["user_id"] != float64(id) {
			t.Errorf("an event of somebody else: %v", event)
		}
		got = append(got, event["event"].(string))
	}
	want := []string{"permissions changed by operator", "permissions changed by operator", "staff changed by operator", "staff changed by operator"}
	if !slices.Equal(got, want) {
		t.Errorf("the events are %q, want %q", got, want)
	}
}

func TestLastStaff_CannotBeTakenAwayOverTheAPI(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, second, off := a.staff("boss"), a.staff("second"), a.staff("off")
	waiting, _ := a.register("waiting")
	boss.do("PATCH", userPath(off.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	boss.do("PATCH", userPath(waiting), map[string]any{"is_staff": true}).want(http.StatusOK)
	second.do("PATCH", "/users/me", map[string]any{"is_staff": false}).want(http.StatusOK)
	// What is left are a deactivated and a pending one, who cannot act.
	path := userPath(boss.ID)
	before := permSnapshot(a, boss, path)
	for name, r := range map[string]*response{
		"demote":           boss.do("PATCH", path, map[string]any{"is_staff": false}),
		"deactivate":       boss.do("PATCH", "/users/me", map[string]any{"is_active": false, "time_zone": "Europe/Berlin"}),
		"both":             boss.do("PATCH", path, map[string]any{"is_staff": false, "is_active": false, "permissions": []string{"users.change"}}),
		"delete":           boss.do("DELETE", path, map[string]any{"password": password}),
		"delete with rest": boss.do("DELETE", "/users/me?tasks=delete", map[string]any{"password": password}),
	} {
		if got := r.wantProblem(http.StatusConflict, services.CodeConflict).object()["detail"]; got != "This is the last active staff account. Make another one first." {
			t.Errorf("%s: the refusal says %q", name, got)
		}
	}
	if after := permSnapshot(a, boss, path); after != before {
		t.Errorf("the refused changes made %s of %s", after, before)
	}
	// What does not take the staff away is as free as ever.
	boss.do("PATCH", path, map[string]any{"is_staff": true, "is_active": true, "permissions": []string{"tasks.add"}, "time_zone": "Europe/Berlin"}).want(http.StatusOK)
	boss.do("DELETE", userPath(off.ID), nil).want(http.StatusNoContent)
	boss.do("PATCH", userPath(waiting), map[string]any{"is_staff": false}).want(http.StatusOK)

	boss.do("PATCH", userPath(second.ID), map[string]any{"is_staff": true}).want(http.StatusOK)
	boss.do("DELETE", path, map[string]any{"password": password}).want(http.StatusNoContent)
	second.do("DELETE", "/users/me", map[string]any{"password": password}).wantProblem(http.StatusConflict, services.CodeConflict)
	// The command line can make another superuser, and may.
	if err := a.Services.Accounts.DemoteByName(context.Background(), "second"); err != nil {
		t.Fatal(err)
	}
	second.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
}

func TestLastStaff_OneIsLeftHoweverManyLeaveAtOnce(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	leave := []func(p *person) *response{
		func(p *person) *response { return p.do("PATCH", "/users/me", map[string]any{"is_staff": false}) },
		func(p *person) *response { return p.do("PATCH", "/users/me", map[string]any{"is_active": false}) },
		func(p *person) *response { return p.do("DELETE", "/users/me", map[string]any{"password": password}) },
	}
	people := make([]*person, 9)
	for i := range people {
		people[i] = a.staff(fmt.Sprintf("staff%d", i))
	}
	statuses := make([]int, len(people))
	var wg sync.WaitGroup
	for i, p := range people {
		wg.Go(func() { statuses[i] = leave[i%len(leave)](p).Status })
	}
	wg.Wait()
	stayed := slices.Index(statuses, http.StatusConflict)
	if stayed < 0 {
		t.Fatalf("nobody stayed: %v", statuses)
	}
	if got := usersNames(people[stayed].do("GET", "/users?is_staff=true&is_active=true", nil)); len(got) != 1 || got[0] != people[stayed].Username {
		t.Errorf("staff are %v after %v", got, statuses)
	}
}

func TestCreateUserMatrix_EachCallerGetsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	w := newPermWorld(t)
	for i, row := range []struct {
		caller                 string
		plain, staff, granting int
		private                bool
	}{
		{"anonymous", 401, 401, 401, false},
		{"bad token", 401, 401, 401, false},
		{"expired token", 401, 401, 401, false},
		{"stranger", 403, 403, 403, false},
		{"users.view", 403, 403, 403, false},
		{"users.change", 403, 403, 403, false},
		{"users.delete", 403, 403, 403, false},
		{"tasks.view+tasks.add+tasks.change+tasks.delete", 403, 403, 403, false},
		{"users.add", 201, 403, 403, false},
		{"users.view+users.add", 201, 403, 403, true},
		{"staff", 201, 201, 201, true},
	} {
		for kind, test := range map[string]struct {
			extra map[string]any
			want  int
		}{
			"plain":    {map[string]any{"is_staff": false, "permissions": []string{}}, row.plain},
			"pending":  {map[string]any{"is_active": false}, row.plain},
			"staff":    {map[string]any{"is_staff": true}, row.staff},
			"granting": {map[string]any{"permissions": []string{"users.add"}}, row.granting},
		} {
			t.Run(row.caller+"/"+kind, func(t *testing.T) {
				a := permApp(t, w.app)
				name := fmt.Sprintf("made%d%s", i, kind)
				body := map[string]any{"username": name, "email": name + "@example.com", "password": password}
				maps.Copy(body, test.extra)
				r := a.do("POST", "/users", body, w.as(row.caller)...)
				permCheck(t, row.caller, r, test.want)
				found := a.do("GET", "/users?search="+name, nil, bearer(w.boss.Access)).list()
				if (len(found) == 1) != (test.want == http.StatusCreated) {
					t.Fatalf("there is %v now", found)
				}
				if test.want != http.StatusCreated {
					return
				}
				if _, shown := r.object()["email"]; shown != row.private {
					t.Errorf("private members shown: %v, want %v, in %s", shown, row.private, r.Body)
				}
				if found[0]["is_active"] != (kind != "pending") || found[0]["is_staff"] != (kind == "staff") {
					t.Errorf("it is %v", found[0])
				}
			})
		}
	}
}

func TestListUsers_ShowsPrivateMembersToHoldersOfTheWordOnly(t *testing.T) {
	t.Parallel()
	w := newPermWorld(t)
	for caller, private := range map[string]bool{
		"users.view": true, "users.add": false, "users.change": false, "users.delete": false, "tasks.view+tasks.change": false, "staff": true,
	} {
		headers := w.as(caller)
		self := w.do("GET", "/users/me", nil, headers...).want(http.StatusOK).id()
		for _, u := range w.do("GET", "/users?fields=id,email,permissions", nil, headers...).want(http.StatusOK).list() {
			_, shown := u["email"]
			if want := private || u["id"] == float64(self); shown != want || len(u) != map[bool]int{true: 3, false: 1}[want] {
				t.Errorf("%s is shown %v", caller, u)
			}
		}
	}
}

func TestUserWords_DoNotReachOneselfNorWhoHoldsMore(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, holder, target := a.staff("boss"), a.user("holder"), a.user("target")
	path := userPath(target.ID)
	forbidden := func(method, path string, body any) {
		t.Helper()
		holder.do(method, path, body).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	}
	permGrant(boss, holder.ID, "users.change", "users.delete", "tasks.add")
	permGrant(boss, target.ID, "tasks.view")
	for _, body := range []map[string]any{{"email": "holder2@example.com"}, {"is_active": false}, {"username": "renamed"}, {}} {
		forbidden("PATCH", path, body)
	}
	forbidden("DELETE", path, nil)
	// One's own account is no more open than to anybody.
	forbidden("PATCH", "/users/me", map[string]any{"is_active": false})
	holder.do("PATCH", "/users/me", map[string]any{"email": "unconfirmed@example.com", "is_staff": true}).want(http.StatusForbidden)
	holder.do("DELETE", "/users/me", nil).wantFields("password")
	if me := holder.do("GET", "/users/me", nil).want(http.StatusOK).object(); me["email"] != "holder@example.com" {
		t.Errorf("the address is %v", me["email"])
	}
	// Who holds no more than oneself is in reach, without a password.
	permGrant(boss, target.ID, "tasks.add")
	holder.do("PATCH", path, map[string]any{"email": "moved@example.com", "username": "renamed", "is_active": false}).want(http.StatusOK)
	// Deactivated accounts are there for users.view only.
	holder.do("DELETE", path, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	boss.do("PATCH", path, map[string]any{"is_active": true}).want(http.StatusOK)
	holder.do("DELETE", path, nil).want(http.StatusNoContent)
}

func TestStaff_ManageEachOtherWithoutAPassword(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, second, third := a.staff("boss"), a.staff("second"), a.staff("third")
	boss.do("PATCH", userPath(second.ID), map[string]any{"email": "moved@example.com", "permissions": []string{"users.add"}}).want(http.StatusOK)
	second.do("PATCH", userPath(boss.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	boss.do("GET", "/tasks", nil).wantProblem(http.StatusUnauthorized, services.CodeUserInactive)
	second.do("DELETE", userPath(third.ID), nil).want(http.StatusNoContent)
	a.Clock.Advance(time.Second)
	second.do("PATCH", userPath(boss.ID), map[string]any{"is_active": true}).want(http.StatusOK)
	a.login("boss").do("PATCH", userPath(second.ID), map[string]any{"is_staff": false}).want(http.StatusOK)
	// The word that was granted stays, and does not reach the others.
	if got := second.do("GET", "/users/me", nil).want(http.StatusOK).object()["permissions"]; !reflect.DeepEqual(got, []any{"users.add"}) {
		t.Errorf("the permissions are %v", got)
	}
	second.do("PATCH", userPath(boss.ID), map[string]any{"time_zone": "Europe/Berlin"}).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
}
