package tests

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

// mailer gives a Mailer for the server, with what else a test sets.
func (s *mailServer) mailer(change ...func(*services.SMTPConfig)) *services.SMTP {
	s.t.Helper()
	cfg := services.SMTPConfig{
		URL: s.URL(), From: "Düto <todo@example.com>", Host: "dueto.test", Timeout: patience,
		Now: (&clock{now: start}).Now,
	}
	for _, f := range change {
		f(&cfg)
	}
	mailer, err := services.NewSMTP(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return mailer
}

func trusting(ca *testCA) func(*services.SMTPConfig) {
	return func(cfg *services.SMTPConfig) { cfg.RootCAs = ca.Pool }
}

// distant lets the server be another machine, whose name its certificate has.
func (s *mailServer) distant(cfg *services.SMTPConfig) {
	cfg.URL = strings.Replace(s.URL(), "127.0.0.1", "mail.test", 1)
	cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.address)
	}
}

func letter(to string) services.Mail {
	return services.Mail{
		ID: "letter-1", To: to, Subject: "Grüße, and a subject that is so long that it does not fit into one line of a header",
		Text: "Dear reader,\n\n.a line that begins with a dot\nhttp://dueto.test/a\n\n-- \nhttp://dueto.test\n",
		HTML: "<p>Dear reader, ünd <a href=\"http://dueto.test/a\">so on</a></p>\n",
	}
}

// wantSendFails checks that a message is not taken, and that the failure keeps
// what is private to itself.
func wantSendFails(t *testing.T, mailer *services.SMTP, to string) {
	t.Helper()
	err := mailer.Send(context.Background(), letter(to))
	if err == nil {
		t.Error("it is sent")
		return
	}
	for _, private := range []string{to, "sender", "s:e@c/r%t", "Dear reader"} {
		if strings.Contains(err.Error(), private) {
			t.Errorf("the failure quotes %q: %v", private, err)
		}
	}
}

func TestMail_ArrivesAsItWasWritten(t *testing.T) {
	t.Parallel()
	s := newMailServer(t)
	const to = "Alice.O'Neill+x=y#{1}@example.net"
	want := letter(to)
	if err := s.mailer().Send(context.Background(), want); err != nil {
		t.Fatal(err)
	}
	got := s.waitFor(to, 1)[0]
	if got.Subject != want.Subject || got.Text != want.Text || got.HTML != want.HTML {
		t.Errorf("it arrived as %q\n%q\n%q", got.Subject, got.Text, got.HTML)
	}
	if got.From != "todo@example.com" || !slices.Equal(got.To, []string{to}) {
		t.Errorf("the envelope is from %q to %q", got.From, got.To)
	}
	for name, value := range map[string]string{
		"To": "<" + to + ">", "From": "=?utf-8?q?D=C3=BCto?= <todo@example.com>", "Message-Id": "<letter-1@dueto.test>",
		"Date": "Sun, 18 Oct 2026 12:00:00 +0000", "Auto-Submitted": "auto-generated", "Mime-Version": "1.0", "User-Agent": "", "X-Mailer": "",
	} {
		if got.Header.Get(name) != value || len(got.Header[name]) > 1 {
			t.Errorf("%s: %q, want %q", name, got.Header[name], value)
		}
	}
	if links := got.links(); !slices.Equal(links, []string{"http://dueto.test/a", "http://dueto.test"}) {
		t.Errorf("the links are %q", links)
	}
	for line := range strings.Lines(string(got.Raw)) {
		if len(line) > 200 || !strings.HasSuffix(line, "\r\n") || strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
			t.Errorf("a line that not every server takes: %q", line)
		}
	}
}

func TestMail_DomainsThatAreNotASCIIAreSentInTheirASCIIForm(t *testing.T) {
	t.Parallel()
	s := newMailServer(t)
	mailer := s.mailer(func(cfg *services.SMTPConfig) { cfg.From, cfg.Host = "todo@bücher.example", "" })
	if err := mailer.Send(context.Background(), letter("Alice@Müller.example")); err != nil {
		t.Fatal(err)
	}
	got := s.waitFor("Alice@xn--mller-kva.example", 1)[0]
	if got.From != "todo@xn--bcher-kva.example" || got.Header.Get("Message-Id") != "<letter-1@xn--bcher-kva.example>" {
		t.Errorf("from %q, %q", got.From, got.Header.Get("Message-Id"))
	}
}

func TestMail_IsEncryptedAndSignedIn(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	const to, password = "alice@example.net", "s:e@c/r%t"
	for name, options := range map[string][]mailServerOption{
		"plain":        {withAuth("sender", password)},
		"STARTTLS":     {withStartTLS(ca), withAuth("sender", password)},
		"implicit TLS": {withImplicitTLS(ca), withAuth("sender", password)},
		"no password":  {withStartTLS(ca)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMailServer(t, options...)
			hosts := []func(*services.SMTPConfig){func(*services.SMTPConfig) {}}
			if s.tls != nil {
				hosts = append(hosts, s.distant)
			}
			for i, host := range hosts {
				if err := s.mailer(host, trusting(ca)).Send(context.Background(), letter(to)); err != nil {
					t.Fatal(err)
				}
				got := s.waitFor(to, i+1)[i]
				if got.TLS != (s.tls != nil) || got.User != s.user {
					t.Errorf("encrypted: %v, signed in as %q", got.TLS, got.User)
				}
			}
		})
	}
}

