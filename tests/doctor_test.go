package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pageSize is SQLite's.
const pageSize = 4096

// damage overwrites the cells of a page of a table's, or an index's, b-tree: of
// a leaf, which nobody reads to start.
func damage(t *testing.T, file, tree string) {
	t.Helper()
	root := query(t, file, "SELECT rootpage FROM sqlite_schema WHERE name = '"+tree+"'")
	content := readFile(t, file)
	page := int(root)
	for { // down the rightmost children
		at := (page - 1) * pageSize
		kind := content[at]
		if kind == 13 || kind == 10 {
			break
		}
		if kind != 5 && kind != 2 {
			t.Fatalf("page %d of %s is of kind %d", page, tree, kind)
		}
		page = int(content[at+8])<<24 | int(content[at+9])<<16 | int(content[at+10])<<8 | int(content[at+11])
	}
	overwrite(t, file, strings.Repeat("\xa5", pageSize/2), (page-1)*pageSize+pageSize/2)
}

// doctor runs the command and gives the lines that are not ok.
func (p *program) doctor(t *testing.T, code int) (bad []string) {
	t.Helper()
	before := listing(t, p.dir)
	o := p.run("doctor").want(code)
	if after := listing(t, p.dir); !slices.Equal(after, before) {
		t.Errorf("the doctor changed the folder from\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	lines := regexp.MustCompile(`(?m)^(ok|warn|error) +([a-z]+) +\S.*$`).FindAllStringSubmatch(o.stdout, -1)
	areas := map[string]bool{}
	for _, line := range lines {
		areas[line[2]] = true
		if line[1] != "ok" && line[2] != "backups" {
			bad = append(bad, line[1]+" "+line[2])
		}
	}
	want := 10
	if strings.HasPrefix(p.database, "postgres:") {
		want = 11
	}
	if strings.Count(o.stdout, "\n") != len(lines) || o.stderr != "" || len(areas) != want {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
	return slices.Compact(bad)
}

func TestSQLite_Doctor_FindsNothingWrongWithASoundDatabase(t *testing.T) {
	t.Parallel()
	p := unprivilegedHome(t)
	p.superuser("root")
	if bad := p.doctor(t, 0); bad != nil {
		t.Errorf("found %q", bad)
	}
	s := p.serve()
	s.app().user("alice").task("Next one")
	if bad := p.doctor(t, 0); bad != nil { // beside a server
		t.Errorf("found %q beside a server", bad)
	}
	s.kill()
	if bad := p.doctor(t, 0); bad != nil { // after a crash
		t.Errorf("found %q after a crash", bad)
	}
}

func TestSQLite_Doctor_TellsOfRowsBackupsAndSettings(t *testing.T) {
	t.Parallel()
	p := unprivilegedHome(t)
	p.superuser("root")
	wantLine := func(o *outcome, pattern string) {
		t.Helper()
		if !regexp.MustCompile(`(?m)^` + pattern + `$`).MatchString(o.stdout) {
			t.Errorf("%s printed\n%swant a line %s", o.what, o.stdout, pattern)
		}
	}
	o := p.run("doctor").want(0)
	wantLine(o, `warn +backups +there is none in backups`)
	wantLine(o, `ok +rows +api_tokens 0, .*, users 1`)
	wantLine(o, `ok +settings +dueto check finds 0 errors and 0 warnings`)
	p.run("backup").want(0)
	wantLine(p.run("doctor").want(0), `ok +backups +the newest in backups is of \S+Z, \S+ ago`)
	if err := os.Rename(p.file(backupsIn(t, p)[0]), p.file("backups/dueto-20200101T000000.000Z.db")); err != nil {
		t.Fatal(err)
	}
	wantLine(p.run("doctor").want(0), `ok +backups +the newest in backups is of 2020-01-01T00:00:00Z, \S+ ago`)
	o = p.run("doctor", "--backup-every=6h", "--throttle=off").want(0)
	wantLine(o, `warn +backups +the newest in backups is of 2020-01-01T00:00:00Z, .*every 6h0m0s`)
	wantLine(o, `warn +settings +dueto check finds 0 errors and 1 warning`)
	wantLine(p.run("doctor", "--public-url=http://dueto.example.com").want(1), `error +settings +dueto check finds 1 error and 1 warning`)
}

// backupsIn gives the names of the backups in the folder that is the default.
func backupsIn(t *testing.T, p *program) []string {
	t.Helper()
	found, err := filepath.Glob(p.file("backups/dueto-*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range found {
		found[i] = filepath.Join("backups", filepath.Base(file))
	}
	return found
}

func TestSQLite_Doctor_FindsEachKindOfDamage(t *testing.T) {
	t.Parallel()
	const session = `INSERT INTO sessions (user_id, generation, created_at, rotated_at, last_used_at, expires_at) VALUES `
	const task = `INSERT INTO tasks (title, created_at, updated_at`
	for _, tt := range []struct {
		name       string
		statements []string
		tree       string // to damage
		want       []string
		exit       int
	}{
		{name: "page of a table", tree: "tasks", want: []string{"error integrity"}},
		{name: "page of an index", tree: "tasks_by_title", want: []string{"error integrity"}},
		{name: "index that lacks a row", want: []string{"error integrity"}, statements: []string{
			`PRAGMA writable_schema = ON`, `CREATE TEMP TABLE kept AS SELECT sql FROM sqlite_schema WHERE name = 'users_by_joined'`,
			`UPDATE sqlite_schema SET sql = 'CREATE INDEX users_by_joined ON users (date_joined, id) WHERE id < 0' WHERE name = 'users_by_joined'`,
			`PRAGMA writable_schema = RESET`, `REINDEX users_by_joined`, `PRAGMA writable_schema = ON`,
			`UPDATE sqlite_schema SET sql = (SELECT sql FROM kept) WHERE name = 'users_by_joined'`}},
		{name: "row that breaks a CHECK", statements: []string{`PRAGMA ignore_check_constraints = ON`, task + `, priority) VALUES ('x', 0, 0, 9)`}, want: []string{"error integrity"}},
		{name: "state that there is not", statements: []string{`PRAGMA ignore_check_constraints = ON`,
			`INSERT INTO outbox (kind, state, finished_at, created_at, next_attempt_at) VALUES ('x', 'lost', 0, 0, 0)`}, want: []string{"error integrity"}},
		{name: "reference to nobody", statements: []string{task + `, person_id) VALUES ('x', 0, 0, 4711)`}, want: []string{"error references"}},
		{name: "index that is missing", statements: []string{`DROP INDEX tasks_by_title`}, want: []string{"error schema"}},
		{name: "index that is another", statements: []string{`DROP INDEX tasks_by_title`, `CREATE INDEX tasks_by_title ON tasks (title)`}, want: []string{"error schema"}},
		{name: "index of one's own", statements: []string{`CREATE INDEX mine ON tasks (description)`}, want: []string{"warn schema"}},
		{name: "table that is missing", statements: []string{`DROP TABLE reserved_names`}, want: []string{"error schema"}},
		{name: "table of one's own", statements: []string{`CREATE TABLE mine (id INTEGER PRIMARY KEY)`}, want: []string{"warn schema"}},
		{name: "column that is missing", statements: []string{`ALTER TABLE users DROP COLUMN time_zone`}, want: []string{"error schema"}},
		{name: "column of one's own", statements: []string{`ALTER TABLE users ADD COLUMN mine TEXT`}, want: []string{"error schema"}},
		{name: "trigger", statements: []string{`CREATE TRIGGER mine AFTER INSERT ON tasks BEGIN DELETE FROM tasks; END`}, want: []string{"warn schema"}},
		{name: "CHECK that is gone", want: []string{"error schema"}, statements: []string{`PRAGMA writable_schema = ON`,
			`UPDATE sqlite_schema SET sql = replace(sql, ' CHECK (priority BETWEEN 0 AND 4)', '') WHERE name = 'tasks'`}},
		{name: "session of generation 0", statements: []string{session + `(1, 0, 1, 1, 1, 2)`}, want: []string{"error rules"}},
		{name: "session that ends first", statements: []string{session + `(1, 1, 2, 2, 2, 1)`}, want: []string{"error rules"}},
		{name: "session as it should be", statements: []string{session + `(1, 1, 1, 1, 1, 2)`}},
		{name: "tags that are no array", statements: []string{task + `, tags) VALUES ('x', 0, 0, '{}')`}, want: []string{"error rules"}},
		{name: "tags that are numbers", statements: []string{task + `, tags) VALUES ('x', 0, 0, '["a", 1]')`}, want: []string{"error rules"}},
		{name: "tags as they should be", statements: []string{task + `, tags) VALUES ('x', 0, 0, '["a", "1"]')`}},
		{name: "permissions that are null", statements: []string{`UPDATE users SET permissions = 'null'`}, want: []string{"error rules"}},
		{name: "time after all years", statements: []string{`UPDATE users SET last_login = 253370764800000000`}, want: []string{"error rules"}},
		{name: "time before all years", statements: []string{task + `, due_to) VALUES ('x', 0, 0, -62135596800000001)`}, want: []string{"error rules"}},
		{name: "text for a time", statements: []string{`UPDATE users SET last_login = 'yesterday'`}, want: []string{"error rules"}},
		{name: "bytes for a text", statements: []string{`UPDATE users SET time_zone = x'ff'`}, want: []string{"error rules"}},
		{name: "done at no time", statements: []string{task + `, done) VALUES ('x', 0, 0, TRUE)`}, want: []string{"error rules"}},
		{name: "ids that come back", statements: []string{`UPDATE sqlite_sequence SET seq = 0 WHERE name = 'users'`}, want: []string{"error rules"}},
		{name: "ids that are used up", statements: []string{`UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'users'`}, want: []string{"error rules"}},
		{name: "id below 1", statements: []string{`UPDATE users SET id = -1`, `DELETE FROM security_events`}, want: []string{"error rules"}},
		{name: "no row to probe with", statements: []string{`DELETE FROM store_probe`}, want: []string{"error rules"}},
		{name: "API token without a hash", want: []string{"error rules"}, statements: []string{
			`INSERT INTO api_tokens (user_id, name, key_hash, last_four, created_at) VALUES (1, 'x', 'plain', 'abcd', 0)`}},
		{name: "message neither here nor there", want: []string{"error rules"}, statements: []string{
			`INSERT INTO outbox (kind, state, created_at, next_attempt_at) VALUES ('x', 'sent', 0, 0)`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := unprivilegedHome(t)
			p.superuser("root")
			file := p.file("dueto.db")
			if tt.tree != "" {
				grow(t, file, 300)
				damage(t, file, tt.tree)
				p.run("migrate").want(0) // which is what serve does to start
			}
			execSQL(t, "sqlite:"+file, append([]string{"PRAGMA foreign_keys = OFF"}, tt.statements...)...)
			code := 0
			if slices.ContainsFunc(tt.want, func(s string) bool { return strings.HasPrefix(s, "error") }) {
				code = 1
			}
			if bad := p.doctor(t, code); !slices.Equal(bad, tt.want) {
				t.Errorf("found %q, want %q:\n%s", bad, tt.want, p.run("doctor").stdout)
			}
		})
	}
}

func TestSQLite_Doctor_OlderSchemaIsComparedWithItsOwn(t *testing.T) {
	t.Parallel()
	p := unprivilegedHome(t)
	versionOne(t, p)
	o := p.run("doctor").want(0)
	if !regexp.MustCompile(`(?m)^ok +version +schema 1; the next start applies 0002_\w+`).MatchString(o.stdout) || !regexp.MustCompile(`(?m)^ok +schema `).MatchString(o.stdout) {
		t.Errorf("printed %s", o.stdout)
	}
}

func TestSQLite_Doctor_WhatIsNotOursExitsThree(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(t *testing.T, p *program){
		"text": func(_ *testing.T, p *program) { p.write("dueto.db", strings.Repeat("Dear diary,\n", 1000)) },
		"somebody else's": func(t *testing.T, p *program) {
			execSQL(t, "sqlite:"+p.file("dueto.db"), `CREATE TABLE notes (body TEXT)`)
		},
		"schema overwritten": func(t *testing.T, p *program) {
			p.superuser("root")
			overwrite(t, p.file("dueto.db"), strings.Repeat("\xff", 200), 100)
		},
		"a newer version's": func(t *testing.T, p *program) {
			p.superuser("root")
			execSQL(t, "sqlite:"+p.file("dueto.db"), `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, '0999_future', 1)`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t)
			make(t, p)
			before := readFile(t, p.file("dueto.db"))
			if o := p.run("doctor").want(3); o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: ") {
				t.Errorf("printed %q, %q", o.stdout, o.stderr)
			}
			if readFile(t, p.file("dueto.db")) != before {
				t.Error("it was changed")
			}
		})
	}
	p := newProgram(t)
	p.run("doctor").want(1)
	wantFiles(t, p.dir)
	p.superuser("root")
	p.write("dueto.db-wal", "something")
	if o := p.run("doctor").want(1); !strings.Contains(o.stderr, "not examined") {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
}
