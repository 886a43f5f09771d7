// Package config holds the settings of the server: what they are, where they
// come from (flags, then DUETO_* variables, then a .env file, then defaults),
// and what is wrong with them.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is every setting. Its field tags are the flags, the variables, the
// help and the documentation.
type Config struct {
	Addr      string `group:"Server" default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"Address to listen on; port 0 picks a free one."`
	PublicURL string `group:"Server" name:"public-url" placeholder:"URL" help:"Where clients reach the server, the source of every absolute URL; may carry a path. Default: http:// and the address."`

	TrustedProxies []string `group:"Server" placeholder:"ADDR" help:"Proxies (addresses or networks) whose X-Forwarded-For is believed."`
	CORSOrigins    []string `group:"Server" name:"cors-origins" placeholder:"ORIGIN" help:"Origins, such as https://app.example.com, whose pages may call the API."`
	Throttle       string   `group:"Server" default:"on" placeholder:"WORD" help:"Whether requests are limited by address, and failed logins by account: on or off."`

	Database          string   `group:"Data" default:"sqlite:dueto.db" placeholder:"URL" help:"The database: sqlite:FILE, or postgres://USER:PASSWORD@HOST/NAME."`
	DatabaseReplicas  []string `group:"Data" placeholder:"URL" help:"Streaming replicas of a PostgreSQL database, to read from: postgres://..., each its own URL."`
	ReadAccess        string   `group:"Data" default:"public" placeholder:"WHO" help:"Who may read tasks and users: public or authenticated."`
	DefaultVisibility string   `group:"Data" default:"public" placeholder:"WORD" help:"Visibility of a task that does not say: public or private."`
	PageSize          int      `group:"Data" default:"50" placeholder:"N" help:"Length of a page of a list that is asked for without page_size."`
	MaxPageSize       int      `group:"Data" default:"200" placeholder:"N" help:"Greatest page_size."`

	BackupEvery time.Duration `group:"Data" default:"0s" placeholder:"TIME" help:"How often the server makes a backup of its SQLite database, such as 6h; 0s is never."`
	BackupDir   string        `group:"Data" placeholder:"FOLDER" help:"Where backups go that the server makes, and those from before migrations. Default: backups beside the database."`
	BackupKeep  int           `group:"Data" default:"7" placeholder:"N" help:"How many backups are kept; 0 keeps all."`

	Secret       Secret   `group:"Accounts" placeholder:"TEXT" help:"What every key is derived from: at least 32 bytes. Better kept in a file."`
	SecretFile   string   `group:"Accounts" placeholder:"FILE" help:"File that holds the secret, made at first start if there is none. Default: dueto.secret beside the database."`
	AuthModes    []string `group:"Accounts" default:"json,one-cookie,two-cookies" placeholder:"MODE" help:"How tokens may be carried: json, one-cookie, two-cookies."`
	JWTAlgorithm string   `group:"Accounts" name:"jwt-algorithm" default:"HS512" placeholder:"NAME" help:"How access tokens are signed: HS256, HS384, HS512, RS256, ES256 or EdDSA."`

	JWTSigningKey    KeySource   `group:"Accounts" name:"jwt-signing-key" placeholder:"FILE" help:"Private key of RS256, ES256 or EdDSA: a PEM file, or the PEM itself. Keys after the first one still verify."`
	JWTVerifyingKeys []KeySource `group:"Accounts" name:"jwt-verifying-keys" placeholder:"FILE" help:"Further public keys whose access tokens are accepted, as PEM."`

	AccessTTL    time.Duration `group:"Accounts" name:"access-ttl" default:"5m" placeholder:"TIME" help:"Lifetime of an access token."`
	RefreshTTL   time.Duration `group:"Accounts" name:"refresh-ttl" default:"24h" placeholder:"TIME" help:"Lifetime of a refresh token."`
	SessionTTL   time.Duration `group:"Accounts" name:"session-ttl" default:"720h" placeholder:"TIME" help:"Time after a login at which the session ends, however often it is refreshed."`
	RefreshGrace time.Duration `group:"Accounts" default:"10s" placeholder:"TIME" help:"How long a spent refresh token still gives its successor; 0s is strict."`

	ActivationTTL time.Duration `group:"Accounts" name:"activation-ttl" default:"2h" placeholder:"TIME" help:"Lifetime of a link that confirms an account or an address."`
	ResetTTL      time.Duration `group:"Accounts" name:"reset-ttl" default:"1h" placeholder:"TIME" help:"Lifetime of a link that resets a password."`
	PasswordCost  int           `group:"Accounts" default:"12" placeholder:"N" help:"Cost of bcrypt, 4 to 15; each step doubles the work."`

	SMTPURL  ServerURL `group:"Mail" name:"smtp-url" placeholder:"URL" help:"Mail server: smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://... (TLS). None: messages wait in the outbox."`
	MailFrom string    `group:"Mail" placeholder:"ADDRESS" help:"Sender of the mail, such as Dueto <todo@example.com>."`

	LogLevel  string `group:"Log" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error."`
	LogFormat string `group:"Log" placeholder:"FORMAT" help:"text or json. Default: text on a terminal, else json."`
}

