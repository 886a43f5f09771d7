package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mailing are settings with mail on and nothing to be said against them.
func mailing(c *Config) {
	c.SMTPURL, c.MailFrom, c.PublicURL = "smtps://mail.example.com", "todo@example.com", "https://dueto.example.com"
	c.TrustedProxies = []string{"192.0.2.7"}
}

// adviceCases say which findings settings give.
var adviceCases = []struct {
	name   string
	change func(*Config)
	want   []string
}{
	{"defaults", func(*Config) {}, nil},
	{"https behind a proxy", func(c *Config) {
		c.Addr, c.PublicURL, c.TrustedProxies = ":8000", "https://dueto.example.com/api", []string{"10.1.2.3"}
	}, nil},
	{"https, open to all networks", func(c *Config) { c.Addr, c.PublicURL = "0.0.0.0:8000", "https://dueto.example.com" }, []string{"trusted-proxies.none"}},
	{"every interface", func(c *Config) { c.Addr = ":8000" }, []string{"addr.exposed"}},
	{"every IPv4 interface", func(c *Config) { c.Addr = "0.0.0.0:8000" }, []string{"addr.exposed"}},
	{"every IPv6 interface", func(c *Config) { c.Addr = "[::]:8000" }, []string{"addr.exposed"}},
	{"any port of this machine", func(c *Config) { c.Addr = "[::1]:0" }, nil},
	{"every interface for a proxy of this machine", func(c *Config) { c.Addr, c.TrustedProxies = ":8000", []string{"127.0.0.1"} },
		[]string{"public-url.behind-proxy", "auth-modes.insecure-cookies"}},

	{"http host", func(c *Config) { c.PublicURL = "http://dueto.example.com" }, []string{"public-url.http", "auth-modes.insecure-cookies"}},
	{"http address", func(c *Config) { c.PublicURL = "http://203.0.113.9:8000" }, []string{"public-url.http", "auth-modes.insecure-cookies"}},
	{"http address that is listened on", func(c *Config) { c.Addr = "203.0.113.9:8000" }, []string{"public-url.http", "auth-modes.insecure-cookies"}},
	{"http without cookies", func(c *Config) { c.PublicURL, c.AuthModes = "http://dueto.example.com", []string{"json"} }, []string{"public-url.http"}},
	{"http behind a proxy", func(c *Config) { c.PublicURL, c.TrustedProxies = "http://dueto.example.com", []string{"10.1.2.3"} },
		[]string{"public-url.http", "auth-modes.insecure-cookies"}},
	{"http to a private host behind a proxy", func(c *Config) { c.PublicURL, c.TrustedProxies = "http://dueto.lan", []string{"10.1.2.3"} },
		[]string{"public-url.http-private", "auth-modes.insecure-cookies"}},
	{"loopback behind a proxy, without cookies", func(c *Config) { c.TrustedProxies, c.AuthModes = []string{"127.0.0.1"}, []string{"json"} },
		[]string{"public-url.behind-proxy"}},

	{"mail with everything", mailing, nil},
	{"mail without a public URL", func(c *Config) { mailing(c); c.PublicURL, c.TrustedProxies = "", nil }, []string{"public-url.mail"}},
	{"mail and a public URL of this machine", func(c *Config) { mailing(c); c.PublicURL = "https://localhost:8443" }, []string{"public-url.mail"}},
	{"mail and an address of a network", func(c *Config) { mailing(c); c.PublicURL, c.Addr, c.TrustedProxies = "", "192.168.1.5:8000", nil },
		[]string{"public-url.http-private", "public-url.derived"}},
	{"mail without TLS", func(c *Config) { mailing(c); c.SMTPURL = "smtp://mail.example.com?tls=none" }, []string{"smtp-url.plain"}},
	{"mail without TLS through this machine", func(c *Config) { mailing(c); c.SMTPURL = "smtp://localhost:25?tls=none" }, nil},

	{"TLS without a proxy", proxied(), []string{"trusted-proxies.none"}},
	{"TLS without a proxy, and no limits", func(c *Config) { proxied()(c); c.Throttle = "off" }, []string{"throttle.off"}},
	{"everybody is a proxy", proxied("0.0.0.0/0"), []string{"trusted-proxies.everybody"}},
	{"everybody with IPv6 is a proxy", proxied("10.0.0.1", "::/0"), []string{"trusted-proxies.everybody"}},
	{"everybody is a proxy, as IPv6", proxied("::ffff:0.0.0.0/96"), []string{"trusted-proxies.everybody"}},
	{"half of all are proxies", proxied("128.0.0.0/1"), []string{"trusted-proxies.wide"}},
	{"a little more than one network of IPv4", proxied("10.0.0.0/7"), []string{"trusted-proxies.wide"}},
	{"the same, as IPv6", proxied("::ffff:10.0.0.0/103"), []string{"trusted-proxies.wide"}},
	{"a little more than one network of IPv6", proxied("2001::/15"), []string{"trusted-proxies.wide"}},
	{"more than what is private", proxied("fc00::/6"), []string{"trusted-proxies.wide"}},
	{"networks that are narrow, or private", proxied("10.0.0.0/8", "::ffff:10.0.0.0/104", "2001:db8::/16", "fd00::/8", "fc00::/7", "fe80::/10", "192.0.2.7"), nil},

	{"origins without TLS", func(c *Config) { c.CORSOrigins = []string{"https://a.example.com", "http://b.example.com"} }, []string{"cors-origins.http"}},
	{"origins of this machine", func(c *Config) {
		c.CORSOrigins = []string{"http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000", "http://app.localhost"}
	}, nil},
	{"database of another machine", func(c *Config) { c.Database = "postgres://db.lan/dueto" }, []string{"database.plain"}},
	{"database servers, one elsewhere", func(c *Config) { c.Database = "postgres://localhost:5432,db.lan:5432/dueto?sslmode=prefer" }, []string{"database.plain"}},
	{"database elsewhere by parameter", func(c *Config) { c.Database = "postgres:///dueto?host=192.0.2.7&sslmode=disable" }, []string{"database.plain"}},
	{"database of this machine", func(c *Config) {
		c.Database, c.DatabaseReplicas = "postgres://localhost/dueto", []string{"postgres://[::1]:5433/dueto", "postgres://127.0.0.1,/dueto"}
	}, nil},
	{"database behind a socket", func(c *Config) { c.Database = "postgres:///dueto?host=/run/postgresql" }, nil},
	{"database that the environment names", func(c *Config) { c.Database = "postgres://" }, nil},
	{"database with TLS", func(c *Config) {
		c.Database, c.DatabaseReplicas = "postgres://db.lan/dueto?sslmode=verify-full", []string{"postgres://db.lan/dueto?sslmode=require"}
	}, nil},
	{"replica without TLS", func(c *Config) {
		c.Database, c.DatabaseReplicas = "postgres://localhost/dueto", []string{"postgres://localhost/dueto", "postgres://db.lan/dueto"}
	}, []string{"database-replicas.plain"}},
	{"throttle off", func(c *Config) { c.Throttle = "off" }, []string{"throttle.off"}},
	{"long access", func(c *Config) { c.AccessTTL = time.Hour + 1 }, []string{"access-ttl.long"}},
	{"long grace", func(c *Config) { c.RefreshGrace = time.Minute + 1 }, []string{"refresh-grace.long"}},
	{"cheap hashes", func(c *Config) { c.PasswordCost = 9 }, []string{"password-cost.low"}},
	{"at the limits", func(c *Config) { c.AccessTTL, c.RefreshGrace, c.PasswordCost = time.Hour, time.Minute, 10 }, nil},
	{"debugging", func(c *Config) { c.LogLevel = "debug" }, []string{"log-level.debug"}},
}

func proxied(networks ...string) func(*Config) {
	return func(c *Config) { c.TrustedProxies, c.PublicURL = networks, "https://dueto.example.com" }
}

func ids(list []Finding) (ids []string) {
	for _, f := range list {
		ids = append(ids, f.ID)
	}
	return ids
}

func TestAdvice_SaysWhatIsUnwise(t *testing.T) {
	t.Parallel()
	for _, tt := range adviceCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := Default()
			tt.change(&c)
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			list := c.advice(nil)
			if got := ids(list); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, f := range list {
				for _, s := range []string{f.Problem, f.Advice} {
					if !strings.HasSuffix(s, ".") || strings.ToUpper(s[:1]) != s[:1] || strings.Contains(s, "%!") {
						t.Errorf("%s: %q is no sentence", f.ID, s)
					}
				}
			}
		})
	}
}

func TestAdvice_EveryRuleIsOfASettingAndIsTested(t *testing.T) {
	t.Parallel()
	var tested []string
	for _, tt := range adviceCases {
		tested = append(tested, tt.want...)
	}
	seen := map[string]bool{}
	for _, r := range rules {
		id := r.setting + "." + r.word
		if !slices.Contains(settings, r.setting) || !slices.Contains(tested, id) || seen[id] || r.level == Info {
			t.Errorf("%s: is of no setting, untested, there twice or of no weight", id)
		}
		seen[id] = true
	}
}

func TestAdvice_NamesWhatItIsAbout(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PublicURL, c.PasswordCost = "http://dueto.example.com", 9
	c.TrustedProxies = []string{"10.0.0.1", "0.0.0.0/0", "::/0"}
	c.CORSOrigins = []string{"https://a.example.com", "http://b.example.com"}
	var text strings.Builder
	for _, f := range c.advice(nil) {
		text.WriteString(f.Level.String() + " " + f.Problem + "\n")
	}
	for _, want := range []string{
		"error Passwords and tokens travel in the clear: the public URL http://dueto.example.com is not https.\n",
		"error Everybody is a trusted proxy, and so may claim any address: 0.0.0.0/0, ::/0.\n",
		"warning Whoever can change what travels in the clear can call the API from http://b.example.com.\n",
		"warning Stolen hashes are cheap to crack at password-cost 9.\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

func TestIsPrivate(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"dueto": true, "dueto.local": true, "DUETO.LAN.": true, "a.internal": true, "nas.home.arpa": true, "dueto.test": true,
		"10.1.2.3": true, "172.16.0.1": true, "192.168.1.5": true, "169.254.1.1": true, "fd00::1": true, "fe80::1": true, "::ffff:10.1.2.3": true,
		"": false, "localhost": false, "app.localhost": false, "127.0.0.1": false, "::1": false,
		"dueto.example.com": false, "local.example.com": false, "203.0.113.9": false, "172.32.0.1": false, "2001:db8::1": false,
	} {
		if got := isPrivate(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestFindings_ListWhatIsWrongAndAdviseOnTheRest(t *testing.T) {
	t.Parallel()
	dotenv := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(dotenv, []byte("DUETO_READ_ACESS=authenticated\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := NewSources(dotenv)
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Secret, c.PasswordCost, c.Throttle = "changeme"+goodSecret, 3, "off"
	list := s.Findings(&c)
	if got, want := ids(list), []string{"settings.invalid", "settings.invalid", "secret.weak", "throttle.off"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i, want := range []string{
		dotenv + ": there is no setting DUETO_READ_ACESS.", "password-cost: 3 is not between 4 and 15.", "secret: it contains \"changeme\",",
	} {
		if f := list[i]; f.Level != Error || !strings.HasPrefix(f.Problem, want) || strings.Contains(f.Problem, goodSecret) {
			t.Errorf("got %+v, want %q", f, want)
		}
	}
	if s.Valid(&c, "password-cost") || !s.Valid(&c, "throttle") {
		t.Error("what is valid is said not to be, or the other way around")
	}
}

func TestSecretsIn_TellsADotenvThatIsToBeKeptPrivate(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"": false, "DUETO_PAGE_SIZE=10": false, "DUETO_SECRET_FILE=elsewhere": false, "DUETO_SMTP_URL=smtp://mail.example.com": false,
		"DUETO_JWT_SIGNING_KEY=key.pem":                                       false,
		"DUETO_DATABASE=postgres://dueto@db.example.com/dueto":                false,
		"DUETO_DATABASE=postgres://dueto:hunter2hunter2@db.example.com/dueto": true,
		"DUETO_DATABASE_REPLICAS=postgres://a,postgres://b:hunter2@c":         true,
		"DUETO_SECRET=" + goodSecret:                                          true,
		"DUETO_SMTP_URL=smtp://user:hunter2hunter2@mail.example.com":          true,
		"DUETO_JWT_SIGNING_KEY=\"" + pemStart + "PRIVATE KEY-----\nabc\n\"\n": true,
	} {
		file := filepath.Join(t.TempDir(), ".env")
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := NewSources(file)
		if err != nil {
			t.Fatal(err)
		}
		if where, got := s.SecretsIn(); got != want || where != file {
			t.Errorf("%q: %v, %s", line, got, where)
		}
	}
}

func TestKeyFiles_LeaveOutKeysThemselves(t *testing.T) {
	t.Parallel()
	key := KeySource(pemStart + "PUBLIC KEY-----\nabc\n")
	c := Config{JWTSigningKey: "new.pem", JWTVerifyingKeys: []KeySource{"old.pem", key}}
	if signing, verifying := c.KeyFiles(); signing != "new.pem" || !slices.Equal(verifying, []string{"old.pem"}) {
		t.Errorf("got %q, %q", signing, verifying)
	}
	c = Config{JWTSigningKey: key}
	if signing, verifying := c.KeyFiles(); signing != "" || verifying != nil {
		t.Errorf("got %q, %q", signing, verifying)
	}
}
