package services

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// scriptedServer is a mail server that misbehaves to order. It answers a step
// (a verb, "greeting" or "message") with what the script has for it; "silence"
// at its end means that nothing follows, ever, and "" that it hangs up.
type scriptedServer struct {
	address string
	script  map[string]string
	met     chan string // each step, as it is reached

	mu   sync.Mutex
	past []string
}

const silence = "silence"

// goodScript is that of a server that takes every message.
func goodScript() map[string]string {
	return map[string]string{
		"greeting": "220 ready", "EHLO": "250-hello\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN", "AUTH": "235 2.7.0 welcome",
		"MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "DATA": "354 go ahead", "message": "250 2.0.0 taken", "QUIT": "221 2.0.0 bye",
	}
}

func newScriptedServer(t *testing.T, changes map[string]string) *scriptedServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scriptedServer{address: listener.Addr().String(), script: goodScript(), met: make(chan string, 100)}
	for step, reply := range changes {
		s.script[step] = reply
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				s.converse(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait() // every client has hung up
	})
	return s
}

func (s *scriptedServer) converse(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	answer := func(step string) (goOn bool) {
		s.mu.Lock()
		s.past = append(s.past, step)
		s.mu.Unlock()
		s.met <- step
		reply, known := s.script[step]
		if !known {
			reply = "502 5.5.1 unknown"
		}
		reply, silent := strings.CutSuffix(reply, silence)
		if reply != "" {
			if _, err := fmt.Fprintf(conn, "%s\r\n", reply); err != nil {
				return false
			}
		}
		for silent && lines.Scan() { // until the client gives up
		}
		return reply != "" && !silent
	}
	for goOn := answer("greeting"); goOn && lines.Scan(); {
		verb, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " ")
		goOn = answer(verb)
		if verb == "DATA" && strings.HasPrefix(s.script["DATA"], "354") && goOn {
			for lines.Scan() && lines.Text() != "." {
			}
			goOn = answer("message")
		}
	}
}

// steps are those that a client has come to.
func (s *scriptedServer) steps() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.past)
}

func (s *scriptedServer) reached(step string) bool { return slices.Contains(s.steps(), step) }

// config reaches the server under a host of any name.
func (s *scriptedServer) config(url string) SMTPConfig {
	return SMTPConfig{
		URL: url, From: "Dueto <todo@example.com>", Host: "dueto.test", Timeout: time.Minute,
		Now: func() time.Time { return time.Date(2026, 10, 18, 12, 0, 0, 0, time.UTC) },
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.address)
		},
	}
}

const (
	localServer   = "smtp://sender:pass%20word@127.0.0.1"
	distantServer = "smtp://sender:pass%20word@mail.example.com"
)

var testMail = Mail{ID: "m-1", To: "alice@example.net", Subject: "Hello", Text: "A private matter\n", HTML: "<p>A private matter</p>"}

// send sends the message of all tests, and checks that the failure keeps what
// is private to itself.
func send(t *testing.T, ctx context.Context, cfg SMTPConfig) error {
	t.Helper()
	mailer, err := NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = mailer.Send(ctx, testMail)
	if err != nil {
		for _, private := range []string{"alice", "example.net", "pass word", "pass%20word", "private matter"} {
			if strings.Contains(err.Error(), private) {
				t.Errorf("the failure quotes %q: %v", private, err)
			}
		}
	}
	return err
}

// sendUntil sends with short timeouts, which get longer until a step is reached
// on a slow machine too, and gives what the last attempt came to.
func sendUntil(t *testing.T, s *scriptedServer, step, url string) error {
	t.Helper()
	cfg := s.config(url)
	for cfg.Timeout = 300 * time.Millisecond; ; cfg.Timeout *= 2 {
		err := send(t, context.Background(), cfg)
		if s.reached(step) {
			return err
		}
		if cfg.Timeout > 30*time.Second {
			t.Fatalf("it does not come to %s: %v", step, err)
		}
	}
}

