package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unprivilegedHome is unprivileged in a folder of its own user's.
func unprivilegedHome(t *testing.T) *program {
	t.Helper()
	p := unprivileged(t)
	p.own(".")
	return p
}

// own gives a file to the user who runs the program.
func (p *program) own(name string) {
	p.t.Helper()
	if p.credential == nil {
		return
	}
	if err := os.Chown(p.file(name), int(p.credential.Uid), int(p.credential.Gid)); err != nil {
		p.t.Fatal(err)
	}
}

// put writes a file of the program's user with a mode.
func (p *program) put(name, content string, mode os.FileMode) {
	p.t.Helper()
	p.write(name, content)
	p.own(name)
	p.mode(name, mode)
}

func (p *program) mode(name string, mode os.FileMode) {
	p.t.Helper()
	if err := os.Chmod(p.file(name), mode); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) folder(name string, mode os.FileMode) {
	p.t.Helper()
	if err := os.Mkdir(p.file(name), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.own(name)
	p.mode(name, mode)
}

// listing tells what is in a folder, and of each file all that a change would
// change. A server that runs changes its log and the index to it by itself.
func listing(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprint(e.Name(), " ", info.Mode())
		if !strings.Contains(e.Name(), ".db-") {
			line += fmt.Sprint(" ", info.Size(), " ", info.ModTime())
		}
		list = append(list, line)
	}
	return list
}

