package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

const goodSecret = "7Qm2vXc9Lr4TzB8nKd1WfH6yJp3GsA5eUo0RiVtE" //nolint:gosec // of tests only

// settings are all there are, in the order of the help.
var settings = []string{
	"addr", "public-url", "trusted-proxies", "cors-origins", "throttle",
	"database", "database-replicas", "read-access", "default-visibility", "page-size", "max-page-size",
	"backup-every", "backup-dir", "backup-keep",
	"secret", "secret-file", "auth-modes", "jwt-algorithm", "jwt-signing-key", "jwt-verifying-keys",
	"access-ttl", "refresh-ttl", "session-ttl", "refresh-grace",
	"activation-ttl", "reset-ttl", "password-cost", "smtp-url", "mail-from",
	"log-level", "log-format",
}

// load reads the settings as a command does.
func load(t *testing.T, args []string, env map[string]string, dotenv string) (Config, []Setting, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte(dotenv), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := NewSources(file)
	if err != nil {
		t.Fatal(err)
	}
	s.environment = func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
	var c Config
	parser, err := kong.New(&c, append(s.Options(), kong.Name("dueto"))...)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return c, nil, err
	}
	return c, s.InForce(parsed.Flags()), s.Check(&c)
}

func TestSources_FlagBeatsEnvironmentBeatsDotenvBeatsDefault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		setting         string
		get             func(Config) any
		flag, env, file string
		want            [4]any // of flag, environment, .env, default
	}{
		{"log-level", func(c Config) any { return c.LogLevel }, "error", "warn", "debug",
			[4]any{"error", "warn", "debug", "info"}},
		{"access-ttl", func(c Config) any { return c.AccessTTL }, "3m", "90s", "1h30m",
			[4]any{3 * time.Minute, 90 * time.Second, 90 * time.Minute, 5 * time.Minute}},
		{"page-size", func(c Config) any { return c.PageSize }, "3", "4", "5", [4]any{3, 4, 5, 50}},
		{"cors-origins", func(c Config) any { return c.CORSOrigins }, "https://a.example,https://b.example", "https://c.example", "https://d.example,https://e.example",
			[4]any{[]string{"https://a.example", "https://b.example"}, []string{"https://c.example"}, []string{"https://d.example", "https://e.example"}, []string(nil)}},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			t.Parallel()
			for unset, from := range []string{"flag", "environment", ".env", "default"} {
				var args []string
				env, dotenv := map[string]string{}, ""
				if unset < 1 {
					args = []string{"--" + tt.setting + "=" + tt.flag}
				}
				if unset < 2 {
					env[Env(tt.setting)] = tt.env
				}
				if unset < 3 {
					dotenv = Env(tt.setting) + "=" + tt.file + "\n"
				}
				c, list, err := load(t, args, env, dotenv)
				if err != nil {
					t.Fatalf("%s: %v", from, err)
				}
				if got := tt.get(c); !reflect.DeepEqual(got, tt.want[unset]) {
					t.Errorf("set by %s: %v, want %v", from, got, tt.want[unset])
				}
				i := slices.IndexFunc(list, func(s Setting) bool { return s.Name == tt.setting })
				if i < 0 || list[i].From != from {
					t.Errorf("set by %s, the list says %+v", from, list[max(i, 0)])
				}
			}
		})
	}
}

func TestInForce_NothingSetIsDefaultThroughout(t *testing.T) {
	t.Parallel()
	_, list, err := load(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
		if s.From != "default" {
			t.Errorf("%s = %s is said to be from %s", s.Name, s.Value, s.From)
		}
	}
	if !slices.Equal(names, settings) {
		t.Errorf("got %q, want %q", names, settings)
	}
}

func TestInForce_FlagThatRepeatsTheDefaultIsFromTheFlag(t *testing.T) {
	t.Parallel()
	_, list, err := load(t, []string{"--password-cost=12"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Setting{"password-cost", "12", "flag"}); !slices.Contains(list, want) {
		t.Errorf("no %+v in %+v", want, list)
	}
}

func TestSources_ReportsEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := load(t,
		[]string{"--page-size=many", "--read-access=nobody"},
		map[string]string{"DUETO_ACCESS_TTL": "soon", "DUETO_CORS_ORIGINS": "app.example.com"},
		"DUETO_PASSWORD_COST=99\nDUETO_REFRESH_TTL=-4h\nDUETO_MAX_PAGE_SIZE=2x\n")
	if err == nil {
		t.Fatal("the settings were accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for setting, value := range map[string]string{
		"page-size": "many", "read-access": "nobody", "access-ttl": "soon", "cors-origins": "app.example.com",
		"password-cost": "99", "refresh-ttl": "-4h", "max-page-size": "2x",
	} {
		about := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, setting+": ") })
		if len(about) != 1 || !strings.Contains(about[0], value) {
			t.Errorf("want one line about %s that names %q, got %q", setting, value, about)
		}
	}
	if len(lines) != 7 {
		t.Errorf("want 7 lines:\n%s", err)
	}
}

func TestNewSources_UnreadableDotenvIsNotQuoted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte("DUETO_SECRET \""+goodSecret+"\nno line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := NewSources(file)
	if err == nil {
		t.Fatal("the file was accepted")
	}
	if want := file + " cannot be read as lines of NAME=value"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestCheck_Accepts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"defaults":                 func(*Config) {},
		"public-url with a path":   func(c *Config) { c.PublicURL = "https://example.com/api/" },
		"proxies":                  func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8"} },
		"origin with a port":       func(c *Config) { c.CORSOrigins = []string{"http://localhost:3000"} },
		"smallest pages":           func(c *Config) { c.PageSize, c.MaxPageSize = 1, 1 },
		"greatest pages":           func(c *Config) { c.PageSize, c.MaxPageSize = 1000, 1000 },
		"cheapest hash":            func(c *Config) { c.PasswordCost = 4 },
		"dearest hash":             func(c *Config) { c.PasswordCost = 15 },
		"shortest life":            func(c *Config) { c.AccessTTL = time.Second },
		"longest life":             func(c *Config) { c.SessionTTL = 5 * 365 * 24 * time.Hour },
		"strict refresh":           func(c *Config) { c.RefreshGrace = 0 },
		"lenient refresh":          func(c *Config) { c.RefreshGrace = time.Hour },
		"closed and private":       func(c *Config) { c.ReadAccess, c.DefaultVisibility = "authenticated", "private" },
		"a secret of enough bytes": func(c *Config) { c.Secret = Secret(goodSecret[:32]) },
		"a file of secrets":        func(c *Config) { c.SecretFile = "elsewhere" },
		"a database server":        func(c *Config) { c.Database = "postgresql://dueto:word@db.example.com:5433/dueto?sslmode=require" },
		"database servers":         func(c *Config) { c.Database = "postgres://dueto@one:5432,two:5432/dueto" },
		"what the environment has": func(c *Config) { c.Database = "postgres://" },
		"replicas": func(c *Config) {
			c.Database, c.DatabaseReplicas = "postgres:///dueto?host=/run/postgresql", []string{"postgres://one/dueto", "postgres://two/dueto"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Default()
			change(&c)
			if err := c.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheck_Refuses(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		setting string
		values  []change
	}{
		{"public-url", each(func(c *Config, v string) { c.PublicURL = v },
			"example.com", "/api", "ftp://example.com", "https://", "https:example.com", "https://example.com/?a=b", "https://example.com/?",
			"https://example.com/#top", "https://user@example.com", "https://example.com/:id", "https://example.com/*all", "http://[::1", "%")},
		{"trusted-proxies", each(func(c *Config, v string) { c.TrustedProxies = []string{"10.0.0.1", v} },
			"", "localhost", "10.0.0.0/33", "10.0.0.256", "10.0.0.1:80")},
		{"cors-origins", each(func(c *Config, v string) { c.CORSOrigins = []string{"https://app.example.com", v} },
			"", "*", "null", "app.example.com", "https://app.example.com/", "https://app.example.com/x", "ftp://app.example.com",
			"https://user@app.example.com", "https://*", "https://*.example.com")},
		{"database", each(func(c *Config, v string) { c.Database = v },
			"", "dueto.db", "sqlite:", "SQLITE:dueto.db", "mysql://localhost/dueto", "postgres:dueto", "postgres://localhost/dueto#x",
			"postgres://one:5433,two/dueto", "host=localhost dbname=dueto")},
		{"database-replicas", each(func(c *Config, v string) {
			c.Database, c.DatabaseReplicas = "postgres://localhost/dueto", []string{"postgres://replica/dueto", v}
		}, "", "sqlite:dueto.db", "replica:5432", "host=replica")},
		{"database-replicas", each(func(c *Config, v string) { c.DatabaseReplicas = []string{v} }, "postgres://replica/dueto")},
		{"read-access", each(func(c *Config, v string) { c.ReadAccess = v }, "", "Public", "private")},
		{"default-visibility", each(func(c *Config, v string) { c.DefaultVisibility = v }, "", "secret")},
		{"jwt-algorithm", each(func(c *Config, v string) { c.JWTAlgorithm = v }, "", "none", "hs512", "RS512", "PS256", "eddsa")},
		{"jwt-signing-key", each(func(c *Config, v string) { c.JWTAlgorithm = v }, "RS256", "ES256", "EdDSA")},
		{"jwt-signing-key", each(func(c *Config, v KeySource) { c.JWTSigningKey = v }, "key.pem")},
		{"jwt-verifying-keys", each(func(c *Config, v KeySource) { c.JWTVerifyingKeys = []KeySource{v} }, "key.pem")},
		{"auth-modes", each(func(c *Config, v []string) { c.AuthModes = v }, nil, []string{"cookie"}, []string{"json", ""})},
		{"throttle", each(func(c *Config, v string) { c.Throttle = v }, "", "ON", "true")},
		{"reset-ttl", each(func(c *Config, v time.Duration) { c.ResetTTL = v }, -time.Hour, 0, 5*year+1)},
		{"mail-from", each(func(c *Config, v string) { c.MailFrom = v }, "nobody", "a@b, c@d", "jürgen@example.com")},
		{"mail-from", each(func(c *Config, v ServerURL) { c.SMTPURL = v }, "smtp://mail.example.com")},
		{"smtp-url", each(func(c *Config, v ServerURL) { c.SMTPURL, c.MailFrom = v, "todo@example.com" },
			"mail.example.com:587", "http://mail.example.com", "smtp://", "smtp://mail.example.com/inbox", "smtp://mail.example.com?x=1",
			"smtp://mail.example.com?tls=off", "smtps://mail.example.com?tls=none", "smtp://user@mail.example.com",
			"smtp://user:word@mail.example.com?tls=none", "smtp://user:wo%zzrd@mail.example.com",
			"smtp://mail.example.com:0", "smtp://mail.example.com:99999")},
		{"log-level", each(func(c *Config, v string) { c.LogLevel = v }, "", "trace", "INFO")},
		{"log-format", each(func(c *Config, v string) { c.LogFormat = v }, "xml")},
		{"page-size", each(func(c *Config, v int) { c.PageSize = v }, -1, 0, 201)},
		{"max-page-size", each(func(c *Config, v int) { c.MaxPageSize = v }, 1001, 1<<31)},
		{"backup-every", each(func(c *Config, v time.Duration) { c.BackupEvery = v }, -time.Hour, time.Nanosecond, time.Minute-1, 5*year+1)},
		{"backup-keep", each(func(c *Config, v int) { c.BackupKeep = v }, -1)},
		{"password-cost", each(func(c *Config, v int) { c.PasswordCost = v }, -1, 0, 3, 16)},
		{"access-ttl", each(func(c *Config, v time.Duration) { c.AccessTTL = v }, -time.Hour, 0, 999*time.Millisecond, 5*year+1)},
		{"refresh-ttl", each(func(c *Config, v time.Duration) { c.RefreshTTL = v }, -time.Hour, 0, 5*year+1)},
		{"session-ttl", each(func(c *Config, v time.Duration) { c.SessionTTL = v }, -time.Hour, 0, 5*year+1)},
		{"activation-ttl", each(func(c *Config, v time.Duration) { c.ActivationTTL = v }, -time.Hour, 0, 5*year+1)},
		{"refresh-grace", each(func(c *Config, v time.Duration) { c.RefreshGrace = v }, -1, time.Hour+1)},
		{"secret", each(func(c *Config, v string) { c.Secret = Secret(v) },
			"short", goodSecret[:31], "changeme"+goodSecret, strings.Repeat("abcdefghi", 8))},
	} {
		for _, v := range tt.values {
			t.Run(tt.setting+"="+v.to, func(t *testing.T) {
				t.Parallel()
				c := Default()
				v.apply(&c)
				err := c.Check()
				if err == nil {
					t.Fatalf("accepted: %+v", c)
				}
				if strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), tt.setting+": ") {
					t.Errorf("want one complaint about %s:\n%v", tt.setting, err)
				}
			})
		}
	}
}

// change sets one setting.
type change struct {
	to    string
	apply func(*Config)
}

func each[T any](set func(*Config, T), values ...T) (list []change) {
	for _, v := range values {
		list = append(list, change{fmt.Sprint(v), func(c *Config) { set(c, v) }})
	}
	return list
}

func TestCheck_MaxPageSizeBelowOne(t *testing.T) {
	t.Parallel()
	c := Default()
	c.MaxPageSize = 0
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "max-page-size: 0 is not between 1 and 1000") {
		t.Errorf("got %v", err)
	}
}

func TestCheck_DatabasePasswordIsNotQuoted(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2hunter2"
	for _, url := range []string{
		"postgres:dueto:" + hidden + "@localhost/dueto",
		"postgres://dueto:" + hidden + "%zz@localhost/dueto", // not to be parsed as a URL
		"postgres://dueto:" + hidden + "#/@localhost/dueto",
		"host=localhost password=" + hidden,
	} {
		for _, set := range []func(*Config){
			func(c *Config) { c.Database = url },
			func(c *Config) { c.Database, c.DatabaseReplicas = "postgres://localhost/dueto", []string{url} },
		} {
			c := Default()
			set(&c)
			if err := c.Check(); err == nil || strings.Contains(err.Error(), hidden) {
				t.Errorf("%s gives %v", url, err)
			}
		}
	}
}

func TestInForce_MasksPasswordsOfDatabases(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2hunter2"
	for url, want := range map[string]string{
		"sqlite:dueto.db":            "sqlite:dueto.db",
		"sqlite:a=b@c d.db":          "sqlite:a=b@c d.db",
		"postgres://localhost/dueto": "postgres://localhost/dueto",
		"postgres://dueto@one:5432,two:5432/dueto?sslmode=require": "postgres://dueto@one:5432,two:5432/dueto?sslmode=require",
		"postgres://dueto:" + hidden + "@localhost/dueto":          "postgres://dueto:********@localhost/dueto",
		"postgres://dueto:" + hidden + "@@localhost/dueto":         "postgres://dueto:********@localhost/dueto",
		"postgres://localhost/dueto?user=a&password=" + hidden:     "postgres://localhost/dueto?user=a&password=********",
		"postgres://localhost/dueto?passw%6Frd=" + hidden + "&x=1": "postgres://localhost/dueto?passw%6Frd=********&x=1",
		"postgres://localhost/dueto?sslpassword=" + hidden:         "postgres://localhost/dueto?sslpassword=********",
		"postgres://dueto:" + hidden + "%zz@localhost/dueto":       "********",
		"postgres:dueto:" + hidden + "@localhost/dueto":            "********",
		"mysql://dueto:" + hidden + "@localhost/dueto":             "********",
		"host=localhost password=" + hidden:                        "********",
		"dueto:" + hidden:                                          "********",
		"dueto.db":                                                 "dueto.db",
	} {
		c, list, _ := load(t, []string{"--database", url, "--database-replicas", "postgres://replica/dueto," + url}, nil, "")
		if c.Database != url {
			t.Fatalf("the setting is %q", c.Database)
		}
		wanted := []Setting{{"database", want, "flag"}, {"database-replicas", "postgres://replica/dueto," + want, "flag"}}
		if strings.Contains(url, ",") { // which separates replicas
			wanted = wanted[:1]
		}
		for _, s := range wanted {
			if !slices.Contains(list, s) {
				t.Errorf("%s: no %+v in %+v", url, s, list)
			}
		}
		if strings.Contains(fmt.Sprint(list), hidden) {
			t.Errorf("%s: the password is printed: %v", url, list)
		}
	}
	// A comma in a password makes two replicas of one.
	_, list, _ := load(t, []string{"--database-replicas=postgres://dueto:" + hidden + ",@replica/dueto"}, nil, "")
	if printed := fmt.Sprint(list); strings.Contains(printed, hidden) || !strings.Contains(printed, "********,********") {
		t.Errorf("printed %s", printed)
	}
}

func TestSecret_IsMaskedHoweverItIsPrinted(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Secret = goodSecret
	logged := func(handler func(*bytes.Buffer) slog.Handler, v any) string {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("settings", "value", v)
		return b.String()
	}
	text := func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }
	asJSON := func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }
	encoded := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	values := map[string]any{
		"secret": c.Secret, "pointer to secret": &c.Secret, "settings": c, "pointer to settings": &c,
		"map": map[string]any{"secret": c.Secret}, "list": []Secret{c.Secret},
	}
	for name, v := range values {
		for how, printed := range map[string]string{
			"Sprint": fmt.Sprint(v), "%v": fmt.Sprintf("%v", v), "%+v": fmt.Sprintf("%+v", v), "%#v": fmt.Sprintf("%#v", v),
			"%s": fmt.Sprintf("%s", v), "%q": fmt.Sprintf("%q", v), "%x": fmt.Sprintf("%x", v),
			"slog text": logged(text, v), "slog JSON": logged(asJSON, v), "JSON": encoded(v),
		} {
			if strings.Contains(printed, goodSecret) || strings.Contains(printed, fmt.Sprintf("%x", goodSecret)) {
				t.Errorf("%s printed by %s gives the secret away: %s", name, how, printed)
			}
		}
	}
	if got := c.Secret.String(); got != "********" {
		t.Errorf("String gives %q", got)
	}
	if got := Secret("").String(); got != "" {
		t.Errorf("no secret is printed as %q", got)
	}
}

func TestInForce_MasksSecrets(t *testing.T) {
	t.Parallel()
	_, list, err := load(t, nil, nil, "DUETO_SECRET="+goodSecret)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Setting{"secret", "********", ".env"}); !slices.Contains(list, want) {
		t.Errorf("no %+v in %+v", want, list)
	}
}

func TestMarkdown_ListsEverySetting(t *testing.T) {
	t.Parallel()
	table := Markdown()
	if n := reflect.TypeFor[Config]().NumField(); n != len(settings) {
		t.Errorf("Config has %d fields, this test knows %d", n, len(settings))
	}
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if len(lines) != len(settings)+2 {
		t.Fatalf("%d lines for %d settings:\n%s", len(lines), len(settings), table)
	}
	row := regexp.MustCompile("^\\| `--([a-z-]+)` \\| `(DUETO_[A-Z_]+)` \\| (`[^`]+`)? \\| \\S.+\\. \\|$")
	for i, line := range lines[2:] {
		cells := row.FindStringSubmatch(line)
		if cells == nil || cells[1] != settings[i] || cells[2] != "DUETO_"+strings.ToUpper(strings.ReplaceAll(settings[i], "-", "_")) {
			t.Errorf("the row of %s is %s", settings[i], line)
		}
	}
	if want := "| `--access-ttl` | `DUETO_ACCESS_TTL` | `5m` | Lifetime of an access token. |"; !slices.Contains(lines, want) {
		t.Errorf("no row %s in\n%s", want, table)
	}
}

func TestSources_MisspeltNameInDotenvIsAProblem(t *testing.T) {
	t.Parallel()
	dotenv := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(dotenv, []byte("DUETO_READ_ACESS=authenticated\nDUETO_SUPERUSER_PASSWORD=x\nOTHER=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := NewSources(dotenv)
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	if err := s.Check(&c); err == nil || err.Error() != dotenv+": there is no setting DUETO_READ_ACESS" {
		t.Errorf("got %v", err)
	}
}

func TestSettings_NoPasswordOrKeyIsPrinted(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2hunter2"
	key := pemStart + "PRIVATE KEY-----\n" + hidden + "\n-----END PRIVATE KEY-----\n"
	_, list, err := load(t, []string{"--smtp-url=smtp://user:" + hidden + "@mail.example.com", "--mail-from=todo@example.com",
		"--jwt-algorithm=ES256", "--jwt-signing-key=" + key, "--jwt-verifying-keys=old.pem," + key}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if printed := fmt.Sprint(list); strings.Contains(printed, hidden) || !strings.Contains(printed, "user:********@mail.example.com") || !strings.Contains(printed, "old.pem,********") {
		t.Errorf("got %s", printed)
	}
	c := Default()
	c.SMTPURL, c.JWTSigningKey = ServerURL("ftp://user:"+hidden+"@mail.example.com/"), KeySource(key)
	if err := c.Check(); err == nil || strings.Contains(err.Error(), hidden) {
		t.Errorf("got %v", err)
	}
	if out, err := json.Marshal(c); err != nil || strings.Contains(string(out)+fmt.Sprintf("%+v %#v", c, c), hidden) {
		t.Errorf("%v, or it is printed", err)
	}
}

func TestCheck_SaysWhyTheDriverRefusesAURLAndNotTheURL(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://dueto:hunter2@db.lan/dueto?sslmode=foo":       "database: it cannot be used: failed to configure TLS (sslmode is invalid)",
		"postgres://dueto:hunter2@db.lan:99999/dueto":             "database: it cannot be used: invalid port",
		"postgres://dueto:hunter2@db.lan/dueto?pool_max_conns=no": "database: it cannot be used: cannot parse pool_max_conns",
		"postgres:":        "database: it is neither",
		"postgres:hunter2": "database: it is neither",
	} {
		c, _, _ := load(t, nil, nil, "")
		c.Database = url
		err := c.Check()
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "db.lan") {
			t.Errorf("%s: %v", url, err)
		}
		c.Database, c.DatabaseReplicas = "postgres://localhost/dueto", []string{url}
		err = c.Check()
		if err == nil || !strings.HasPrefix(err.Error(), "database-replicas: one ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("replica %s: %v", url, err)
		}
	}
}
