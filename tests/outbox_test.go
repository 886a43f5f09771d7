package tests

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/models"
	"dueto/services"
)

// later moves the clock, and has the outbox looked at.
func (a *app) later(d time.Duration) {
	a.Clock.Advance(d)
	a.Services.Outbox.Wake()
}

// attempts counts how often messages were tried.
func attempts(list []models.Message) (n int64) {
	for _, m := range list {
		n += m.Attempts
	}
	return n
}

// tried waits until n attempts were made in all, of which what became is written
// down.
func (a *app) tried(n int64) []models.Message {
	a.t.Helper()
	return a.messages(fmt.Sprintf("%d attempts were made", n), func(list []models.Message) bool {
		return attempts(list) == n && !slices.ContainsFunc(list, func(m models.Message) bool {
			return m.State == models.MessageWaiting && m.Attempts > 0 && m.LastError == ""
		})
	})
}

// logged waits until the log has a text n times.
func (a *app) logged(text string, n int) {
	a.t.Helper()
	a.messages(fmt.Sprintf("the log says %q %d times", text, n), func([]models.Message) bool {
		return strings.Count(a.Log.String(), text) >= n
	})
}

func TestOutbox_ATemporaryRefusalIsTriedAgainInTime(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.mail.refuse(address("alice"), 451)
	m.ask("alice", address("alice")).want(http.StatusCreated)
	put := m.tried(1)[0]
	if want := models.Micros(start.Add(30 * time.Second)); put.State != models.MessageWaiting || put.NextAttemptAt != want {
		t.Fatalf("it is %+v, want another attempt after 30 s", put)
	}
	if !strings.Contains(put.LastError, "451") || strings.Contains(put.LastError, "alice") {
		t.Errorf("the reason is %q", put.LastError)
	}
	m.mail.heal()
	m.later(29 * time.Second)
	m.ask("bob", address("bob")).want(http.StatusCreated)
	m.mail.waitFor(address("bob"), 1) // hers would be first, were it due
	if early := m.mail.inbox(address("alice")); len(early) != 0 {
		t.Fatalf("%d messages before it is time", len(early))
	}
	m.later(time.Second)
	m.wantInbox(address("alice"), subjectActivation)
	m.later(24 * time.Hour)
	m.ask("carol", address("carol")).want(http.StatusCreated)
	m.wantInbox(address("carol"), subjectActivation)
	for _, name := range []string{"alice", "bob"} {
		m.wantInbox(address(name), subjectActivation) // once
	}
}

func TestOutbox_TriesLessAndLessOftenAndThenGivesUp(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.mail.refuse(address("alice"), 451)
	m.ask("alice", address("alice")).want(http.StatusCreated)
	n, want := 0, 30*time.Second
	for m.Clock.Now().Sub(start) <= 72*time.Hour {
		n++
		m.logged("mail not sent; it will be tried again", n)
		row := m.tried(int64(n))[0]
		got := models.Time(row.NextAttemptAt).Sub(m.Clock.Now())
		if row.State != models.MessageWaiting || got != want {
			t.Fatalf("after attempt %d, in %v, it waits %v, want %v: %+v", n, m.Clock.Now().Sub(start), got, want, row)
		}
		want = min(2*want, time.Hour)
		m.later(got)
	}
	given := m.settle()[0]
	if given.State != models.MessageFailed || !strings.HasPrefix(given.LastError, "waited for too long; mail: RCPT TO: ") {
		t.Fatalf("in the end it is %+v", given)
	}
	m.mail.heal()
	m.later(time.Hour)
	m.ask("bob", address("bob")).want(http.StatusCreated)
	m.wantInbox(address("bob"), subjectActivation)
	m.wantInbox(address("alice"))
	m.askFor(resendPath, address("alice")).want(http.StatusAccepted)
	m.wantInbox(address("alice"), subjectActivation)
}

