package tests

import (
	"context"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

const freshPassword = "a quite new password"

// resetLink has a reset link sent to an account's address, and gives its path.
func (m *mailApp) resetLink(name string) string {
	m.t.Helper()
	m.askFor(resetPath, address(name)).want(http.StatusAccepted)
	return m.last(address(strings.ToLower(name)), subjectPasswordReset)
}

func tokenOf(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

func (a *app) confirmReset(link, to string) *response {
	a.t.Helper()
	return a.do("POST", "/auth/password/reset/confirm", map[string]any{"token": tokenOf(link), "new_password": to})
}

func TestResetMail_SetsANewPasswordOnce(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	phone, bob := m.member("alice"), m.member("bob")
	laptop := m.login("alice")
	first, second := m.resetLink("alice"), m.resetLink("Alice")
	for _, looker := range [][]header{nil, {browserAccept}, {prefetchPurpose}, {prefetchPurpose, browserAccept}} {
		for _, method := range []string{"GET", "HEAD"} {
			m.do(method, second, nil, looker...).want(http.StatusOK)
		}
	}
	m.do("GET", second, nil).wantDetail(http.StatusOK, "Send a POST with this token and new_password to /auth/password/reset/confirm.")
	phone.do("GET", "/users/me", nil).want(http.StatusOK) // asking for a link changes nothing

	m.confirmReset(second, "short").wantFields("new_password")
	m.confirmReset(second, "ALICE in wonderland").wantFields("new_password")
	r := m.confirmReset(second, freshPassword).want(http.StatusNoContent)
	if len(r.Header["Set-Cookie"]) != 0 {
		t.Error("it signs in")
	}
	for _, p := range []*person{phone, laptop} {
		p.wantSignedOut(services.CodeTokenNotValid)
	}
	bob.do("GET", "/users/me", nil).want(http.StatusOK)
	m.loginAs("alice", password).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	m.loginAs("alice", freshPassword).want(http.StatusOK)

	for _, dead := range []string{first, second} {
		m.confirmReset(dead, "yet another password").wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
		m.wantLinkDead(dead, http.StatusUnauthorized, "Error decoding signature.")
	}
	m.loginAs("alice", freshPassword).want(http.StatusOK)
	m.wantInbox(address("alice"), subjectActivation, subjectPasswordReset, subjectPasswordReset, subjectPasswordChanged)
	m.wantInbox(address("bob"), subjectActivation)
}

func TestResetMail_OneOfTwoAtOnceWins(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.member("alice")
	link := m.resetLink("alice")
	passwords := [10]string{}
	answers := sendAtOnce(len(passwords), func(i int) *response {
		passwords[i] = freshPassword + " " + strings.Repeat("I", i+1)
		return untilNotBusy(func() *response { return m.confirmReset(link, passwords[i]) })
	})
	winner := ""
	for i, r := range answers {
		if r.Status == http.StatusNoContent && winner == "" {
			winner = passwords[i]
			continue
		}
		r.wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
	}
	m.loginAs("alice", winner).want(http.StatusOK)
	m.wantInbox(address("alice"), subjectActivation, subjectPasswordReset, subjectPasswordChanged)
}

func TestResetMail_LinkEnds(t *testing.T) {
	t.Parallel()
	const expired, invalid, inactive = "Signature has expired.", "Error decoding signature.", "User inactive or deleted."
	for name, c := range map[string]struct {
		event    func(m *mailApp, alice *person)
		sentence string
	}{
		"after an hour": {func(m *mailApp, _ *person) { m.Clock.Advance(time.Hour) }, expired},
		"when the password is changed": {func(_ *mailApp, alice *person) {
			alice.do("POST", "/auth/password/change", map[string]any{"old_password": password, "new_password": freshPassword}).want(http.StatusNoContent)
		}, invalid},
		"when an operator sets the password": {func(m *mailApp, _ *person) {
			if err := m.Services.Accounts.SetPassword(context.Background(), "alice", freshPassword); err != nil {
				m.t.Fatal(err)
			}
		}, invalid},
		"when the address changes": {func(m *mailApp, alice *person) {
			m.staff("root").do("PATCH", userPath(alice.ID), map[string]any{"email": "other@example.com"}).want(http.StatusOK)
		}, invalid},
		"with the account's deactivation": {func(m *mailApp, _ *person) { m.deactivate("alice") }, inactive},
		"with the account": {func(_ *mailApp, alice *person) {
			alice.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
		}, inactive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMailApp(t)
			alice := m.member("alice")
			link := m.resetLink("alice")
			m.do("GET", link, nil).want(http.StatusOK)
			c.event(m, alice)
			m.wantLinkDead(link, http.StatusUnauthorized, c.sentence)
			r := m.confirmReset(link, "yet another password").want(http.StatusUnauthorized)
			if got := r.object()["detail"]; got != c.sentence {
				t.Errorf("detail %q", got)
			}
			m.loginAs("alice", "yet another password").want(http.StatusUnauthorized)
		})
	}
}

func TestResetMail_LinksOfOtherKindsSetNoPassword(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	_, activation := m.signUp("pending")
	alice := m.member("alice")
	alice.do("PATCH", "/users/me", map[string]any{"email": "next@example.com"}).want(http.StatusOK)
	email := m.linkOf(m.wantInbox("next@example.com", subjectEmailChange)[0])
	reset := m.resetLink("alice")
	doors := []string{"/auth/activate/", "/auth/password/reset/", "/auth/email/confirm/"}
	for own, link := range []string{activation, reset, email} {
		if !strings.HasPrefix(link, doors[own]) {
			t.Fatalf("the link is %s", link)
		}
		for i, door := range doors {
			if i != own {
				m.wantLinkDead(door+tokenOf(link), http.StatusUnauthorized, "Error decoding signature.")
			}
		}
		if link != reset {
			m.confirmReset(link, freshPassword).wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
		}
		wantRefusedToken(t, m.do("GET", "/users/me", nil, bearer(tokenOf(link))), services.CodeTokenNotValid)
		m.do("GET", link, nil).want(http.StatusOK)
	}
}

var complaintsOfPage = regexp.MustCompile(`(?s)<div id="complaints" role="alert"><ul>(.*?)</ul></div>`)

func TestResetPage_HasAFormAndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	link := m.resetLink("alice")
	shown := m.do("GET", link, nil, browserAccept)
	if got := shown.wantPage(http.StatusOK); got != "Choose a new password of at least 8 characters." || complaintsOfPage.Match(shown.Body) {
		t.Errorf("the page says %q", got)
	}
	form := formOfPage.FindSubmatch(shown.Body)
	if form == nil || string(form[1]) != ` method="post"` || !buttonOfForm.Match(form[2]) {
		t.Fatalf("the page has no form that posts to its own URL: %s", shown.Body)
	}
	for _, name := range []string{"new_password", "repeated"} {
		if !regexp.MustCompile(`<label for="` + name + `">[^<]+</label>\s*<input id="` + name + `" name="` + name + `" type="password" autocomplete="new-password" required`).Match(form[2]) {
			t.Errorf("no labelled field %s in %s", name, form[2])
		}
	}
	const mismatch, short = "The two are not the same.", "This password is too short. It must contain at least 8 characters."
	for _, c := range []struct{ password, repeated, complaint string }{
		{freshPassword, "a quite new passwort", mismatch},
		{freshPassword, "", mismatch},
		{"", freshPassword, mismatch},
		{"sho<b>", "sho<b>", short},
		{"", "", short},
		{"password123", "password123", "This password is too common."},
		{"alice in wonderland", "alice in wonderland", "The password is too similar to the username."},
		{"line\nfeeds are no part of it", "line\nfeeds are no part of it", "A password must not contain control characters."},
		{strings.Repeat("long ", 60), strings.Repeat("long ", 60), "This password is too long. It may contain at most 256 characters."},
	} {
		r := m.submit(link, map[string]string{"new_password": c.password, "repeated": c.repeated})
		if r.Status == http.StatusOK {
			t.Fatalf("%q, %q is taken", c.password, c.repeated)
		}
		r.wantPage(http.StatusBadRequest)
		complaints := complaintsOfPage.FindSubmatch(r.Body)
		if complaints == nil || !strings.Contains(html.UnescapeString(string(complaints[1])), "<li>"+c.complaint+"</li>") || !formOfPage.Match(r.Body) {
			t.Errorf("%q, %q: no %q beside the form in %s", c.password, c.repeated, c.complaint, r.Body)
		}
		for _, typed := range []string{c.password, c.repeated} {
			if typed != "" && strings.Contains(html.UnescapeString(string(r.Body)), typed) {
				t.Errorf("the page repeats %q", typed)
			}
		}
	}
	for what, r := range map[string]*response{
		"one field":      m.submit(link, map[string]string{"new_password": freshPassword}),
		"in the query":   m.submit(link+"?new_password=a+quite+new+password&repeated=a+quite+new+password", nil),
		"another origin": m.do("POST", link, "new_password=a+quite+new+password&repeated=a+quite+new+password", header{"Content-Type", "application/x-www-form-urlencoded"}, header{"Origin", "https://evil.test"}),
		"JSON":           m.do("POST", link, map[string]any{"new_password": freshPassword, "repeated": freshPassword}, browserAccept),
		"no type":        m.do("POST", link, "new_password=x&repeated=x", header{"Content-Type", "text/plain"}),
		"bad escapes":    m.do("POST", link, "new_password=%zz&repeated=%zz", browserAccept, header{"Content-Type", "application/x-www-form-urlencoded"}),
	} {
		if r.Status < 400 || r.Status > 499 {
			t.Errorf("%s: status %d: %s", what, r.Status, r.Body)
		}
	}
	m.loginAs("alice", password).want(http.StatusOK)
	alice.do("GET", "/users/me", nil).want(http.StatusOK)

	const typed = "pass wörd & <b>+%41"
	done := m.submit(link, map[string]string{"new_password": typed, "repeated": typed})
	if got := done.wantPage(http.StatusOK); got != "The password is set. Sign in with it." || formOfPage.Match(done.Body) || len(done.Header["Set-Cookie"]) != 0 {
		t.Errorf("the page says %q in %s", got, done.Body)
	}
	alice.wantSignedOut(services.CodeTokenNotValid)
	m.loginAs("alice", typed).want(http.StatusOK)
	m.wantLinkDead(link, http.StatusUnauthorized, "Error decoding signature.")
	m.wantInbox(address("alice"), subjectActivation, subjectPasswordReset, subjectPasswordChanged)
}

