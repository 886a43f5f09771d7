package tests

import (
	"net/http"
	"slices"
	"testing"

	"golang.org/x/net/html"

	"dueto/routes"
)

func TestBrowse_TheFilterHasTheParametersOfTheList(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.staff("boss")
	b := a.signedIn("boss", twoCookies)
	for _, route := range routes.Table() {
		if route.Method != "GET" || len(route.Does.Query) == 0 || route.Does.Plain || route.Does.Paged {
			continue
		}
		path := routePath(route.Path, 1)
		p := b.look(path, http.StatusOK)
		form := p.byID("form-filter")
		if form == nil || attr(form, "method") != "get" || attr(form, "action") != path {
			t.Errorf("%s has the form %v", path, form)
			continue
		}
		var got, want []string
		for n := range form.Descendants() {
			if n.Type == html.ElementNode && attr(n, "name") != "" {
				got = append(got, attr(n, "name"))
			}
		}
		for _, parameter := range route.Does.Query {
			if parameter.Name != "cursor" && parameter.Name != "page" {
				want = append(want, parameter.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is filtered by %q, want %q", path, got, want)
		}
	}
	if a.look("/tasks/999", http.StatusNotFound).byID("form-filter") != nil {
		t.Error("what is no list can be filtered")
	}
}

func TestBrowse_TheFilterHasWhatTheQueryHas(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for query, want := range map[string]map[string][3]string{
		"":                        {"done": {"select", "boolean", ""}, "ordering": {"input", "text", ""}, "person": {"input", "integer", ""}},
		"done=0&ordering=-due_to": {"done": {"select", "boolean", "false"}, "ordering": {"input", "text", "-due_to"}},
		"done=true&person=7&visibility=public&count=exact&due_after=2026-10-18T12:00:00%2B02:00": {
			"done": {"select", "boolean", "true"}, "person": {"input", "integer", "7"}, "visibility": {"select", "text", "public"},
			"count": {"select", "text", "exact"}, "due_after": {"input", "time", "2026-10-18T12:00:00+02:00"},
		},
	} {
		p := a.look("/tasks?"+query, http.StatusOK)
		for name, field := range want {
			if got := p.field("filter-"+name, field[0], field[1]); got != field[2] {
				t.Errorf("%s: the %s is %q", query, name, got)
			}
		}
		if hasAttr(p.byID("filter"), "open") {
			t.Errorf("%s: the filter is open", query)
		}
	}
	// What is wrong stays, for it to be mended.
	p := a.look("/tasks?done=maybe&person=me&visibility=%3Cb%3E&ordering=%22x%22", http.StatusBadRequest)
	for name, want := range map[string][3]string{
		"done": {"select", "boolean", "maybe"}, "person": {"input", "integer", "me"}, "visibility": {"select", "text", "<b>"}, "ordering": {"input", "text", `"x"`},
	} {
		if got := p.field("filter-"+name, want[0], want[1]); got != want[2] {
			t.Errorf("the %s that is wrong is %q", name, got)
		}
	}
	if attr(p.byID("filter-person"), "type") != "text" || !hasAttr(p.byID("filter"), "open") {
		t.Error("what is wrong is not to be seen")
	}
}

func TestBrowser_AListIsFilteredAndOrdered(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	alice := a.user("alice")
	for title, done := range map[string]bool{"Apples": true, "Bread": false, "Cheese": true} {
		alice.task(title, map[string]any{"done": done})
	}
	p := a.page()
	p.visit("/tasks?page=1&fields=title")
	p.click("#filter > summary")
	p.see("#filter-done")
	for _, width := range []int64{390, 1280} {
		p.size(width, 844)
		p.wantNarrow()
		p.axe()
	}
	p.choose("#filter-done", "true")
	p.fill("#filter-ordering", "-title")
	p.click("#form-filter [type=submit]")
	p.waitPath("/tasks?ordering=-title&fields=title&done=true")
	titles := `[...document.querySelectorAll("#json .string")].map(e => e.textContent).join()`
	if got := evaluate[string](p, titles); got != `"Cheese","Apples"` {
		t.Errorf("the list is %s", got)
	}

	p.tabShown("#filter > summary")
	p.press("Enter")
	p.tabShown("#filter-ordering")
	p.press("title", "Enter")
	p.waitPath("/tasks?ordering=title&fields=title&done=true")
	if got := evaluate[string](p, titles); got != `"Apples","Cheese"` {
		t.Errorf("the list is %s", got)
	}
	p.click("#filter > summary")
	p.choose("#filter-done", "")
	p.fill("#filter-fields", "")
	p.fill("#filter-ordering", "")
	p.click("#form-filter [type=submit]")
	p.waitPath("/tasks?")
	p.seeJSON("Bread")
}