// Secret is a text that is printed as stars.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and its like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// MinSecretBytes is the shortest secret that is accepted.
const MinSecretBytes = 32

// Check reports everything that is wrong with the settings. (Not "Validate":
// the command line's parser would call that by itself, and stop.)
func (c *Config) Check() error { return c.problems().err() }

func (c *Config) problems() problems {
	var p problems
	p.unless(isListenAddress(c.Addr), "addr", "%q is not HOST:PORT", c.Addr)
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		p.unless(err != nil || (!strings.ContainsAny(u.Path, ":*") && path.Clean("/"+strings.TrimPrefix(u.Path, "/")) == "/"+strings.Trim(u.Path, "/") && !strings.HasPrefix(u.Path, "//")),
			"public-url", "the path of %q has a part that is empty, . or .., or a : or *", c.PublicURL)
		p.unless(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" && u.User == nil && u.String() == c.PublicURL,
			"public-url", "%q is not an http or https URL, with its escapes and without user, query and fragment", c.PublicURL)
	}
	for _, a := range c.TrustedProxies {
		p.unless(isAddress(a), "trusted-proxies", "%q is neither an address nor a network such as 10.0.0.0/8", a)
	}
	for _, o := range c.CORSOrigins {
		p.unless(isOrigin(o), "cors-origins", "%q is not an origin such as https://app.example.com", o)
	}
	p.unless(isSQLite(c.Database) || isPostgres(c.Database), "database", "it is neither sqlite:FILE nor postgres://USER:PASSWORD@HOST/NAME") // a password in it stays untold
	p.checkPostgres("database", "it cannot be used", c.Database)
	for _, r := range c.DatabaseReplicas {
		p.unless(isPostgres(r), "database-replicas", "one is not postgres://USER:PASSWORD@HOST/NAME")
		p.checkPostgres("database-replicas", "one cannot be used", r)
	}
	p.unless(len(c.DatabaseReplicas) == 0 || isPostgres(c.Database), "database-replicas", "only a PostgreSQL database has replicas")
	p.oneOf("read-access", c.ReadAccess, "public", "authenticated")
	p.oneOf("default-visibility", c.DefaultVisibility, "public", "private")
	p.oneOf("throttle", c.Throttle, "on", "off")
	p.unless(len(c.AuthModes) > 0, "auth-modes", "none is allowed; there are: %s", strings.Join(authModes, ", "))
	for _, m := range c.AuthModes {
		p.oneOf("auth-modes", m, authModes...)
	}
	p.oneOf("jwt-algorithm", c.JWTAlgorithm, append(hmacAlgorithms, keyAlgorithms...)...)
	p.checkKeys(c)
	p.checkMail(c)
	p.oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error")
	p.oneOf("log-format", c.LogFormat, "", "text", "json")
	p.unless(c.MaxPageSize >= 1 && c.MaxPageSize <= 1000, "max-page-size", "%d is not between 1 and 1000", c.MaxPageSize)
	p.unless(c.PageSize >= 1 && c.PageSize <= c.MaxPageSize, "page-size", "%d is not between 1 and max-page-size", c.PageSize)
	p.unless(c.BackupEvery == 0 || (c.BackupEvery >= time.Minute && c.BackupEvery <= maxTTL), "backup-every", "%s is neither 0s nor between 1m and 5 years", c.BackupEvery)
	_, inFile := sqliteFile(c.Database)
	p.unless(c.BackupEvery == 0 || inFile, "backup-every", "the server makes backups of SQLite only; dueto backup says how it is done")
	p.unless(c.BackupKeep >= 0, "backup-keep", "%d is below 0", c.BackupKeep)
	p.unless(c.PasswordCost >= 4 && c.PasswordCost <= 15, "password-cost", "%d is not between 4 and 15", c.PasswordCost)
	p.positive("access-ttl", c.AccessTTL)
	p.positive("refresh-ttl", c.RefreshTTL)
	p.positive("session-ttl", c.SessionTTL)
	p.positive("activation-ttl", c.ActivationTTL)
	p.positive("reset-ttl", c.ResetTTL)
	p.unless(c.RefreshGrace >= 0 && c.RefreshGrace <= time.Hour, "refresh-grace", "%s is not between 0s and 1h", c.RefreshGrace)
	if c.Secret != "" {
		p.unless(c.SecretFile == "", "secret", "set either secret or secret-file")
		if err := CheckSecret([]byte(c.Secret)); err != nil {
			p.unless(false, "secret", "%v", err)
		}
	}
	return p
}

