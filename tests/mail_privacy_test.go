package tests

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dueto/services"
)

// applicant is somebody who registers, and what must not show in the answers.
type applicant struct {
	username, email string
	id              int64
}

// anonymous gives an answer without what differs for reasons that anybody knows.
func (p applicant) anonymous(r *response) string {
	text := string(r.Body)
	for _, known := range []struct{ value, name string }{
		{r.Header.Get("X-Request-Id"), "REQUEST"}, {p.username, "NAME"}, {p.email, "ADDRESS"},
		{`"id":` + decimalText(p.id) + ",", `"id":ID,`}, {"/users/" + decimalText(p.id) + `"`, `/users/ID"`}, {"person=" + decimalText(p.id) + `"`, `person=ID"`},
	} {
		if known.value != "" {
			text = strings.ReplaceAll(text, known.value, known.name)
		}
	}
	return text
}

// wantAlike checks that two answers tell the same, each of its applicant.
func wantAlike(t *testing.T, what string, a applicant, ofA *response, b applicant, ofB *response) {
	t.Helper()
	if ofA.Status != ofB.Status || a.anonymous(ofA) != b.anonymous(ofB) {
		t.Errorf("%s: the answers differ:\n%d %s\n%d %s", what, ofA.Status, ofA.Body, ofB.Status, ofB.Body)
	}
	headers := func(r *response) map[string]string {
		h := map[string]string{}
		for name, values := range r.Header {
			h[name] = strings.Join(values, "\n")
		}
		for _, name := range []string{"X-Request-Id", "Date", "Etag"} { // a digest of the name, among others
			if h[name] != "" {
				h[name] = strconv.Itoa(len(h[name]))
			}
		}
		return h
	}
	if !maps.Equal(headers(ofA), headers(ofB)) {
		t.Errorf("%s: the headers differ:\n%v\n%v", what, ofA.Header, ofB.Header)
	}
}

