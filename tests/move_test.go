package tests

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dueto/models"
)

// movedTables are what a move takes over, with their keys.
var movedTables = map[string]string{
	"users": "id", "sessions": "id", "tasks": "id", "api_tokens": "id", "outbox": "id", "security_events": "id",
	"reserved_names": "username_key", "store_probe": "id",
}

// newFile gives the URL of a file that is not there, whichever engine the tests
// run on.
func newFile(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "dueto.db")
}

// dump gives all that a move takes over, as seen from outside: the rows, column
// by column, and the ids given out last.
func dump(t testing.TB, url string) (all []string) {
	t.Helper()
	db := openDatabase(t, url)
	defer func() { _ = db.Close() }()
	for table, key := range movedTables {
		for _, row := range dumpRows(t, db, "SELECT * FROM "+table+" ORDER BY "+key) {
			all = append(all, table+" "+row)
		}
		if key != "id" || table == "store_probe" {
			continue
		}
		query := fmt.Sprintf("SELECT coalesce(max(seq), 0) AS last FROM sqlite_sequence WHERE name = '%s'", table)
		if !strings.HasPrefix(url, "sqlite:") {
			query = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM " + table + "_id_seq"
		}
		all = append(all, table+" gave out "+dumpRows(t, db, query)[0])
	}
	slices.Sort(all)
	return all
}

func dumpRows(t testing.TB, db *sql.DB, query string) (list []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(names))
		for i, name := range names {
			row[i] = fmt.Sprintf("%s=%T %q", name, values[i], fmt.Sprint(values[i]))
		}
		slices.Sort(row)
		list = append(list, strings.Join(row, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func wantDump(t testing.TB, url string, want []string) {
	t.Helper()
	got := dump(t, url)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%d entries, not %d as before; the first that differs:\n%.500q\nwas\n%.500q", len(got), len(want),
				got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
}

// remembered is what clients of a database keep of it.
type remembered struct {
	refresh, key, etag, next string
	task, deleted            int64
	page                     []byte // behind next
}

// fillForMove has a database get rows of all kinds, over the API where there is
// a way.
func fillForMove(t testing.TB, url string) remembered {
	t.Helper()
	a := startApp(t, url, &clock{now: start})
	defer a.stop()
	alice, bob := a.user("alice"), a.user("bob")
	gone := a.user("gone")
	for i := range 7 {
		alice.task(fmt.Sprintf("t%d", i), map[string]any{"visibility": []string{"public", "private"}[i%2]})
	}
	gone.task("a task of nobody")
	alice.task("Größe 漢字 🎉 'quoted' \"too\" \\ \t", map[string]any{
		"description": strings.Repeat("ß漢🎉\n", 2500), "tags": []string{"ä", "b\"c", "d\\e"}, "priority": 4,
		"due_to": "0001-01-01T00:00:00Z", "done": true,
	})
	alice.task("late", map[string]any{"due_to": "9998-12-31T23:59:59.999999Z", "person": bob.ID})
	gone.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
	bob.wish("next@example.com")
	a.register("pending")
	a.do("POST", "/auth/password/reset", map[string]any{"email": "alice@example.com"}).want(http.StatusAccepted)
	a.login("bob").do("POST", "/auth/logout", map[string]any{"refresh": bob.Refresh}).want(http.StatusNoContent)
	a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": typo}).want(http.StatusUnauthorized)

	r := remembered{refresh: alice.Refresh}
	r.key = alice.apiToken("limited", []string{"tasks.view"}).Key
	alice.apiToken("any", nil)
	alice.apiTokenWith(map[string]any{"name": "short", "expires_at": start.Add(time.Hour).Format(time.RFC3339)})
	r.task = alice.task("kept")
	r.etag = a.do("GET", taskPath(r.task), nil).want(http.StatusOK).Header.Get("ETag")
	r.deleted = alice.task("deleted")
	alice.do("DELETE", taskPath(r.deleted), nil).want(http.StatusNoContent)
	r.next = a.do("GET", "/tasks?page_size=3&ordering=-title", nil).want(http.StatusOK).followingPath(a)
	r.page = a.do("GET", r.next, nil).want(http.StatusOK).Body
	execSQL(t, url,
		"INSERT INTO reserved_names (username_key, reserved_at) VALUES ('zoe', 1), ('Ärger', 2), ('a', -3)",
		"INSERT INTO outbox (kind, user_id, address, state, attempts, created_at, next_attempt_at, finished_at, last_error) VALUES "+
			"('notice', NULL, 'x@example.com', 'sent', 1, 1, 2, 3, ''), ('notice', 1, '', 'failed', 9, 1, 2, 3, 'no such mailbox'), ('notice', 1, '', 'dropped', 0, -9223372036854775808, 9223372036854775807, 3, '')",
		"UPDATE users SET disabled_at = 5, permissions = '[\"tasks.change\"]', is_staff = TRUE WHERE username = 'bob'",
		"UPDATE store_probe SET at = 42",
	)
	return r
}

// check does what those clients do next, with the same secret.
func (r remembered) check(t testing.TB, url string) {
	t.Helper()
	a := startApp(t, url, &clock{now: start.Add(time.Minute)})
	defer a.stop()
	if got := a.do("GET", r.next, nil).want(http.StatusOK).Body; string(got) != string(r.page) {
		t.Errorf("the next page is\n%s\nnot\n%s", got, r.page)
	}
	a.do("GET", taskPath(r.task), nil, header{"If-None-Match", r.etag}).want(http.StatusNotModified)
	a.do("POST", "/auth/refresh", map[string]any{"refresh": r.refresh}).want(http.StatusOK)
	a.do("GET", "/tasks", nil, tokenKey(r.key)).want(http.StatusOK)
	alice := a.login("alice")
	if id := alice.task("new"); id <= r.deleted {
		t.Errorf("the next task gets the id %d; %d was deleted", id, r.deleted)
	}
	if id, _ := a.register("latecomer"); id <= 4 {
		t.Errorf("the next account gets the id %d", id)
	}
	a.do("POST", "/auth/login", map[string]any{"username": "bob", "password": password}).want(http.StatusUnauthorized)
}

func moveArgs(from, to string, more ...string) []string {
	return append([]string{"move", "--from", from, "--to", to}, more...)
}

func TestPostgres_MoveThereAndBackKeepsEverything(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	first, server, last := newFile(t), emptyPostgres(t), newFile(t)
	r := fillForMove(t, first)
	want := dump(t, first)
	there := p.run(moveArgs(first, server)...).want(0)
	back := p.run(moveArgs(server, last, "--quiet")...).want(0)
	for _, url := range []string{first, server, last} {
		wantDump(t, url, want)
	}
	if back.stderr != "" {
		t.Errorf("it is not quiet: %s", back.stderr)
	}
	sums := regexp.MustCompile(`(?m)^\w+ +\d+ +[0-9a-f]{64}$`)
	if a, b := sums.FindAllString(there.stdout, -1), sums.FindAllString(back.stdout, -1); len(a) != len(movedTables) || !slices.Equal(a, b) {
		t.Errorf("there: %q\nback: %q", a, b)
	}
	for _, url := range []string{server, last} {
		r.check(t, url)
	}
	intact(t, strings.TrimPrefix(last, "sqlite:"))
}

func TestPostgres_MoveFromAServerKeepsEverything(t *testing.T) {
	t.Parallel()
	from, file, to := emptyPostgres(t), newFile(t), emptyPostgres(t)
	r := fillForMove(t, from)
	p := newProgram(t)
	p.run(moveArgs(from, file)...).want(0)
	p.run(moveArgs(file, to)...).want(0)
	want := dump(t, to)
	wantDump(t, file, want)
	r.check(t, file)
	r.check(t, to)
}

// moveHalf begins a move and stops it when so many tasks are copied.
func moveHalf(t testing.TB, from, to string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := models.Move(ctx, from, to, models.MoveOptions{Batch: 3, Progress: func(p models.MoveProgress) {
		if p.Table == "tasks" {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestPostgres_MoveThatIsUnfinishedIsRefusedToEveryCommand(t *testing.T) {
	t.Parallel()
	from := newFile(t)
	fillForMove(t, from)
	for _, to := range []string{emptyPostgres(t), newFile(t)} {
		moveHalf(t, from, to)
		p := newProgram(t).with("DUETO_DATABASE="+to, "DUETO_SUPERUSER_PASSWORD="+password)
		for _, command := range [][]string{
			{"serve", "--addr=127.0.0.1:0"}, {"migrate"}, {"user", "list"}, {"outbox", "list"}, {"token", "list", "alice"}, {"doctor"},
			{"createsuperuser", "--no-input", "--username=root", "--email=root@example.com"}, {"user", "activate", "pending"},
		} {
			o := p.run(command...).want(3)
			if !strings.Contains(o.stderr, "a move into the database has not been finished\nRun the same dueto move again") || o.stdout != "" {
				t.Errorf("%s says %q, %q", o.what, o.stdout, o.stderr)
			}
		}
		if o := p.run("check").want(1); !strings.Contains(o.stdout, "error    database.unmoved  ") {
			t.Errorf("check says %s", o.stdout)
		}
		if o := p.run(moveArgs(to, newFile(t))...).want(3); !strings.Contains(o.stderr, "not been finished") {
			t.Errorf("a move from it says %s", o.stderr)
		}
		o := p.run(moveArgs(from, to)...).want(0)
		if !regexp.MustCompile(`^Going on with a move that has copied \d+ of \d+ rows\.\n$`).MatchString(o.stderr) {
			t.Errorf("going on, it says %q", o.stderr)
		}
		p.run("migrate").want(0).prints("Nothing to migrate.\n", "")
	}
}

func TestPostgres_MoveNoticesWhatWasChangedSinceItBegan(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]struct{ source, target, table string }{
		"a row changed":          {source: "UPDATE tasks SET title = 'changed' WHERE id = 1", table: "tasks: "},
		"a row deleted":          {source: "DELETE FROM tasks WHERE id = 1", table: "tasks: "},
		"a row the target wrote": {target: "INSERT INTO reserved_names (username_key, reserved_at) VALUES ('b', 1)", table: "reserved_names: "},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			from, to := newFile(t), emptyPostgres(t)
			fillForMove(t, from)
			moveHalf(t, from, to)
			if change.source != "" {
				execSQL(t, from, change.source)
			} else {
				execSQL(t, to, change.target)
			}
			p := newProgram(t)
			for range 2 {
				o := p.run(moveArgs(from, to)...).want(1)
				if !strings.Contains(o.stderr, "the databases differ:\n"+change.table) || !strings.Contains(o.stderr, "empty the database to move to") || o.stdout != "" {
					t.Errorf("it says %q, %q", o.stdout, o.stderr)
				}
			}
			p.with("DUETO_DATABASE=" + to).run("migrate").want(3)
		})
	}
}

func TestPostgres_MoveIsRefusedWhereItMakesNoSense(t *testing.T) {
	t.Parallel()
	full, fullServer, empty := newFile(t), emptyPostgres(t), newFile(t)
	fillForMove(t, full)
	fillForMove(t, fullServer)
	dir := t.TempDir()
	at := func(name string) string { return "sqlite:" + filepath.Join(dir, name) }
	if err := os.Symlink(strings.TrimPrefix(full, "sqlite:"), filepath.Join(dir, "link.db")); err != nil {
		t.Fatal(err)
	}
	for name, statement := range map[string]string{
		"old.db":     "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)",
		"newer.db":   "INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'x', 1)",
		"no-rows.db": "DELETE FROM users",
	} {
		if err := migrateNew(at(name)); err != nil {
			t.Fatal(err)
		}
		execSQL(t, at(name), statement)
	}
	execSQL(t, at("foreign.db"), "CREATE TABLE users (id INTEGER)")
	newer, foreign := emptyPostgres(t), emptyPostgres(t)
	if err := migrateNew(newer); err != nil {
		t.Fatal(err)
	}
	execSQL(t, newer, "INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'x', 1)")
	execSQL(t, foreign, "CREATE TABLE users (id INTEGER)")
	moved := emptyPostgres(t)
	moveHalf(t, full, moved)

	p := newProgram(t)
	for _, test := range []struct {
		from, to string
		code     int
		say      string
	}{
		{full, fullServer, 1, "is not empty; it has rows in users, sessions, tasks, api_tokens, outbox, security_events, reserved_names"},
		{fullServer, full, 1, "is not empty; it has rows in users"},
		{full, full, 1, "it is the same database"},
		{full, at("link.db"), 1, "it is the same database"},
		{fullServer, fullServer + "?application_name=x", 1, "it is the same database"},
		{at("missing.db"), empty, 1, "no such file"},
		{at("old.db"), empty, 1, "it lacks the migration 0003_missing_due_date; run dueto migrate"},
		{at("newer.db"), empty, 3, "its schema is version 999"},
		{at("foreign.db"), empty, 3, "it belongs to another program"},
		{emptyPostgres(t), empty, 1, "there is nothing in it"},
		{full, at("newer.db"), 3, "its schema is version 999"},
		{full, newer, 3, "its schema is version 999"},
		{full, at("foreign.db"), 3, "it belongs to another program"},
		{full, foreign, 3, "it belongs to another program"},
		{at("no-rows.db"), moved, 1, "a move from another database has begun there"},
		{fullServer, moved, 1, "a move from another database has begun there"},
		{full, at("no/such/folder.db"), 1, "no such file"},
		{full, "mysql://root:hunter2@localhost/x", 2, "--to: it is neither"},
		{"dueto.db", empty, 2, "--from: it is neither"},
		{full, "postgres://dueto:hunter2@127.0.0.1:1/x?password=hunter2", 1, "move to postgres://127.0.0.1:1/x: "},
	} {
		o := p.run(moveArgs(test.from, test.to)...).want(test.code)
		if !strings.Contains(o.stderr, test.say) || o.stdout != "" || strings.Contains(o.stderr, "hunter2") {
			t.Errorf("%s\nsays %q, want %q", o.what, o.stderr, test.say)
		}
	}
	if _, err := os.Stat(strings.TrimPrefix(empty, "sqlite:")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused move has made a file: %v", err)
	}
	for _, url := range []string{full, fullServer} {
		p.with("DUETO_DATABASE="+url).run("migrate").want(0).prints("Nothing to migrate.\n", "")
	}
	p.run("move", "--from", full).want(2)
	p.run("move", "--to", full).want(2)
}

func TestPostgres_MoveDoesNotPrintPasswords(t *testing.T) {
	t.Parallel()
	from, to := newFile(t), emptyPostgres(t)
	fillForMove(t, from)
	withPassword := strings.Replace(to, "dueto@", "dueto:hunter2@", 1) + "?password=hunter2"
	p := newProgram(t)
	o := p.with("DUETO_FROM="+from, "DUETO_TO="+withPassword).run("move").want(0)
	if strings.Contains(o.stdout+o.stderr, "hunter2") || !strings.Contains(o.stdout, " to "+models.Redacted(to)+" in ") {
		t.Errorf("it prints %s%s", o.stdout, o.stderr)
	}
	o = p.run(moveArgs(from, withPassword)...).want(1)
	if strings.Contains(o.stdout+o.stderr, "hunter2") {
		t.Errorf("it prints %s%s", o.stdout, o.stderr)
	}
}

func TestPostgres_MoveSaysWhichSecretMustGoAlong(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	from := "sqlite:" + p.file("of/dueto.db")
	if err := os.Mkdir(p.file("of"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.with("DUETO_DATABASE="+from, "DUETO_SUPERUSER_PASSWORD="+password).
		run("createsuperuser", "--no-input", "--username=root", "--email=root@example.com", "--password-cost=4").want(0)
	for _, test := range []struct{ env, say string }{
		{"DUETO_LOG_LEVEL=info", "needs the secret in " + p.file("of/dueto.secret") + " as well"},
		{"DUETO_SECRET_FILE=/run/secret", "needs the secret in /run/secret as well"},
		{"DUETO_SECRET=" + secret, "needs the same secret as well"},
	} {
		o := p.with(test.env).run(moveArgs(from, newFile(t))...).want(0)
		if !strings.Contains(o.stdout, test.say) || strings.Contains(o.stdout, secret) {
			t.Errorf("it says %q, want %q", o.stdout, test.say)
		}
	}
}

func TestPostgres_MoveKeepsWritesOutAndReadsGoOn(t *testing.T) {
	t.Parallel()
	from, to := emptyPostgres(t), newFile(t)
	fillForMove(t, from)
	a := startApp(t, from, &clock{now: start.Add(time.Minute)})
	alice := a.login("alice")
	before := a.do("GET", "/tasks?count=exact", nil).Header.Get("X-Total-Count")
	var warned []string
	var once sync.Once
	_, err := models.Move(context.Background(), from, to, models.MoveOptions{
		Warn: func(text string) { warned = append(warned, text) },
		Progress: func(models.MoveProgress) {
			once.Do(func() {
				wantUnavailable(alice.do("POST", "/tasks", map[string]any{"title": "meanwhile"}))
				wantUnavailable(a.do("GET", "/readyz", nil))
				if now := a.do("GET", "/tasks?count=exact", nil).want(http.StatusOK).Header.Get("X-Total-Count"); now != before {
					t.Errorf("there are %s tasks, and were %s", now, before)
				}
				alice.do("GET", "/users/me", nil).want(http.StatusOK)
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "A server is connected") {
		t.Errorf("it warns of %q", warned)
	}
	wantDump(t, to, dump(t, from))
	alice.task("afterwards")
}

func TestSQLite_MoveIsRefusedWhileAServerRuns(t *testing.T) {
	t.Parallel()
	p := newProgram(t).with("DUETO_DATABASE=")
	to := newFile(t)
	s := p.serve()
	alice := s.app().user("alice")
	o := p.run(moveArgs("sqlite:dueto.db", to)...).want(1)
	if !strings.Contains(o.stderr, "stop the server on it") {
		t.Errorf("it says %s", o.stderr)
	}
	alice.task("the server has not noticed")
	s.stop()
	p.run(moveArgs("sqlite:dueto.db", to)...).want(0)
	wantDump(t, to, dump(t, "sqlite:"+p.file("dueto.db")))
}

func TestSQLite_MoveKeepsServersOut(t *testing.T) {
	t.Parallel()
	p := newProgram(t).with("DUETO_DATABASE=")
	p.superuser("root")
	to := newFile(t)
	var once sync.Once
	_, err := models.Move(context.Background(), "sqlite:"+p.file("dueto.db"), to, models.MoveOptions{
		Progress: func(models.MoveProgress) {
			once.Do(func() {
				if o := p.run("serve", "--addr=127.0.0.1:0").want(1); !strings.Contains(o.stderr, "the store is unavailable: database is locked") {
					t.Errorf("a server says %s", o.stderr)
				}
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.serve().app().login("root")
}

func TestSQLite_MoveTakesWhatAKilledServerLeftInItsLog(t *testing.T) {
	t.Parallel()
	p := newProgram(t).with("DUETO_DATABASE=")
	s := p.serve()
	s.app().user("alice").task("in the log only")
	s.kill()
	if info, err := os.Stat(p.file("dueto.db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("there is no log: %v", err)
	}
	to := newFile(t)
	p.run(moveArgs("sqlite:dueto.db", to)...).want(0)
	got := dump(t, to)
	if !slices.ContainsFunc(got, func(row string) bool { return strings.Contains(row, `"in the log only"`) }) {
		t.Errorf("the target has %q", got)
	}
	wantDump(t, "sqlite:"+p.file("dueto.db"), got)
}
