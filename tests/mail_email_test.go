package tests

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"dueto/models"
	"dueto/services"
)

// wantEmail checks an account's address and the one that waits, "" for none.
func (p *person) wantEmail(email, pending string) {
	p.t.Helper()
	o := p.do("GET", "/users/me", nil).want(http.StatusOK).object()
	waits, _ := o["pending_email"].(string)
	if o["email"] != email || waits != pending {
		p.t.Fatalf("the address is %v and %v waits, want %q and %q", o["email"], o["pending_email"], email, pending)
	}
}

// wish asks for another address.
func (p *person) wish(email string) {
	p.t.Helper()
	p.do("PATCH", "/users/me", map[string]any{"email": email}).want(http.StatusOK)
}

// last gives the path of the link in the last message to an address.
func (m *mailApp) last(to, subject string) (link string) {
	m.t.Helper()
	m.settle()
	mails := m.mail.inbox(to)
	if len(mails) == 0 || mails[len(mails)-1].Subject != subject {
		m.t.Fatalf("%s has %d messages, of which the last is not %q", to, len(mails), subject)
	}
	return m.linkOf(mails[len(mails)-1])
}

func TestEmailChange_TakesEffectOnceConfirmed(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	r := alice.do("PATCH", "/users/me", map[string]any{"email": " Next@Bücher.example "}).want(http.StatusOK)
	if o := r.object(); o["email"] != address("alice") || o["pending_email"] != "Next@Bücher.example" {
		t.Fatalf("got %s", r.Body)
	}
	const next = "Next@xn--bcher-kva.example"
	link := m.linkOf(m.wantInbox(next, subjectEmailChange)[0])
	notice := m.wantInbox(address("alice"), subjectActivation, subjectEmailChanging)[1]
	if strings.Contains(notice.Text+notice.HTML, "ext@") {
		t.Errorf("the notice tells the new address: %s", notice.Text)
	}
	for _, looker := range [][]header{nil, {browserAccept}, {prefetchPurpose}, {prefetchPurpose, browserAccept}} {
		for _, method := range []string{"GET", "HEAD"} {
			m.do(method, link, nil, looker...).want(http.StatusOK)
		}
	}
	m.do("GET", link, nil).wantDetail(http.StatusOK, "Send a POST to this URL to confirm the address.")
	shown := m.do("GET", link, nil, browserAccept)
	if got := shown.wantPage(http.StatusOK); got != "Press the button to confirm your new address." {
		t.Errorf("the page says %q", got)
	}
	if form := formOfPage.FindSubmatch(shown.Body); form == nil || !buttonOfForm.Match(form[2]) {
		t.Errorf("the page has no button: %s", shown.Body)
	}
	alice.wantEmail(address("alice"), "Next@Bücher.example")
	m.loginAs("next@bücher.example", password).want(http.StatusUnauthorized)
	reset := m.resetLink("alice") // to the address that is confirmed

	if got := m.submit(link, nil).wantPage(http.StatusOK); got != "Email confirmed." {
		t.Errorf("the page says %q", got)
	}
	alice.wantEmail("Next@Bücher.example", "")
	m.loginAs("next@bücher.example", password).want(http.StatusOK)
	m.loginAs(address("alice"), password).want(http.StatusUnauthorized)
	m.wantLinkDead(reset, http.StatusUnauthorized, "Error decoding signature.")
	m.wantLinkDead(link, http.StatusUnauthorized, "Error decoding signature.")
	m.askFor(resetPath, address("alice")).want(http.StatusAccepted)
	m.askFor(resetPath, "next@bücher.example").want(http.StatusAccepted)
	m.wantInbox(next, subjectEmailChange, subjectPasswordReset)
	mails := m.wantInbox(address("alice"), subjectActivation, subjectEmailChanging, subjectPasswordReset, subjectEmailChanged)
	if strings.Contains(mails[3].Text+mails[3].HTML, "ext@") {
		t.Errorf("the notice tells the new address: %s", mails[3].Text)
	}
	m.member("bob").wish(address("alice")) // free again
	m.do("POST", m.last(address("alice"), subjectEmailChange), nil).want(http.StatusOK)
}

