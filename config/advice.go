package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Level says how bad a finding is.
type Level int

// The levels, the least first.
const (
	Info    Level = iota // worth knowing
	Warning              // unwise
	Error                // do not run like this
)

// String gives the level's word.
func (l Level) String() string { return [...]string{"info", "warning", "error"}[l] }

// Finding is what an operator should know before serving. Its ID is stable;
// the problem and the advice are a sentence each, and quote no secret.
type Finding struct {
	Level           Level
	ID              string
	Problem, Advice string
}

// rule finds what is unwise about valid settings. Its ID is the setting that
// is to be changed, a dot and a word.
type rule struct {
	setting, word string
	level         Level
	// find gives the problem, or nothing.
	find   func(*Config) string
	advice string
}

const adviseVerify = "Add sslmode=verify-full to the URL; sslrootcert=FILE names the authority, where the system does not know it."

const adviseHTTPS = "Put a proxy with TLS in front, and set public-url to the https:// URL that clients use."

var rules = []rule{
	{"addr", "exposed", Warning, func(c *Config) string {
		return when(c.listensEverywhere() && len(c.TrustedProxies) == 0 && c.clientURL().Scheme == "http",
			"The address %s takes connections from every network, without TLS and without a proxy that has it.", c.Addr)
	}, "Listen on 127.0.0.1 behind a proxy with TLS, and name the proxy in trusted-proxies."},

	{"public-url", "http", Error, func(c *Config) string {
		u := c.clientURL()
		return when(u.Scheme == "http" && !isThisMachine(u.Hostname()) && !isPrivate(u.Hostname()),
			"Passwords and tokens travel in the clear: the public URL %s is not https.", u)
	}, adviseHTTPS},
	{"public-url", "http-private", Warning, func(c *Config) string {
		u := c.clientURL()
		return when(u.Scheme == "http" && isPrivate(u.Hostname()),
			"Passwords and tokens travel in the clear through a private network: the public URL %s is not https.", u)
	}, adviseHTTPS},
	{"public-url", "behind-proxy", Warning, func(c *Config) string {
		u := c.clientURL()
		return when(u.Scheme == "http" && isThisMachine(u.Hostname()) && len(c.TrustedProxies) > 0,
			"Requests come through a proxy, but the public URL is %s: links lead past the proxy, and answers carry no HSTS.", u)
	}, "Set public-url to the URL that the proxy is reached at."},
	{"public-url", "mail", Error, func(c *Config) string {
		u := c.clientURL()
		return when(c.SMTPURL != "" && isThisMachine(u.Hostname()),
			"Links in mail begin with %s, which is the reader's own machine.", u)
	}, "Set public-url to the URL that clients use."},
	{"public-url", "derived", Warning, func(c *Config) string {
		u := c.clientURL()
		return when(c.SMTPURL != "" && c.PublicURL == "" && !isThisMachine(u.Hostname()),
			"Links in mail begin with the address that is listened on, %s, for there is no public-url.", u)
	}, "Set public-url to the URL that clients use."},

	{"trusted-proxies", "everybody", Error, func(c *Config) string {
		return networks(c, "Everybody is a trusted proxy, and so may claim any address: %s.", func(p netip.Prefix) bool { return p.Bits() == 0 })
	}, "Name the addresses of the proxies only."},
	{"trusted-proxies", "wide", Warning, func(c *Config) string {
		return networks(c, "A great part of the Internet is a trusted proxy, and so may claim any address: %s.", isWide)
	}, "Name the addresses of the proxies only."},
	{"trusted-proxies", "none", Warning, func(c *Config) string {
		return when(c.Throttle == "on" && len(c.TrustedProxies) == 0 && c.clientURL().Scheme == "https",
			"Whatever has TLS in front is no trusted proxy: all clients share its address, and so one limit.")
	}, "Name the address of the proxy in trusted-proxies."},
	{"cors-origins", "http", Warning, func(c *Config) string {
		list := slices.DeleteFunc(slices.Clone(c.CORSOrigins), func(origin string) bool {
			u, err := url.Parse(origin)
			return err != nil || u.Scheme != "http" || isThisMachine(u.Hostname())
		})
		return when(len(list) > 0, "Whoever can change what travels in the clear can call the API from %s.", strings.Join(list, ", "))
	}, "Allow https:// origins only."},
	{"throttle", "off", Warning, func(c *Config) string {
		return when(c.Throttle == "off", "Passwords can be tried without limit, for throttle is off.")
	}, "Leave throttle on, unless only trusted machines can connect."},

	{"database", "plain", Warning, func(c *Config) string {
		return when(inTheClear(c.Database), "What the server and its database tell each other may travel without TLS, password hashes too.")
	}, adviseVerify},
	{"database-replicas", "plain", Warning, func(c *Config) string {
		return when(slices.ContainsFunc(c.DatabaseReplicas, inTheClear), "What the server and a replica tell each other may travel without TLS, password hashes too.")
	}, adviseVerify},

	{"auth-modes", "insecure-cookies", Warning, func(c *Config) string {
		u := c.clientURL()
		cookies := slices.ContainsFunc(c.AuthModes, func(mode string) bool { return mode != "json" })
		open := !isThisMachine(u.Hostname()) && !isPrivate(u.Hostname())
		return when(cookies && u.Scheme == "http" && (open || len(c.TrustedProxies) > 0),
			"Cookies with tokens are set without Secure, for the public URL %s is not https.", u)
	}, "Set public-url to the https:// URL that clients use, or auth-modes to json."},
	{"access-ttl", "long", Warning, func(c *Config) string {
		return when(c.AccessTTL > time.Hour, "A stolen access token is good for up to %s.", c.AccessTTL)
	}, "Set access-ttl to an hour at most; clients refresh."},
	{"refresh-grace", "long", Warning, func(c *Config) string {
		return when(c.RefreshGrace > time.Minute, "A stolen refresh token that is spent is still good for %s.", c.RefreshGrace)
	}, "Set refresh-grace to a minute at most."},
	{"password-cost", "low", Warning, func(c *Config) string {
		return when(c.PasswordCost < 10, "Stolen hashes are cheap to crack at password-cost %d.", c.PasswordCost)
	}, "Use at least 10."},

	{"smtp-url", "plain", Warning, func(c *Config) string {
		u, err := url.Parse(string(c.SMTPURL))
		return when(err == nil && u.Query().Get("tls") == "none" && !isThisMachine(u.Hostname()),
			"Mail with links that open accounts goes to the mail server without TLS.")
	}, "Take tls=none out of smtp-url."},
	{"log-level", "debug", Warning, func(c *Config) string {
		return when(c.LogLevel == "debug", "The log is at level debug, which is meant for finding faults.")
	}, "Set log-level to info."},
}