func TestSMTP_ReturnsInTimeFromAServerThatFallsSilent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ step, reply, url string }{
		{"greeting", silence, localServer},
		{"greeting", silence, "smtps://127.0.0.1"}, // where TLS waits for it
		{"EHLO", silence, localServer},
		{"STARTTLS", silence, distantServer},
		{"STARTTLS", "220 go on" + silence, distantServer},
		{"AUTH", silence, localServer},
		{"MAIL", silence, localServer},
		{"RCPT", silence, localServer},
		{"DATA", silence, localServer},
		{"message", silence, localServer},
		{"message", "250-" + silence, localServer},
	} {
		t.Run(test.step+" "+test.reply+" "+test.url[:5], func(t *testing.T) {
			t.Parallel()
			changes := map[string]string{test.step: test.reply}
			if test.step == "STARTTLS" {
				changes["EHLO"] = "250-hello\r\n250 STARTTLS"
			}
			s := newScriptedServer(t, changes)
			err := sendUntil(t, s, test.step, test.url)
			if !errors.Is(err, errMailServer) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it fails with %v", err)
			}
		})
	}
}

func TestSMTP_CancellingEndsTheWait(t *testing.T) {
	t.Parallel()
	s := newScriptedServer(t, map[string]string{"message": silence})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for step := range s.met {
			if step == "message" {
				cancel()
				return
			}
		}
	}()
	if err := send(t, ctx, s.config(localServer)); !errors.Is(err, context.Canceled) || !errors.Is(err, errMailServer) {
		t.Errorf("it fails with %v", err)
	}
}

func TestSMTP_WhatIsTakenIsSentWhateverFollows(t *testing.T) {
	t.Parallel()
	for _, farewell := range []string{"221 bye", "500 what?", "", silence} {
		s := newScriptedServer(t, map[string]string{"QUIT": farewell})
		if err := sendUntil(t, s, "QUIT", localServer); err != nil {
			t.Errorf("after %q to QUIT: %v", farewell, err)
		}
	}
}

func TestSMTP_TellsWhatAFailureMeans(t *testing.T) {
	t.Parallel()
	const quoting = " <alice@example.net>: A private matter, pass word"
	for _, test := range []struct {
		step, reply string
		meaning     error // nil: this message, and it may pass
		says        string
	}{
		{"greeting", "554 5.3.2" + quoting, errMailServer, "mail: greeting: the server answered 554 5.3.2: "},
		{"greeting", "421 4.3.2" + quoting, errMailServer, "mail: greeting: the server answered 421 4.3.2: "},
		{"greeting", "HTTP/1.1 400 alice", errMailServer, "mail: greeting: the server answered in a way that is not understood: "},
		{"greeting", "", errMailServer, "mail: greeting: the server hung up: "},
		{"EHLO", "550" + quoting, errMailServer, ""}, // and HELO is unknown to it
		{"EHLO", "250 hello", errMailServer, "mail: AUTH: the server offers no way to sign in"},
		{"EHLO", "250-hello\r\n250 AUTH XALICE", errMailServer, "mail: AUTH: the server offers no way to sign in"},
		{"AUTH", "535 5.7.8" + quoting, errMailServer, "mail: AUTH: the server answered 535 5.7.8: "},
		{"AUTH", "454 4.7.0" + quoting, errMailServer, "mail: AUTH: the server answered 454 4.7.0: "},
		{"AUTH", "334 !" + quoting, errMailServer, "mail: AUTH: the server answered in a way"},
		{"MAIL", "550 5.7.1" + quoting, errMailServer, "mail: MAIL FROM: the server answered 550 5.7.1: "},
		{"MAIL", "530 5.7.0" + quoting, errMailServer, "mail: MAIL FROM: the server answered 530 5.7.0: "},
		{"MAIL", "451 4.3.0" + quoting, nil, "mail: MAIL FROM: the server answered 451 4.3.0"},
		{"RCPT", "550 5.1.1" + quoting, errMailRefused, "mail: RCPT TO: the server answered 550 5.1.1: refused"},
		{"RCPT", "553" + quoting, errMailRefused, "mail: RCPT TO: the server answered 553: refused"},
		{"RCPT", "550-5.1.1" + quoting + "\r\n550 5.1.1" + quoting, errMailRefused, "mail: RCPT TO: the server answered 550 5.1.1: refused"},
		{"RCPT", "450 4.7.1" + quoting, nil, "mail: RCPT TO: the server answered 450 4.7.1"},
		{"RCPT", "421 4.4.5" + quoting, errMailServer, "mail: RCPT TO: the server answered 421 4.4.5: "},
		{"DATA", "554 5.5.1" + quoting, errMailRefused, "mail: DATA: the server answered 554 5.5.1: refused"},
		{"DATA", "452 4.3.1" + quoting, nil, "mail: DATA: the server answered 452 4.3.1"},
		{"DATA", "250" + quoting, nil, "mail: DATA: the server answered 250"},
		{"message", "554 5.7.1" + quoting, errMailRefused, "mail: message: the server answered 554 5.7.1: refused"},
		{"message", "451 4.3.0" + quoting, nil, "mail: message: the server answered 451 4.3.0"},
		{"message", "", errMailServer, "mail: message: the server hung up: "},
		{"message", "alice", errMailServer, "mail: message: the server answered in a way"},
	} {
		t.Run(test.step+" "+test.reply, func(t *testing.T) {
			t.Parallel()
			s := newScriptedServer(t, map[string]string{test.step: test.reply})
			err := send(t, context.Background(), s.config(localServer))
			if err == nil || !strings.HasPrefix(err.Error(), test.says) {
				t.Fatalf("it says %v, want %s...", err, test.says)
			}
			for _, meaning := range []error{errMailRefused, errMailServer} {
				if errors.Is(err, meaning) != errors.Is(test.meaning, meaning) {
					t.Errorf("%q is %q: %v", err, meaning, errors.Is(err, meaning))
				}
			}
		})
	}
}

