package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// mailArgs are the flags by which the binary uses a mail server.
func (s *mailServer) mailArgs(more ...string) []string {
	return append([]string{"--smtp-url=" + s.URL(), "--mail-from=Dueto <todo@example.com>"}, more...)
}

// query gives the rows of a database, read from outside; a column each.
func (p *program) query(statement string) (rows [][]string) {
	p.t.Helper()
	db := openDatabase(p.t, p.database)
	defer func() { _ = db.Close() }()
	found, err := db.Query(statement)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	columns, err := found.Columns()
	if err != nil {
		p.t.Fatal(err)
	}
	for found.Next() {
		row, into := make([]string, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := found.Scan(into...); err != nil {
			p.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := found.Err(); err != nil {
		p.t.Fatal(err)
	}
	return rows
}

// settled waits until no message waits.
func (p *program) settled() {
	p.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		waiting := p.query("SELECT id, kind, attempts, last_error FROM outbox WHERE state = 'waiting'")
		if len(waiting) == 0 {
			return
		}
		if time.Now().After(late) {
			p.t.Fatalf("these wait in vain: %v", waiting)
		}
	}
}

// dueNow moves what waits to now: tests do not wait for backoffs and leases.
func (p *program) dueNow(t *testing.T) {
	t.Helper()
	execSQL(t, p.database, "UPDATE outbox SET next_attempt_at = 0 WHERE state = 'waiting'")
}

func TestMailBinary_IsEncryptedAndSignedInOrWaits(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	const user, hidden = "sender@example.net", "s:e@c/r%t"
	for name, kind := range map[string]mailServerOption{"STARTTLS": withStartTLS(ca), "implicit TLS": withImplicitTLS(ca)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mail := newMailServer(t, kind, withAuth(user, hidden))
			p := newProgram(t)
			s := p.serve(mail.mailArgs()...) // which does not know the CA
			s.app().ask("alice", address("alice")).want(http.StatusCreated)
			s.stderr.await(t, s.exited, `mail not sent; it will be tried again`, 0)
			s.stop()
			if got := mail.inbox(""); len(got) != 0 {
				t.Fatalf("%d messages went to a server that is not trusted", len(got))
			}
			list := p.run("outbox", "list").want(0).stdout
			if !strings.Contains(list, "certificate") || !strings.Contains(list, "waiting") {
				t.Errorf("the list does not say why it waits:\n%s", list)
			}
			p.dueNow(t)

			trusting := p.with("SSL_CERT_FILE="+ca.File, "DUETO_SMTP_URL="+mail.URL(), "DUETO_MAIL_FROM=todo@example.com")
			s = trusting.serve()
			a := s.app()
			got := mail.waitFor(address("alice"), 1)[0]
			if !got.TLS || got.User != user || got.From != "todo@example.com" {
				t.Errorf("encrypted: %v, signed in as %q, from %q", got.TLS, got.User, got.From)
			}
			a.check(got)
			link := got.links()[0]
			if !strings.HasPrefix(link, s.URL+"/auth/activate/") {
				t.Errorf("the link is %s", link)
			}
			a.do("GET", link, nil).wantDetail(http.StatusOK, "Send a POST to this URL to activate the user.")
			a.do("POST", link, nil).wantDetail(http.StatusOK, "User activated.")
			a.login("alice")
			p.settled()
			s.stop()
			wantNone(t, "the log", []byte(s.stderr.String()+list), append(partsOf([]string{tokenOf(link)}), user, hidden, "s%3Ae", "alice", password))
		})
	}
}

func TestMailBinary_AServerThatHangsKeepsNobodyFromStopping(t *testing.T) {
	t.Parallel()
	type installation struct {
		step mailStep
		mail *mailServer
		p    *program
		s    *serving
	}
	const site = "--public-url=http://dueto.test"
	var all []installation
	for _, step := range []mailStep{atConnect, atMessage} {
		i := installation{step: step, mail: newMailServer(t), p: newProgram(t)}
		i.s = i.p.serve(i.mail.mailArgs(site)...)
		i.mail.hang(step)
		i.s.app().ask("alice", address("alice")).want(http.StatusCreated)
		i.mail.waitForHang()
		i.s.app().ask("bob", address("bob")).want(http.StatusCreated)
		all = append(all, i)
	}
	for _, i := range all {
		i.s.signal(syscall.SIGTERM)
	}
	for _, i := range all {
		if code := i.s.wait(); code != 0 {
			t.Errorf("at %s: exit code %d after SIGTERM:\n%s", i.step, code, i.s.stderr)
		}
		i.p.wantLeft("dueto.secret")
		i.mail.down()
		i.mail.heal()
		i.mail.up()
		if got := i.mail.inbox(""); len(got) != 0 {
			t.Errorf("at %s: %d messages came", i.step, len(got))
		}
		i.p.dueNow(t)
		s := i.p.serve(i.mail.mailArgs(site)...)
		i.p.settled()
		for _, name := range []string{"alice", "bob"} {
			got := i.mail.inbox(address(name))
			if len(got) != 1 {
				t.Fatalf("at %s: %s has %d messages", i.step, name, len(got))
			}
			s.app().do("POST", s.app().linkOf(got[0]), nil).wantDetail(http.StatusOK, "User activated.")
		}
		s.stop()
	}
}

