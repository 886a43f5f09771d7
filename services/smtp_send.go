package services

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// What a failure to send means for the message, and for those that wait. A
// failure of neither kind is of this message, and may pass.
var (
	errMailRefused = errors.New("refused for good")
	errMailServer  = errors.New("the mail server is of no use now")
)

// mailProblem is a failure that we found ourselves, in words that can be shown.
type mailProblem string

func (p mailProblem) Error() string { return string(p) }

const (
	problemNoTLS    mailProblem = "the server does not offer STARTTLS"
	problemInClear  mailProblem = "a password is not sent without TLS"
	problemNoSignIn mailProblem = "the server offers no way to sign in that is known here"
)

// Send sends a message over a connection of its own.
func (s *SMTP) Send(ctx context.Context, m Mail) error {
	to, ok := recipient(m.To)
	if !ok {
		return fmt.Errorf("mail: the recipient is not an address: %w", errMailRefused)
	}
	message, err := s.compose(m, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.dial(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return mailFailure(ctx, "connect", err, errMailServer)
	}
	defer func() { _ = conn.Close() }()
	// Closing ends whatever waits for the server, at the deadline as on cancelling.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	client, step, err := s.open(ctx, conn)
	if err != nil {
		return mailFailure(ctx, step, err, errMailServer)
	}
	if step, err = s.transfer(client, to, message); err != nil {
		return mailFailure(ctx, step, err, meaningFor(step, err))
	}
	_ = client.Quit() // the server has the message, whatever it says now
	return nil
}

// open brings a connection to where messages are taken. Where it fails it
// says at which step.
func (s *SMTP) open(ctx context.Context, conn net.Conn) (client *smtp.Client, step string, err error) {
	if s.encryption == fromStart {
		encrypted := tls.Client(conn, s.tls)
		if err = encrypted.HandshakeContext(ctx); err != nil {
			return nil, "TLS", err
		}
		conn = encrypted
	}
	if client, err = smtp.NewClient(conn, s.host); err != nil {
		return nil, "greeting", err
	}
	client.SkipSMTPUTF8(true) // our addresses do without, and not every server further on can do it
	if err = client.Hello(s.name); err != nil {
		return nil, "EHLO", err
	}
	offered, _ := client.Extension("STARTTLS")
	switch {
	case s.encryption == byStartTLS && !offered:
		return nil, "STARTTLS", problemNoTLS
	case s.encryption == byStartTLS, s.encryption == ifOffered && offered:
		if err = client.StartTLS(s.tls); err != nil {
			return nil, "STARTTLS", err
		}
	}
	if s.signIn {
		err = client.Auth(&signIn{s: s})
	}
	return client, "AUTH", err
}

// transfer hands a message over. Where it fails it says at which step.
func (s *SMTP) transfer(client *smtp.Client, to string, message []byte) (step string, err error) {
	if err := client.Mail((&mail.Address{Address: s.from.Address}).String()); err != nil {
		return "MAIL FROM", err
	}
	if err := client.Rcpt("<" + to + ">"); err != nil {
		return "RCPT TO", err
	}
	w, err := client.Data()
	if err != nil {
		return "DATA", err
	}
	// On a failure it is not closed: that would end, and so deliver, half a message.
	if _, err := w.Write(message); err != nil {
		return "message", err
	}
	return "message", w.Close()
}

// signIn signs in by the first known mechanism that the server offers.
type signIn struct {
	s *SMTP
	smtp.Auth
}

// mechanisms are in the order of how rarely servers get them wrong. That the
// first show the password to the server is no harm: it is asked for only
// through TLS or on this machine.
var mechanisms = []struct {
	name string
	auth func(s *SMTP) smtp.Auth
}{
	{"PLAIN", func(s *SMTP) smtp.Auth { return smtp.PlainAuth("", s.user, s.password, s.host, true) }},
	{"LOGIN", func(s *SMTP) smtp.Auth { return smtp.LoginAuth(s.user, s.password, s.host, true) }},
	{"SCRAM-SHA-256", func(s *SMTP) smtp.Auth { return smtp.ScramSHA256Auth(s.user, s.password) }},
	{"CRAM-MD5", func(s *SMTP) smtp.Auth { return smtp.CRAMMD5Auth(s.user, s.password) }},
}

// Start chooses the mechanism and begins it.
func (a *signIn) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS && !a.s.loopback {
		return "", nil, problemInClear
	}
	for _, m := range mechanisms {
		if slices.Contains(server.Auth, m.name) {
			a.Auth = m.auth(a.s)
			return a.Auth.Start(server)
		}
	}
	return "", nil, problemNoSignIn
}

// meaningFor gives what a failure to hand a message over means.
func meaningFor(step string, err error) error {
	var reply *textproto.Error
	switch {
	case !errors.As(err, &reply), reply.Code == 421: // silence, nonsense, or a farewell
		return errMailServer
	case slices.Contains([]int{530, 534, 535, 538}, reply.Code): // it wants us signed in, or encrypted
		return errMailServer
	case reply.Code >= 500 && step == "MAIL FROM": // the sender is a setting, and no message's fault
		return errMailServer
	case reply.Code >= 500 && step == "RCPT TO" && strings.HasPrefix(reply.Msg, "5.7."): // policy, such as relaying without a sign-in
		return nil
	case reply.Code >= 500:
		return errMailRefused
	}
	return nil
}

// mailFailure makes the error of a step. Of what the server said only the codes
// are kept: servers like to quote the recipient.
func mailFailure(ctx context.Context, step string, err, meaning error) error {
	var reply *textproto.Error
	if cause := ctx.Err(); cause != nil && !errors.As(err, &reply) {
		return fmt.Errorf("mail: %s: %w: %w", step, cause, errMailServer)
	}
	if meaning == nil {
		return fmt.Errorf("mail: %s: %s", step, describeMailError(err))
	}
	return fmt.Errorf("mail: %s: %s: %w", step, describeMailError(err), meaning)
}

// enhancedCode is the machine's half of a reply (RFC 3463).
var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

func describeMailError(err error) string {
	var (
		problem     mailProblem
		reply       *textproto.Error
		network     *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &problem):
		return problem.Error()
	case errors.As(err, &reply):
		code := strconv.Itoa(reply.Code)
		if enhanced := enhancedCode.FindString(reply.Msg); enhanced != "" {
			code += " " + enhanced
		}
		return "the server answered " + code
	case errors.As(err, &certificate):
		return certificate.Error()
	case errors.As(err, &record):
		return "the server does not speak TLS here"
	case errors.As(err, &network):
		return network.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server hung up"
	}
	return "the server answered in a way that is not understood"
}