func TestOutbox_ARefusedRecipientKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.mail.refuse(address("alice"), 550)
	for _, name := range []string{"bob", "alice", "carol"} {
		m.ask(name, address(name)).want(http.StatusCreated)
	}
	for _, name := range []string{"bob", "carol"} {
		m.wantInbox(address(name), subjectActivation)
	}
	failed := m.settle()[1]
	if failed.State != models.MessageFailed || failed.Attempts != 1 || !strings.Contains(failed.LastError, "550") || strings.Contains(failed.LastError, "alice") {
		t.Errorf("it is %+v", failed)
	}
	m.mail.heal()
	m.later(24 * time.Hour)
	m.ask("dora", address("dora")).want(http.StatusCreated)
	m.wantInbox(address("dora"), subjectActivation)
	m.wantInbox(address("alice"))
	if strings.Contains(m.Log.String(), "example.com") || !strings.Contains(m.Log.String(), "mail refused") {
		t.Error("the log tells an address, or nothing")
	}
}

func TestOutbox_AServerThatIsDownDelaysMailAndNothingElse(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	m.mail.down()
	names := []string{"bob", "carol", "dora", "emil"}
	for _, name := range names {
		m.ask(name, address(name)).want(http.StatusCreated)
		m.askFor(resendPath, address(name)).want(http.StatusAccepted)
	}
	m.askFor(resetPath, address("alice")).want(http.StatusAccepted)
	m.ask("stranger", address("alice")).want(http.StatusCreated)
	alice.wish("next@example.com")
	alice.task("works on")
	m.do("GET", "/readyz", nil).want(http.StatusOK)

	// One message finds out; the others need not, but for one at each pause's end.
	n := int64(2) // one was alice's
	wantTimes, at := []time.Duration{}, time.Duration(0)
	for _, pause := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		m.tried(n)
		m.later(pause*time.Second - time.Second)
		m.ask(fmt.Sprintf("more%d", n), fmt.Sprintf("more%d@example.com", n)).want(http.StatusCreated)
		m.later(time.Second)
		n++
		at += pause * time.Second
		wantTimes = append(wantTimes, at)
	}
	wantTimes = append(wantTimes, at+300*time.Second)
	// It is no fault of the message that found out: it waits no longer than the rest.
	times := []time.Duration{}
	for _, row := range m.tried(n) {
		if row.Attempts == 1 && row.State == models.MessageWaiting {
			times = append(times, models.Time(row.NextAttemptAt).Sub(start))
		}
	}
	if !slices.Equal(times, wantTimes) {
		t.Errorf("they are tried again after %v, want %v", times, wantTimes)
	}
	m.mail.up()
	m.later(time.Hour)
	for _, name := range names {
		m.wantInbox(address(name), subjectActivation, subjectActivation)
	}
	for n := range 8 {
		m.wantInbox(fmt.Sprintf("more%d@example.com", n+2), subjectActivation)
	}
	m.wantInbox("next@example.com", subjectEmailChange)
	var got []string
	for _, mail := range m.mail.inbox(address("alice")) {
		got = append(got, mail.Subject)
	}
	slices.Sort(got)
	want := []string{subjectActivation, subjectAddressTaken, subjectEmailChanging, subjectPasswordReset}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("alice has %q, want %q", got, want)
	}
	m.do("POST", m.linkOf(m.mail.inbox(address("emil"))[0]), nil).want(http.StatusOK) // it is as old as its sending
	m.login("emil")
}

func TestOutbox_AServerThatHangsDelaysMailAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, step := range []mailStep{atConnect, atHello, atSender, atRcpt, atMessage} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			m := newMailApp(t)
			alice := m.member("alice")
			m.mail.hang(step)
			m.ask("bob", address("bob")).want(http.StatusCreated)
			m.mail.waitForHang()
			m.ask("carol", address("carol")).want(http.StatusCreated)
			m.ask("stranger", address("alice")).want(http.StatusCreated)
			m.askFor(resendPath, address("bob")).want(http.StatusAccepted)
			m.askFor(resetPath, address("alice")).want(http.StatusAccepted)
			alice.wish("next@example.com")
			alice.task("works on")
			m.login("alice")
			if mails := m.mail.inbox(""); len(mails) != 1 {
				t.Errorf("%d messages came through", len(mails))
			}
			m.mail.down()
			m.mail.heal()
			m.mail.up()
			m.tried(2)
			m.later(time.Minute)
			m.wantInbox(address("bob"), subjectActivation, subjectActivation)
			m.wantInbox(address("carol"), subjectActivation)
			m.wantInbox("next@example.com", subjectEmailChange)
		})
	}
}