func TestPasswordChange_IsToldByMail(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	other := m.login("alice")
	change := func(old, to string) *response {
		return alice.do("POST", "/auth/password/change", map[string]any{"old_password": old, "new_password": to})
	}
	change("not the password", freshPassword).wantFields("old_password")
	change(password, "short").wantFields("new_password")
	m.wantInbox(address("alice"), subjectActivation)
	change(password, freshPassword).want(http.StatusNoContent)
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	other.wantSignedOut(services.CodeTokenNotValid)
	notice := m.wantInbox(address("alice"), subjectActivation, subjectPasswordChanged)[1]
	if strings.Contains(notice.Text+notice.HTML, freshPassword) {
		t.Error("the notice holds the password")
	}
}

func TestForcedReset_SendsALinkAndTakesEverythingElse(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	root, alice := m.staff("root"), m.member("alice")
	key, _ := alice.do("POST", "/auth/tokens", map[string]any{"name": "script"}).want(http.StatusCreated).object()["key"].(string)
	before := m.resetLink("alice")
	root.do("POST", userPath(alice.ID)+"/password/reset", nil).want(http.StatusAccepted)
	alice.wantSignedOut(services.CodeTokenNotValid)
	m.do("GET", "/users/me", nil, header{"Authorization", "Token " + key}).want(http.StatusUnauthorized)
	m.loginAs("alice", password).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	m.loginAs("alice", "").want(http.StatusBadRequest)
	m.wantLinkDead(before, http.StatusUnauthorized, "Error decoding signature.")
	mails := m.wantInbox(address("alice"), subjectActivation, subjectPasswordReset, subjectPasswordReset)
	m.confirmReset(m.linkOf(mails[2]), freshPassword).want(http.StatusNoContent)
	m.loginAs("alice", freshPassword).want(http.StatusOK)

	_, pending := m.signUp("pending")
	gone := m.member("gone")
	m.deactivate("gone")
	for _, id := range []int64{gone.ID, gone.ID - 1} {
		root.do("POST", userPath(id)+"/password/reset", nil).wantProblem(http.StatusConflict, services.CodeConflict)
	}
	root.do("POST", userPath(root.ID)+"/password/reset", nil).wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	m.do("POST", pending, nil).want(http.StatusOK)
	m.login("pending") // the password is the one it was
	m.wantInbox(address("pending"), subjectActivation)
	m.wantInbox(address("gone"), subjectActivation)
}