// Derive fills in the settings whose defaults follow from others.
func (c *Config) Derive() {
	if c.Secret == "" && c.SecretFile == "" {
		c.SecretFile = filepath.Join(filepath.Dir(c.DatabaseFile()), "dueto.secret")
	}
	if _, ok := sqliteFile(c.Database); c.BackupDir == "" && ok {
		c.BackupDir = filepath.Join(filepath.Dir(c.DatabaseFile()), "backups")
	}
	if _, port, err := net.SplitHostPort(c.Addr); c.PublicURL == "" && err == nil && port != "0" {
		c.PublicURL = LocalURL(c.Addr)
	}
}

// LocalURL gives the URL of a server at an address, which may stand for all of
// the machine's.
func LocalURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// maxTTL keeps lifetimes below the age at which an expiry is taken for forged.
const maxTTL = 5 * 365 * 24 * time.Hour

// problem is what is wrong with a setting.
type problem struct{ setting, complaint string }

// problems collects what is wrong, setting by setting.
type problems []problem

func (p *problems) unless(ok bool, setting, format string, args ...any) {
	if !ok {
		*p = append(*p, problem{setting, fmt.Sprintf(format, args...)})
	}
}

// about reports whether a setting has a problem.
func (p problems) about(setting string) bool {
	return slices.ContainsFunc(p, func(one problem) bool { return one.setting == setting })
}

func (p *problems) oneOf(setting, value string, allowed ...string) {
	p.unless(slices.Contains(allowed, value), setting, "%q is not one of %s", value,
		strings.Join(slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" }), ", "))
}

func (p *problems) positive(setting string, d time.Duration) {
	p.unless(d >= time.Second && d <= maxTTL, setting, "%s is not between 1s and 5 years", d)
}

func (p problems) err() error {
	errs := make([]error, len(p))
	for i, one := range p {
		errs[i] = errors.New(one.setting + ": " + one.complaint)
	}
	return errors.Join(errs...)
}

func isListenAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == port
}

func isAddress(s string) bool {
	_, addrErr := netip.ParseAddr(s)
	_, netErr := netip.ParsePrefix(s)
	return addrErr == nil || netErr == nil
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && s == u.Scheme+"://"+u.Host && !strings.Contains(s, "*")
}
