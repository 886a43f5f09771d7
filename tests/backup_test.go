package tests

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// backup makes one and gives its file.
func (p *program) backup(args ...string) (file string) {
	p.t.Helper()
	o := p.run(append([]string{"backup"}, args...)...).want(0)
	file, _, _ = strings.Cut(o.stdout, "\n")
	return p.file(file)
}

// query reads one number from a database file.
func query(t *testing.T, file, statement string) (n int64) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRow(statement).Scan(&n); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return n
}

// grow gives a database many tasks, so that a copy of it takes a while.
func grow(t *testing.T, file string, tasks int) {
	t.Helper()
	execSQL(t, "sqlite:"+file, fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO tasks (title, description, created_at, updated_at) SELECT 'task ' || i, hex(zeroblob(500)), i, i FROM n`, tasks))
}

func TestSQLite_Backup_TellsWhatIsInItAndThatTheSecretIsNot(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	o := p.run("backup", "copies/of/today").want(0)
	want := `^(copies/of/today/dueto-\d{8}T\d{6}\.\d{3}Z\.db)\n(\d+) bytes, schema \d+: api_tokens 0, .*\btasks 0, users 1\n` +
		`dueto\.secret is not in it: keep a copy of that too, in another place\.\n$`
	found := regexp.MustCompile(want).FindStringSubmatch(o.stdout)
	if found == nil || o.stderr != "" {
		t.Fatalf("printed %q, %q; want %s", o.stdout, o.stderr, want)
	}
	info, err := os.Stat(p.file(found[1]))
	if err != nil || info.Mode() != 0o600 || strconv.FormatInt(info.Size(), 10) != found[2] {
		t.Errorf("%s: %v, %v", found[1], info, err)
	}
	for _, folder := range []string{"copies", "copies/of/today"} {
		if info, err := os.Stat(p.file(folder)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", folder, info.Mode(), err)
		}
	}
	wantFiles(t, p.dir, "copies", "dueto.db", "dueto.secret") // nothing beside the database
	if strings.Contains(readFile(t, p.file(found[1])), strings.TrimSpace(readFile(t, p.file("dueto.secret")))) {
		t.Error("the secret is in the backup")
	}
}

func TestSQLite_Backup_KeepsTheNewestAndWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	var made []string
	for range 3 {
		made = append(made, filepath.Base(p.backup("copies", "--keep=0")))
	}
	if !slices.IsSorted(made) {
		t.Errorf("the names are not in the order of time: %q", made)
	}
	p.write("copies/notes.db", "mine")
	p.write("copies/todo-20200101T000000.000Z.db", "another database's")
	newest := filepath.Base(p.backup("copies", "--keep", "2"))
	wantFiles(t, p.file("copies"), "notes.db", "todo-20200101T000000.000Z.db", made[2], newest)

	// Without the flag the setting counts, and without a folder that one's.
	for range 2 {
		made = append(made, filepath.Base(p.with("DUETO_BACKUP_DIR=copies", "DUETO_BACKUP_KEEP=1").backup()))
	}
	wantFiles(t, p.file("copies"), "notes.db", "todo-20200101T000000.000Z.db", made[4])
	p.run("backup", "copies", "--keep=-1").want(2)
}

func TestSQLite_Backup_RefusesAMissingDatabaseAndMakesNone(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	o := p.run("backup", "copies").want(1)
	if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: no backup was made, and older ones were left: there is no database: ") {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
	wantFiles(t, p.dir)
}

func TestSQLite_Backup_ADamagedDatabaseDrivesNoGoodBackupOut(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	grow(t, p.file("dueto.db"), 200)
	good := filepath.Base(p.backup("copies"))
	damage(t, p.file("dueto.db"), "tasks")
	o := p.run("backup", "copies", "--keep=1").want(3)
	if !strings.Contains(o.stderr, "no backup was made, and older ones were left: ") || !strings.Contains(o.stderr, "dueto doctor") {
		t.Errorf("printed %q", o.stderr)
	}
	wantFiles(t, p.file("copies"), good)
}

// acknowledged are tasks that a server has answered for, by title.
type acknowledged struct {
	mu    sync.Mutex
	tasks map[string]int64
}

func (a *acknowledged) add(title string, id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tasks[title] = id
}

func (a *acknowledged) copy() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	tasks := make(map[string]int64, len(a.tasks))
	for title, id := range a.tasks {
		tasks[title] = id
	}
	return tasks
}

func TestSQLite_Backup_UnderLoadRestoresToAllThatWasAcknowledgedBefore(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	grow(t, p.file("dueto.db"), 3000)
	s := p.serve("--public-url=http://dueto.test", "--access-ttl=1h")
	alice := s.app().user("alice")
	told := &acknowledged{tasks: map[string]int64{}}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for client := range 4 {
		writing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				title := fmt.Sprintf("client %d, task %d", client, i)
				status, id := post(alice, title)
				if status != http.StatusCreated {
					t.Errorf("%s: status %d", title, status)
					return
				}
				told.add(title, id)
			}
		})
	}
	const rounds = 4
	before := make([]map[string]int64, rounds)
	files := make([]string, rounds)
	for i := range rounds {
		for len(told.copy()) < (i+1)*20 {
			time.Sleep(time.Millisecond) // until there is something new to lose
		}
		before[i] = told.copy()
		files[i] = p.backup("copies")
	}
	close(stop)
	writing.Wait()
	s.stop()
	for i, file := range files {
		other := newProgram(t)
		other.run("restore", file, "--yes").want(0)
		other.run("doctor").want(0)
		restored := other.file("dueto.db")
		for title, id := range before[i] {
			if query(t, restored, fmt.Sprintf("SELECT count(*) FROM tasks WHERE id = %d AND title = '%s'", id, title)) != 1 {
				t.Errorf("backup %d lacks %q, which was acknowledged before it began", i, title)
			}
		}
	}
}

// post makes a task without ending the test.
func post(alice *person, title string) (status int, id int64) {
	r := alice.do("POST", "/tasks", map[string]any{"title": title})
	if r.Status == http.StatusCreated {
		id = r.id()
	}
	return r.Status, id
}

func TestSQLite_Backup_KilledLeavesWhatTheNextOneClearsAway(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	good := filepath.Base(p.backup("copies"))
	grow(t, p.file("dueto.db"), 20000)
	for attempt := 0; ; attempt++ {
		if attempt == 20 {
			t.Fatal("it is never caught at work")
		}
		running := p.start("backup", "copies", "--keep=0")
		var part string
		for begin := time.Now(); part == "" && time.Since(begin) < patience; {
			found, err := filepath.Glob(p.file("copies/.*.part"))
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-running.exited:
				begin = time.Time{}
			default:
			}
			if len(found) > 0 {
				part = found[0]
			}
		}
		running.kill()
		if _, err := os.Stat(part); part == "" || err != nil {
			continue // it was sooner
		}
		wantFinished(t, p.file("copies"))
		p.backup("copies", "--keep=0") // may be of somebody who is still at it
		if _, err := os.Stat(part); err != nil {
			t.Errorf("a fresh one was taken for one that was left: %v", err)
		}
		long := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(part, long, long); err != nil {
			t.Fatal(err)
		}
		newest := filepath.Base(p.backup("copies", "--keep=1"))
		wantFiles(t, p.file("copies"), newest)
		if newest == good {
			t.Errorf("%s is there still", good)
		}
		return
	}
}

// wantFinished checks that what has the name of a backup is one.
func wantFinished(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "dueto-*.db"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		intact(t, file)
	}
}

func TestSQLite_Backup_FullDiskLeavesOlderOnesAndNothingElse(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	if err := os.Mkdir(p.file("disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	reason := "there is no room: the disk of disk is full"
	if err := mountDisk(t, p.file("disk")); err != nil {
		t.Logf("limiting the size of files instead: %v", err)
		p.wrap = []string{"sh", "-c", `ulimit -S -f 1024 && exec "$@"`, "sh"}
		reason = ""
	}
	good := filepath.Base(p.backup("disk"))
	grow(t, p.file("dueto.db"), 2000)
	for range 2 {
		o := p.run("backup", "disk", "--keep=1").want(1)
		if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: no backup was made, and older ones were left: "+reason) {
			t.Errorf("printed %q, %q", o.stdout, o.stderr)
		}
		wantFiles(t, p.file("disk"), good)
	}
}

func TestSQLite_Backup_ServeMakesThemWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.serve("--backup-every=1h")
	s.stderr.await(t, s.exited, `"backup made"`, 0)
	s.stop()
	made := func() []string {
		found, err := filepath.Glob(p.file("backups/dueto-*.db"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(made()) != 1 {
		t.Fatalf("there are %q", made())
	}
	s = p.serve("--backup-every=1h") // the one that there is will do
	s.app().do("GET", "/readyz", nil).want(http.StatusOK)
	s.stop()
	if len(made()) != 1 {
		t.Errorf("a restart made another: %q", made())
	}
	old := filepath.Join(p.file("backups"), "dueto-20200101T000000.000Z.db")
	if err := os.Rename(made()[0], old); err != nil {
		t.Fatal(err)
	}
	s = p.serve("--backup-every=1h", "--backup-keep=1")
	s.stderr.await(t, s.exited, `"backup made"`, 0)
	s.stop()
	if list := made(); len(list) != 1 || list[0] == old {
		t.Errorf("there are %q", list)
	}
	if o := p.run("serve", "--backup-every=30s").want(2); !strings.Contains(o.stderr, "backup-every: 30s is neither") {
		t.Errorf("printed %q", o.stderr)
	}
}

func TestSQLite_Backup_ThatServeCannotMakeIsLoggedAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.write("backups", "no folder")
	s := p.serve("--backup-every=1m")
	groups, _ := s.stderr.await(t, s.exited, `(?m)^(.*"no backup was made.*)\n`, 0)
	if !strings.Contains(groups[1], `"level":"ERROR"`) {
		t.Errorf("logged %s", groups[1])
	}
	s.app().user("alice").task("Next one")
	s.stop()
}

func TestSQLite_Backup_IsGivenUpWhenTheServerStops(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	grow(t, p.file("dueto.db"), 20000)
	s := p.serve("--backup-every=1m")
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if found, err := filepath.Glob(p.file("backups/*")); err != nil || len(found) > 0 || time.Since(begin) > patience {
			break // it is under way, or over
		}
	}
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.stderr)
	}
	if found, err := filepath.Glob(p.file("backups/.*")); err != nil || len(found) > 0 {
		t.Errorf("%q is left, %v", found, err)
	}
	wantFiles(t, p.dir, "backups", "dueto.db", "dueto.secret")
}