// check runs the command, and expects that it changes nothing, complains of
// nothing by itself and gives an exit code that goes with its findings.
func (p *program) check(t *testing.T, args ...string) (found []string, o *outcome) {
	t.Helper()
	before := listing(t, p.dir)
	o = p.run(append([]string{"check"}, args...)...)
	if after := listing(t, p.dir); !slices.Equal(after, before) {
		t.Errorf("%s changed the folder from\n%s\nto\n%s", o.what, strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	errs, warnings := 0, 0
	for _, m := range regexp.MustCompile(`(?m)^(error|warning|info) +([a-z-]+\.[a-z-]+)  [A-Za-z.-].*\.$`).FindAllStringSubmatch(o.stdout, -1) {
		found = append(found, m[1]+" "+m[2])
		switch m[1] {
		case "error":
			errs++
		case "warning":
			warnings++
		}
	}
	end, code := "No problems found.\n", 0
	if errs+warnings > 0 {
		code = 1
		end = fmt.Sprintf("%d errors, %d warnings\n", errs, warnings)
		end = regexp.MustCompile(`\b(1 \w+)s`).ReplaceAllString(end, "$1")
	}
	if !strings.HasSuffix(o.stdout, end) || o.stderr != "" || (o.code != code && !slices.Contains(args, "--fail-level=error")) {
		t.Errorf("%s: exit code %d, want %d, and at the end %q:\n%s%s", o.what, o.code, code, end, o.stdout, o.stderr)
	}
	return found, o
}

func TestCheck_NothingIsFoundByDefault(t *testing.T) {
	t.Parallel()
	p := unprivilegedHome(t)
	_, o := p.check(t)
	o.want(0).prints("No problems found.\n", "")

	s := p.serve()
	s.app().user("alice").task("Next one")
	_, o = p.check(t) // beside a server, whose log is not folded in
	o.want(0).prints("No problems found.\n", "")
	s.stop()
	_, o = p.check(t)
	o.want(0).prints("No problems found.\n", "")

	s = p.serve()
	s.app().do("POST", "/auth/login", map[string]string{"username": "alice", "password": password}).want(http.StatusOK)
	s.kill()
	_, o = p.check(t) // after a crash
	o.want(0).prints("No problems found.\n", "")
}

// checkCase is a state of things, and what the command finds in it.
type checkCase struct {
	name string
	make func(t *testing.T, p *program)
	env  []string
	args []string
	want []string
}

func (tt checkCase) run(t *testing.T) {
	t.Parallel()
	p := unprivilegedHome(t)
	if tt.make != nil {
		tt.make(t, p)
	}
	found, o := p.with(tt.env...).check(t, tt.args...)
	if !slices.Equal(found, tt.want) {
		t.Errorf("%s found %q, want %q:\n%s", o.what, found, tt.want, o.stdout)
	}
}

// used gives a program a database and a secret.
func used(_ *testing.T, p *program) { p.superuser("root") }

func TestCheck_FindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	const mail = "--smtp-url=smtp://mail.example.com"
	const from = "--mail-from=todo@example.com"
	for _, tt := range []checkCase{
		{name: "settings that are not valid", env: []string{"DUETO_ACCESS_TTL=soon"}, args: []string{"--log-level=loud", "--password-cost=99"},
			want: []string{"error settings.invalid", "error settings.invalid", "error settings.invalid"}},
		{name: "database that is none", args: []string{"--database=mysql://localhost/dueto"}, want: []string{"error settings.invalid"}},
		{name: "variable that is no setting", env: []string{"DUETO_PAGESIZE=10"}, want: []string{"warning settings.unknown"}},
		{name: "http to a public host", args: []string{"--public-url=http://dueto.example.com"},
			want: []string{"error public-url.http", "warning auth-modes.insecure-cookies"}},
		{name: "every interface", args: []string{"--addr=:8000"}, want: []string{"warning addr.exposed"}},
		{name: "everybody trusted", args: []string{"--public-url=https://dueto.example.com", "--trusted-proxies=0.0.0.0/0,::/0"},
			want: []string{"error trusted-proxies.everybody"}},
		{name: "mail without a public URL", args: []string{mail, from}, want: []string{"error public-url.mail"}},
		{name: "mail with one", args: []string{mail, from, "--public-url=https://dueto.example.com", "--trusted-proxies=192.0.2.7"}},

		{name: "secret that is published", env: []string{"DUETO_SECRET=changeme" + secret}, want: []string{"error secret.weak"}},
		{name: "secret file that is weak", make: func(_ *testing.T, p *program) { p.put("dueto.secret", "short\n", 0o600) }, want: []string{"error secret.weak"}},
		{name: "secret file that others can read", make: func(_ *testing.T, p *program) { p.put("dueto.secret", secret+"\n", 0o640) },
			want: []string{"error secret.readable"}},
		{name: "secret file that cannot be read", make: func(_ *testing.T, p *program) { p.put("dueto.secret", secret+"\n", 0o200) },
			want: []string{"error secret.unreadable"}},
		{name: "secret file that is there", make: func(_ *testing.T, p *program) { p.put("dueto.secret", secret+"\n", 0o600) }},
		{name: "secret without a folder", args: []string{"--secret-file=missing/dueto.secret"}, want: []string{"error secret.folder"}},
		{name: "secret in a folder that is closed", args: []string{"--secret-file=closed/dueto.secret"},
			make: func(_ *testing.T, p *program) { p.folder("closed", 0o500) }, want: []string{"error secret.folder"}},
		{name: "secret in a .env that others can read", make: func(_ *testing.T, p *program) { p.put(".env", "DUETO_SECRET="+secret+"\n", 0o644) },
			want: []string{"error settings.readable"}},
		{name: "no secret in a .env that others can read", make: func(_ *testing.T, p *program) { p.put(".env", "DUETO_PAGE_SIZE=10\n", 0o644) }},

		{name: "keys that are missing", args: []string{"--jwt-algorithm=ES256", "--jwt-signing-key=key.pem", "--jwt-verifying-keys=old.pem"},
			want: []string{"error jwt-signing-key.missing", "error jwt-verifying-keys.missing"}},
		{name: "keys that are none", args: []string{"--jwt-algorithm=ES256", "--jwt-signing-key=key.pem"},
			make: func(_ *testing.T, p *program) { p.put("key.pem", "a key", 0o600) }, want: []string{"error jwt-signing-key.unusable"}},
		{name: "retired secret that is weak", make: func(_ *testing.T, p *program) { p.put("dueto.secret", secret+"\nshort\n", 0o600) }, want: []string{"error secret.weak"}},
		{name: "key that others can read", args: []string{"--jwt-algorithm=ES256", "--jwt-signing-key=key.pem"},
			make: func(_ *testing.T, p *program) { p.put("key.pem", "a key", 0o644) }, want: []string{"error jwt-signing-key.readable"}},

		{name: "a newer version's database", make: func(t *testing.T, p *program) {
			used(t, p)
			execSQL(t, p.database, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, '0999_future', 1)`)
		}, want: []string{"error database.newer"}},
		{name: "an older version's database", make: func(t *testing.T, p *program) {
			used(t, p)
			execSQL(t, p.database, `DELETE FROM schema_migrations`)
		}, want: []string{"info database.migrations"}},
		{name: "account from the future", make: func(t *testing.T, p *program) {
			used(t, p)
			execSQL(t, p.database, `UPDATE users SET date_joined = 4102444800000000`)
		}, want: []string{"error clock.rows"}},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestSQLite_CheckFindsWhatIsWrongWithFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []checkCase{
		{name: "folder that is missing", args: []string{"--database=sqlite:missing/dueto.db"}, want: []string{"error database.folder"}},
		{name: "folder that is a file", args: []string{"--database=sqlite:notes/dueto.db"},
			make: func(_ *testing.T, p *program) { p.put("notes", "", 0o600) }, want: []string{"error database.folder"}},
		{name: "folder that is closed", args: []string{"--database=sqlite:closed/dueto.db"},
			make: func(_ *testing.T, p *program) { p.folder("closed", 0o500) }, want: []string{"error database.folder"}},
		{name: "backups in a folder that is closed", args: []string{"--backup-every=1h", "--backup-dir=closed/backups"},
			make: func(_ *testing.T, p *program) { p.folder("closed", 0o500) }, want: []string{"error backup-dir.folder"}},
		{name: "backups in a folder that will be made", args: []string{"--backup-every=1h", "--backup-dir=new/backups"}},
		{name: "database that is a folder", args: []string{"--database=sqlite:folder"},
			make: func(_ *testing.T, p *program) { p.folder("folder", 0o700) }, want: []string{"error database.unreadable"}},
		{name: "database that others can read", make: func(t *testing.T, p *program) { used(t, p); p.mode("dueto.db", 0o644) },
			want: []string{"error database.readable"}},
		{name: "database that cannot be written", make: func(t *testing.T, p *program) { used(t, p); p.mode("dueto.db", 0o400) },
			want: []string{"error database.read-only"}},
		{name: "database that cannot be read", make: func(t *testing.T, p *program) { used(t, p); p.mode("dueto.db", 0o200) },
			want: []string{"error database.unreadable"}},
		{name: "database that is none", make: func(_ *testing.T, p *program) { p.put("dueto.db", strings.Repeat("Dear diary,\n", 1000), 0o600) },
			want: []string{"error database.corrupt"}},
		{name: "somebody else's database", make: func(t *testing.T, p *program) {
			execSQL(t, p.database, `CREATE TABLE notes (body TEXT)`)
			p.own("dueto.db")
			p.mode("dueto.db", 0o600)
		}, want: []string{"error database.corrupt"}},
		{name: "log without its index", make: func(t *testing.T, p *program) {
			used(t, p)
			p.put("dueto.db-wal", "something", 0o600)
		}, want: []string{"warning database.unfinished"}},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestPostgres_CheckFindsWhatIsWrongWithTheServer(t *testing.T) {
	t.Parallel()
	theirs, relaxed, d := emptyPostgres(t), emptyPostgres(t), emptyPostgres(t)
	foreign := emptyPostgres(t)
	newMachine(t, foreign).run("keys", "adopt").want(0)
	execSQL(t, theirs, "CREATE TABLE tasks (body TEXT)")
	for _, tt := range []checkCase{
		{name: "nothing", args: []string{"--database=" + d}, want: []string{"info database.migrations"}},
		{name: "another secret than the servers'", args: []string{"--database=" + foreign}, env: []string{"DUETO_SECRET=" + secret},
			want: []string{"error secret.foreign"}},
		{name: "no secret where the servers have one", args: []string{"--database=" + foreign}, want: []string{"error secret.foreign"}},
		{name: "nobody listens", args: []string{"--database=postgres://127.0.0.1:1/dueto"}, want: []string{"error database.unreachable"}},
		{name: "no such database", args: []string{"--database=" + d + "_not"}, want: []string{"error database.unreachable"}},
		{name: "somebody else's tables", args: []string{"--database=" + theirs}, want: []string{"error database.corrupt"}},
		{name: "commits that are not waited for", args: []string{"--database=" + relaxed + "?synchronous_commit=off"}, want: []string{"error database.unreachable"}},
		{name: "another machine's without TLS", args: []string{"--database=postgres://192.0.2.7:1/dueto?connect_timeout=1"},
			want: []string{"error database.unreachable", "warning database.plain"}},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestSQLite_CheckFindsAFullDisk(t *testing.T) {
	t.Parallel()
	p := unprivilegedHome(t)
	p.folder("disk", 0o700)
	if err := mountDisk(t, p.file("disk")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p.own("disk")
	if found, o := p.check(t, "--database=sqlite:disk/dueto.db"); !slices.Equal(found, []string{"warning database.space"}) {
		t.Errorf("found %q:\n%s", found, o.stdout)
	}
}

func TestCheck_RootIsFound(t *testing.T) {
	t.Parallel()
	var want []string
	if os.Geteuid() == 0 {
		want = []string{"warning process.root"}
	}
	p := newProgram(t)
	if found, o := p.check(t); !slices.Equal(found, want) {
		t.Errorf("found %q:\n%s", found, o.stdout)
	}
}

func TestCheck_FailLevelLetsWarningsPass(t *testing.T) {
	t.Parallel()
	p := unprivilegedHome(t)
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"--throttle=off", "--fail-level=warning"}, 1},
		{[]string{"--throttle=off", "--fail-level=error"}, 0},
		{[]string{"--throttle=off", "--public-url=http://dueto.example.com", "--fail-level=error"}, 1},
	} {
		found, o := p.check(t, tt.args...)
		o.want(tt.code)
		if !slices.Contains(found, "warning throttle.off") {
			t.Errorf("%s found %q", o.what, found)
		}
	}
	if o := p.run("check", "--fail-level=info").want(2); o.stdout != "" || !strings.Contains(o.stderr, "--fail-level") {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
}

func TestCheck_NoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2hunter2"
	p := unprivilegedHome(t)
	p.put("weak", hidden, 0o644)
	key := "-----BEGIN PRIVATE KEY-----\n" + hidden + "\n-----END PRIVATE KEY-----\n"
	for _, tt := range []struct{ env, want []string }{
		{[]string{"DUETO_SECRET=changeme" + hidden + "0Zx9Yw8Vu7Ts", "DUETO_JWT_SIGNING_KEY=" + key, "DUETO_SMTP_URL=ftp://user:" + hidden + "@mail.example.com",
			"DUETO_DATABASE=postgres:user:" + hidden + "@db.example.com/dueto"},
			[]string{"error settings.invalid", "error settings.invalid", "error settings.invalid", "error secret.weak", "error public-url.mail"}},
		{[]string{"DUETO_SECRET_FILE=weak", "DUETO_SMTP_URL=smtp://user:" + hidden + "@localhost?tls=none", "DUETO_MAIL_FROM=todo@example.com"},
			[]string{"error public-url.mail", "error secret.readable", "error secret.weak"}},
		{[]string{"DUETO_DATABASE=postgres://user:" + hidden + "@127.0.0.1:1/dueto?password=" + hidden + "&sslpassword=" + hidden}, []string{"error database.unreachable"}},
	} {
		found, o := p.with(tt.env...).check(t)
		slices.Sort(found)
		slices.Sort(tt.want)
		if !slices.Equal(found, tt.want) {
			t.Errorf("found %q, want %q:\n%s", found, tt.want, o.stdout)
		}
		if strings.Contains(o.stdout, hidden) {
			t.Errorf("a secret is printed:\n%s", o.stdout)
		}
	}
}

func TestCheck_ServeWarnsOfTheSameSettings(t *testing.T) {
	t.Parallel()
	args := []string{"--throttle=off", "--access-ttl=2h", "--public-url=http://dueto.example.com", "--log-level=warn"}
	p := unprivilegedHome(t).with("DUETO_PAGESIZE=10")
	s := p.serve(args...)
	var warned []string
	for line := range strings.Lines(s.stderr.String()) {
		var record struct{ Level, Finding, Advice string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Finding != "" {
			warned = append(warned, record.Finding)
			if record.Level != "WARN" || record.Advice == "" {
				t.Errorf("logged %s", line)
			}
		}
	}
	s.stop()
	found, _ := p.check(t, append([]string{"--password-cost=4"}, args...)...)
	for i, f := range found {
		found[i] = strings.Fields(f)[1]
	}
	slices.Sort(found)
	slices.Sort(warned)
	if want := []string{"access-ttl.long", "auth-modes.insecure-cookies", "password-cost.low", "public-url.http", "settings.unknown", "throttle.off"}; !slices.Equal(found, want) || !slices.Equal(warned, want) {
		t.Errorf("check found %q, serve warned of %q, want %q", found, warned, want)
	}
}
