package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"dueto/services"
)

// asked counts the requests that the tab has made, such as "POST /auth/refresh".
func (p *page) asked(request string) (n int) {
	p.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	for _, made := range p.faults.requests {
		if made == method+" "+p.base+path {
			n++
		}
	}
	return n
}

// wantForms checks which forms the page has that change something.
func (p *page) wantForms(ids ...string) {
	p.t.Helper()
	got := evaluate[[]string](p, `[...document.forms].filter(f => f.method === "post").map(f => f.id)`)
	if slices.Sort(got); !slices.Equal(got, ids) {
		p.t.Errorf("%s has the forms %q, want %q", p.path(), got, ids)
	}
}

// superuser makes an account that may sign in at once.
func (a *app) superuser(name string) {
	a.t.Helper()
	in := services.NewAccount{Username: name, Email: address(name), Password: password}
	if _, err := a.Services.Accounts.CreateSuperuser(a.t.Context(), in); err != nil {
		a.t.Fatal(err)
	}
}

func TestBrowser_OnePersonsWayThroughThePages(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	p := a.page()
	p.visit("/tasks")
	p.seeText("h1", "Tasks")
	p.seeText("#json", "[]")
	p.wantForms("form-sign-in")

	p.click("=Make an account")
	p.waitPath("/auth/register")
	p.expect("answer: 405 to GET /auth/register", "answer: 400 to POST /auth/register")
	p.fill("#post-username", "alice")
	p.fill("#post-email", address("alice"))
	p.fill("#post-password", "alice")
	p.send("post")
	p.see("#post-password-error")
	if got := p.focused(); got != "post-password" {
		t.Errorf("the focus is on %q, and the password is wrong", got)
	}
	if got := p.value("#post-username"); got != "alice" {
		t.Errorf("the name that was put in has become %q", got)
	}
	p.fill("#post-password", password)
	p.send("post")
	p.seeText("#result-heading", "HTTP 201 Created")
	p.gone("#post-password-error")
	p.wantOwn()
	p.click(`#result-body a[href*="/auth/activate/"]`)
	p.click("=Activate my account")
	p.seeText(statusOfConfirmation, "User activated.")

	p.visit("/auth/login")
	p.expect("answer: 405 to GET /auth/login", "answer: 401 to POST /auth/login")
	p.fill("#sign-in-username", "alice")
	p.fill("#sign-in-password", "something else")
	p.click("#form-sign-in [type=submit]")
	p.see("#form-sign-in-summary")
	p.signIn("alice")
	p.waitPath("/")
	p.click(`#json a[href="/tasks"]`)
	p.waitPath("/tasks")
	p.wantForms("form-post")
	p.makeTask()
	p.changeTask(a.login("alice"))
	p.deleteTask()

	p.click("#sign-out")
	p.waitPath("/")
	p.seeText("#status", "You are signed out.")
	p.visit("/tasks")
	p.wantForms("form-sign-in")
	if kept := p.cookies("/auth/refresh"); len(kept) != 0 {
		t.Errorf("after signing out there are the cookies %v", kept)
	}
}

// makeTask makes a task by the form of the list, at the second try.
func (p *page) makeTask() {
	p.t.Helper()
	p.expect("answer: 400 to POST /tasks")
	p.fill("#post-tags", "home\nand garden")
	p.send("post")
	p.seeText("#post-title-error", "This field is required.")
	if got := p.attribute("#post-title", "aria-invalid"); got != "true" {
		p.t.Errorf("the title is aria-invalid=%q", got)
	}
	if got := p.focused(); got != "post-title" {
		p.t.Errorf("the focus is on %q", got)
	}
	if got := p.attribute("#post-title", "aria-describedby"); !slices.Contains(strings.Fields(got), "post-title-error") {
		p.t.Errorf("the title is described by %q", got)
	}
	p.fill("#post-title", "Water the plants")
	p.send("post")
	p.waitPath("/tasks/1")
	p.seeText("#status", "201 Created: Made.")
	p.seeJSON(`"Water the plants"`)
	p.seeJSON(`"and garden"`)
	p.wantForms("form-delete", "form-patch", "form-put")
}

