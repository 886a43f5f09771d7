package tests

import (
	"net/http"
	"testing"
)

func TestBrowser_PagesCanBeUsedByAll(t *testing.T) {
	t.Parallel()
	m := newBrowserMailApp(t)
	alice := m.member("alice")
	alice.task("Water the plants", map[string]any{"description": "All\nof them", "tags": []string{"home", "garden"}, "due_to": "2026-10-19T16:00:00Z"})
	alice.task("Send the figures", map[string]any{"person": nil})
	alice.do("POST", "/auth/tokens", map[string]any{"name": "One"}).want(http.StatusCreated)
	_, activation := m.signUp("noor")
	m.askFor(resetPath, address("alice")).want(http.StatusAccepted)
	reset := m.linkOf(m.wantInbox(address("alice"), subjectActivation, subjectPasswordReset)[1])
	type shown struct {
		path  string
		fault string // what the browser complains of
		open  func(p *page)
	}
	for name, group := range map[string]struct {
		signedIn bool
		pages    []shown
	}{
		"nobody": {false, []shown{
			{path: "/"}, {path: "/tasks?page_size=1"}, {path: "/tasks/1"}, {path: "/users"}, {path: "/users/1"},
			{path: "/none", fault: "answer: 404 to GET /none"},
			{path: "/users/me", fault: "answer: 401 to GET /users/me"},
			{path: activation}, {path: reset},
		}},
		"nobody, with forms": {false, []shown{
			{path: "/auth/login", fault: "answer: 405 to GET /auth/login", open: func(p *page) {
				p.expect("answer: 400 to POST /auth/login")
				p.click("#form-sign-in [type=submit]")
				p.see("#sign-in-password-error")
			}},
			{path: "/auth/register", fault: "answer: 405 to GET /auth/register", open: func(p *page) {
				p.expect("answer: 400 to POST /auth/register")
				p.send("post")
				p.see("#post-username-error")
			}},
			{path: "/auth/password/reset", fault: "answer: 405 to GET /auth/password/reset"},
		}},
		"alice": {true, []shown{
			{path: "/"}, {path: "/users/me"}, {path: "/auth/sessions"},
			{path: "/auth/tokens", open: func(p *page) {
				p.fill("#post-name", "Another")
				p.send("post")
				p.see("#result")
			}},
		}},
		"alice, with forms": {true, []shown{
			{path: "/tasks", open: func(p *page) {
				p.expect("answer: 400 to POST /tasks")
				p.send("post")
				p.see("#post-title-error")
			}},
			{path: "/tasks/1", open: func(p *page) { p.click("#method-put > summary"); p.see("#put-title") }},
			{path: "/tasks/2", open: func(p *page) { p.click("#delete-open"); p.see("#delete-dialog") }},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := m.page()
			p.t = t
			if group.signedIn {
				p.expect("answer: 405 to GET /auth/login")
				p.visit("/auth/login")
				p.signIn("alice")
			}
			for _, shown := range group.pages {
				if shown.fault != "" {
					p.expect(shown.fault)
				}
				p.visit(shown.path)
				if shown.open != nil {
					shown.open(p)
				}
				p.wantOwn()
				for _, width := range []int64{390, 1280} {
					p.size(width, 844)
					p.wantNarrow()
					p.axe()
				}
			}
		})
	}
}

// tabShown is tabTo, and checks that each place that the focus comes by is seen
// to have it.
func (p *page) tabShown(selector string) {
	p.t.Helper()
	p.see(selector)
	for range 100 {
		p.press("Tab")
		at := evaluate[struct {
			There, Ring bool
			What        string
		}](p, `(e => ({
			there: e === find(`+js(selector)+`), what: e.outerHTML.slice(0, 200),
			ring: e === document.body || (s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(e)),
		}))(document.activeElement)`)
		if !at.Ring {
			p.t.Errorf("%s: the focus is not seen on %s", p.path(), at.What)
		}
		if at.There {
			return
		}
	}
	p.t.Fatalf("Tab does not lead to %s", selector)
}

func TestBrowser_TheKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	a.user("alice")
	p := a.page()
	p.visit("/tasks")
	p.tabShown("=Skip to the content")
	if top := evaluate[float64](p, `document.activeElement.getBoundingClientRect().top`); top < 0 {
		t.Errorf("the link that has the focus is at %v", top)
	}
	p.press("Enter")
	p.wait(`document.activeElement.id === "main"`)
	p.press("Tab")
	if !evaluate[bool](p, `document.activeElement.closest("main") !== null`) {
		t.Errorf("from the content Tab leads to %q", p.focused())
	}

	p.visit("/tasks")
	p.tabShown("#sign-in-link")
	p.press("Enter")
	p.wait(`location.hash === "#sign-in"`)
	p.press("Tab")
	if got := p.focused(); got != "sign-in-username" {
		t.Errorf("from the link to sign in Tab leads to %q", got)
	}
	p.press("alice", "Tab", password, "Enter")
	p.seeText("#account-name", "alice")

	p.visit("/tasks")
	p.tabShown("#method-post > summary")
	p.press("Space")
	p.gone("#post-title")
	p.press("Space")
	p.see("#post-title")
	p.press("Tab", "By keyboard", "Enter")
	p.waitPath("/tasks/1")
	p.seeText("#status", "201 Created: Made.")

	inDialog := `(e => e.closest("dialog")?.id === "delete-dialog" && e.matches(":focus-visible"))(document.activeElement)`
	p.tabShown("#delete-open")
	p.press("Enter")
	p.wait(inDialog)
	p.press("Escape")
	p.gone("#delete-dialog")
	if got := p.focused(); got != "delete-open" {
		t.Errorf("after the dialog the focus is on %q", got)
	}
	p.press("Space")
	p.wait(inDialog)
	if got := p.focused(); got != "Keep it" { // a second Enter deletes nothing
		t.Errorf("the dialog begins with the focus on %q", got)
	}
	p.tabShown("#form-delete [type=submit]")
	p.press("Enter")
	p.waitPath("/tasks")
	p.seeText("#status", "204 No Content: Deleted.")
	p.tabShown("#sign-out")
	p.press("Space")
	p.waitPath("/")
	p.seeText("#status", "You are signed out.")
}

// signIn signs somebody in by the form of the page, and waits until the page
// shows whose it is.
func (p *page) signIn(name string) {
	p.t.Helper()
	p.fill("#sign-in-username", name)
	p.fill("#sign-in-password", password)
	p.click("#form-sign-in [type=submit]")
	p.seeText("#account-name", name)
	p.seeText("#status", "You are signed in.")
}

// send presses the button of a method's form.
func (p *page) send(method string) { p.t.Helper(); p.click("#form-" + method + " [type=submit]") }

// seeJSON waits until the answer that the page shows has a text.
func (p *page) seeJSON(text string) {
	p.t.Helper()
	p.wait(`find("#json")?.textContent.includes(` + js(text) + `)`)
}
