package tests

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

// throttledMail is a server with throttles and a mail server.
func throttledMail(t *testing.T) (*app, *mailServer) {
	t.Helper()
	mails := newMailServer(t)
	return newApp(t, func(c *config.Config) {
		c.Throttle, c.SMTPURL, c.MailFrom = "on", config.ServerURL(mails.URL()), "Dueto <todo@example.com>"
	}), mails
}

func TestMailLimits_AnAddressIsWrittenToOnceAMinuteAndFiveTimesADay(t *testing.T) {
	t.Parallel()
	a, mails := throttledMail(t)
	a.do("POST", "/auth/register", map[string]any{"username": "alice", "email": "alice@example.com", "password": password}).want(http.StatusCreated)
	mails.waitFor("alice@example.com", 1)
	resend := func(email string) *response {
		return a.do("POST", "/auth/activate/resend", map[string]any{"email": email}).want(http.StatusAccepted)
	}
	if first, again := resend("alice@example.com"), resend("ALICE@example.com"); string(first.Body) != string(again.Body) {
		t.Errorf("the second request is answered %s, not %s", again.Body, first.Body)
	}
	mails.waitFor("alice@example.com", 2)
	for range 6 {
		a.Clock.Advance(time.Minute)
		resend("alice@example.com")
	}
	mails.waitFor("alice@example.com", 6)
	a.Clock.Advance(24 * time.Hour / 5)
	resend("alice@example.com")
	mails.waitFor("alice@example.com", 7)
	if n := len(mails.inbox("alice@example.com")); n != 7 { // registration, five, and one more after a fifth of a day
		t.Errorf("%d messages", n)
	}
}

func TestMailLimits_AnAccountAsksForAnotherAddressFiveTimes(t *testing.T) {
	t.Parallel()
	a, _ := throttledMail(t)
	boss := a.staff("boss")
	boss.do("POST", "/users", map[string]any{"username": "alice", "email": "alice@example.com", "password": password}).want(http.StatusCreated)
	alice := a.login("alice")
	for i := range 5 {
		alice.do("PATCH", "/users/me", map[string]any{"email": fmt.Sprintf("alice%d@example.com", i)}).want(http.StatusOK)
	}
	r := alice.do("PATCH", "/users/me", map[string]any{"email": "alice6@example.com"}).wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	me := alice.do("PATCH", "/users/me", map[string]any{"time_zone": "Europe/Berlin"}).want(http.StatusOK).object()
	if me["pending_email"] != "alice4@example.com" || me["email"] != "alice@example.com" {
		t.Errorf("the account is %v", me)
	}
}

func TestCreateUser_ThatIsNotActiveIsSentItsLink(t *testing.T) {
	t.Parallel()
	a, mails := throttledMail(t)
	boss := a.staff("boss")
	boss.do("POST", "/users", map[string]any{"username": "carol", "email": "carol@example.com", "password": password, "is_active": false}).want(http.StatusCreated)
	link := mails.waitFor("carol@example.com", 1)[0].links()[0]
	a.do("POST", link[len(a.Config.PublicURL):], nil).want(http.StatusOK)
	a.login("carol")
}