func TestSMTP_SendsNothingInTheClearToADistantServer(t *testing.T) {
	t.Parallel()
	for _, url := range []string{distantServer, "smtp://mail.example.com"} {
		s := newScriptedServer(t, nil) // it does not offer STARTTLS
		err := send(t, context.Background(), s.config(url))
		if !errors.Is(err, errMailServer) || !strings.Contains(err.Error(), "does not offer STARTTLS") {
			t.Errorf("%s: it fails with %v", url, err)
		}
		if s.reached("AUTH") || s.reached("MAIL") {
			t.Errorf("%s: it went on: %q", url, s.steps())
		}
	}
	s := newScriptedServer(t, map[string]string{"EHLO": "250-hello\r\n250 STARTTLS", "STARTTLS": "454 4.7.0 not now"})
	if err := send(t, context.Background(), s.config(distantServer)); !errors.Is(err, errMailServer) || s.reached("MAIL") {
		t.Errorf("after a refused STARTTLS: %v, %q", err, s.steps())
	}
	s = newScriptedServer(t, nil)
	if err := send(t, context.Background(), s.config("smtp://mail.example.com?tls=none")); err != nil || s.reached("AUTH") {
		t.Errorf("without TLS, as asked for: %v, %q", err, s.steps())
	}
}

func TestSignIn_ShowsNoPasswordInTheClearToADistantServer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		encrypted, loopback bool
		want                error
	}{{false, false, problemInClear}, {true, false, nil}, {false, true, nil}, {true, true, nil}} {
		a := &signIn{s: &SMTP{host: "mail.example.com", user: "sender", password: "secret", loopback: test.loopback}}
		_, first, err := a.Start(&smtp.ServerInfo{Name: "mail.example.com", TLS: test.encrypted, Auth: []string{"XOAUTH2", "PLAIN"}})
		if !errors.Is(err, test.want) || (err != nil && first != nil) {
			t.Errorf("%+v: it says %q, %v", test, first, err)
		}
	}
}

