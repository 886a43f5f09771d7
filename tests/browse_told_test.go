package tests

import (
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"
)

// wantTold checks that the message of what was done has the focus and is in sight.
func (p *page) wantTold(text string) {
	p.t.Helper()
	p.seeText("#status", text)
	p.wait(`document.readyState === "complete" && document.activeElement === find("#status")`)
	p.wait(`(r => r.top >= 0 && r.bottom <= innerHeight)(find("#status").getBoundingClientRect())`)
}

func TestBrowser_AMessageIsReadWhereItIs(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	a.user("alice").task("One", map[string]any{"description": strings.Repeat("A long line of it.\n", 60)})
	p := a.page()
	p.visit("/tasks/1")
	p.click("#sign-in-link")
	p.signIn("alice")
	p.wantTold("You are signed in.")
	if got := p.path(); got != "/tasks/1" {
		t.Errorf("signed in, the page is at %s", got)
	}
	p.fill("#patch-title", "Two")
	p.send("patch")
	p.wantTold("200 OK: Changed.")
	p.click("#method-put > summary")
	p.fill("#put-title", "Three")
	p.send("put")
	p.wantTold("200 OK: Replaced.")

	// What went wrong does not stand beside what went well before.
	p.expect("answer: 400 to PATCH /tasks/1")
	p.fill("#patch-title", " ")
	p.send("patch")
	p.see("#patch-title-error")
	p.gone("#status")
}

func TestBrowse_TheCommandsWorkWithAnAPIToken(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "http", "curl"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") == "" {
			t.Skip(err)
		}
	}
	a := newBrowserApp(t, "")
	alice := a.user("alice")
	alice.task("For alice alone", map[string]any{"visibility": "private"})
	key := alice.apiToken("shell", nil).Key
	shown := a.signedIn("alice", twoCookies).look("/tasks?ordering=title&page_size=2", http.StatusOK)
	for kind, token := range map[string]string{"an API token": key, "an access token": alice.Access} {
		for _, id := range []string{"curl-line", "httpie-line"} {
			command := exec.CommandContext(t.Context(), "sh", "-c", shown.text(id))
			command.Env = append(os.Environ(), "TOKEN="+token)
			said, err := command.Output()
			if err != nil || !strings.Contains(string(said), "For alice alone") {
				t.Errorf("%s with %s gives %s: %v", shown.text(id), kind, said, err)
			}
		}
	}
	help := shown.byID("token-help")
	if help == nil || !slices.ContainsFunc(slices.Collect(help.Descendants()), func(n *html.Node) bool { return attr(n, "href") == "/auth/tokens" }) {
		t.Error("the page does not say where a token is made")
	}
	if a.look("/tasks", http.StatusOK).byID("token-help") != nil {
		t.Error("lines without a token are explained by one")
	}
}

func TestBrowser_TheFormThatEndsTheSessionSignsOut(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "/api")
	a.superuser("alice")
	p := a.page()
	p.visit("/tasks")
	p.signIn("alice")
	p.expect("answer: 405 to GET /auth/logout")
	p.visit("/auth/logout")
	p.send("post")
	p.waitPath("/")
	p.wantTold("You are signed out.")
	p.gone("#account-name")
}

// beside opens another tab with the same cookies.
func (p *page) beside() *page {
	p.t.Helper()
	other := &page{t: p.t, base: p.base, faults: newFaults(p.base)}
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithListener(other.note))
	other.ctx = ctx
	p.t.Cleanup(func() {
		for _, fault := range other.unexpected() {
			p.t.Error(fault)
		}
		cancel()
	})
	other.must("open a tab beside", chromedp.Do(ctx))
	call(other, network.Enable, network.EnableParams{})
	return other
}

