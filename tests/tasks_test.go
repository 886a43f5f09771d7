package tests

import (
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"dueto/config"
)

// freshTask is a task as it is answered right after it was made with its title only.
func freshTask(p *person, id int64, title string) map[string]any {
	return map[string]any{
		"id": float64(id), "url": fmt.Sprintf("http://dueto.test/tasks/%d", id), "title": title, "description": "", "due_to": nil,
		"done": false, "done_at": nil, "priority": 0.0, "tags": []any{}, "visibility": "public",
		"person": float64(p.ID), "created_by": float64(p.ID), "created_at": "2026-10-18T12:00:00Z", "updated_at": "2026-10-18T12:00:00Z",
	}
}

// changedTask gives a task with some members changed.
func changedTask(task map[string]any, members map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{task, members} {
		for name, value := range m {
			out[name] = value
		}
	}
	return out
}

// wantTask checks every member of the task that is answered.
func (r *response) wantTask(want map[string]any) *response {
	r.t.Helper()
	if got := r.object(); !reflect.DeepEqual(got, want) {
		r.t.Fatalf("%s: answered %v\nwant %v", r.What, got, want)
	}
	return r
}

func TestCreateTask_DefaultsLocationAndETag(t *testing.T) {
	t.Parallel()
	alice := newApp(t).user("alice")
	r := alice.do("POST", "/tasks", map[string]any{"title": "  Next one\t"}).want(http.StatusCreated)
	r.wantTask(freshTask(alice, r.id(), "Next one"))
	if got := r.Header.Get("Location"); got != fmt.Sprintf("http://dueto.test/tasks/%d", r.id()) {
		t.Errorf("Location %q", got)
	}
	read := alice.app.do("GET", taskPath(r.id()), nil).want(http.StatusOK)
	read.wantTask(freshTask(alice, r.id(), "Next one"))
	if tag := r.Header.Get("ETag"); tag == "" || read.Header.Get("ETag") != tag {
		t.Errorf("ETag %q when made, %q when read", tag, read.Header.Get("ETag"))
	}
}

func TestCreateTask_KeepsEveryMember(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	sent := map[string]any{
		"title": "All", "description": " as\nit is ", "due_to": "2016-10-18T19:12:01Z", "done": true, "priority": 4.0,
		"tags": []any{"home", "work"}, "visibility": "private", "person": float64(bob.ID),
	}
	r := alice.do("POST", "/tasks/", sent).want(http.StatusCreated)
	want := changedTask(changedTask(freshTask(alice, r.id(), "All"), sent), map[string]any{"done_at": "2026-10-18T12:00:00Z"})
	r.wantTask(want)
	bob.do("GET", taskPath(r.id()), nil).want(http.StatusOK).wantTask(want)
	a.do("GET", taskPath(r.id()), nil).wantProblem(http.StatusNotFound, "not_found")
}

func TestCreateTask_IDsAreNeverUsedAgain(t *testing.T) {
	t.Parallel()
	alice := newApp(t).user("alice")
	first := alice.task("One")
	alice.do("DELETE", taskPath(first), nil).want(http.StatusNoContent)
	if second := alice.task("Two"); second <= first {
		t.Errorf("the id %d came after %d", second, first)
	}
}

func TestCreateTask_PublicURLMayHaveAPath(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.PublicURL = "https://dueto.test/api" })
	a.URL += "/api"
	r := a.user("alice").do("POST", "/tasks", map[string]any{"title": "x"}).want(http.StatusCreated)
	want := fmt.Sprintf("https://dueto.test/api/tasks/%d", r.id())
	if r.Header.Get("Location") != want || r.object()["url"] != want {
		t.Errorf("Location %q and url %v, want %s", r.Header.Get("Location"), r.object()["url"], want)
	}
}

