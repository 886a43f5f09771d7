package tests

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

const changedPassword = "a wholly different phrase" //nolint:gosec // of tests only

func (p *person) changePassword(old, changed string, headers ...header) *response {
	return p.do("POST", "/auth/password/change", map[string]any{"old_password": old, "new_password": changed}, headers...)
}

// wantWrongOld checks that an old password is found wrong.
func (r *response) wantWrongOld() {
	r.t.Helper()
	want := "Your old password was entered incorrectly. Please enter it again."
	if got := r.wantFields("old_password").complaintsOf("old_password"); len(got) != 1 || got[0] != want {
		r.t.Errorf("%s: %v", r.What, got)
	}
}

// wantPassword checks which of some passwords is the account's.
func (a *app) wantPassword(username, right string, wrong ...string) {
	a.t.Helper()
	for _, w := range wrong {
		a.loginAs(username, w).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	}
	a.loginAs(username, right).want(http.StatusOK)
}

// messagesTo gives the ids of the messages of a kind to an account, oldest first.
func (a *app) messagesTo(kind services.MailKind, userID int64) (ids []int64) {
	a.t.Helper()
	list, err := a.Services.Outbox.Messages(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	for _, m := range list {
		if m.Kind == string(kind) && m.UserID.Int64 == userID {
			ids = append(ids, m.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// mailedLink gives the path of the link in the only message of a kind to an
// account. It waits, for no mail is set up.
func (a *app) mailedLink(kind services.MailKind, userID int64) string {
	a.t.Helper()
	ids := a.messagesTo(kind, userID)
	if len(ids) != 1 {
		a.t.Fatalf("%d messages of the kind %s", len(ids), kind)
	}
	mail, err := a.Services.Outbox.Show(context.Background(), ids[0])
	if err != nil {
		a.t.Fatal(err)
	}
	_, link, found := strings.Cut(mail.Text, a.Config.PublicURL)
	if !found {
		a.t.Fatalf("no link in %q", mail.Text)
	}
	return strings.Fields(link)[0]
}

func TestPasswordChange_KeepsTheSessionThatAsksAndEndsTheOthers(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, second, bob := a.user("alice"), a.login("alice"), a.user("bob")
	b := a.signedIn("alice", oneCookie)
	if r := alice.changePassword(password, changedPassword).want(http.StatusNoContent); len(r.Body) != 0 || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("204 with the body %q and %v", r.Body, r.Header)
	}
	second.wantSignedOut(services.CodeTokenNotValid)
	wantRefusedToken(t, b.do("GET", "/users/me", nil), services.CodeTokenNotValid)
	wantRefusedToken(t, b.page("POST", "/auth/refresh", nil), services.CodeTokenNotValid)
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	alice.wantSessions(alice.session())
	alice.rotate()
	bob.rotate()
	a.wantPassword("alice", changedPassword, password)
	a.wantPassword("bob", password, changedPassword)

	alice.changePassword(password, "one more phrase").wantWrongOld()
	alice.changePassword(changedPassword, "one more phrase").want(http.StatusNoContent)
	alice.rotate()
}

func TestPasswordChange_OfACookieClientKeepsItsCookies(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b, other := alice.signedIn("alice", mode), alice.signedIn("alice", mode)
		body := map[string]any{"old_password": password, "new_password": changedPassword}
		b.do("POST", "/auth/password/change", body).wantCSRFRefused()
		alice.wantPassword("alice", password, changedPassword)
		r := b.page("POST", "/auth/password/change", body).want(http.StatusNoContent)
		if len(r.setCookies()) != 0 {
			t.Errorf("it sets %v", r.setCookies())
		}
		b.wantSignedIn(alice.ID)
		b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
		b.wantSignedIn(alice.ID)
		alice.wantSignedOut(services.CodeTokenNotValid)
		wantRefusedToken(t, other.do("GET", "/users/me", nil), services.CodeTokenNotValid)
		wantRefusedToken(t, other.page("POST", "/auth/refresh", nil), services.CodeTokenNotValid)
		alice.wantPassword("alice", changedPassword, password)
	})
}

func TestPasswordChange_ThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, second := a.user("alice"), a.login("alice")
	before := a.contents()
	for _, wrong := range []string{"not the password", password + " ", " " + password, strings.ToUpper(password), password[:len(password)-1], strings.Repeat("x", 5000), "\x01"} {
		alice.changePassword(wrong, changedPassword).wantWrongOld()
	}
	for _, weak := range []string{"short", "password123", "1234567890", "alice", "alice-and-more", "ALICE in chains", strings.Repeat("ä", 600), "with\x01nothing in it"} {
		alice.changePassword(password, weak).wantFields("new_password")
		alice.changePassword("not the password", weak).wantFields("new_password")
	}
	for body, members := range map[string][]string{
		`{}`: {"old_password", "new_password"}, `{"old_password":"","new_password":""}`: {"old_password", "new_password"},
		`{"old_password":null,"new_password":5}`:                                                      {"old_password", "new_password"},
		`{"old_password":"` + password + `"}`:                                                         {"new_password"},
		`{"new_password":"` + changedPassword + `"}`:                                                  {"old_password"},
		`{"old_password":"` + password + `","new_password":"` + changedPassword + `","password":"x"}`: {"password"},
	} {
		alice.do("POST", "/auth/password/change", body).wantFields(members...)
	}
	for _, body := range []any{nil, "", "[]", "{"} {
		alice.do("POST", "/auth/password/change", body).wantProblem(http.StatusBadRequest, services.CodeMalformed)
	}
	alice.do("POST", "/auth/password/change", "old_password=x", header{"Content-Type", "application/x-www-form-urlencoded"}).want(http.StatusUnsupportedMediaType)
	a.do("POST", "/auth/password/change", map[string]any{"old_password": password, "new_password": changedPassword}).
		wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	if after := a.contents(); after != before {
		t.Errorf("refused changes have changed\n%s\nto\n%s", before, after)
	}
	second.rotate()
	alice.changePassword(password, changedPassword).want(http.StatusNoContent)
}

func TestPasswordChange_WrongOldOnesDelayTheNext(t *testing.T) {
	t.Parallel()
	a, stranger := throttledApp(t), strangers()
	alice, bob := a.user("alice"), a.user("bob")
	deletion := func() *response {
		return alice.do("DELETE", "/users/me", map[string]any{"password": password}, stranger())
	}
	for range 15 { // what is wrong with the new one tells nothing of the old one
		alice.changePassword("not the password", "short", stranger()).wantFields("new_password")
	}
	for range 10 {
		alice.changePassword("not the password", changedPassword, stranger()).wantWrongOld()
	}
	for _, delay := range []time.Duration{30, 60, 120, 240} {
		delay *= time.Second
		alice.changePassword("not the password", changedPassword, stranger()).wantThrottled(delay)
		alice.changePassword(password, changedPassword, stranger()).wantThrottled(delay) // the right one too
		deletion().wantThrottled(delay)                                                  // which asks for it as well
		bob.changePassword("not the password", changedPassword, stranger()).wantWrongOld()
		a.Clock.Advance(delay - time.Second)
		alice.setTokens(a.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh}, stranger()).want(http.StatusOK))
		alice.changePassword("not the password", changedPassword, stranger()).wantThrottled(time.Second)
		a.Clock.Advance(time.Second)
		alice.changePassword("not the password", changedPassword, stranger()).wantWrongOld()
	}
	a.loginFrom(stranger(), "alice", password).want(http.StatusOK) // guesses of who stole a session keep nobody out
	a.Clock.Advance(8 * time.Minute)
	alice.setTokens(a.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh}, stranger()).want(http.StatusOK))
	alice.changePassword(password, changedPassword, stranger()).want(http.StatusNoContent)
	for range 10 { // the success cleared the count
		alice.changePassword(password, "one more phrase", stranger()).wantWrongOld()
	}
	alice.changePassword(changedPassword, "one more phrase", stranger()).wantThrottled(30 * time.Second)
}