func TestSignIn_KnowsTheUsualMechanisms(t *testing.T) {
	t.Parallel()
	for offered, want := range map[string]string{
		"PLAIN": "PLAIN", "XOAUTH2 LOGIN PLAIN": "PLAIN", "LOGIN XOAUTH2": "LOGIN",
		"SCRAM-SHA-256 CRAM-MD5": "SCRAM-SHA-256", "CRAM-MD5": "CRAM-MD5", "NTLM GSSAPI": "", "": "",
	} {
		a := &signIn{s: &SMTP{host: "mail.example.com", user: "sender", password: "secret"}}
		mechanism, _, err := a.Start(&smtp.ServerInfo{Name: "mail.example.com", TLS: true, Auth: strings.Fields(offered)})
		if mechanism != want || (want == "") != errors.Is(err, problemNoSignIn) {
			t.Errorf("of %q it takes %q, %v", offered, mechanism, err)
		}
	}
}

func TestSMTP_RefusesARecipientThatIsNone(t *testing.T) {
	t.Parallel()
	s := newScriptedServer(t, nil)
	mailer, err := NewSMTP(s.config(localServer))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{
		"", "alice", "Alice <alice@example.net>", "alice@example.net, bob@example.net", "alice@example.net>\r\nRCPT TO:<bob@example.net",
		"alice@example.net\r\nBcc: bob@example.net", `"alice bob"@example.net`, "alice@example.net> NOTIFY=NEVER",
	} {
		m := testMail
		m.To = to
		if err := mailer.Send(context.Background(), m); !errors.Is(err, errMailRefused) {
			t.Errorf("%q: %v", to, err)
		}
	}
	m := testMail
	m.ID = "1>\r\nBcc: <bob@example.net"
	if err := mailer.Send(context.Background(), m); err == nil {
		t.Error("an ID that ends its header is sent")
	}
	if s.reached("greeting") {
		t.Error("it asked the server")
	}
}

func TestNewSMTP_TakesItsSettings(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"smtp://mail.example.com":               "mail.example.com:587",
		"smtp://mail.example.com:25/":           "mail.example.com:25",
		"smtps://user:secret@mail.example.com":  "mail.example.com:465",
		"smtps://mail.example.com:10465":        "mail.example.com:10465",
		"smtp://user:secret@[::1]?tls=none":     "[::1]:587",
		"smtp://user:secret@localhost?tls=none": "localhost:587",
	} {
		var address string
		mailer, err := NewSMTP(SMTPConfig{
			URL: url, From: "todo@example.com", Now: time.Now,
			Dial: func(_ context.Context, _, a string) (net.Conn, error) {
				address = a
				return nil, errors.New("it is far away")
			},
		})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if err := mailer.Send(context.Background(), testMail); !errors.Is(err, errMailServer) || address != want {
			t.Errorf("%s: it dials %q, want %q: %v", url, address, want, err)
		}
	}
	for _, test := range []struct{ url, from string }{
		{"", "todo@example.com"},
		{"http://user:secret@mail.example.com", "todo@example.com"},
		{"smtp://user:secret@:587", "todo@example.com"},
		{"smtp://user:secret@mail.example.com:port", "todo@example.com"},
		{"smtp://user:secret@mail.example.com/inbox", "todo@example.com"},
		{"smtp://user:secret@mail.example.com?tls=none", "todo@example.com"},
		{"smtps://user:secret@mail.example.com?tls=none", "todo@example.com"},
		{"smtp://mail.example.com", ""},
		{"smtp://mail.example.com", "todo"},
		{"smtp://mail.example.com", "tödo@example.com"},
	} {
		_, err := NewSMTP(SMTPConfig{URL: test.url, From: test.from, Now: time.Now})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s from %q: %v", test.url, test.from, err)
		}
	}
}

func TestMessageDomain(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"todo.example.com": "todo.example.com",
		"localhost":        "localhost",
		"müller.example":   "xn--mller-kva.example",
		"127.0.0.1":        "[127.0.0.1]",
		"::1":              "[IPv6:::1]",
		"":                 "sender.example",
		"no host":          "sender.example",
	} {
		if got := messageDomain(host, "a@sender.example"); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
