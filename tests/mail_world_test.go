package tests

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/models"
)

// What the messages are called.
const (
	subjectActivation      = "Confirm your Dueto account"
	subjectFinish          = "Finish your Dueto account"
	subjectAddressTaken    = "You already have a Dueto account"
	subjectPasswordReset   = "Choose a new Dueto password"
	subjectPasswordChanged = "Your Dueto password was changed"
	subjectEmailChange     = "Confirm your new address for Dueto"
	subjectEmailChanging   = "A new address for your Dueto account was asked for"
	subjectEmailChanged    = "The address of your Dueto account was changed"
)

// mailApp is a server that writes to people, and the mail server that it uses.
type mailApp struct {
	*app
	mail *mailServer
}

func newMailApp(t testing.TB, change ...func(*config.Config)) *mailApp {
	t.Helper()
	mail := newMailServer(t)
	m := &mailApp{newApp(t, append([]func(*config.Config){mail.settings}, change...)...), mail}
	t.Cleanup(m.inspect)
	return m
}

// settings are what a server needs to send by way of this one.
func (s *mailServer) settings(c *config.Config) {
	c.SMTPURL, c.MailFrom = config.ServerURL(s.URL()), "Dueto <todo@example.com>"
}

func address(name string) string { return name + "@example.com" }

// messages waits until the outbox is as it should be, and gives it, the oldest
// message first.
func (a *app) messages(what string, so func([]models.Message) bool) []models.Message {
	a.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		list, err := a.Services.Outbox.Messages(context.Background())
		if err != nil {
			a.t.Fatal(err)
		}
		slices.SortFunc(list, func(a, b models.Message) int { return int(a.ID - b.ID) })
		if so(list) {
			return list
		}
		if time.Now().After(late) {
			a.t.Fatalf("the outbox waits in vain until %s: %+v", what, list)
		}
	}
}

// settle waits until no message waits.
func (a *app) settle() []models.Message {
	a.t.Helper()
	return a.messages("no message waits", func(list []models.Message) bool {
		return !slices.ContainsFunc(list, func(m models.Message) bool { return m.State == models.MessageWaiting })
	})
}

// wantInbox waits until nothing is under way, and checks all that an address
// has been sent by then.
func (m *mailApp) wantInbox(to string, subjects ...string) []receivedMail {
	m.t.Helper()
	m.settle()
	all := m.mail.inbox(to)
	got := make([]string, len(all))
	for i := range all {
		got[i] = all[i].Subject
	}
	if !slices.Equal(got, subjects) {
		m.t.Fatalf("%s has %q, want %q", to, got, subjects)
	}
	return all
}

// linkOf gives the path of the link that a message asks to follow.
func (a *app) linkOf(mail receivedMail) string {
	a.t.Helper()
	links := mail.links()
	if len(links) != 2 {
		a.t.Fatalf("%q has the links %q", mail.Subject, links)
	}
	path, ours := strings.CutPrefix(links[0], a.Config.PublicURL)
	if !ours {
		a.t.Fatalf("%q leads to %s, not to %s", mail.Subject, links[0], a.Config.PublicURL)
	}
	return path
}

var hrefOfMail = regexp.MustCompile(`href="([^"]*)"`)

// inspect checks what holds for every message that there ever is.
func (m *mailApp) inspect() {
	for _, mail := range m.mail.inbox("") {
		m.check(mail)
	}
}

