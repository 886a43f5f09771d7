package config

import (
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// ServerURL is a URL that may carry a password, which is printed as stars.
type ServerURL string

// String hides the password.
func (u ServerURL) String() string { return mask(string(u)) }

// GoString hides the password from %#v.
func (u ServerURL) GoString() string { return u.String() }

// MarshalText hides the password from JSON and its like.
func (u ServerURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// checkMail complains of a mail server that cannot be understood. What is wrong
// is told without quoting it: it may hold a password.
func (p *problems) checkMail(c *Config) {
	if c.SMTPURL == "" {
		p.unless(c.MailFrom == "" || isMailbox(c.MailFrom), "mail-from", "%q is not an address", c.MailFrom)
		return
	}
	u, err := url.Parse(string(c.SMTPURL))
	if err != nil || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		p.unless(false, "smtp-url", "it is neither an smtp:// nor an smtps:// URL")
		return
	}
	p.unless(u.Hostname() != "" && (u.Path == "" || u.Path == "/") && u.Fragment == "", "smtp-url", "it is not smtp://USER:PASSWORD@HOST:PORT")
	p.unless(isPort(u.Port()), "smtp-url", "its port is not between 1 and 65535")
	query := u.Query()
	tls := query.Get("tls")
	p.unless(len(query) == 0 || (len(query) == 1 && tls == "none"), "smtp-url", "there is one parameter, tls=none")
	p.unless(tls == "" || u.Scheme == "smtp", "smtp-url", "tls=none contradicts smtps")
	if u.User != nil {
		_, has := u.User.Password()
		p.unless(has, "smtp-url", "there is a user without a password")
		p.unless(tls == "" || isLoopback(u.Hostname()), "smtp-url", "a password is not sent without TLS")
	}
	p.unless(c.MailFrom != "", "mail-from", "mail needs a sender")
	p.unless(c.MailFrom == "" || isMailbox(c.MailFrom), "mail-from", "%q is not an address", c.MailFrom)
}

// isMailbox reports whether a text is an address, with a name or without, whose
// local part every mail server takes.
func isMailbox(s string) bool {
	address, err := mail.ParseAddress(s)
	if err != nil {
		return false
	}
	local, _, _ := strings.Cut(address.Address, "@")
	return !strings.ContainsFunc(local, func(r rune) bool { return r > unicode.MaxASCII })
}

// isPort reports whether a text is a port, or empty for the usual one.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || (err == nil && n > 0)
}

// isLoopback reports whether a host is this machine by name or number.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && net.IP(ip.AsSlice()).IsLoopback()
}