func TestPasswordChange_KillsLinksMadeBefore(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	a.do("POST", "/auth/password/reset", map[string]any{"email": "alice@example.com"}).want(http.StatusAccepted)
	reset := a.mailedLink(services.MailPasswordReset, alice.ID)
	alice.do("PATCH", "/users/me", map[string]any{"email": "new@example.com"}).want(http.StatusOK)
	email := a.mailedLink(services.MailEmailChange, alice.ID)
	a.do("GET", reset, nil).want(http.StatusOK)
	a.do("GET", email, nil).want(http.StatusOK)

	alice.changePassword(password, changedPassword).want(http.StatusNoContent)
	token := strings.TrimPrefix(reset, "/auth/password/reset/")
	for _, r := range []*response{
		a.do("GET", reset, nil), a.do("GET", email, nil), a.do("POST", email, nil),
		a.do("POST", "/auth/password/reset/confirm", map[string]any{"token": token, "new_password": "one more phrase"}),
	} {
		wantRefusedToken(t, r, services.CodeTokenNotValid)
	}
	a.wantPassword("alice", changedPassword, password, "one more phrase")
	if got := alice.do("GET", "/users/me", nil).want(http.StatusOK).object()["email"]; got != "alice@example.com" {
		t.Errorf("the address is %v", got)
	}
	if told := a.messagesTo(services.MailPasswordChanged, alice.ID); len(told) != 1 {
		t.Errorf("the owner is told %d times", len(told))
	}
}

func TestPasswordChange_OfManyAtOnceOneWins(t *testing.T) {
	t.Parallel()
	for name, oneSession := range map[string]bool{"by one session": true, "by many sessions": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			people := []*person{a.user("alice")}
			for range 7 {
				next := people[0]
				if !oneSession {
					next = a.login("alice")
				}
				people = append(people, next)
			}
			phrase := func(i int) string { return fmt.Sprintf("phrase of the number %d", i) }
			winner := -1
			for i, r := range sendAtOnce(len(people), func(i int) *response {
				return untilNotBusy(func() *response { return people[i].changePassword(password, phrase(i)) })
			}) {
				switch {
				case r.Status == http.StatusNoContent && winner < 0:
					winner = i
				case r.Status == http.StatusNoContent:
					t.Errorf("%d wins, and so does %d", winner, i)
				case r.Status == http.StatusUnauthorized && !oneSession: // it was ended before it came to that
				default:
					r.wantWrongOld()
				}
			}
			if winner < 0 {
				t.Fatal("nobody wins")
			}
			people[winner].wantSessions(people[winner].session())
			for i, p := range people {
				if oneSession || i == winner {
					p.do("GET", "/users/me", nil).want(http.StatusOK)
				} else {
					p.wantSignedOut(services.CodeTokenNotValid)
				}
				if i != winner {
					a.loginAs("alice", phrase(i)).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
				}
			}
			a.wantPassword("alice", phrase(winner), password)
		})
	}
}