// registerOrFail registers with a server that may be gone before it answers,
// which gives status 0.
func registerOrFail(base, name string) (status int) {
	body := fmt.Sprintf(`{"username":%q,"email":%q,"password":%q}`, name, address(name), password)
	res, err := noRedirects.Post(base+"/auth/register", "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode
}

func TestMailBinary_NoMailIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	const rounds, clients, most, mails = 4, 3, 12, 8
	mail := newMailServer(t)
	p := newProgram(t)
	serve := func() *serving { return p.serve(mail.mailArgs("--public-url=http://dueto.test")...) }
	acknowledged := []string{"twice"}
	s := serve()
	heal := refuse(t, p.database, "BEFORE UPDATE OF state ON outbox")
	s.app().ask("twice", address("twice")).want(http.StatusCreated)
	mail.waitFor(address("twice"), 1)
	s.kill() // when it has sent, and before that is written down
	heal()
	for round := range rounds {
		s = serve()
		before := len(mail.inbox(""))
		var mu sync.Mutex
		var wg sync.WaitGroup
		for client := range clients {
			base := s.URL
			wg.Go(func() {
				for i := range most {
					name := fmt.Sprintf("person-%d-%d-%d", round, client, i)
					if status := registerOrFail(base, name); status != http.StatusCreated {
						if status != 0 {
							t.Errorf("status %d", status)
						}
						return
					}
					mu.Lock()
					acknowledged = append(acknowledged, name)
					mu.Unlock()
				}
			})
		}
		mail.await(fmt.Sprintf("%d messages came in round %d", mails, round), func() bool { return len(mail.inbox("")) >= before+mails })
		if round == rounds-1 { // in the midst of a conversation, for sure
			wg.Wait()
			mail.hang(atMessage)
			if status := registerOrFail(s.URL, "the-last"); status != http.StatusCreated {
				t.Fatalf("status %d", status)
			}
			acknowledged = append(acknowledged, "the-last")
			mail.waitForHang()
		}
		s.kill()
		wg.Wait()
		mail.heal()
	}

	taken := p.query("SELECT count(*) FROM outbox WHERE state = 'waiting' AND attempts > 0")[0][0]
	p.dueNow(t) // what the killed had taken, too
	s = serve()
	a := s.app()
	p.settled()
	repeated := 0
	for _, name := range acknowledged {
		got := mail.inbox(address(name))
		switch {
		case len(got) == 2 && got[0].Header.Get("Message-Id") == got[1].Header.Get("Message-Id"):
			repeated++
		case len(got) != 1:
			t.Errorf("%s has %d messages, or two of different names", name, len(got))
		}
	}
	t.Logf("%d registrations were acknowledged; %s messages were taken from the killed, and %d repeated", len(acknowledged), taken, repeated)
	if got := mail.inbox(address("twice")); len(got) != 2 {
		t.Errorf("what was sent and not written down was sent %d times", len(got))
	}
	if repeated > rounds+1 {
		t.Errorf("%d messages were repeated; one for each time the server was killed is the most", repeated)
	}
	var accounts, written []string
	for _, row := range p.query("SELECT email FROM users") {
		accounts = append(accounts, row[0])
	}
	for _, m := range mail.inbox("") {
		a.check(m)
		written = append(written, m.To[0])
	}
	slices.Sort(accounts)
	slices.Sort(written)
	if written = slices.Compact(written); !slices.Equal(accounts, written) {
		t.Errorf("there are the accounts\n%q, and mail was sent to\n%q", accounts, written)
	}
	for _, name := range []string{acknowledged[0], acknowledged[len(acknowledged)/2], "the-last"} {
		a.do("POST", a.linkOf(mail.inbox(address(name))[0]), nil).wantDetail(http.StatusOK, "User activated.")
		a.login(name)
	}
	s.stop()
}