// versionOne makes a database by the first migration only, with an account.
func versionOne(t *testing.T, p *program) {
	t.Helper()
	first, err := filepath.Glob("../models/migrations/sqlite/0001_*.sql")
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	execSQL(t, "sqlite:"+p.file("dueto.db"), "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)",
		readFile(t, first[0]), "INSERT INTO schema_migrations VALUES (1, '0001_accounts_and_tasks', 1)",
		`INSERT INTO users (username, username_key, email, email_key, password_hash, date_joined, activated_at, password_changed_at)
			VALUES ('alice', 'alice', 'alice@example.com', 'alice@example.com', '', 1, 1, 0)`)
	p.own("dueto.db")
	p.mode("dueto.db", 0o600)
}

func TestSQLite_Backup_IsMadeBeforeMigrating(t *testing.T) {
	t.Parallel()
	for name, migrate := range map[string]func(p *program){
		"by migrate": func(p *program) {
			o := p.run("migrate").want(0)
			if !regexp.MustCompile(`^Backed up to backups/dueto-\S+-before-0002\.db\nApplied 0002_\w+\n(Applied \S+\n)*$`).MatchString(o.stdout) {
				p.t.Errorf("printed %q", o.stdout)
			}
		},
		"by serve": func(p *program) {
			s := p.serve()
			s.stop()
			if !regexp.MustCompile(`"migrated the database".*"backup":"backups/dueto-\S+-before-0002\.db"`).MatchString(s.stderr.String()) {
				p.t.Errorf("logged %s", s.stderr)
			}
		},
		"by another command": func(p *program) { p.run("user", "deactivate", "alice").want(0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t)
			versionOne(t, p)
			migrate(p)
			found, err := filepath.Glob(p.file("backups/dueto-*-before-0002.db"))
			if err != nil || len(found) != 1 {
				t.Fatalf("there are %q, %v", found, err)
			}
			intact(t, found[0])
			if at := query(t, found[0], "SELECT max(version) FROM schema_migrations"); at != 1 {
				t.Errorf("its schema is %d", at)
			}
			p.run("migrate").want(0).prints("Nothing to migrate.\n", "")
			p.backup("--keep=1") // does not count it
			if _, err := os.Stat(found[0]); err != nil {
				t.Error(err)
			}
			// The way back.
			p.run("restore", found[0], "--yes").want(0)
			if at := query(t, p.file("dueto.db"), "SELECT max(version) FROM schema_migrations"); at != 1 {
				t.Errorf("restored, the schema is %d", at)
			}
		})
	}
}

func TestSQLite_Backup_BeforeMigratingIsNoneOfANewDatabase(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.run("migrate").want(0)
	wantFiles(t, p.dir, "dueto.db")
}

func TestSQLite_Backup_WithoutRoomForItNothingIsMigrated(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	versionOne(t, p)
	p.write("backups", "no folder")
	for _, args := range [][]string{{"migrate"}, {"serve", "--addr=127.0.0.1:0"}} {
		o := p.run(args...).want(1)
		if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: the database was not migrated, for it cannot be backed up before: ") ||
			!strings.HasSuffix(o.stderr, "\nMake room, or name another folder with --backup-dir\n") {
			t.Errorf("%s printed %q, %q", o.what, o.stdout, o.stderr)
		}
	}
	if at := query(t, p.file("dueto.db"), "SELECT max(version) FROM schema_migrations"); at != 1 {
		t.Errorf("the schema is %d", at)
	}
	p.run("migrate", "--backup-dir=elsewhere").want(0)
	wantFiles(t, p.dir, "backups", "dueto.db", "elsewhere")
}

func TestSQLite_Backup_TwoThatMigrateAtOnceDoNotStandInEachOthersWay(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	versionOne(t, p)
	servers := []*serving{p.launch(), p.launch(), p.launch()}
	for _, s := range servers {
		s.listening()
		s.app().do("GET", "/readyz", nil).want(http.StatusOK)
	}
	for _, s := range servers {
		s.stop()
	}
	found, err := filepath.Glob(p.file("backups/*"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, file := range found {
		if at := query(t, file, "SELECT max(version) FROM schema_migrations"); at != 1 || !strings.HasSuffix(file, "-before-0002.db") {
			t.Errorf("%s has schema %d", file, at)
		}
	}
}

func TestSQLite_Backup_OfPostgreSQLIsLeftToItsTools(t *testing.T) {
	t.Parallel()
	p := newProgram(t).with("DUETO_DATABASE=postgres://dueto:hunter2@db.example.com/tasks?sslmode=require")
	for _, tt := range []struct {
		args []string
		tool string
	}{
		{[]string{"backup", "copies"}, "pg_dump"}, {[]string{"backup"}, "pg_basebackup"},
		{[]string{"restore", "tasks.dump"}, "pg_restore"}, {[]string{"restore", "--yes", "tasks.dump"}, "recovery_target_time"},
	} {
		o := p.run(tt.args...).want(2)
		if o.stdout != "" || !strings.Contains(o.stderr, tt.tool) || !strings.Contains(o.stderr, "'postgres://dueto@db.example.com/tasks?sslmode=require'") ||
			strings.Contains(o.stderr, "hunter2") {
			t.Errorf("%s printed %q, %q", o.what, o.stdout, o.stderr)
		}
	}
	wantFiles(t, p.dir)
}