func TestRegisterWithMail_ATakenAddressDoesNotShow(t *testing.T) {
	t.Parallel()
	for state, c := range map[string]struct {
		prepare func(m *mailApp)
		inbox   []string // of the owner in the end
	}{
		"active":  {func(m *mailApp) { m.member("owner") }, []string{subjectActivation, subjectAddressTaken}},
		"pending": {func(m *mailApp) { m.signUp("owner") }, []string{subjectActivation, subjectFinish}},
		"deactivated": {func(m *mailApp) {
			m.member("owner")
			m.deactivate("owner")
		}, []string{subjectActivation}},
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			m := newMailApp(t)
			root, witness := m.staff("root"), m.member("witness")
			c.prepare(m)
			free, taken := applicant{username: "newcomer", email: "fresh@example.com"}, applicant{username: "stranger", email: address("owner")}
			// What PostgreSQL undoes, to keep it apart from another write, has taken a
			// number: so none is under way.
			quiet := func() {
				root.do("GET", "/users/me/events", nil).want(http.StatusOK) // waits for what is noted
				m.settle()
			}
			register := func(p *applicant) *response {
				quiet()
				r := m.ask(p.username, p.email).want(http.StatusCreated)
				p.id = r.id()
				return r
			}
			ofFree, ofTaken := register(&free), register(&taken)
			wantAlike(t, "register", free, ofFree, taken, ofTaken)
			want := map[string]any{
				"id": float64(taken.id), "url": "http://dueto.test/users/" + decimalText(taken.id), "username": "stranger", "date_joined": "2026-10-18T12:00:00Z",
				"task_count": 0.0, "tasks": []any{}, "tasks_url": "http://dueto.test/tasks?person=" + decimalText(taken.id), "email": address("owner"),
				"pending_email": nil, "is_active": false, "is_staff": false, "permissions": []any{}, "last_login": nil, "time_zone": "UTC",
			}
			if got := ofTaken.object(); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			if taken.id != free.id+1 {
				t.Errorf("the ids are %d and %d", free.id, taken.id)
			}
			m.wantInbox(free.email, subjectActivation)
			told := m.wantInbox(taken.email, c.inbox...)
			if last := told[len(told)-1]; strings.Contains(last.Text+last.HTML, "stranger") || !strings.Contains(last.Text, "Hello owner,") {
				t.Errorf("the owner is told %s", last.Text)
			}

			path := func(p applicant, more string) string { return userPath(p.id) + more }
			for what, send := range map[string]func(p applicant) *response{
				"login by name":              func(p applicant) *response { return m.loginAs(p.username, password) },
				"login by name, wrong":       func(p applicant) *response { return m.loginAs(strings.ToUpper(p.username), "not the password") },
				"login by address, wrong":    func(p applicant) *response { return m.loginAs(p.email, "not the password") },
				"the name again":             func(p applicant) *response { return m.ask(p.username, "another@example.com") },
				"the name again, in capital": func(p applicant) *response { return m.ask(strings.ToUpper(p.username), "another@example.com") },
				"both again":                 func(p applicant) *response { return m.ask(p.username, p.email) },
				"resend":                     func(p applicant) *response { return m.askFor(resendPath, p.email) },
				"reset":                      func(p applicant) *response { return m.askFor(resetPath, p.email) },
				"GET":                        func(p applicant) *response { return m.do("GET", path(p, ""), nil) },
				"GET, signed in":             func(p applicant) *response { return witness.do("GET", path(p, ""), nil) },
				"HEAD":                       func(p applicant) *response { return witness.do("HEAD", path(p, ""), nil) },
				"PATCH": func(p applicant) *response {
					return witness.do("PATCH", path(p, ""), map[string]any{"time_zone": "UTC"})
				},
				"DELETE":       func(p applicant) *response { return witness.do("DELETE", path(p, ""), nil) },
				"events":       func(p applicant) *response { return witness.do("GET", path(p, "/events"), nil) },
				"forced reset": func(p applicant) *response { return witness.do("POST", path(p, "/password/reset"), nil) },
				"tasks":        func(p applicant) *response { return m.do("GET", "/tasks?person="+decimalText(p.id), nil) },
				"a task for them": func(p applicant) *response {
					return witness.do("POST", "/tasks", map[string]any{"title": "x", "person": p.id})
				},
				"the list": func(p applicant) *response { return m.do("GET", "/users?search="+p.username, nil) },
				"taking the name": func(p applicant) *response {
					return witness.do("PATCH", "/users/me", map[string]any{"username": p.username})
				},
				"taking the name, by staff": func(p applicant) *response {
					return root.do("PATCH", userPath(witness.ID), map[string]any{"username": strings.ToUpper(p.username)})
				},
			} {
				wantAlike(t, what, free, send(free), taken, send(taken))
			}
			m.ask(taken.username, "another@example.com").wantFields("username")
			// Staff see whom a name belongs to, and may give away one that is nobody's.
			root.do("POST", "/users", map[string]any{"username": taken.username, "email": "another@example.com", "password": password}).want(http.StatusCreated)
			witness.do("PATCH", "/users/me", map[string]any{"username": taken.username}).wantFields("username")
			m.do("GET", userPath(taken.id), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
			quiet()
			if next := m.ask("next", address("next")).want(http.StatusCreated).id(); next != taken.id+2 {
				t.Errorf("the next id is %d after %d", next, taken.id)
			}
		})
	}
}

func TestRegisterWithMail_ATakenNameIsAFieldErrorWhateverTheAddress(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	m.member("alice")
	m.member("bob")
	free := m.ask("ALICE", "fresh@example.com").wantFields("username")
	for _, email := range []string{address("alice"), address("bob")} {
		wantSameAnswer(t, free, m.ask("ALICE", email))
	}
	m.wantInbox(address("alice"), subjectActivation)
	m.wantInbox(address("bob"), subjectActivation)
}

func TestRegisterWithMail_ATakenNameIsSafeFromTheOwnerOfTheAddress(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	alice := m.member("alice")
	m.ask("second", address("alice")).want(http.StatusCreated)
	m.ask("second", "second@example.com").wantFields("username")
	alice.do("PATCH", "/users/me", map[string]any{"username": "second"}).wantFields("username")
	m.wantPending("second")
	m.login("alice")
	notice := m.wantInbox(address("alice"), subjectActivation, subjectAddressTaken)[1]
	if links := notice.links(); !slices.Equal(links, []string{m.Config.PublicURL}) {
		t.Errorf("the notice has the links %q", links)
	}
}

func TestRegisterWithMail_ManyOfOneAddressAtOnceMakeOneAccount(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	const to = "coveted@example.com"
	ids := map[int64]bool{}
	for i, r := range sendAtOnce(100, func(i int) *response {
		return untilNotBusy(func() *response { return m.ask(fmt.Sprintf("person%03d", i), to) })
	}) {
		o := r.want(http.StatusCreated).object()
		if o["username"] != fmt.Sprintf("person%03d", i) || o["email"] != to || ids[r.id()] {
			t.Errorf("%d: got %s", i, r.Body)
		}
		ids[r.id()] = true
	}
	root := m.staff("root")
	list := root.do("GET", "/users?is_active=false", nil).list()
	if len(list) != 1 || list[0]["email"] != to {
		t.Fatalf("these accounts were made: %v", list)
	}
	name, _ := list[0]["username"].(string)
	m.settle()
	mails := m.mail.inbox(to)
	if len(mails) == 0 || len(mails) > 100 || len(mails) != len(m.mail.inbox(""))-len(m.mail.inbox(address("root"))) {
		t.Fatalf("%d messages", len(mails))
	}
	for _, mail := range mails { // the owner has not confirmed: each is a link to do so, of the one account
		if (mail.Subject != subjectActivation && mail.Subject != subjectFinish) || !strings.Contains(mail.Text, "Hello "+name+",") || strings.Count(mail.Text, "person") != strings.Count(mail.Text, name) {
			t.Fatalf("%q says %s", mail.Subject, mail.Text)
		}
	}
	// Nobody can tell who came first: whoever owns the mailbox chooses the password.
	m.do("POST", m.linkOf(mails[0]), nil, header{"Accept", "text/html"}, header{"Content-Type", "application/x-www-form-urlencoded"}).want(http.StatusUnauthorized)
	last := strings.TrimPrefix(m.linkOf(mails[len(mails)-1]), "/auth/password/reset/")
	m.do("POST", "/auth/password/reset/confirm", map[string]any{"token": last, "new_password": freshPassword}).want(http.StatusNoContent)
	m.loginAs(name, password).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	m.loginAs(name, freshPassword).want(http.StatusOK)
	for i := range 5 {
		if other := fmt.Sprintf("person%03d", i); other != name {
			m.ask(other, "another@example.com").wantFields("username")
		}
	}
}

func TestMails_TellNobodyAboutAnother(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	people := map[string]*person{"aurelia": m.member("aurelia"), "balthasar": m.member("balthasar")}
	root := m.staff("rosamund")
	m.signUp("cornelius")
	for name, p := range people {
		for _, other := range []string{"aurelia", "balthasar", "cornelius", "rosamund"} {
			if other != name {
				if other != "cornelius" { // who asks for an address that is only claimed is named there
					p.wish(address(other))
					m.settle()
				}
				m.ask(name+"-as-"+other[:3], address(other)).want(http.StatusCreated)
			}
		}
		m.askFor(resetPath, address(name)).want(http.StatusAccepted)
		root.do("PATCH", userPath(p.ID), map[string]any{"time_zone": "Europe/Berlin"}).want(http.StatusOK)
		root.do("POST", userPath(p.ID)+"/password/reset", nil).want(http.StatusAccepted)
		m.confirmReset(m.last(address(name), subjectPasswordReset), freshPassword+" of "+decimalText(p.ID)).want(http.StatusNoContent)
	}
	m.settle()
	counts := map[string]int{}
	for _, mail := range m.mail.inbox("") {
		to, _, _ := strings.Cut(mail.To[0], "@")
		counts[to]++
		text := mail.Text + mail.HTML + mail.Subject
		if !strings.Contains(text, to) || strings.Contains(text, freshPassword) {
			t.Errorf("%s is sent %s", to, text)
		}
		for _, other := range []string{"aurelia", "balthasar", "cornelius", "rosamund"} {
			if other != to && strings.Contains(text, other) {
				t.Errorf("%s is told of %s: %s", to, other, mail.Text)
			}
		}
	}
	if len(counts) != 4 || counts["aurelia"] < 6 {
		t.Errorf("only these were written to: %v", counts)
	}
	log := m.Log.String()
	wantNone(t, "the log", []byte(log), append(mailTokens(m.mail), "example.com", "aurelia", freshPassword))
}

// mailTokens gives what the links of all messages carry.
func mailTokens(s *mailServer) []string {
	s.t.Helper()
	var tokens []string
	for _, mail := range s.inbox("") {
		if links := mail.links(); len(links) == 2 {
			tokens = append(tokens, tokenOf(links[0]))
		}
	}
	if len(tokens) == 0 {
		s.t.Fatal("no message has a link")
	}
	return partsOf(tokens)
}