func TestMail_IsNotSentToAServerThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	ca, another := newTestCA(t), newTestCA(t)
	const to = "alice@example.net"
	for _, kind := range []mailServerOption{withStartTLS(ca), withImplicitTLS(ca)} {
		s := newMailServer(t, kind, withAuth("sender", "s:e@c/r%t"))
		wantSendFails(t, s.mailer(), to) // the system does not know the CA
		wantSendFails(t, s.mailer(trusting(another)), to)
		wantSendFails(t, s.mailer(trusting(ca), s.distant, func(cfg *services.SMTPConfig) {
			cfg.URL = strings.Replace(cfg.URL, "mail.test", "mail.example.com", 1)
		}), to)
		if mail := s.inbox(""); len(mail) != 0 {
			t.Errorf("the server has %d messages", len(mail))
		}
	}
	plain := newMailServer(t, withAuth("sender", "s:e@c/r%t"))
	wantSendFails(t, plain.mailer(plain.distant), to)
	if mail := plain.inbox(""); len(mail) != 0 {
		t.Errorf("a server without STARTTLS has %d messages", len(mail))
	}
}

func TestMail_TheWrongPasswordIsAFailure(t *testing.T) {
	t.Parallel()
	s := newMailServer(t, withAuth("sender", "s:e@c/r%t"))
	for _, login := range []string{"sender:wrong@", "another:s%3Ae%40c%2Fr%25t@", ""} {
		wantSendFails(t, s.mailer(func(cfg *services.SMTPConfig) { cfg.URL = "smtp://" + login + s.address }), "alice@example.net")
	}
	if mail := s.inbox(""); len(mail) != 0 {
		t.Errorf("the server has %d messages", len(mail))
	}
}

func TestMail_FailsWhileTheServerDoesAndArrivesAfterwards(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	const to = "alice@example.net"
	for name, fault := range map[string]func(*mailServer){
		"refused for good": func(s *mailServer) { s.refuse(to, 550) },
		"refused for now":  func(s *mailServer) { s.refuse("", 451) },
		"down":             func(s *mailServer) { s.down() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMailServer(t, withStartTLS(ca), withAuth("sender", "s:e@c/r%t"))
			mailer := s.mailer(trusting(ca))
			fault(s)
			wantSendFails(t, mailer, to)
			if mail := s.inbox(""); len(mail) != 0 {
				t.Fatalf("the server has %d messages", len(mail))
			}
			s.heal()
			s.up()
			if err := mailer.Send(context.Background(), letter(to)); err != nil {
				t.Fatal(err)
			}
			s.waitFor(to, 1)
		})
	}
}

func TestMail_AServerThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	const to = "alice@example.net"
	for _, step := range []mailStep{atConnect, atTLS, atHello, atAuth, atSender, atRcpt, atMessage} {
		hanging := func(t *testing.T) *mailServer {
			t.Helper()
			s := newMailServer(t, withStartTLS(ca), withAuth("sender", "s:e@c/r%t"))
			s.hang(step)
			return s
		}
		wantNothing := func(s *mailServer) {
			s.t.Helper()
			s.heal()
			if mail := s.inbox(""); len(mail) != 0 {
				s.t.Errorf("the server has %d messages", len(mail))
			}
		}
		t.Run("in time at "+string(step), func(t *testing.T) {
			t.Parallel()
			s := hanging(t)
			wantSendFails(t, s.mailer(trusting(ca), func(cfg *services.SMTPConfig) { cfg.Timeout = 300 * time.Millisecond }), to)
			wantNothing(s)
		})
		t.Run("when cancelled at "+string(step), func(t *testing.T) {
			t.Parallel()
			s := hanging(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			sent := make(chan error, 1)
			mailer := s.mailer(trusting(ca))
			go func() { sent <- mailer.Send(ctx, letter(to)) }()
			s.waitForHang()
			cancel()
			if err := <-sent; !errors.Is(err, context.Canceled) {
				t.Errorf("it fails with %v", err)
			}
			wantNothing(s)
		})
	}
}

func TestMail_ARepetitionHasTheSameMessageID(t *testing.T) {
	t.Parallel()
	s := newMailServer(t)
	const to = "alice@example.net"
	s.dropAfterMessage()
	wantSendFails(t, s.mailer(), to)
	s.heal()
	if err := s.mailer().Send(context.Background(), letter(to)); err != nil {
		t.Fatal(err)
	}
	got := s.waitFor(to, 2)
	if first, second := got[0].Header.Get("Message-Id"), got[1].Header.Get("Message-Id"); first != second || first == "" {
		t.Errorf("%q, then %q", first, second)
	}
}
