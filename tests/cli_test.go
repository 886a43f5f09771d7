package tests

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dueto/config"
)

// cliCommands are all there are, with the flags that their help shows besides
// those of the server.
var cliCommands = map[string][]string{
	"serve": nil, "config": nil, "migrate": nil, "routes": nil, "version": nil,
	"check":           {"fail-level"},
	"backup":          {"keep", "backup-dir", "backup-keep"},
	"restore":         {"yes"},
	"doctor":          {"database-replicas", "backup-dir", "backup-every"},
	"createsuperuser": {"username", "email", "no-input"},
	"changepassword":  {"no-input"},
	"user activate":   nil,
	"user deactivate": nil,
	"token create":    {"name", "permission", "expires", "quiet", "reset"},
	"token list":      nil,
	"token revoke":    nil,
	"outbox list":     {"public-url"},
	"outbox show":     {"public-url"},
	"user list":       {"staff", "inactive", "never-activated", "search"},
	"user grant":      nil,
	"user revoke":     nil,
	"user promote":    nil,
	"user demote":     nil,
	"keys generate":   {"algorithm", "out"},
	"keys rotate":     {"keep"},
	"keys list":       nil,
	"move":            {"from", "to", "quiet"},
	"keys adopt":      {"yes"},
	"openapi":         {"public-url", "read-access", "auth-modes", "page-size", "max-page-size", "cors-origins"},
}

func matches(pattern, text string) (list []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestCLI_HelpNamesEveryCommand(t *testing.T) {
	t.Parallel()
	var want []string
	for name := range cliCommands {
		want = append(want, name)
	}
	slices.Sort(want)
	for _, flag := range []string{"--help", "-h"} {
		o := newProgram(t).run(flag).want(0)
		if got := matches(`(?m)^  ([a-z]+(?: [a-z]+)?)  +[A-Z]`, o.stdout); !slices.Equal(got, want) {
			t.Errorf("dueto %s names %q, want %q", flag, got, want)
		}
		if o.stderr != "" {
			t.Errorf("dueto %s complains: %s", flag, o.stderr)
		}
	}
}

func TestCLI_EachCommandsHelpNamesItsFlags(t *testing.T) {
	t.Parallel()
	table := config.Markdown()
	every := matches("(?m)^\\| `--([a-z-]+)`", table)
	p := newProgram(t)
	for command, own := range cliCommands {
		want := append([]string{"help"}, own...)
		switch command {
		case "serve", "config", "check":
			want = append(want, every...)
		case "routes", "version", "openapi", "keys generate":
		case "backup", "restore", "doctor":
			want = append(want, "database")
		case "migrate":
			want = append(want, "database", "secret-file", "password-cost", "backup-dir")
		case "move":
			want = append(want, "secret-file")
		case "keys rotate", "keys list", "keys adopt":
			want = append(want, "database", "secret-file", "jwt-algorithm", "jwt-signing-key", "jwt-verifying-keys")
		default:
			want = append(want, "database", "secret-file", "password-cost")
		}
		slices.Sort(want)
		o := p.run(append(strings.Fields(command), "--help")...).want(0)
		if got := matches(`--([a-z]+(?:-[a-z]+)*)`, flagColumn(o.stdout)); !slices.Equal(got, want) || o.stderr != "" {
			t.Errorf("%s names %q, want %q; %s", o.what, got, want, o.stderr)
		}
		if !strings.HasPrefix(o.stdout, "Usage: dueto "+command) {
			t.Errorf("%s begins %q", o.what, o.stdout[:min(40, len(o.stdout))])
		}
	}
}

// flagColumn leaves out the flags that the explanations mention.
func flagColumn(help string) string {
	return strings.Join(regexp.MustCompile(`(?m)^ +(?:-h, )?--[a-z-]+`).FindAllString(help, -1), "\n")
}

func TestCLI_MistakesExitTwoAndNameTheWord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		word string
	}{
		{[]string{"bogus"}, "bogus"},
		{[]string{"--bogus"}, "--bogus"},
		{[]string{"serve", "--bogus=1"}, "--bogus"},
		{[]string{"migrate", "extra"}, "extra"},
		{[]string{"version", "--addr=:1"}, "--addr"},
		{[]string{"user"}, "activate"},
		{[]string{"user", "activate"}, "<username>"},
		{[]string{"user", "crown", "alice"}, "crown"},
		{[]string{"user", "grant", "alice"}, "<word>"},
		{[]string{"changepassword"}, "<username>"},
		{[]string{"serve", "--addr"}, "--addr"},
	} {
		p := newProgram(t)
		o := p.run(tt.args...).want(2)
		if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: ") || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, tt.word) {
			t.Errorf("%s printed %q, %q; want one line that names %q", o.what, o.stdout, o.stderr, tt.word)
		}
		wantFiles(t, p.dir)
	}
}

func TestCLI_VersionTellsItsOwnAndTheEngines(t *testing.T) {
	t.Parallel()
	o := newProgram(t).run("version").want(0)
	if !regexp.MustCompile(`^dueto \S.* \(go1\.\S+, SQLite 3\.\d+\.\d+\)\n$`).MatchString(o.stdout) || o.stderr != "" {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
}

func TestCLI_MigrateIsDoneOnceAndMakesAPrivateFile(t *testing.T) {
	t.Parallel()
	p := newProgram(t).withEmptyDatabase()
	o := p.run("migrate").want(0)
	if !regexp.MustCompile(`^Applied 0001_\w+\n(Applied \d{4}_\w+\n)*$`).MatchString(o.stdout) || o.stderr != "" {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
	p.run("migrate").want(0).prints("Nothing to migrate.\n", "")
	p.wantLeft()
	if info, err := os.Stat(p.file("dueto.db")); !onPostgres && (err != nil || info.Mode() != 0o600) {
		t.Errorf("the database has mode %v, %v", info, err)
	}
}

func TestCLI_ConfigTellsWhatIsInForceAndFromWhere(t *testing.T) {
	t.Parallel()
	p := newProgram(t).with("DUETO_PAGE_SIZE=20", "DUETO_LOG_LEVEL=warn", "DUETO_SECRET="+secret)
	p.write(".env", "DUETO_PAGE_SIZE=10\nDUETO_ACCESS_TTL=90s\nDUETO_MAX_PAGE_SIZE=40\n")
	o := p.run("config", "--log-level=error", "--max-page-size", "100", "--cors-origins=https://a.example,https://b.example").want(0)
	got := map[string][2]string{}
	for line := range strings.Lines(o.stdout) {
		cells := strings.Fields(line)
		last := len(cells) - 1
		got[cells[0]] = [2]string{strings.Join(cells[1:last], " "), cells[last]}
	}
	database, backups := [2]string{"sqlite:dueto.db", "default"}, "backups"
	if onPostgres {
		database, backups = [2]string{p.database, "environment"}, ""
	}
	want := map[string][2]string{
		"addr": {"127.0.0.1:8000", "default"}, "public-url": {"http://127.0.0.1:8000", "default"}, "trusted-proxies": {"", "default"},
		"cors-origins": {"https://a.example,https://b.example", "flag"},
		"database":     database, "database-replicas": {"", "default"}, "read-access": {"public", "default"}, "default-visibility": {"public", "default"},
		"page-size": {"20", "environment"}, "max-page-size": {"100", "flag"},
		"backup-every": {"0s", "default"}, "backup-dir": {backups, "default"}, "backup-keep": {"7", "default"},
		"secret": {"********", "environment"}, "secret-file": {"", "default"}, "jwt-algorithm": {"HS512", "default"},
		"access-ttl": {"1m30s", ".env"}, "refresh-ttl": {"24h0m0s", "default"}, "session-ttl": {"720h0m0s", "default"},
		"refresh-grace": {"10s", "default"}, "activation-ttl": {"2h0m0s", "default"}, "password-cost": {"12", "default"},
		"throttle": {"on", "default"}, "auth-modes": {"json,one-cookie,two-cookies", "default"}, "reset-ttl": {"1h0m0s", "default"},
		"jwt-signing-key": {"", "default"}, "jwt-verifying-keys": {"", "default"}, "smtp-url": {"", "default"}, "mail-from": {"", "default"},
		"log-level": {"error", "flag"}, "log-format": {"json", "default"},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s is %q, want %q", name, got[name], w)
		}
	}
	if len(got) != len(want) || o.stderr != "" {
		t.Errorf("%d settings, want %d; %s", len(got), len(want), o.stderr)
	}
	if strings.Contains(o.stdout, secret) {
		t.Errorf("the secret is printed:\n%s", o.stdout)
	}
	wantFiles(t, p.dir, ".env")
}

func TestCLI_BadSettingsExitTwoBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, dotenv string
		env, args    []string
		complaints   []string // how each line begins
	}{
		{name: "flags, environment and .env together",
			args: []string{"--page-size=many", "--log-level=loud"}, env: []string{"DUETO_ACCESS_TTL=soon"}, dotenv: "DUETO_PASSWORD_COST=99\n",
			complaints: []string{"access-ttl: ", "log-level: \"loud\"", "page-size: ", "password-cost: 99"}},
		{name: "short secret", env: []string{"DUETO_SECRET=short"}, complaints: []string{"secret: it has 5 bytes; at least 32 are needed"}},
		{name: "secret twice", args: []string{"--secret-file=x"}, env: []string{"DUETO_SECRET=" + secret},
			complaints: []string{"secret: set either secret or secret-file"}},
		{name: "public URL that is a pattern", args: []string{"--public-url=http://localhost/*all"}, complaints: []string{"public-url: "}},
		{name: "address without a port", args: []string{"--addr=localhost"}, complaints: []string{"addr: "}},
		{name: "database in memory", args: []string{"--database=sqlite::memory:"}, complaints: []string{"database: "}},
		{name: "broken .env", dotenv: "DUETO_SECRET \"" + secret + "\n", complaints: []string{".env cannot be read as lines of NAME=value"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t).with(tt.env...)
			left := []string{}
			if tt.dotenv != "" {
				p.write(".env", tt.dotenv)
				left = append(left, ".env")
			}
			o := p.run(append([]string{"serve"}, tt.args...)...).want(2)
			lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
			if len(lines) > len(tt.complaints) { // the first may introduce the others
				lines = lines[1:]
			} else {
				lines[0] = regexp.MustCompile(`^dueto: (serve: )?`).ReplaceAllString(lines[0], "")
			}
			slices.Sort(lines)
			ok := len(lines) == len(tt.complaints)
			for i := 0; ok && i < len(lines); i++ {
				ok = strings.HasPrefix(lines[i], tt.complaints[i])
			}
			if !ok {
				t.Errorf("want complaints that begin with %q:\n%s", tt.complaints, o.stderr)
			}
			if strings.Contains(o.stderr, secret) {
				t.Errorf("the secret is printed:\n%s", o.stderr)
			}
			wantFiles(t, p.dir, left...)
		})
	}
}

func TestCLI_ChangepasswordEndsSessionsOfARunningServer(t *testing.T) {
	t.Parallel()
	const changed = "a quite different sentence"
	p := newProgram(t)
	a := p.serve().app()
	alice := a.user("alice")
	change := func(to, name string) *outcome {
		return p.with("DUETO_SUPERUSER_PASSWORD="+to).run("changepassword", "--no-input", name, "--password-cost", "4")
	}
	change("short", "alice").want(1).prints("", "dueto: The password is not valid.\n"+
		"  password: This password is too short. It must contain at least 8 characters.\n")
	change(changed, "nobody").want(1).prints("", "dueto: There is no user nobody.\n")
	alice.do("GET", "/users/me", nil).want(http.StatusOK)

	change(changed, "alice").want(0).prints("Password of alice changed; its sessions and API tokens are ended.\n", "")
	alice.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, "token_not_valid")
	a.do("POST", "/auth/refresh", map[string]string{"refresh": alice.Refresh}).wantProblem(http.StatusUnauthorized, "token_not_valid")
	for with, status := range map[string]int{password: http.StatusUnauthorized, changed: http.StatusOK} {
		a.do("POST", "/auth/login", map[string]string{"username": "alice", "password": with}).want(status)
	}
}

func TestCLI_DeactivationBitesOnTheNextRequestOfARunningServer(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	a := p.serve().app()
	alice := a.user("alice")
	id := alice.task("Next one")
	for _, verb := range []string{"activate", "deactivate"} {
		p.run("user", verb, "nobody").want(1).prints("", "dueto: There is no user nobody.\n")
	}
	alice.do("GET", taskPath(id), nil).want(http.StatusOK)

	p.run("user", "deactivate", "alice").want(0).prints("alice is deactivated; its sessions are ended.\n", "")
	for _, r := range []*response{
		alice.do("GET", taskPath(id), nil),
		alice.do("PATCH", taskPath(id), map[string]any{"done": true}),
		a.do("POST", "/auth/refresh", map[string]string{"refresh": alice.Refresh}),
	} {
		if o := r.wantProblem(http.StatusUnauthorized, "user_inactive").object(); o["detail"] != "User inactive or deleted." {
			t.Errorf("%s: detail %q", r.What, o["detail"])
		}
	}
	login := map[string]string{"username": "alice", "password": password}
	a.do("POST", "/auth/login", login).wantProblem(http.StatusUnauthorized, "no_active_account")

	p.run("user", "activate", "alice").want(0).prints("alice is active.\n", "")
	alice.do("GET", taskPath(id), nil).wantProblem(http.StatusUnauthorized, "token_not_valid")
	a.login("alice").do("PATCH", taskPath(id), map[string]any{"done": true}).want(http.StatusOK)

	a.register("bob")
	p.run("user", "activate", "bob").want(0).prints("bob is active.\n", "")
	a.login("bob")
}

func TestSQLite_FileThatIsNoDatabaseOfOursIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	const restore = "\nIt was left as it is. Restore a backup, or name another one with --database\n"
	const newer = "\nNothing was changed. Run the newer version, or restore a backup from before it\n"
	for _, tt := range []struct {
		name   string
		make   func(t *testing.T, p *program, file string)
		advice string
	}{
		{"text", func(_ *testing.T, p *program, _ string) { p.write("given.db", "Dear diary,\n") }, restore},
		{"long text", func(_ *testing.T, p *program, _ string) { p.write("given.db", strings.Repeat("Dear diary,\n", 1000)) }, restore},
		{"header of a database, then garbage", func(_ *testing.T, p *program, _ string) {
			p.write("given.db", "SQLite format 3\x00"+strings.Repeat("garbage!", 1022))
		}, restore},
		{"header cut short", cutTo(50), restore},
		{"schema cut short", cutTo(5000), restore},
		{"header overwritten", func(t *testing.T, p *program, file string) {
			cutTo(1<<20)(t, p, file)
			overwrite(t, file, strings.Repeat("\xff", 100), 0)
		}, restore},
		{"schema overwritten", func(t *testing.T, p *program, file string) {
			cutTo(1<<20)(t, p, file)
			overwrite(t, file, strings.Repeat("\xff", 200), 100)
		}, restore},
		{"somebody else's database", func(t *testing.T, _ *program, file string) {
			execSQL(t, "sqlite:"+file, `CREATE TABLE notes (body TEXT)`, `INSERT INTO notes VALUES ('keep me')`)
		}, restore},
		{"somebody else's database, with migrations of its own", func(t *testing.T, _ *program, file string) {
			execSQL(t, "sqlite:"+file, `CREATE TABLE notes (body TEXT)`, `CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, dirty BOOLEAN)`,
				`INSERT INTO schema_migrations VALUES (1, FALSE)`)
		}, restore},
		{"a newer version's", func(t *testing.T, p *program, file string) {
			cutTo(1<<20)(t, p, file)
			execSQL(t, "sqlite:"+file, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, '0999_future', 1)`)
		}, newer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t).with("DUETO_SECRET="+secret, "DUETO_SUPERUSER_PASSWORD="+password)
			file := p.file("given.db")
			tt.make(t, p, file)
			before := readFile(t, file)
			for _, args := range [][]string{
				{"serve", "--addr", "127.0.0.1:0"}, {"migrate"}, {"user", "activate", "alice"},
				{"createsuperuser", "--no-input", "--username", "root", "--email", "root@example.com"},
			} {
				o := p.run(append(args, "--database", "sqlite:given.db")...).want(3)
				if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: ") || !strings.HasSuffix(o.stderr, tt.advice) {
					t.Errorf("%s printed %q, %q; want the advice %q", o.what, o.stdout, o.stderr, tt.advice)
				}
				if readFile(t, file) != before {
					t.Fatalf("%s changed the file", o.what)
				}
				wantFiles(t, p.dir, "given.db")
			}
		})
	}
}

// cutTo makes a database and keeps its first bytes.
func cutTo(size int) func(*testing.T, *program, string) {
	return func(t *testing.T, p *program, file string) {
		t.Helper()
		p.run("migrate", "--database", "sqlite:"+file).want(0)
		whole := readFile(t, file)
		p.write(filepath.Base(file), whole[:min(size, len(whole))])
	}
}

func TestSQLite_PlaceThatCannotHoldADatabaseIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		database string
		make     func(p *program) error
		reason   string
	}{
		{"missing folder", "missing/dueto.db", func(*program) error { return nil }, "no such file or directory"},
		{"folder that is a file", "notes/dueto.db", func(p *program) error { return os.WriteFile(p.file("notes"), nil, 0o600) }, "not a directory"},
		{"database that is a folder", "folder", func(p *program) error { return os.Mkdir(p.file("folder"), 0o755) }, "is a directory"},
		{"read-only folder", "folder/dueto.db", func(p *program) error { return os.Mkdir(p.file("folder"), 0o555) }, "permission denied"},
		{"read-only file", "dueto.db", func(p *program) error { return os.WriteFile(p.file("dueto.db"), nil, 0o444) }, "permission denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := unprivileged(t)
			if err := tt.make(p); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"serve", "--addr=127.0.0.1:0"}, {"migrate"}} {
				p.with("DUETO_SECRET="+secret).run(append(args, "--database=sqlite:"+tt.database)...).want(1).
					prints("", "dueto: open sqlite:"+tt.database+": the store is unavailable: open "+tt.database+": "+tt.reason+"\n")
			}
		})
	}
}

// unprivileged gives a program that file modes bind, as they do not bind root.
func unprivileged(t *testing.T) *program {
	t.Helper()
	p := newProgram(t)
	if os.Geteuid() == 0 {
		var err error
		if p.dir, err = os.MkdirTemp("", "dueto-unprivileged-"); err != nil { // t.TempDir's is closed to others
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(p.dir) })
		if !onPostgres {
			p.database = "sqlite:" + p.file("dueto.db")
		}
		p.binary = p.file("dueto")
		if err := errors.Join(os.Chmod(p.dir, 0o755), os.Link(builtBinary().path, p.binary)); err != nil {
			t.Fatal(err)
		}
		p.credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return p
}

func TestCLI_PortInUseExitsOneAndNamesIt(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	first := p.serve()
	addr := strings.TrimPrefix(first.URL, "http://")
	o := p.run("serve", "--addr", addr).want(1)
	if want := "dueto: listen: listen tcp " + addr + ": bind: address already in use\n"; !strings.HasSuffix(o.stderr, want) {
		t.Errorf("printed %q, want at the end %q", o.stderr, want)
	}
	first.app().do("GET", "/readyz", nil).want(http.StatusOK)
}