func TestEmailChange_ASecondWishReplacesTheFirst(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	alice.wish("first@example.com")
	first := m.last("first@example.com", subjectEmailChange)
	alice.wish("second@example.com")
	second := m.last("second@example.com", subjectEmailChange)
	m.wantLinkDead(first, http.StatusUnauthorized, "Error decoding signature.")
	alice.wantEmail(address("alice"), "second@example.com")
	m.do("POST", second, nil).wantDetail(http.StatusOK, "Email confirmed.")
	alice.wantEmail("second@example.com", "")
	m.wantInbox("first@example.com", subjectEmailChange)
	m.wantInbox(address("alice"), subjectActivation, subjectEmailChanging, subjectEmailChanging, subjectEmailChanged)
}

func TestEmailChange_TheSameWishSendsTheLinkAgain(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	alice.wish("next@example.com")
	first := m.last("next@example.com", subjectEmailChange)
	m.Clock.Advance(2 * time.Hour)
	m.wantLinkDead(first, http.StatusUnauthorized, "Signature has expired.")
	alice.rotate()
	alice.wish("next@example.com")
	m.wantInbox("next@example.com", subjectEmailChange, subjectEmailChange)
	second := m.last("next@example.com", subjectEmailChange)
	alice.do("PATCH", "/users/me", map[string]any{"email": address("alice"), "time_zone": "Europe/Berlin"}).want(http.StatusOK) // as read
	m.wantInbox("next@example.com", subjectEmailChange, subjectEmailChange)
	m.do("POST", second, nil).want(http.StatusOK)
	alice.wantEmail("next@example.com", "")
}

func TestEmailChange_EndsWithAChangeOfPassword(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *mailApp, root, alice *person){
		"by oneself": func(_ *mailApp, _, alice *person) {
			alice.do("POST", "/auth/password/change", map[string]any{"old_password": password, "new_password": freshPassword}).want(http.StatusNoContent)
		},
		"by a reset": func(m *mailApp, _, _ *person) {
			m.askFor(resetPath, address("alice")).want(http.StatusAccepted)
			m.confirmReset(m.linkOf(m.mail.waitFor(address("alice"), 4)[3]), freshPassword).want(http.StatusNoContent)
		},
		"by an operator": func(m *mailApp, _, _ *person) {
			if err := m.Services.Accounts.SetPassword(context.Background(), "alice", freshPassword); err != nil {
				m.t.Fatal(err)
			}
		},
		"by the staff": func(m *mailApp, root, alice *person) {
			root.do("POST", userPath(alice.ID)+"/password/reset", nil).want(http.StatusAccepted)
			m.confirmReset(m.linkOf(m.mail.waitFor(address("alice"), 4)[3]), freshPassword).want(http.StatusNoContent)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMailApp(t)
			root, alice := m.staff("root"), m.member("alice")
			alice.wish("arrived@example.com")
			link := m.last("arrived@example.com", subjectEmailChange)
			// Whoever receives the mail can put it off, and must not profit from it.
			m.mail.refuse("putoff@example.com", 451)
			alice.wish("putoff@example.com")
			m.messages("it is put off", func(list []models.Message) bool {
				last := list[len(list)-2]
				return last.Kind == string(services.MailEmailChange) && last.Attempts == 1 && last.LastError != ""
			})
			m.mail.heal()
			change(m, root, alice)
			m.Clock.Advance(time.Hour)
			m.Services.Outbox.Wake()
			m.wantInbox("putoff@example.com")
			m.wantLinkDead(link, http.StatusUnauthorized, "Error decoding signature.")
			again := &person{app: m.app, Username: "alice"}
			again.setTokens(m.loginAs("alice", freshPassword).want(http.StatusOK))
			again.wantEmail(address("alice"), "")
			again.wish("putoff@example.com")
			m.do("POST", m.last("putoff@example.com", subjectEmailChange), nil).want(http.StatusOK)
			again.wantEmail("putoff@example.com", "")
		})
	}
}