func TestOutbox_StoppingEndsThoughTheServerHangs(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.mail.hang(atMessage)
	m.ask("alice", address("alice")).want(http.StatusCreated)
	m.mail.waitForHang()
	m.ask("bob", address("bob")).want(http.StatusCreated)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		m.stopMail()
	}()
	m.mail.heal() // with a refusal, for now
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("the sending of mail does not end")
	}
	m.tried(1) // and what became of it was written down
	m.app = m.restart()
	m.later(time.Minute)
	m.wantInbox(address("alice"), subjectActivation)
	m.wantInbox(address("bob"), subjectActivation)
}

func TestOutbox_ALostAnswerMakesARepetitionOfTheSameName(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.mail.dropAfterMessage()
	m.ask("alice", address("alice")).want(http.StatusCreated)
	m.tried(1)
	m.mail.heal()
	m.later(30 * time.Second)
	mails := m.wantInbox(address("alice"), subjectActivation, subjectActivation)
	first, second := mails[0].Header.Get("Message-Id"), mails[1].Header.Get("Message-Id")
	if first == "" || first != second {
		t.Errorf("the Message-ID is %s, then %s", first, second)
	}
	m.do("POST", m.linkOf(mails[0]), nil).want(http.StatusOK) // either is good
	m.wantLinkDead(m.linkOf(mails[1]), http.StatusConflict, "This account is already active.")
}

func TestOutbox_HoldsNoLinks(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	m.mail.down()
	m.ask("bob", address("bob")).want(http.StatusCreated)
	m.askFor(resetPath, address("alice")).want(http.StatusAccepted)
	alice.wish("next@example.com")
	m.tried(2)
	waiting := m.dump("outbox")
	m.mail.up()
	m.later(time.Hour)
	m.settle()
	tokens := append(mailTokens(m.mail), partsOf([]string{alice.Access, alice.Refresh})...)
	for what, text := range map[string]string{"the waiting outbox": waiting, "the outbox": m.dump("outbox")} {
		if !strings.Contains(text, "password_reset") || !strings.Contains(text, "next@example.com") {
			t.Errorf("%s is not the one to look at: %s", what, text)
		}
		wantNone(t, what, []byte(text), append(tokens, "eyJ", "http", "://", "dueto.test", "/auth/"))
	}
	stored := atRest(t, m.Config.Database)
	if !bytes.Contains(stored, []byte("next@example.com")) {
		t.Error("the database does not hold what was written last")
	}
	wantNone(t, "the database", stored, append(tokens, password))
}

// dump gives all that a table holds, read from outside.
func (a *app) dump(table string) string {
	a.t.Helper()
	db := openDatabase(a.t, a.Config.Database)
	defer func() { _ = db.Close() }()
	rows, err := db.Query("SELECT * FROM " + table)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		a.t.Fatal(err)
	}
	var text strings.Builder
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			a.t.Fatal(err)
		}
		fmt.Fprintln(&text, values)
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
	return text.String()
}