func TestTask_DefaultVisibilityPrivate(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.DefaultVisibility = "private" })
	alice := a.user("alice")
	hidden, open := alice.task("Hidden"), alice.task("Open", map[string]any{"visibility": "public"})
	a.do("GET", taskPath(hidden), nil).wantProblem(http.StatusNotFound, "not_found")
	a.do("GET", taskPath(open), nil).want(http.StatusOK)
	// A replacement that does not say leaves the visibility as it is.
	for id, want := range map[int64]string{hidden: "private", open: "public"} {
		got := alice.do("PUT", taskPath(id), map[string]any{"title": "Replaced"}).want(http.StatusOK).object()["visibility"]
		if got != want {
			t.Errorf("the %s task became %v", want, got)
		}
	}
}

func TestReplaceTask_AbsentMembersTakeTheirDefaults(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	id := alice.task("Full", map[string]any{
		"description": "long", "due_to": "2016-10-18T19:12:01Z", "done": true, "priority": 3, "tags": []string{"a"}, "visibility": "private", "person": bob.ID,
	})
	a.Clock.Advance(time.Minute)
	r := alice.do("PUT", taskPath(id), map[string]any{"title": " Bare "}).want(http.StatusOK)
	r.wantTask(changedTask(freshTask(alice, id, "Bare"), map[string]any{
		"visibility": "private", "person": float64(bob.ID), "updated_at": "2026-10-18T12:01:00Z",
	}))
	r = bob.do("PUT", taskPath(id), map[string]any{"title": "Other", "visibility": "public", "person": nil}).want(http.StatusOK)
	r.wantTask(changedTask(freshTask(alice, id, "Other"), map[string]any{"person": nil, "updated_at": "2026-10-18T12:01:00Z"}))
	bob.do("PUT", taskPath(id), map[string]any{"title": "Mine no more"}).wantProblem(http.StatusForbidden, "permission_denied")
}

func TestPatchTask_AbsentStaysAndNullClears(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	members := map[string]any{
		"description": "long", "due_to": "2016-10-18T19:12:01.5Z", "done": true, "priority": 3.0, "tags": []any{"a"}, "visibility": "private",
	}
	id := alice.task("Full", members)
	task := changedTask(changedTask(freshTask(alice, id, "Full"), members), map[string]any{"done_at": "2026-10-18T12:00:00Z"})
	for _, patch := range []map[string]any{
		{}, {"title": "Another"}, {"due_to": nil}, {"description": ""}, {"tags": []any{}}, {"priority": 0.0}, {"due_to": "2020-01-01T00:00:00Z"},
		{"visibility": "public"}, {"tags": []any{"x", "y"}, "priority": 1.0}, {"person": nil}, {"person": float64(alice.ID)},
	} {
		a.Clock.Advance(time.Second)
		task = changedTask(changedTask(task, patch), map[string]any{"updated_at": a.Clock.Now().Format(time.RFC3339)})
		alice.do("PATCH", taskPath(id), patch).want(http.StatusOK).wantTask(task)
		alice.do("GET", taskPath(id), nil).want(http.StatusOK).wantTask(task)
	}
}

func TestTask_DoneAtIsWhenItWasDone(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("Work")
	for _, step := range []struct {
		method string
		body   map[string]any
		doneAt any
	}{
		{"PATCH", map[string]any{"done": false}, nil},
		{"PATCH", map[string]any{"done": true}, "2026-10-18T12:00:02Z"},
		{"PATCH", map[string]any{"done": true}, "2026-10-18T12:00:02Z"},
		{"PATCH", map[string]any{"title": "Still done"}, "2026-10-18T12:00:02Z"},
		{"PATCH", map[string]any{"done_at": "2001-01-01T00:00:00Z"}, "2026-10-18T12:00:02Z"},
		{"PUT", map[string]any{"title": "Done as before", "done": true}, "2026-10-18T12:00:02Z"},
		{"PUT", map[string]any{"title": "Open by default"}, nil},
		{"PUT", map[string]any{"title": "Done again", "done": true}, "2026-10-18T12:00:08Z"},
		{"PATCH", map[string]any{"done": false}, nil},
	} {
		a.Clock.Advance(time.Second)
		task := alice.do(step.method, taskPath(id), step.body).want(http.StatusOK).object()
		if task["done_at"] != step.doneAt || task["done"] != (step.doneAt != nil) {
			t.Errorf("%s %v: done %v at %v, want %v", step.method, step.body, task["done"], task["done_at"], step.doneAt)
		}
	}
}