func TestEmailChange_LinkEnds(t *testing.T) {
	t.Parallel()
	const expired, invalid, inactive = "Signature has expired.", "Error decoding signature.", "User inactive or deleted."
	for name, c := range map[string]struct {
		event    func(m *mailApp, alice *person)
		sentence string
	}{
		"after two hours": {func(m *mailApp, _ *person) { m.Clock.Advance(2 * time.Hour) }, expired},
		"when the staff set another address": {func(m *mailApp, alice *person) {
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
			alice.wish("next@example.com")
			link := m.last("next@example.com", subjectEmailChange)
			c.event(m, alice)
			m.wantLinkDead(link, http.StatusUnauthorized, c.sentence)
			m.loginAs("next@example.com", password).want(http.StatusUnauthorized)
		})
	}
}

func TestEmailChange_ATakenAddressIsToldToItsOwnerOnly(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	bob, mallory := m.member("robert"), m.member("mallory")
	_, pending := m.signUp("pending")
	free := mallory.do("PATCH", "/users/me", map[string]any{"email": "unused0@example.com"}).want(http.StatusOK)
	for _, email := range []string{"robert@example.com", "ROBERT@example.COM", "pending@example.com"} {
		r := mallory.do("PATCH", "/users/me", map[string]any{"email": email}).want(http.StatusOK)
		got, want := r.object(), free.object()
		if got["pending_email"] != email {
			t.Fatalf("got %s", r.Body)
		}
		m.settle()
		delete(got, "pending_email")
		delete(want, "pending_email")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", email, got, want)
		}
	}
	mallory.wantEmail(address("mallory"), "pending@example.com")
	mails := m.wantInbox(address(bob.Username), subjectActivation, subjectAddressTaken, subjectAddressTaken)
	m.wantInbox("ROBERT@example.COM") // notices go to the address as its owner typed it
	if strings.Contains(mails[1].Text+mails[1].HTML, "mallory") {
		t.Errorf("the owner is told %s", mails[1].Text)
	}
	// A claim that was never confirmed does not stand in the way of one that is.
	link := m.linkOf(m.wantInbox(address("pending"), subjectActivation, subjectEmailChange)[1])
	m.do("POST", link, nil).want(http.StatusOK)
	mallory.wantEmail("pending@example.com", "")
	m.wantLinkDead(pending, http.StatusUnauthorized, "User inactive or deleted.")
}

func TestEmailChange_TheFirstOfTwoToConfirmWins(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice, bob := m.member("alice"), m.member("bob")
	alice.wish("both@example.com")
	ofAlice := m.last("both@example.com", subjectEmailChange)
	bob.wish("BOTH@example.com")
	ofBob := m.last("BOTH@example.com", subjectEmailChange)
	m.do("POST", ofBob, nil).wantDetail(http.StatusOK, "Email confirmed.")
	r := m.do("POST", ofAlice, nil).wantProblem(http.StatusConflict, services.CodeConflict)
	if got := r.object()["detail"]; got != "Another account has this address by now." {
		t.Errorf("detail %q", got)
	}
	if got := m.submit(ofAlice, nil).wantPage(http.StatusConflict); got != "Another account has this address by now." {
		t.Errorf("the page says %q", got)
	}
	alice.wantEmail(address("alice"), "both@example.com")
	bob.wantEmail("BOTH@example.com", "")
	m.wantInbox(address("alice"), subjectActivation, subjectEmailChanging)

	// An address that was registered in between: who confirms first has it.
	alice.wish("third@example.com")
	third := m.last("third@example.com", subjectEmailChange)
	m.ask("carol", "third@example.com").want(http.StatusCreated)
	ofCarol := m.last("third@example.com", subjectActivation)
	m.do("POST", ofCarol, nil).want(http.StatusOK)
	m.do("POST", third, nil).wantProblem(http.StatusConflict, services.CodeConflict)
	m.login("carol")

	alice.wish("fourth@example.com")
	fourth := m.last("fourth@example.com", subjectEmailChange)
	m.ask("dora", "fourth@example.com").want(http.StatusCreated)
	ofDora := m.last("fourth@example.com", subjectActivation)
	m.do("POST", fourth, nil).want(http.StatusOK)
	alice.wantEmail("fourth@example.com", "")
	if !strings.Contains(m.Log.String(), `"event":"user deleted"`) {
		t.Error("the log does not tell that the claim was removed")
	}
	m.do("POST", ofDora, nil).wantProblem(http.StatusUnauthorized, services.CodeUserInactive)
	m.ask("dora", "dora@example.com").want(http.StatusCreated) // the name is free again
}

func TestEmailChange_BothAtOnceLeaveOneOwner(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice, bob := m.member("alice"), m.member("bob")
	alice.wish("both@example.com")
	links := []string{m.last("both@example.com", subjectEmailChange)}
	bob.wish("both@example.com")
	links = append(links, m.last("both@example.com", subjectEmailChange))
	answers := sendAtOnce(10, func(i int) *response { return m.do("POST", links[i%2], nil) })
	confirmed := -1
	for i, r := range answers {
		if r.Status == http.StatusOK {
			if confirmed >= 0 {
				t.Fatal("it was confirmed twice")
			}
			confirmed = i % 2
		}
	}
	if confirmed < 0 {
		t.Fatal("nobody could confirm it")
	}
	for i, r := range answers {
		switch {
		case r.Status == http.StatusOK:
		case i%2 == confirmed:
			r.wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
		default:
			r.wantProblem(http.StatusConflict, services.CodeConflict)
		}
	}
	owner := []string{"alice", "bob"}[confirmed]
	if got := m.loginAs("both@example.com", password).want(http.StatusOK); m.do("GET", "/users/me", nil, bearer(got.object()["access"].(string))).object()["username"] != owner {
		t.Errorf("the address is not %s's", owner)
	}
}

// People sign in with a name or an address: the old address must not stay as a
// name when it is nobody's any more.
func TestEmailChange_AUsernameThatIsTheOldAddressIsInTheWay(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	alice.wish("next@example.com")
	link := m.last("next@example.com", subjectEmailChange)
	alice.do("PATCH", "/users/me", map[string]any{"username": "Alice@Example.com"}).want(http.StatusOK)
	r := m.do("POST", link, nil).wantProblem(http.StatusConflict, services.CodeConflict)
	if got := r.object()["detail"]; got != "Your username is another address. Change the username first." {
		t.Errorf("detail %q", got)
	}
	alice.wantEmail(address("alice"), "next@example.com")
	alice.do("PATCH", "/users/me", map[string]any{"email": "third@example.com"}).wantFields("username")
	alice.do("PATCH", "/users/me", map[string]any{"username": "alicia"}).want(http.StatusOK)
	m.do("POST", link, nil).wantDetail(http.StatusOK, "Email confirmed.")
	alice.wantEmail("next@example.com", "")
	m.wantInbox(address("alice"), subjectActivation, subjectEmailChanging, subjectEmailChanged)
}

func TestEmailChange_ByTheStaffIsToldToTheFormerAddress(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	root, alice := m.staff("root"), m.member("alice")
	alice.wish("wished@example.com")
	root.do("PATCH", userPath(alice.ID), map[string]any{"email": "given@example.com"}).want(http.StatusOK)
	alice.wantEmail("given@example.com", "")
	m.wantInbox(address("alice"), subjectActivation, subjectEmailChanging, subjectEmailChanged)
	m.wantInbox("given@example.com")
	root.do("PATCH", userPath(alice.ID), map[string]any{"email": "root@example.com"}).wantFields("email")
	m.wantInbox(address("root"))
}

func TestEmailChange_IsNotOpenToAPITokens(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	key, _ := alice.do("POST", "/auth/tokens", map[string]any{"name": "script"}).want(http.StatusCreated).object()["key"].(string)
	m.do("PATCH", "/users/me", map[string]any{"email": "next@example.com"}, header{"Authorization", "Token " + key}).
		wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	alice.wantEmail(address("alice"), "")
	m.wantInbox("next@example.com")
}