func TestMailBinary_TwoServersOverOneDatabase(t *testing.T) {
	t.Parallel()
	mail := newMailServer(t)
	p := newProgram(t)
	args := mail.mailArgs("--public-url=http://dueto.test")
	servers := []*serving{p.serve(args...), p.serve(args...)}
	for _, r := range sendAtOnce(20, func(i int) *response {
		name := fmt.Sprintf("person%02d", i)
		return servers[i%2].app().ask(name, address(name))
	}) {
		r.want(http.StatusCreated)
	}
	p.settled()
	for i := range 20 {
		if got := mail.inbox(address(fmt.Sprintf("person%02d", i))); len(got) != 1 {
			t.Errorf("person%02d has %d messages", i, len(got))
		}
	}
	servers[0].app().do("POST", servers[0].app().linkOf(mail.inbox("person01@example.com")[0]), nil).want(http.StatusOK)
	servers[1].app().login("person01")
	for _, s := range servers {
		s.stop()
	}
}

func TestMailBinary_OutboxCommandsWithoutMail(t *testing.T) {
	t.Parallel()
	p := newProgram(t).withEmptyDatabase().with("DUETO_PUBLIC_URL=http://dueto.test")
	p.run("outbox", "list").want(1)
	p.wantNoDatabase()
	s := p.serve()
	a := s.app()
	a.Config.PublicURL = "http://dueto.test"
	a.user("alice")
	a.register("pending")
	a.askFor(resetPath, address("alice")).want(http.StatusAccepted)
	s.stderr.await(t, s.exited, `a message waits in the outbox: no mail is set up`, 0)

	list := p.run("outbox", "list").want(0)
	var rows []string
	for _, line := range strings.Split(strings.TrimSpace(list.stdout), "\n")[1:] {
		f := strings.Fields(line)
		rows = append(rows, strings.Join(append(f[:4:4], f[5:]...), " ")) // but for the time
	}
	if want := []string{"3 waiting password_reset 1 0 -", "2 waiting activation 2 0 -", "1 waiting activation 1 0 -"}; !slices.Equal(rows, want) {
		t.Errorf("the list has %q, want %q", rows, want)
	}
	wantNone(t, "the list", []byte(list.stdout+list.stderr), []string{"@", "http", "eyJ", "alice"})

	shown := p.run("outbox", "show", "3").want(0)
	if !strings.HasPrefix(shown.stdout, "To: alice@example.com\nSubject: "+subjectPasswordReset+"\n\nHello alice,\n") || shown.stderr != "" {
		t.Errorf("it shows %q, and %q", shown.stdout, shown.stderr)
	}
	link := a.linkOf(receivedMail{Subject: subjectPasswordReset, Text: shown.stdout})
	if got := a.submit(link, map[string]string{"new_password": freshPassword, "repeated": freshPassword}).wantPage(http.StatusOK); got != "The password is set. Sign in with it." {
		t.Errorf("the page says %q", got)
	}
	a.loginAs("alice", freshPassword).want(http.StatusOK)

	link = a.linkOf(receivedMail{Subject: subjectActivation, Text: p.run("outbox", "show", "2").want(0).stdout})
	a.do("GET", link, nil).wantDetail(http.StatusOK, "Send a POST to this URL to activate the user.")
	a.wantPending("pending")
	a.do("POST", link, nil).wantDetail(http.StatusOK, "User activated.")
	a.login("pending")

	for id, complaint := range map[string]string{"1": "There is nothing left to say", "99": "There is no message 99"} {
		o := p.run("outbox", "show", id).want(1)
		if o.stdout != "" || !strings.Contains(o.stderr, complaint) {
			t.Errorf("show %s prints %q, and %q", id, o.stdout, o.stderr)
		}
	}
	s.stop()

	mail := newMailServer(t)
	s = p.serve(mail.mailArgs()...)
	p.settled()
	s.stop()
	list = p.run("outbox", "list").want(0)
	for id, state := range map[string]string{"1": "dropped", "4": "sent"} {
		o := p.run("outbox", "show", id).want(1)
		if o.stdout != "" || !strings.Contains(o.stderr, "This message is "+state) {
			t.Errorf("show %s prints %q, and %q\n%s", id, o.stdout, o.stderr, list.stdout)
		}
	}
}