func TestTask_UpdatedAtMovesAndCreatedAtStays(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("Work")
	a.Clock.Advance(1500 * time.Millisecond)
	for _, r := range []*response{
		alice.do("PATCH", taskPath(id), map[string]any{"priority": 1}), alice.do("PUT", taskPath(id), map[string]any{"title": "x"}),
		alice.do("GET", taskPath(id), nil),
	} {
		task := r.want(http.StatusOK).object()
		if task["created_at"] != "2026-10-18T12:00:00Z" || task["updated_at"] != "2026-10-18T12:00:01.5Z" || task["created_by"] != float64(alice.ID) {
			t.Errorf("%s: %v", r.What, task)
		}
	}
}

func TestTask_HandedOverStillBelongsToItsMaker(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob, carol := a.user("alice"), a.user("bob"), a.user("carol")
	id := alice.task("Errand", map[string]any{"visibility": "private"})
	bob.do("GET", taskPath(id), nil).wantProblem(http.StatusNotFound, "not_found")
	bob.do("PATCH", taskPath(id), map[string]any{"person": bob.ID}).wantProblem(http.StatusNotFound, "not_found")
	got := alice.do("PATCH", taskPath(id), map[string]any{"person": bob.ID}).want(http.StatusOK).object()
	if got["person"] != float64(bob.ID) || got["created_by"] != float64(alice.ID) {
		t.Errorf("handed over: %v", got)
	}
	bob.do("PATCH", taskPath(id), map[string]any{"done": true}).want(http.StatusOK)
	alice.do("PATCH", taskPath(id), map[string]any{"done": false}).want(http.StatusOK)
	carol.do("PATCH", taskPath(id), map[string]any{"done": true}).wantProblem(http.StatusNotFound, "not_found")
	bob.do("PATCH", taskPath(id), map[string]any{"person": carol.ID}).want(http.StatusOK)
	bob.do("GET", taskPath(id), nil).wantProblem(http.StatusNotFound, "not_found")
	carol.do("DELETE", taskPath(id), nil).want(http.StatusNoContent)
	alice.do("GET", taskPath(id), nil).wantProblem(http.StatusNotFound, "not_found")
}

func TestDeleteTask_TwiceIsNotFound(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("Gone")
	r := alice.do("DELETE", taskPath(id), nil).want(http.StatusNoContent)
	if len(r.Body) != 0 || r.Header.Get("Content-Type") != "" {
		t.Errorf("204 with %q of type %q", r.Body, r.Header.Get("Content-Type"))
	}
	for _, method := range []string{"DELETE", "GET", "PATCH", "PUT"} {
		alice.do(method, taskPath(id), map[string]any{"title": "x"}).wantProblem(http.StatusNotFound, "not_found")
		alice.do(method, taskPath(id), map[string]any{"title": "x"}, header{"If-Match", "*"}).wantProblem(http.StatusNotFound, "not_found")
	}
}

func TestETag_ChangesWithTheTaskOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id, other := alice.task("One"), alice.task("Two")
	tag := func() string { return a.do("GET", taskPath(id), nil).want(http.StatusOK).Header.Get("ETag") }
	first := tag()
	alice.do("PATCH", taskPath(other), map[string]any{"title": "x"}).want(http.StatusOK)
	alice.do("PATCH", taskPath(id), map[string]any{"title": ""}).want(http.StatusBadRequest)
	if tag() != first {
		t.Errorf("the tag moved from %s to %s without a change", first, tag())
	}
	seen := map[string]bool{first: true}
	for _, title := range []string{"x", "y", "x"} {
		r := alice.do("PATCH", taskPath(id), map[string]any{"title": title}).want(http.StatusOK)
		now := r.Header.Get("ETag")
		if seen[now] || now != tag() {
			t.Errorf("after %q the tag is %s, and %s when read", title, now, tag())
		}
		seen[now] = true
	}
}