func when(so bool, format string, args ...any) string {
	if !so {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// advice lists what is unwise, but of settings that have a problem: their values
// are not the ones that were meant.
func (c *Config) advice(except problems) (list []Finding) {
	for _, r := range rules {
		if except.about(r.setting) {
			continue
		}
		if problem := r.find(c); problem != "" {
			list = append(list, Finding{r.level, r.setting + "." + r.word, problem, r.advice})
		}
	}
	return list
}

// Findings lists what is wrong with the settings, what is unwise about them,
// and the variables that look like settings and are none. Those are not
// refused: others may set such names, Kubernetes for one. It is asked for
// before Derive, which hides what was left out.
func (s *Sources) Findings(c *Config) (list []Finding) {
	all := s.all(c)
	for _, p := range all {
		id, advice := "settings.invalid", "Correct it: the server does not start so; dueto serve --help says what a setting may be."
		if weak := CheckSecret([]byte(c.Secret)); p.setting == "secret" && weak != nil && p.complaint == weak.Error() {
			id, advice = "secret.weak", "Leave it out: the server makes a good one, in a file."
		}
		list = append(list, Finding{Error, id, p.setting + ": " + p.complaint + ".", advice})
	}
	for _, name := range s.unknownVariables() {
		list = append(list, Finding{Warning, "settings.unknown", "The environment has " + name + ", which is no setting.",
			"Correct the name, or take the variable away."})
	}
	return append(list, c.advice(all)...)
}

// Valid reports whether nothing is wrong with a setting by itself.
func (s *Sources) Valid(c *Config, setting string) bool { return s.Complaint(c, setting) == "" }

// Complaint gives what is wrong with a setting by itself, "" where nothing is.
func (s *Sources) Complaint(c *Config, setting string) string {
	all := s.all(c)
	i := slices.IndexFunc(all, func(p problem) bool { return p.setting == setting })
	if i < 0 {
		return ""
	}
	return all[i].complaint
}

// SecretsIn gives the name of the .env file if a setting in it is a secret.
func (s *Sources) SecretsIn() (file string, ok bool) {
	hidden := func(setting string, hide func(string) string) bool {
		return hide(s.file[Env(setting)]) != s.file[Env(setting)]
	}
	return s.dotenv, s.file[Env("secret")] != "" || KeySource(s.file[Env("jwt-signing-key")]).isPEM() ||
		hidden("smtp-url", mask) || hidden("database", maskDatabase) || hidden("database-replicas", maskDatabases)
}

// KeyFiles gives the files that hold keys; what is PEM text itself is left out.
func (c *Config) KeyFiles() (signing string, verifying []string) {
	if !c.JWTSigningKey.isPEM() {
		signing = string(c.JWTSigningKey)
	}
	for _, key := range c.JWTVerifyingKeys {
		if !key.isPEM() {
			verifying = append(verifying, string(key))
		}
	}
	return signing, verifying
}

// clientURL is the public URL, set or derived; it is empty where neither can
// be read.
func (c *Config) clientURL() *url.URL {
	text := c.PublicURL
	if text == "" {
		text = LocalURL(c.Addr)
	}
	u, err := url.Parse(text)
	if err != nil {
		return new(url.URL)
	}
	return u
}

func (c *Config) listensEverywhere() bool {
	host, _, err := net.SplitHostPort(c.Addr)
	ip, parseErr := netip.ParseAddr(host)
	return err == nil && (host == "" || (parseErr == nil && ip.Unmap().IsUnspecified()))
}

// networks names the trusted networks of a kind.
func networks(c *Config, problem string, kind func(netip.Prefix) bool) string {
	list := slices.DeleteFunc(slices.Clone(c.TrustedProxies), func(s string) bool {
		p, err := netip.ParsePrefix(s)
		return err != nil || !kind(asIPv4(p))
	})
	return when(len(list) > 0, problem, strings.Join(list, ", "))
}

// asIPv4 gives an IPv4 network that is written as an IPv6 one in its own form.
func asIPv4(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// isWide reports whether a network is wider than a proxy's can be, though it is
// not everybody. Those that are private as a whole, such as fd00::/8, are not.
func isWide(p netip.Prefix) bool {
	least := 8
	if p.Addr().Is6() {
		least = 16
		for _, private := range []string{"fc00::/7", "fe80::/10"} {
			if within := netip.MustParsePrefix(private); p.Bits() >= within.Bits() && within.Contains(p.Addr()) {
				return false
			}
		}
	}
	return p.Bits() > 0 && p.Bits() < least
}

// isThisMachine reports whether a host is, to each client, its own machine.
func isThisMachine(host string) bool {
	host = plainHost(host)
	return isLoopback(host) || strings.HasSuffix(host, ".localhost")
}

// isPrivate reports whether a host that is not this machine can be reached from
// a network of its own only, by its number or by its name.
func isPrivate(host string) bool {
	host = plainHost(host)
	if host == "" || isThisMachine(host) {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsPrivate() || ip.Unmap().IsLinkLocalUnicast()
	}
	return !strings.Contains(host, ".") || slices.ContainsFunc([]string{".local", ".lan", ".internal", ".home.arpa", ".test"},
		func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}

func plainHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }
