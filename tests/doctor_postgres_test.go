package tests

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dueto/internal/pgtest"
	"dueto/models"
)

// onServer is the program with a database of PostgreSQL.
func onServer(t testing.TB, database string) *program {
	t.Helper()
	p := newMachine(t, database).with("DUETO_SECRET=" + secret) // what the servers of the database have
	p.database = database
	return p
}

// diagnose runs the doctor and gives the lines that are not ok, but for what
// settings are like here.
func (p *program) diagnose(t *testing.T, code int) []string {
	t.Helper()
	return slices.DeleteFunc(p.doctor(t, code), func(line string) bool { return strings.HasSuffix(line, " settings") })
}

func wantSaid(t *testing.T, o *outcome, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(o.stdout + o.stderr) {
			t.Errorf("%s printed\n%s%swant a line %s", o.what, o.stdout, o.stderr, line)
		}
	}
}

func TestPostgres_Doctor(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	must(t, c.Exec("CREATE DATABASE sound"))
	onServer(t, c.URL("sound")).superuser("root")
	const task = `INSERT INTO tasks (title, created_at, updated_at`
	const session = `INSERT INTO sessions (user_id, generation, created_at, rotated_at, last_used_at, expires_at) VALUES `
	for i, tt := range []struct {
		name       string
		statements []string
		want       []string
		says       string // of a line
	}{
		{name: "nothing"},
		{name: "index that is missing", statements: []string{`DROP INDEX tasks_by_title`}, want: []string{"error schema"}, says: "The index tasks_by_title is missing."},
		{name: "index that is another", statements: []string{`DROP INDEX tasks_by_title`, `CREATE INDEX tasks_by_title ON tasks (title)`}, want: []string{"error schema"}},
		{name: "index that is invalid", statements: []string{`UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'tasks_by_title'::regclass`},
			want: []string{"error integrity"}, says: "The index tasks_by_title of tasks is invalid: .*REINDEX INDEX tasks_by_title"},
		{name: "index of one's own", statements: []string{`CREATE INDEX mine ON tasks (description)`}, want: []string{"warn schema"}},
		{name: "table that is missing", statements: []string{`DROP TABLE reserved_names`}, want: []string{"error schema"}},
		{name: "table that rules are of", statements: []string{`DROP TABLE sessions`}, want: []string{"error schema"}},
		{name: "table that is not logged", statements: []string{`ALTER TABLE outbox SET UNLOGGED`}, want: []string{"error schema"}},
		{name: "tables of one's own", statements: []string{`CREATE TABLE mine (id TEXT, made_at TIMESTAMPTZ, at TEXT)`, `CREATE TABLE numbered (id SERIAL)`}, want: []string{"warn schema"}},
		{name: "foreign table", statements: []string{`CREATE FOREIGN DATA WRAPPER mine`, `CREATE SERVER theirs FOREIGN DATA WRAPPER mine`, `CREATE FOREIGN TABLE mine (id BIGINT) SERVER theirs`},
			want: []string{"warn schema"}, says: "The foreign table mine is not Dueto's."},
		{name: "view", statements: []string{`CREATE VIEW mine AS SELECT id FROM tasks`}, want: []string{"warn schema"}},
		{name: "column that is missing", statements: []string{`ALTER TABLE users DROP COLUMN time_zone`}, want: []string{"error schema"}, says: "The table users lacks the column time_zone text NOT NULL .*"},
		{name: "column that a rule is of", statements: []string{`ALTER TABLE tasks DROP COLUMN done_at`}, want: []string{"error schema"}},
		{name: "column of one's own", statements: []string{`ALTER TABLE users ADD COLUMN mine TEXT`}, want: []string{"error schema"}},
		{name: "column that may be NULL", statements: []string{`ALTER TABLE users ALTER COLUMN email DROP NOT NULL`}, want: []string{"error schema"}},
		{name: "column of another type", statements: []string{`ALTER TABLE tasks ALTER COLUMN priority TYPE INTEGER`}, want: []string{"error schema"}},
		{name: "column that sorts otherwise", statements: []string{`ALTER TABLE tasks ALTER COLUMN title TYPE TEXT COLLATE "default"`}, want: []string{"error schema"}},
		{name: "column that numbers no more", statements: []string{`ALTER TABLE tasks ALTER COLUMN id DROP IDENTITY`}, want: []string{"error schema"}},
		{name: "CHECK that is gone", statements: []string{`ALTER TABLE tasks DROP CONSTRAINT tasks_priority_check`}, want: []string{"error schema"},
			says: "The constraint tasks_priority_check of tasks is missing."},
		{name: "CHECK that is not valid", want: []string{"error integrity"}, says: ".*ALTER TABLE tasks VALIDATE CONSTRAINT tasks_priority_check", statements: []string{
			`ALTER TABLE tasks DROP CONSTRAINT tasks_priority_check, ADD CONSTRAINT tasks_priority_check CHECK (priority BETWEEN 0 AND 4) NOT VALID`}},
		{name: "reference that is not looked at", statements: []string{`ALTER TABLE tasks DROP CONSTRAINT tasks_person_id_fkey`, task + `, person_id) VALUES ('x', 0, 0, 4711)`},
			want: []string{"error references", "error schema"}, says: "1 rows of tasks refer to rows of users that are not there."},
		{name: "reference to nobody", statements: []string{`SET session_replication_role = replica; ` + task + `, person_id) VALUES ('x', 0, 0, 4711)`}, want: []string{"error references"}},
		{name: "references switched off", statements: []string{`ALTER TABLE tasks DISABLE TRIGGER ALL`}, want: []string{"error integrity"}},
		{name: "trigger", want: []string{"warn schema"}, statements: []string{`CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
			`CREATE TRIGGER mine BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION mine()`}},
		{name: "session of generation 0", statements: []string{session + `(1, 0, 1, 1, 1, 2)`}, want: []string{"error rules"}},
		{name: "tags that are no array", statements: []string{task + `, tags) VALUES ('x', 0, 0, '{}')`}, want: []string{"error rules"}, says: "1 tasks have tags that are no list of texts."},
		{name: "tags that are numbers", statements: []string{task + `, tags) VALUES ('x', 0, 0, '["a", 1]')`}, want: []string{"error rules"}},
		{name: "tags that are no JSON", statements: []string{`ALTER TABLE tasks DROP CONSTRAINT tasks_tags_check`, task + `, tags) VALUES ('x', 0, 0, '["a",]')`}, want: []string{"error schema", "error rules"}},
		{name: "tags as they should be", statements: []string{task + `, tags) VALUES ('x', 0, 0, '[]'), ('x', 0, 0, E' [ "a" ,\n"1", "", "\\"\\\\\\u00e9 ]ü\u0085\u007f" ] ')`}},
		{name: "permissions that are null", statements: []string{`UPDATE users SET permissions = 'null'`}, want: []string{"error rules"}},
		{name: "time after all years", statements: []string{`UPDATE users SET last_login = 253370764800000000`}, want: []string{"error rules"}},
		{name: "done at no time", statements: []string{task + `, done) VALUES ('x', 0, 0, TRUE)`}, want: []string{"error rules"}},
		{name: "ids that come back", statements: []string{`SELECT setval('users_id_seq', 1, FALSE)`}, want: []string{"error rules"}, says: "Ids of users may come back .* noted 1 too low."},
		{name: "ids that are used up", statements: []string{`SELECT setval('users_id_seq', 9223372036854775807)`}, want: []string{"error rules"}},
		{name: "no row to probe with", statements: []string{`DELETE FROM store_probe`}, want: []string{"error rules"}},
		{name: "API token without a hash", want: []string{"error rules"}, statements: []string{
			`INSERT INTO api_tokens (user_id, name, key_hash, last_four, created_at) VALUES (1, 'x', repeat('G', 64), 'abcd', 0)`}},
		{name: "commits that wait for no disk", statements: []string{`DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END $$`}, want: []string{"error server"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("copy_%d", i)
			must(t, c.Exec("CREATE DATABASE "+name+" TEMPLATE sound"))
			execSQL(t, c.URL(name), tt.statements...)
			p := onServer(t, c.URL(name))
			code := 0
			if slices.ContainsFunc(tt.want, func(s string) bool { return strings.HasPrefix(s, "error") }) {
				code = 1
			}
			if bad := p.diagnose(t, code); !slices.Equal(bad, tt.want) {
				t.Errorf("found %q, want %q:\n%s", bad, tt.want, p.run("doctor").stdout)
			}
			if tt.says != "" {
				wantSaid(t, p.run("doctor"), strings.Replace(tt.want[0], " ", " +", 1)+" +"+tt.says)
			}
		})
	}
}

// reader is the URL of a database for a role that may read it, and nothing else.
func reader(t *testing.T, c *pgtest.Cluster, database string, grants ...string) string {
	t.Helper()
	must(t, c.Exec("CREATE ROLE reader LOGIN"))
	execSQL(t, c.URL(database), append([]string{"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"}, grants...)...)
	return strings.Replace(c.URL(database), "dueto@", "reader@", 1)
}

func TestPostgres_DoctorTellsOfTheServer(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	must(t, c.Exec("CREATE DATABASE tasks"))
	database := c.URL("tasks")
	p := onServer(t, database)
	p.superuser("root")
	wantSaid(t, p.run("doctor").want(0),
		`ok +database +postgres://127\.0\.0\.1:\d+/tasks has \d+ [KM]iB`,
		`ok +server +PostgreSQL \d+\.\d+.*, primary, UTF8, synchronous_commit on, data checksums off: .*`,
		`ok +replicas +none is connected`,
		`ok +integrity +.* pg_amcheck .* '`+regexp.QuoteMeta(database)+`'`,
		`ok +version +schema \d+, the newest that this program knows`,
		`ok +rows +api_tokens 0, .*, users 1`,
		`ok +backups +Dueto makes none of PostgreSQL's, .* pg_dump .* pg_basebackup .*`)
	p.serve("--public-url=http://dueto.test").app().user("alice").task("Next one")
	if bad := p.diagnose(t, 0); len(bad) > 0 {
		t.Errorf("found %q beside a server", bad)
	}

	follower, err := c.Standby(t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = follower.Kill() })
	await(t, "the replica to be seen", func() bool {
		return strings.Contains(p.run("doctor").want(0).stdout, "connected: walreceiver at 127.0.0.1 (streaming, ")
	})
	execSQL(t, database, "UPDATE store_probe SET at = 1")
	await(t, "the replica to follow", func() bool {
		return strings.Contains(onServer(t, follower.URL("tasks")).run("doctor").want(0).stdout, "last change")
	})
	wantSaid(t, p.run("doctor", "--database-replicas="+follower.URL("tasks")+","+follower.URL("more")).want(0), `warn +replicas +database-replicas names 2; connected: .*`)
	o := onServer(t, follower.URL("tasks")).run("doctor").want(0)
	wantSaid(t, o, `warn +server +It is a replica, .*`, `ok +server +PostgreSQL .*, replica, whose last change is of \S+Z, .*`, `ok +rows +api_tokens 0, .*, users 2`)
	if strings.Contains(o.stdout, "shared_limits") {
		t.Errorf("a replica has rows of tables that are not logged:\n%s", o.stdout)
	}

	role := reader(t, c, "tasks")
	o = onServer(t, role).run("doctor").want(0)
	wantSaid(t, o, `warn +rules +Whether ids of tasks can come back is not known: this role may not read the sequence public\.tasks_id_seq\.`,
		`ok +replicas +connected: walreceiver \(state and lag not to be seen by this role .*`)
	execSQL(t, database, "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader")
	if bad := onServer(t, role).diagnose(t, 0); !slices.Equal(bad, []string{"warn server"}) {
		t.Errorf("found %q as a reader", bad)
	}
	execSQL(t, database, "REVOKE SELECT ON tasks FROM reader")
	if o := onServer(t, role).run("doctor").want(1); o.stdout != "" || !strings.Contains(o.stderr, `the role "reader" may not read its tables`) {
		t.Errorf("without the right to read, it printed %q, %q", o.stdout, o.stderr)
	}

	must(t, c.Configure("fsync = off", "full_page_writes = off"))
	must(t, c.Reload())
	await(t, "the settings to be in force", func() bool { return strings.Contains(p.run("doctor").stdout, "fsync") })
	wantSaid(t, p.run("doctor").want(1), `error +server +fsync is off: .*`, `warn +server +full_page_writes is off: .*`)

	must(t, c.Stop())
	if o := p.run("doctor").want(1); o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: the database was not examined: postgres://127.0.0.1:") || !strings.Contains(o.stderr, "refused") {
		t.Errorf("without a server, it printed %q, %q", o.stdout, o.stderr)
	}
}

func TestPostgres_DoctorReadsForAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	must(t, c.Exec("CREATE DATABASE tasks"))
	p := onServer(t, c.URL("tasks"))
	p.superuser("root")
	// Whoever is kept from rows by a policy waits for it: longer than a server would.
	role := reader(t, c, "tasks", "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader",
		"CREATE TABLE slow AS SELECT 1 AS n", "GRANT SELECT ON slow TO reader", "ALTER TABLE slow ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY slow ON slow USING (pg_sleep(5.5) IS NOT NULL)")
	wantSaid(t, onServer(t, role).run("doctor").want(0), `ok +rows +.*, slow 1, .*`)
}

func TestPostgres_DoctorOfWhatIsNotOursExitsThree(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		migrated   bool
		statements []string
		says       string
	}{
		"somebody else's":            {false, []string{`CREATE TABLE notes (body TEXT)`}, "belongs to another program"},
		"somebody else's of a name":  {false, []string{`CREATE TABLE users (id BIGINT)`}, "belongs to another program"},
		"somebody else's migrations": {false, []string{`CREATE TABLE schema_migrations (version TEXT)`}, "belongs to another program"},
		"a newer version's":          {true, []string{`INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, '0999_future', 1)`}, "newer version"},
		"not moved to the end":       {true, []string{`CREATE TABLE move_progress (table_name TEXT)`}, "Run the same dueto move again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := onServer(t, emptyPostgres(t))
			if tt.migrated {
				p.run("migrate").want(0)
			}
			execSQL(t, p.database, tt.statements...)
			if o := p.run("doctor").want(3); o.stdout != "" || !strings.Contains(o.stderr, tt.says) {
				t.Errorf("printed %q, %q", o.stdout, o.stderr)
			}
		})
	}
	p := onServer(t, emptyPostgres(t))
	p.run("doctor").want(1).prints("", "dueto: "+models.Redacted(p.database)+": there is no database: it is empty; dueto migrate makes the tables\n")
}