// changeTask changes a task by its page, which api changes meanwhile.
func (p *page) changeTask(api *person) {
	p.t.Helper()
	p.fill("#patch-title", "Water them all")
	p.choose("#patch-done", "true")
	p.send("patch")
	p.seeText("#status", "200 OK: Changed.")
	p.seeJSON(`"Water them all"`)
	task := api.do("GET", "/tasks/1", nil).object()
	if task["done"] != true || fmt.Sprint(task["tags"]) != "[and garden home]" && fmt.Sprint(task["tags"]) != "[home and garden]" {
		p.t.Errorf("PATCH leaves %v", task)
	}

	p.click("#method-put > summary")
	p.fill("#put-description", "With the can.")
	p.send("put")
	p.seeText("#status", "200 OK: Replaced.")
	p.seeJSON(`"With the can."`)
	if after := api.do("GET", "/tasks/1", nil).object(); after["title"] != "Water them all" || after["done"] != true {
		p.t.Errorf("PUT leaves %v", after)
	}

	api.do("PATCH", "/tasks/1", map[string]any{"priority": 4}).want(http.StatusOK)
	p.expect("answer: 412 to PATCH /tasks/1")
	p.fill("#patch-title", "Too late")
	p.send("patch")
	if got := p.text("#form-patch-summary"); !strings.HasPrefix(got, "This was changed meanwhile, and nothing was done.") {
		p.t.Errorf("of a stale edit it says %q", got)
	}
	if got := p.focused(); got != "form-patch-summary" {
		p.t.Errorf("the focus is on %q", got)
	}
	p.click("=Load it again")
	p.wait(`find("#patch-priority")?.value === "4"`)
	if got := p.value("#patch-title"); got != "Water them all" {
		p.t.Errorf("loaded again, the title is %q", got)
	}
}

func (p *page) deleteTask() {
	p.t.Helper()
	p.click("#delete-open")
	p.see("#delete-dialog")
	p.click("=Keep it")
	p.gone("#delete-dialog")
	if got := p.focused(); got != "delete-open" {
		p.t.Errorf("after the dialog the focus is on %q", got)
	}
	p.click("#delete-open")
	p.send("delete")
	p.waitPath("/tasks")
	p.seeText("#status", "204 No Content: Deleted.")
	p.seeText("#json", "[]")
	p.expect("answer: 404 to GET /tasks/1")
	p.visit("/tasks/1")
	p.seeText("#status-line", "HTTP 404 Not Found")
	p.gone("form")
}

func TestBrowser_AListIsPagedThroughByItsLinks(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	alice := a.user("alice")
	for i := range 5 {
		alice.task(fmt.Sprint("Task number ", i))
	}
	p := a.page()
	p.visit("/tasks?ordering=title&page_size=2")
	for _, turn := range []struct{ link, first, links string }{
		{"", "0", "next"}, {"next", "2", "first prev next"}, {"next", "4", "first prev"}, {"prev", "2", "first prev next"}, {"first", "0", "next"},
	} {
		if turn.link != "" {
			p.click("#page-" + turn.link)
		}
		p.seeJSON("Task number " + turn.first)
		p.wait(`document.readyState === "complete"`)
		if got := strings.Join(evaluate[[]string](p, `[...document.querySelectorAll("#pages-below a")].map(a => a.rel)`), " "); got != turn.links {
			t.Errorf("the page that begins with task %s leads to %q, want %q", turn.first, got, turn.links)
		}
		p.wantOwn()
	}
}

func TestBrowser_AnExpiredAccessCookieIsRefreshedByThePage(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	a.user("alice")
	p := a.page()
	p.visit("/tasks")
	p.signIn("alice")
	for i, expired := range []string{"answer: 401 to GET /tasks", "answer: 401 to POST /tasks"} {
		p.expect(expired)
		a.Clock.Advance(6 * time.Minute)
		if i == 0 {
			p.visit("/tasks")
			p.seeText("#account-name", "alice")
			p.wait(`document.readyState === "complete"`)
		} else {
			p.fill("#post-title", "After the refresh")
			p.send("post")
			p.waitPath("/tasks/1")
		}
		if got := p.asked("POST /auth/refresh"); got != i+1 {
			t.Errorf("%s: the page has asked %d times for a refresh", expired, got)
		}
	}
	if got := p.asked("POST /tasks"); got != 2 {
		t.Errorf("the form was sent %d times", got)
	}

	p.expect("answer: 401 to GET /tasks/1", "answer: 401 to POST /auth/refresh")
	a.login("alice").do("DELETE", "/auth/sessions", nil).want(http.StatusNoContent)
	p.visit("/tasks/1")
	p.seeText("#status", "Your session has ended. Sign in again.")
	p.seeJSON("After the refresh")
	p.wantForms("form-sign-in")
	p.gone("#account-name")
	p.reload()
	p.seeJSON("After the refresh")
	p.gone("#status")
	if got := p.asked("POST /auth/refresh"); got != 3 {
		t.Errorf("for the dead session the page has asked %d times for a refresh", got-2)
	}
	if kept := p.cookies("/auth/refresh"); len(kept) != 0 {
		t.Errorf("of the dead session there are the cookies %v", kept)
	}
}