func TestOutbox_DropsWhatHasBecomePointless(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	root, alice, carol := m.staff("root"), m.member("alice"), m.member("carol")
	before := len(m.mail.inbox(""))
	m.mail.down()
	ids := map[string]int64{}
	for _, name := range []string{"activated", "deactivated", "removed"} {
		ids[name] = m.ask(name, address(name)).want(http.StatusCreated).id()
	}
	m.askFor(resetPath, address("carol")).want(http.StatusAccepted)
	m.ask("stranger", address("carol")).want(http.StatusCreated)
	alice.wish("first@example.com")
	alice.wish("second@example.com")
	carol.wish("third@example.com")
	root.do("PATCH", userPath(ids["activated"]), map[string]any{"is_active": true}).want(http.StatusOK)
	m.deactivate("deactivated")
	root.do("DELETE", userPath(ids["removed"]), nil).want(http.StatusNoContent)
	root.do("PATCH", userPath(carol.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	m.messages("one attempt has failed", func(list []models.Message) bool {
		return slices.ContainsFunc(list, func(m models.Message) bool { return m.LastError != "" })
	})
	m.mail.up()
	m.later(time.Hour)
	states := map[string]int{}
	for _, row := range m.settle() {
		if row.UserID.Int64 == ids["removed"] {
			t.Errorf("there is still %+v", row)
		}
		states[row.State]++
	}
	m.wantInbox("second@example.com", subjectEmailChange)
	m.wantInbox(address("alice"), subjectActivation, subjectEmailChanging, subjectEmailChanging)
	m.wantInbox(address("carol"), subjectActivation, subjectEmailChanging)
	if after := len(m.mail.inbox("")); after != before+4 {
		t.Errorf("%d messages came", after-before)
	}
	// Dropped: two activations, a reset, a notice, and the wishes first@ and third@.
	if states[models.MessageDropped] != 6 || states[models.MessageFailed] != 0 {
		t.Errorf("what became of them: %v", states)
	}
}

func TestOutbox_GivesUpWhatIsOldAndForgetsWhatIsOver(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.signUp("alice")
	m.mail.down()
	m.ask("bob", address("bob")).want(http.StatusCreated)
	m.tried(2)
	m.later(72*time.Hour - time.Second)
	m.ask("carol", address("carol")).want(http.StatusCreated)
	m.app = m.restart() // which looks at once
	m.messages("bob's is tried again, if only this once", func(list []models.Message) bool { return list[1].Attempts == 2 })
	m.later(2 * time.Second)
	m.app = m.restart()
	list := m.messages("bob's is given up, and carol's was tried", func(list []models.Message) bool {
		return list[1].State == models.MessageFailed && list[2].LastError != ""
	})
	if !strings.HasPrefix(list[1].LastError, "waited for too long; mail: connect: ") || list[2].State != models.MessageWaiting || list[0].State != models.MessageSent {
		t.Fatalf("the outbox is %+v", list)
	}
	m.mail.up()
	m.later(time.Hour)
	m.wantInbox(address("carol"), subjectActivation)
	m.wantInbox(address("bob"))

	m.later(4*24*time.Hour - 2*time.Hour) // 7 days but an hour since alice's
	m.ask("dora", address("dora")).want(http.StatusCreated)
	m.wantInbox(address("dora"), subjectActivation)
	if list := m.settle(); len(list) != 4 {
		t.Fatalf("the outbox is %+v", list)
	}
	m.later(2 * time.Hour)
	m.messages("alice's is forgotten", func(list []models.Message) bool { return len(list) == 3 && list[0].ID == 2 })
	m.later(4 * 24 * time.Hour)
	m.messages("bob's and carol's are", func(list []models.Message) bool { return len(list) == 1 && list[0].ID == 4 })
	m.wantInbox(address("alice"), subjectActivation)
}

func TestOutbox_TwoSendersSendNothingTwice(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	twin := startApp(t, m.Config.Database, m.Clock, m.mail.settings)
	m.stopMail()
	twin.stopMail()
	const n = 40
	name := func(i int) string { return fmt.Sprintf("person%02d", i) }
	for i := range n {
		[]*app{m.app, twin}[i%2].ask(name(i), address(name(i))).want(http.StatusCreated)
	}
	m.sendMail()
	twin.sendMail()
	for i := range n {
		m.wantInbox(address(name(i)), subjectActivation)
	}
	// And while they write to one another.
	answers := sendAtOnce(n, func(i int) *response {
		return []*app{m.app, twin}[i%2].askFor(resendPath, address(name(i)))
	})
	for _, r := range answers {
		r.want(http.StatusAccepted)
	}
	for i := range n {
		m.wantInbox(address(name(i)), subjectActivation, subjectActivation)
	}
	for _, row := range m.settle() {
		if row.Attempts != 1 {
			t.Errorf("it took %d attempts: %+v", row.Attempts, row)
		}
	}
}

func TestOutbox_ASenderThatDiedIsReplacedWhenItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.stopMail()
	m.ask("alice", address("alice")).want(http.StatusCreated)
	lease := models.Micros(start.Add(2 * time.Minute))
	execSQL(t, m.Config.Database, fmt.Sprintf("UPDATE outbox SET attempts = 1, next_attempt_at = %d", lease)) // as one that died leaves it
	m.sendMail()
	m.Clock.Advance(2*time.Minute - time.Second)
	m.ask("bob", address("bob")).want(http.StatusCreated)
	m.mail.waitFor(address("bob"), 1) // hers would be first, were it due
	if early := m.mail.inbox(address("alice")); len(early) != 0 {
		t.Fatalf("%d messages before the lease is over", len(early))
	}
	m.later(time.Second)
	m.wantInbox(address("alice"), subjectActivation)
}

// A store that takes nothing may not lose a message, nor send it over and over.
func TestOutbox_AStoreThatTakesNothing(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	// It cannot write down that it has sent one.
	heal := refuse(t, m.Config.Database, "BEFORE UPDATE OF state ON outbox")
	m.ask("alice", address("alice")).want(http.StatusCreated)
	m.logged("the outbox cannot be written", 1)
	for i := range 5 { // what it has sent it keeps its hands off
		name := fmt.Sprintf("person%d", i)
		m.ask(name, address(name)).want(http.StatusCreated)
		m.logged("the outbox cannot be written", 2+i)
		m.mail.waitFor(address(name), 1)
	}
	if mails := m.mail.inbox(""); len(mails) != 6 {
		t.Fatalf("%d messages were sent", len(mails))
	}
	heal()
	m.later(2 * time.Minute)
	twice := m.wantInbox(address("alice"), subjectActivation, subjectActivation)
	if first, second := twice[0].Header.Get("Message-Id"), twice[1].Header.Get("Message-Id"); first != second {
		t.Errorf("the Message-ID is %s, then %s", first, second)
	}

	// It cannot take one to send.
	heal = refuse(t, m.Config.Database, "BEFORE UPDATE OF attempts ON outbox")
	m.ask("bob", address("bob")).want(http.StatusCreated)
	m.logged("the outbox cannot be read", 1)
	m.Services.Outbox.Wake()
	m.logged("the outbox cannot be read", 2)
	if mails := m.mail.inbox(address("bob")); len(mails) != 0 {
		t.Fatalf("%d messages were sent that nobody had taken", len(mails))
	}
	heal()
	m.Services.Outbox.Wake()
	m.wantInbox(address("bob"), subjectActivation)

	// It cannot keep one.
	heal = refuse(t, m.Config.Database, "BEFORE INSERT ON outbox")
	if r := m.ask("carol", address("carol")); r.Status < 500 {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
	heal()
	m.ask("carol", address("carol")).want(http.StatusCreated) // nothing was kept
	m.wantInbox(address("carol"), subjectActivation)
}

func TestOutbox_WithoutMailAnOperatorCanPassMessagesOn(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	a.askFor(resetPath, address("alice")).want(http.StatusAccepted)
	list, err := a.Services.Outbox.Messages(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	newest := list[0]
	if newest.Kind != string(services.MailPasswordReset) || newest.State != models.MessageWaiting {
		t.Fatalf("the newest is %+v", newest)
	}
	if want := fmt.Sprintf(`"message_id":%d,"kind":"password_reset","user_id":%d`, newest.ID, alice.ID); !strings.Contains(a.Log.String(), want) {
		t.Errorf("the log does not say %s", want)
	}
	shown, err := a.Services.Outbox.Show(context.Background(), newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	link := a.linkOf(receivedMail{Subject: shown.Subject, Text: shown.Text})
	a.confirmReset(link, freshPassword).want(http.StatusNoContent)
	a.loginAs("alice", freshPassword).want(http.StatusOK)
	wantNone(t, "the log", []byte(a.Log.String()), append(partsOf([]string{tokenOf(link)}), "alice"))

	// Once mail is set up it is sent what still makes sense, and is not too old.
	id, _ := a.register("pending")
	a.Clock.Advance(48 * time.Hour)
	a.askFor(resetPath, address("alice")).want(http.StatusAccepted)
	mail := newMailServer(t)
	a.stop()
	m := &mailApp{startApp(t, a.Config.Database, a.Clock, mail.settings), mail}
	m.wantInbox(address("pending"), subjectActivation)
	m.settle()
	if mails := mail.inbox(address("alice")); len(mails) != 3 { // two links and a notice
		t.Errorf("alice has %d messages", len(mails))
	}
	m.do("POST", m.linkOf(mail.inbox(address("pending"))[0]), nil).want(http.StatusOK)
	if got := m.login("pending"); got.ID != id {
		t.Errorf("signed in as %d, want %d", got.ID, id)
	}
}