func TestIfNoneMatch_304ForWhatTheClientHas(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.user("alice").task("One")
	tag := a.do("GET", taskPath(id), nil).want(http.StatusOK).Header.Get("ETag")
	for _, c := range []struct {
		fields []string
		status int
	}{
		{[]string{tag}, 304}, {[]string{"W/" + tag}, 304}, {[]string{"*"}, 304}, {[]string{`"x", ` + tag}, 304}, {[]string{`"x",W/` + tag + `,"y"`}, 304}, {[]string{`"x"`, tag}, 304},
		{[]string{`"x"`}, 200}, {[]string{`"x", "y"`}, 200}, {[]string{`W/"x"`}, 200}, {[]string{tag[1 : len(tag)-1]}, 200}, {[]string{tag[:len(tag)-1]}, 200}, {[]string{`"` + tag + `"`}, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			var headers []header
			for _, f := range c.fields {
				headers = append(headers, header{"If-None-Match", f})
			}
			r := a.do(method, taskPath(id), nil, headers...).want(c.status)
			if r.Header.Get("ETag") != tag || r.Header.Get("Vary") == "" || r.Header.Get("Cache-Control") == "" || (c.status == 304 && len(r.Body) != 0) {
				t.Errorf("%s %v: %v %q", method, c.fields, r.Header, r.Body)
			}
		}
	}
	a.do("GET", taskPath(id+1), nil, header{"If-None-Match", "*"}).wantProblem(http.StatusNotFound, "not_found")
}

func TestIfMatch_412ForWhatHasChanged(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	id := alice.task("One")
	stale := alice.do("GET", taskPath(id), nil).want(http.StatusOK).Header.Get("ETag")
	now := alice.do("PATCH", taskPath(id), map[string]any{"title": "Two"}).want(http.StatusOK).Header.Get("ETag")
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		for _, fields := range [][]string{{stale}, {`"x"`}, {"W/" + now}, {stale + `, "x"`}, {stale, `"x"`}, {now[1 : len(now)-1]}, {`"` + now + `"`}, {now[:len(now)-1]}} {
			var headers []header
			for _, f := range fields {
				headers = append(headers, header{"If-Match", f})
			}
			r := alice.do(method, taskPath(id), map[string]any{"title": "Three"}, headers...)
			if r.Status != http.StatusPreconditionFailed {
				t.Fatalf("%s with If-Match %q: %d", method, fields, r.Status)
			}
			r.wantProblem(http.StatusPreconditionFailed, "precondition_failed")
		}
		bob.do(method, taskPath(id), map[string]any{"title": "x"}, header{"If-Match", now}).wantProblem(http.StatusForbidden, "permission_denied")
	}
	if got := alice.do("GET", taskPath(id), nil).want(http.StatusOK); got.object()["title"] != "Two" || got.Header.Get("ETag") != now {
		t.Fatalf("what was refused changed it to %s", got.Body)
	}
	for _, field := range []func(tag string) []header{
		func(tag string) []header { return []header{{"If-Match", tag}} },
		func(string) []header { return []header{{"If-Match", "*"}} },
		func(tag string) []header { return []header{{"If-Match", `"x", ` + tag + `,W/"y"`}} },
		func(tag string) []header { return []header{{"If-Match", `"x"`}, {"If-Match", tag}} },
	} {
		for _, method := range []string{"PUT", "PATCH"} {
			r := alice.do(method, taskPath(id), map[string]any{"title": "Four"}, field(now)...).want(http.StatusOK)
			now = r.Header.Get("ETag")
		}
	}
	alice.do("DELETE", taskPath(id), nil, header{"If-Match", now}).want(http.StatusNoContent)
}
