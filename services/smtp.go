package services

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
)

// Mail is one message, ready to be sent.
type Mail struct {
	// ID stays the same over all attempts. It becomes the Message-ID, so that a
	// receiver can tell a repetition.
	ID string
	// To is an address as its owner typed it.
	To                  string
	Subject, Text, HTML string
}

// Mailer hands messages to a mail server.
type Mailer interface {
	// Send returns nil once the server has taken the message over. It fails with
	// errMailRefused where trying again is useless, and with errMailServer where
	// no other message would fare better. Any other failure may pass. The texts
	// of failures may be kept and logged: they name no recipient.
	Send(ctx context.Context, m Mail) error
}

// SMTPConfig says how mail is sent.
type SMTPConfig struct {
	// URL is smtp://USER:PASSWORD@HOST:PORT, where TLS is begun by STARTTLS, or
	// smtps://..., where it is there from the start. smtp://HOST?tls=none does
	// without.
	URL string
	// From is the sender, such as Dueto <todo@example.com>.
	From string
	// Host is the public URL's: the right half of each Message-ID, and what the
	// server is greeted with. "" means the domain of the sender.
	Host string
	// Timeout bounds the sending of a message, from dialling to the last answer.
	// 0 means 15 s.
	Timeout time.Duration
	// Now gives the date of messages.
	Now func() time.Time
	// RootCAs vouch for the server; nil means those of the system.
	RootCAs *x509.CertPool
	// Dial reaches the server; nil means over the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// encryption is when a connection is encrypted.
type encryption int

const (
	byStartTLS encryption = iota // or there is no conversation
	ifOffered                    // STARTTLS, or in the clear
	fromStart
	never
)

// SMTP is a Mailer that makes a connection for each message.
type SMTP struct {
	host, port     string
	encryption     encryption
	loopback       bool // the server is this machine
	signIn         bool
	user, password string
	from           *mail.Address
	name           string // of this installation
	timeout        time.Duration
	now            func() time.Time
	tls            *tls.Config
	dial           func(ctx context.Context, network, address string) (net.Conn, error)
}

var _ Mailer = (*SMTP)(nil)

// NewSMTP checks the settings and contacts nobody. Its errors do not quote the
// URL, which may hold a password.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	s := &SMTP{timeout: cmp.Or(cfg.Timeout, 15*time.Second), now: cfg.Now, dial: cfg.Dial}
	if err := s.takeURL(cfg.URL); err != nil {
		return nil, err
	}
	if err := s.takeSender(cfg.From); err != nil {
		return nil, err
	}
	s.name = messageDomain(cfg.Host, s.from.Address)
	s.tls = &tls.Config{ServerName: s.host, RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12}
	if s.dial == nil {
		s.dial = new(net.Dialer).DialContext
	}
	return s, nil
}

func (s *SMTP) takeURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Path != "" && u.Path != "/") {
		return errors.New("mail server: it is not smtp://USER:PASSWORD@HOST:PORT")
	}
	s.host, s.loopback = u.Hostname(), isLoopbackHost(u.Hostname())
	plain := u.Query().Get("tls") == "none"
	switch {
	case u.Scheme == "smtps" && !plain:
		s.encryption, s.port = fromStart, cmp.Or(u.Port(), "465")
	case u.Scheme == "smtp":
		s.port = cmp.Or(u.Port(), "587")
		if plain {
			s.encryption = never
		} else if s.loopback {
			s.encryption = ifOffered
		}
	default:
		return errors.New("mail server: it is neither an smtp:// nor an smtps:// URL")
	}
	if s.signIn = u.User != nil; s.signIn {
		s.user = u.User.Username()
		s.password, _ = u.User.Password()
		if s.encryption == never && !s.loopback {
			return errors.New("mail server: a password is not sent without TLS")
		}
	}
	return nil
}

// takeSender keeps the sender with a domain that every server takes.
func (s *SMTP) takeSender(from string) error {
	var err error
	if s.from, err = mail.ParseAddress(from); err != nil {
		return errors.New("mail sender: it is not an address")
	}
	if local, domain, ok := cutAddress(s.from.Address); ok && !isASCII(domain) {
		if domain, err = domains.ToASCII(domain); err != nil {
			return errors.New("mail sender: its domain is not one")
		}
		s.from.Address = local + "@" + domain
	}
	if !isASCII(s.from.Address) {
		return errors.New("mail sender: what is before the @ has letters other than English ones")
	}
	return nil
}

// isLoopbackHost reports whether a host is this machine by name or number.
func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// messageDomain gives a host as headers and EHLO have it, or a sender's domain.
func messageDomain(host, sender string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Is4() {
			return "[" + ip.String() + "]"
		}
		return "[IPv6:" + ip.WithZone("").String() + "]"
	}
	if domain, err := domains.ToASCII(host); err == nil && domain != "" {
		return domain
	}
	_, domain, _ := cutAddress(sender)
	return domain
}

func cutAddress(address string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "", "", false
	}
	return address[:at], address[at+1:], true
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// recipient gives an address as servers take it: as typed, with the domain in
// its ASCII form. It accepts what accounts may have, in which nothing can end
// a command or a header.
func recipient(address string) (string, bool) {
	key, ok := canonicalEmail(address)
	if !ok {
		return "", false
	}
	local, _, _ := cutAddress(address)
	_, domain, _ := cutAddress(key)
	return local + "@" + domain, true
}

// mailID is what an ID may be, so that it can stand in a header.
var mailID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// compose gives a message as it is sent.
func (s *SMTP) compose(m Mail, to string) ([]byte, error) {
	if !mailID.MatchString(m.ID) {
		return nil, errors.New("mail: the message has no proper id")
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(&mail.Address{Address: to})
	msg.Subject(m.Subject)
	msg.SetDateWithValue(s.now().UTC())
	msg.SetMessageIDWithValue(m.ID + "@" + s.name)
	// So that nobody's "I am on holiday" answers it (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	// The last alternative is the one that is shown where it can be.
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("mail: write the message: %w", err)
	}
	return b.Bytes(), nil
}