func (a *app) check(mail receivedMail) {
	a.t.Helper()
	links := mail.links()
	var hrefs []string
	for _, href := range hrefOfMail.FindAllStringSubmatch(mail.HTML, -1) {
		hrefs = append(hrefs, html.UnescapeString(href[1]))
	}
	if !slices.Equal(links, hrefs) {
		a.t.Errorf("%q has the links %q as text, but %q as HTML", mail.Subject, links, hrefs)
	}
	action := map[string]string{
		subjectActivation: "/auth/activate/", subjectPasswordReset: "/auth/password/reset/", subjectFinish: "/auth/password/reset/", subjectEmailChange: "/auth/email/confirm/",
	}[mail.Subject]
	want := []string{a.Config.PublicURL}
	if action != "" {
		want = []string{a.Config.PublicURL + action, a.Config.PublicURL}
	}
	if len(links) != len(want) || links[len(links)-1] != a.Config.PublicURL || !strings.HasPrefix(links[0], want[0]) {
		a.t.Errorf("%q has the links %q, want %q", mail.Subject, links, want)
	}
	if len(mail.To) != 1 || mail.Header.Get("To") != "<"+mail.To[0]+">" || mail.Header.Get("Cc") != "" {
		a.t.Errorf("%q goes to %q, and says to %q", mail.Subject, mail.To, mail.Header.Get("To"))
	}
	for _, hidden := range []string{password, "v1$", "$2a$", secret} {
		if strings.Contains(mail.Text+mail.HTML+mail.Subject, hidden) {
			a.t.Errorf("%q holds %q", mail.Subject, hidden)
		}
	}
}

// ask registers an account and checks that the answer holds no link.
func (a *app) ask(username, email string) *response {
	a.t.Helper()
	r := a.do("POST", "/auth/register", map[string]any{"username": username, "email": email, "password": password})
	if r.Status == http.StatusCreated {
		if _, told := r.object()["confirmation_url"]; told || strings.Contains(string(r.Body), "/auth/") {
			a.t.Errorf("the answer tells of a link: %s", r.Body)
		}
	}
	return r
}

// signUp makes an account that waits for its confirmation, and gives the path
// of the link that was sent.
func (m *mailApp) signUp(name string) (id int64, link string) {
	m.t.Helper()
	id = m.ask(name, address(name)).want(http.StatusCreated).id()
	return id, m.linkOf(m.wantInbox(address(name), subjectActivation)[0])
}

// member makes an account, confirms it by mail and signs it in.
func (m *mailApp) member(name string) *person {
	m.t.Helper()
	_, link := m.signUp(name)
	m.do("POST", link, nil).wantDetail(http.StatusOK, "User activated.")
	return m.login(name)
}

// askFor has a message sent to an address by one of the calls that do so.
func (a *app) askFor(path, email string) *response {
	a.t.Helper()
	return a.do("POST", path, map[string]any{"email": email})
}

const (
	resendPath = "/auth/activate/resend"
	resetPath  = "/auth/password/reset"
)

// submit sends a page's form, as a browser does.
func (a *app) submit(path string, fields map[string]string) *response {
	a.t.Helper()
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	public, err := url.Parse(a.Config.PublicURL)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.do("POST", path, form.Encode(), browserAccept,
		header{"Content-Type", "application/x-www-form-urlencoded"}, header{"Origin", public.Scheme + "://" + public.Host})
}

// deactivate does what an operator does.
func (a *app) deactivate(name string) {
	a.t.Helper()
	if err := a.Services.Accounts.DeactivateByName(context.Background(), name); err != nil {
		a.t.Fatal(fmt.Errorf("deactivate %s: %w", name, err))
	}
}

// deadLinkText is what a page says of a link that is good for nothing.
const deadLinkText = "This link has been used, has expired, or is damaged."

// wantLinkDead checks that a link of a mail, or its form, does nothing any more,
// and what programs are told of it.
func (a *app) wantLinkDead(link string, status int, sentence string) {
	a.t.Helper()
	people := deadLinkText
	if status == http.StatusConflict || strings.HasPrefix(sentence, "User inactive") {
		people = sentence
	}
	for _, method := range []string{"GET", "POST"} {
		for _, reader := range [][]header{nil, {browserAccept}} {
			headers := append(reader[:len(reader):len(reader)], header{"Content-Type", "application/x-www-form-urlencoded"})
			r := a.do(method, link, "new_password=a+quite+new+password&repeated=a+quite+new+password", headers...)
			if reader != nil {
				if got := r.wantPage(status); got != people || formOfPage.Match(r.Body) {
					a.t.Errorf("%s of a dead link shows %q with %s", method, got, r.Body)
				}
			} else if got := r.want(status).object()["detail"]; got != sentence {
				a.t.Errorf("%s of a dead link: %q, want %q", method, got, sentence)
			}
		}
	}
}
