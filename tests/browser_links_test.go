package tests

import (
	"net/http"
	"testing"

	"dueto/config"
)

const (
	statusOfConfirmation = "[role=status]"
	newPasswordField     = "#new_password"
	repeatedField        = "#repeated"
)

// newBrowserMailApp is newBrowserApp, of a server that sends mail.
func newBrowserMailApp(t testing.TB) *mailApp {
	t.Helper()
	return newMailApp(t, func(c *config.Config) { c.PublicURL = "http://" + c.Addr })
}

// wantOnward checks where a link of the page leads.
func wantOnward(p *page, text, path string) {
	p.t.Helper()
	p.see(text)
	if got := evaluate[string](p, "find("+js(text)+").href"); got != p.base+path {
		p.t.Errorf("%s leads to %s", text, got)
	}
}

func TestBrowser_AnAccountIsActivatedByTheButton(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	for name, press := range map[string]func(p *page){
		"mouse":    func(p *page) { p.click("=Activate my account") },
		"keyboard": func(p *page) { p.tabTo("=Activate my account"); p.press("Enter") },
	} {
		_, link := a.register(name)
		p := a.page()
		look := func() { // once is enough
			if name == "mouse" {
				p.wantOwn()
				p.axe()
			}
		}
		p.visit(link)
		p.seeText(statusOfConfirmation, "Press the button to activate your account.")
		look()
		press(p)
		p.seeText(statusOfConfirmation, "User activated.")
		look()
		wantOnward(p, "=Sign in", "/auth/login")
		if got := p.path(); got != link {
			t.Errorf("%s: the page is at %s", name, got)
		}
		p.expect("answer: 409 to GET /auth/activate/")
		p.visit(link) // again
		p.gone("button")
		look()
		wantOnward(p, "=Sign in", "/auth/login")
		p.expect("answer: 401 to GET /auth/activate/")
		p.visit(link + "x")
		p.seeText(statusOfConfirmation, deadLinkText)
		wantOnward(p, "=Ask for another link", "/auth/activate/resend")
	}
}

func TestBrowser_APasswordIsSetByTheForm(t *testing.T) {
	t.Parallel()
	m := newBrowserMailApp(t)
	const other = "another good password"
	for name, submit := range map[string]func(p *page, first, again string){
		"mouse": func(p *page, first, again string) {
			p.fill(newPasswordField, first)
			p.fill(repeatedField, again)
			p.click("=Set the password")
		},
		"keyboard": func(p *page, first, again string) {
			p.tabTo(newPasswordField)
			p.press(first, "Tab")
			if got := p.focused(); got != "repeated" {
				t.Errorf("Tab leads on to %q", got)
			}
			p.press(again, "Enter")
		},
	} {
		m.member(name)
		m.askFor(resetPath, address(name)).want(http.StatusAccepted)
		link := m.linkOf(m.wantInbox(address(name), subjectActivation, subjectPasswordReset)[1])
		p := m.page()
		look := func() { // once is enough
			if name == "mouse" {
				p.wantOwn()
				p.axe()
			}
		}
		p.visit(link)
		p.see(newPasswordField)
		look()
		p.expect("answer: 400 to POST " + resetPath)
		submit(p, other, "something else altogether")
		p.see("[role=alert]")
		if first, second := p.attribute(newPasswordField, "aria-invalid"), p.attribute(repeatedField, "aria-invalid"); first != "" || second != "true" {
			t.Errorf("%s: the fields are aria-invalid=%q and %q", name, first, second)
		}
		look()
		submit(p, other, other)
		p.gone("form")
		look()
		wantOnward(p, "=Sign in", "/auth/login")
		p.expect("answer: 401 to GET " + resetPath)
		p.visit(link) // again
		p.seeText(statusOfConfirmation, deadLinkText)
		wantOnward(p, "=Ask for another link", resetPath)
		m.do("POST", "/auth/login", map[string]any{"username": name, "password": password}).want(http.StatusUnauthorized)
		m.do("POST", "/auth/login", map[string]any{"username": name, "password": other}).want(http.StatusOK)
	}
}