func TestBrowser_WhatPeopleWriteIsShownAsText(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	const image, script = "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>"
	const both = `"'` + image + script
	alice := a.user("alice")
	alice.task(both, map[string]any{"description": both + "</textarea>" + both, "tags": []string{image, script}})
	alice.do("POST", "/auth/tokens", map[string]any{"name": image + script}).want(http.StatusCreated)
	a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}, header{"User-Agent", both}).want(http.StatusOK)
	p := a.page()
	p.visit("/auth/login")
	p.expect("answer: 405 to GET /auth/login")
	p.signIn("alice")
	const inURL = "%3Cimg%20src=x%20onerror=alert%281%29%3E%3C%2Fscript%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E"
	p.expect("answer: 400 to GET /tasks?", "answer: 404 to GET /", "answer: 405 to GET /auth/activate/resend")
	wantText := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			p.wait(`[document.title, document.body.innerText, ...[...document.querySelectorAll("input, textarea")].map(e => e.value)].some(s => s.includes(` + js(text) + `))`)
		}
		if made := evaluate[[]string](p, `[...document.querySelectorAll("img, script:not([src*='/static/']), [onerror]")].map(e => e.outerHTML)`); len(made) > 0 {
			t.Errorf("%s has made of the text %q", p.path(), made)
		}
		p.wantOwn()
	}
	for path, texts := range map[string][]string{
		"/tasks":                         {image, script},
		"/tasks/1":                       {image, script, both, both + "</textarea>" + both},
		"/tasks?tag=" + inURL:            {inURL},
		"/tasks?search=" + inURL:         {inURL},
		"/tasks?" + inURL + "=1":         {"img src", inURL}, // JSON escapes what is in it
		"/tasks?ordering=" + inURL:       {inURL},
		"/tasks?page_size=" + inURL:      {inURL},
		"/tasks/" + inURL:                {"%3Cimg"},
		"/" + inURL:                      {"%3Cimg"},
		"/auth/sessions":                 {image, script},
		"/auth/tokens":                   {image, script},
		"/auth/activate/resend?" + inURL: {inURL},
	} {
		p.visit(path)
		wantText(texts...)
	}
	p.visit("/tasks/1")
	for field, want := range map[string]string{"title": both, "description": both + "</textarea>" + both} {
		if got := p.value("#patch-" + field); got != want {
			t.Errorf("the form has the %s %q", field, got)
		}
	}
	p.expect("answer: 400 to PATCH /tasks/1")
	p.fill("#patch-due_to", both)
	p.fill("#patch-title", strings.Repeat(both, 10))
	p.send("patch")
	p.see("#patch-due_to-error")
	wantText(both)
	p.visit("/auth/tokens")
	p.fill("#post-name", both)
	p.send("post") // it is shown by the script
	p.seeText("#result-heading", "HTTP 201 Created")
	wantText(both[2:])
}

func TestBrowser_WithoutScriptThePagesAreRead(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	alice := a.user("alice")
	for i := range 3 {
		alice.task(fmt.Sprint("Task number ", i))
	}
	p := a.page()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	follow := func(selector, path string) {
		t.Helper()
		p.wait("(e => e && seen(e) && (e.focus(), document.activeElement === e))(find(" + js(selector) + "))")
		p.press("Enter")
		p.waitPath(path)
	}
	p.visit("/")
	p.seeText("noscript", "Reading works without scripts. Signing in and sending forms need them.")
	follow(`#json a[href="/tasks"]`, "/tasks")
	if enabled := evaluate[int](p, `document.querySelectorAll("form button:enabled").length`); enabled != 0 {
		t.Errorf("%d buttons can be pressed", enabled)
	}
	follow(`#json a[href="/tasks/2"]`, "/tasks/2")
	p.seeJSON("Task number 1")
	follow("=Tasks", "/tasks")
	p.visit("/tasks?ordering=title&page_size=2")
	p.seeJSON("Task number 0")
	follow("#page-next", p.attribute("#page-next", "href"))
	p.seeJSON("Task number 2")
	follow("#page-first", p.attribute("#page-first", "href"))
	p.seeJSON("Task number 0")
	p.gone("[data-copy]")
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
	p.reload()
	p.gone("noscript")
}

func TestBrowser_PagesWorkBelowAPath(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "/api")
	a.superuser("alice")
	p := a.page()
	p.visit("/")
	p.click(`#json a[href="/api/tasks"]`)
	p.waitPath("/tasks")
	p.signIn("alice")
	p.makeTask()
	p.wantOwn()
	p.fill("#patch-title", "Below a path")
	a.Clock.Advance(6 * time.Minute)
	p.expect("answer: 401 to PATCH /tasks/1")
	p.send("patch")
	p.seeText("#status", "200 OK: Changed.")
	p.click("=Tasks")
	p.waitPath("/tasks")
	p.click(`#json a[href="/api/tasks/1"]`)
	p.waitPath("/tasks/1")
	p.deleteTask()
	p.click("=Dueto API")
	p.waitPath("/")
	p.click("#sign-out")
	p.seeText("#status", "You are signed out.")
	for _, path := range []string{"/", "/auth/refresh"} {
		if kept := p.cookies(path); len(kept) != 0 {
			t.Errorf("after signing out there are the cookies %v", kept)
		}
	}
}