// olderPostgres gives a database that has only the first migration, and data.
func olderPostgres(t *testing.T) *program {
	t.Helper()
	first, err := filepath.Glob("../models/migrations/postgres/0001_*.sql")
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	p := onServer(t, emptyPostgres(t))
	execSQL(t, p.database, "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)",
		readFile(t, first[0]), "INSERT INTO schema_migrations VALUES (1, '0001_everything', 1)")
	return p
}

func TestPostgres_BeforeMigratingItIsSaidThatNoBackupIsMade(t *testing.T) {
	t.Parallel()
	const dump = `The way back to an older version is a backup from before: pg_dump --format=custom`
	p := olderPostgres(t)
	o := p.run("doctor")
	wantSaid(t, o, `ok +version +schema 1; the next start applies 0002_\w+, .*`, `ok +schema +tables, .*`)
	wantSaid(t, p.run("check"), `info +database\.migrations +The next start applies: 0002_\w+, .*`, ` +Dueto makes no backup of PostgreSQL's before\. `+dump+` .*`)
	o = p.run("migrate").want(0)
	if !regexp.MustCompile(`^dueto: the database is about to be migrated, and Dueto makes no backup of PostgreSQL's before: 0002_\w+, .*\n` + dump + ` .*\n$`).MatchString(o.stderr) {
		t.Errorf("migrate says %q", o.stderr)
	}
	p.run("migrate").want(0).prints("Nothing to migrate.\n", "")

	s := olderPostgres(t).serve()
	if log := s.stderr.String(); !regexp.MustCompile(`"WARN".*about to be migrated.*`+dump).MatchString(log) || strings.Index(log, "about to be") > strings.Index(log, "migrated the database") {
		t.Errorf("serve says %s", log)
	}

	fresh := onServer(t, emptyPostgres(t))
	if o := fresh.run("check"); strings.Contains(o.stdout, "pg_dump") {
		t.Errorf("check says of a new database:\n%s", o.stdout)
	}
	if o := fresh.run("migrate").want(0); o.stderr != "" {
		t.Errorf("migrate says of a new database: %q", o.stderr)
	}
}
