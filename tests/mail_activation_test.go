package tests

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

func TestActivationMail_OnlyAPostActivates(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	_, link := m.signUp("alice")
	for name, look := range map[string]struct {
		method  string
		headers []header
	}{
		"program":                   {"GET", nil},
		"program, JSON":             {"GET", []header{{"Accept", "application/json"}}},
		"program, slash":            {"GET", nil},
		"HEAD":                      {"HEAD", nil},
		"HEAD of a browser":         {"HEAD", []header{browserAccept}},
		"prefetch":                  {"GET", []header{prefetchPurpose}},
		"prefetch of a browser":     {"GET", []header{prefetchPurpose, browserAccept}},
		"old prefetch":              {"GET", []header{{"Purpose", "prefetch"}}},
		"browser":                   {"GET", []header{browserAccept}},
		"scanner that says nothing": {"GET", []header{{"User-Agent", ""}, {"Accept-Encoding", "identity"}}},
		"OPTIONS":                   {"OPTIONS", nil},
	} {
		path := link + strings.Repeat("/", strings.Count(name, "slash"))
		if r := m.do(look.method, path, nil, look.headers...); r.Status != http.StatusOK && r.Status != http.StatusNoContent {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
		m.wantPending("alice")
	}
	m.do("GET", link, nil).wantDetail(http.StatusOK, "Send a POST to this URL to activate the user.")
	shown := m.do("GET", link, nil, browserAccept)
	if got := shown.wantPage(http.StatusOK); got != "Press the button to activate your account." {
		t.Errorf("the page says %q", got)
	}
	form := formOfPage.FindSubmatch(shown.Body)
	if form == nil || string(form[1]) != ` method="post"` || !buttonOfForm.Match(form[2]) {
		t.Fatalf("the page has no button: %s", shown.Body)
	}
	m.do("POST", link, nil, header{"Origin", "https://evil.test"}, header{"Sec-Fetch-Site", "cross-site"}).wantProblem(http.StatusForbidden, services.CodeCSRF)
	m.wantPending("alice")
	pressed := m.submit(link, nil)
	if got := pressed.wantPage(http.StatusOK); got != "User activated." || len(pressed.Header["Set-Cookie"]) != 0 {
		t.Errorf("the page says %q", got)
	}
	m.login("alice")
	m.wantLinkDead(link, http.StatusConflict, "This account is already active.")
	m.wantInbox(address("alice"), subjectActivation)
}

func TestActivationMail_LeadsToThePublicURLAndItsPath(t *testing.T) {
	t.Parallel()
	const site = "https://todo.example.com/on/dueto"
	m := newMailApp(t, func(c *config.Config) { c.PublicURL = site })
	ask := func(path string, members map[string]any) {
		m.do("POST", "/on/dueto"+path, members, header{"Host", "evil.test"}, header{"X-Forwarded-Host", "evil.test"}, header{"Forwarded", "host=evil.test"})
	}
	ask("/auth/register", map[string]any{"username": "alice", "email": address("alice"), "password": password})
	mail := m.wantInbox(address("alice"), subjectActivation)[0]
	link := mail.links()[0]
	if !strings.HasPrefix(link, site+"/auth/activate/") || strings.Contains(string(mail.Raw), "evil") {
		t.Fatalf("the link is %s in %s", link, mail.Raw)
	}
	if got := mail.Header.Get("Message-Id"); !strings.HasSuffix(got, "@todo.example.com>") {
		t.Errorf("Message-Id %s", got)
	}
	path := strings.TrimPrefix(link, "https://todo.example.com")
	if got := m.submit(path, nil).wantPage(http.StatusOK); got != "User activated." {
		t.Errorf("the page says %q", got)
	}
	ask(resetPath, map[string]any{"email": address("alice")})
	reset := m.wantInbox(address("alice"), subjectActivation, subjectPasswordReset)[1].links()[0]
	path = strings.TrimPrefix(reset, "https://todo.example.com")
	if got := m.submit(path, map[string]string{"new_password": "a quite new password", "repeated": "a quite new password"}).wantPage(http.StatusOK); got != "The password is set. Sign in with it." {
		t.Errorf("%s: the page says %q", path, got)
	}
}

func TestActivationMail_AnExpiredLinkIsSentAnew(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	_, link := m.signUp("alice")
	m.Clock.Advance(2*time.Hour - time.Second)
	m.do("GET", link, nil).want(http.StatusOK)
	m.Clock.Advance(time.Second)
	m.wantLinkDead(link, http.StatusUnauthorized, "Signature has expired.")
	m.do("POST", link, nil).wantProblem(http.StatusUnauthorized, services.CodeTokenExpired)
	m.wantPending("alice")

	m.askFor(resendPath, " ALICE@example.com ").want(http.StatusAccepted)
	mails := m.wantInbox(address("alice"), subjectActivation, subjectActivation)
	fresh := m.linkOf(mails[1])
	if mails[0].Header.Get("Message-Id") == mails[1].Header.Get("Message-Id") || fresh == link {
		t.Error("the second message is the first one again")
	}
	m.wantLinkDead(link, http.StatusUnauthorized, "Signature has expired.")
	m.do("POST", fresh, nil).wantDetail(http.StatusOK, "User activated.")
	m.login("alice")
}

func TestActivationMail_TwoLinksAreBothGoodUntilOneIsUsed(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	_, first := m.signUp("alice")
	m.askFor(resendPath, address("alice")).want(http.StatusAccepted)
	second := m.linkOf(m.wantInbox(address("alice"), subjectActivation, subjectActivation)[1])
	m.do("GET", second, nil).want(http.StatusOK)
	m.do("POST", first, nil).want(http.StatusOK)
	m.wantLinkDead(first, http.StatusConflict, "This account is already active.")
	m.wantLinkDead(second, http.StatusConflict, "This account is already active.")
}

func TestResend_WritesOnlyToThoseWhoWait(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.member("active")
	m.member("gone")
	m.deactivate("gone")
	m.signUp("blocked")
	m.deactivate("blocked")
	m.signUp("waiting")
	for _, name := range []string{"active", "gone", "blocked", "unknown", "waiting"} {
		m.askFor(resendPath, address(name)).want(http.StatusAccepted)
	}
	m.wantInbox(address("waiting"), subjectActivation, subjectActivation)
	for _, name := range []string{"active", "gone", "blocked"} {
		m.wantInbox(address(name), subjectActivation)
	}
	m.wantInbox(address("unknown"))
}

func TestDeactivated_AccountsAreWrittenToByNobody(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.member("gone")
	m.deactivate("gone")
	_, link := m.signUp("blocked")
	m.deactivate("blocked")
	for i, name := range []string{"gone", "blocked"} {
		m.askFor(resendPath, address(name)).want(http.StatusAccepted)
		m.askFor(resetPath, address(name)).want(http.StatusAccepted)
		m.ask("stranger"+decimalText(int64(i)), address(name)).want(http.StatusCreated)
		stranger := m.member("mallory" + decimalText(int64(i)))
		stranger.do("PATCH", "/users/me", map[string]any{"email": address(name)}).want(http.StatusOK)
		m.wantInbox(address(name), subjectActivation) // from before
		m.wantInbox(address(stranger.Username), subjectActivation, subjectEmailChanging)
	}
	m.wantLinkDead(link, http.StatusUnauthorized, "User inactive or deleted.")
}

func TestActivationMail_ALinkIsBoundToItsAddress(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	root := m.staff("root")
	id, link := m.signUp("alice")
	root.do("PATCH", userPath(id), map[string]any{"email": "corrected@example.com"}).want(http.StatusOK)
	m.wantLinkDead(link, http.StatusUnauthorized, "Error decoding signature.")
	m.askFor(resendPath, address("alice")).want(http.StatusAccepted)
	m.wantInbox("corrected@example.com", subjectActivation) // at once
	m.askFor(resendPath, "corrected@example.com").want(http.StatusAccepted)
	fresh := m.linkOf(m.wantInbox("corrected@example.com", subjectActivation, subjectActivation)[1])
	m.do("POST", fresh, nil).want(http.StatusOK)
	m.login("alice")
	if mails := m.mail.inbox(address("alice")); len(mails) != 1 {
		t.Errorf("the address of before has %d messages", len(mails))
	}
}