func TestBrowser_WhatWasTypedOutlivesTheSession(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	a.superuser("alice")
	p := a.page()
	p.visit("/tasks")
	p.signIn("alice")
	a.login("alice").do("DELETE", "/auth/sessions", nil).want(http.StatusNoContent)
	p.fill("#post-title", "Typed for long")
	p.expect("answer: 401 to POST /tasks", "answer: 401 to POST /auth/refresh")
	p.send("post")
	p.see("#form-post-entrance")
	for name, want := range map[string]string{"href": "/auth/login", "target": "_blank", "rel": "noopener"} {
		if got := p.attribute("#form-post-entrance", name); got != want {
			t.Errorf("the link has %s=%q, want %q", name, got, want)
		}
	}
	// The link leads to a form, and what it does counts here too.
	other := p.beside()
	other.expect("answer: 401 to GET /auth/login", "answer: 405 to GET /auth/login", "answer: 401 to POST /auth/refresh")
	other.visit("/auth/login")
	other.seeText("#status-line", "HTTP 405 Method Not Allowed") // the page has ended the session by now
	other.signIn("alice")
	if got := p.value("#post-title"); got != "Typed for long" {
		t.Errorf("what was typed has become %q", got)
	}
	p.send("post")
	p.waitPath("/tasks/1")
	p.seeJSON("Typed for long")
}

func TestBrowser_PUTLeavesOutAnEmptiedNumber(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	alice := a.user("alice")
	alice.task("One", map[string]any{"priority": 3, "description": "Words"})
	p := a.page()
	p.visit("/tasks/1")
	p.signIn("alice")
	p.click("#method-put > summary")
	p.fill("#put-priority", "")
	p.fill("#put-description", "")
	p.send("put")
	p.wantTold("200 OK: Replaced.")
	if task := alice.do("GET", "/tasks/1", nil).object(); task["priority"] != 0.0 || task["description"] != "" || task["title"] != "One" {
		t.Errorf("PUT leaves %v", task)
	}
	p.expect("answer: 400 to PATCH /tasks/1")
	p.fill("#patch-priority", "")
	p.send("patch")
	p.see("#patch-priority-error")
}

func TestBrowser_ALongAnswerIsReadWithThePage(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	alice := a.user("alice")
	for range 20 {
		alice.task("One of many")
	}
	p := a.page()
	p.size(390, 844)
	p.visit("/tasks?page_size=10")
	if hidden := evaluate[int](p, `(e => e.scrollHeight - e.clientHeight)(find("#json"))`); hidden > 0 {
		t.Errorf("%d pixels of the list lie below a box's edge", hidden)
	}
	if labels := evaluate[[]string](p, `[...document.querySelectorAll("nav.pages")].map(n => n.getAttribute("aria-label"))`); len(labels) != 2 || labels[0] == labels[1] {
		t.Errorf("the links to the pages are called %q", labels)
	}
	p.click("#pages-above a[rel=next]")
	p.wait(`location.search.includes("cursor") && find("#pages-above a[rel=prev]")`)
}

func TestBrowse_TheDialogSaysWhatIsDeleted(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice").task("One")
	p := a.signedIn("alice", twoCookies).look("/tasks/1", http.StatusOK)
	if got := p.text("delete-what"); got != "Task 1: this cannot be undone." || attr(p.byID("delete-dialog"), "aria-describedby") != "delete-what" {
		t.Errorf("the dialog says %q", got)
	}
}

func TestBrowse_WhereThereIsNothingToReadTheFormComesFirst(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	alice.task("One")
	first := func(p *shownPage) string {
		for _, n := range p.all() {
			if id := attr(n, "id"); id == "form-post" || id == "form-patch" || id == "answer-heading" {
				return id
			}
		}
		return ""
	}
	for _, path := range []string{"/auth/register", "/auth/password/reset", "/auth/activate/resend", "/auth/verify", "/auth/logout"} {
		if got := first(a.look(path, http.StatusMethodNotAllowed)); got != "form-post" {
			t.Errorf("%s begins with %q", path, got)
		}
	}
	b := a.signedIn("alice", twoCookies)
	for _, path := range []string{"/tasks", "/tasks/1"} {
		if got := first(b.look(path, http.StatusOK)); got != "answer-heading" {
			t.Errorf("%s begins with %q", path, got)
		}
	}
}
