//go:build linux

package tests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSQLite_Restore_RefusedWhileServingThenBringsTheBackupBack(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.serve("--public-url=http://dueto.test", "--access-ttl=1h")
	alice := s.app().user("alice")
	kept := alice.task("before the backup")
	backup := p.backup("copies")
	carol := s.app().user("carol")
	lost := carol.task("after the backup")
	before := readFile(t, p.file("dueto.db"))

	o := p.run("restore", backup, "--yes").want(1)
	if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: nothing was restored: the database is in use") ||
		!strings.HasSuffix(o.stderr, "\nStop every dueto that uses it, and try again\n") {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
	wantFiles(t, p.dir, "copies", "dueto.db", "dueto.db-shm", "dueto.db-wal", "dueto.secret")
	if readFile(t, p.file("dueto.db")) != before {
		t.Error("it was changed")
	}
	carol.do("GET", taskPath(lost), nil).want(http.StatusOK)
	s.stop()

	o = p.run("restore", backup, "--yes").want(0)
	want := `(?s)^\S+/dueto-\S+\.db is sound\. \d+ bytes, schema \d+: .*\btasks 1, users 1\nRestored dueto\.db\.\n` +
		`The database until now is kept as (\S+)\.\n.* gone, sessions too.*dueto\.secret.*\n$`
	found := regexp.MustCompile(want).FindStringSubmatch(o.stdout)
	if found == nil || o.stderr != "" {
		t.Fatalf("printed %q, %q; want %s", o.stdout, o.stderr, want)
	}
	wantFiles(t, p.dir, "copies", "dueto.db", filepath.Base(found[1]), "dueto.secret")
	if info, err := os.Stat(p.file("dueto.db")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	for file, tasks := range map[string]int64{p.file("dueto.db"): 1, found[1]: 2} {
		if !filepath.IsAbs(file) {
			file = p.file(file)
		}
		intact(t, file)
		if n := query(t, file, "SELECT count(*) FROM tasks"); n != tasks {
			t.Errorf("%s has %d tasks, want %d", file, n, tasks)
		}
	}

	s = p.serve("--public-url=http://dueto.test", "--access-ttl=1h")
	a := s.app()
	alice.app, carol.app = a, a
	alice.do("GET", taskPath(kept), nil).want(http.StatusOK) // a session of before the backup
	a.do("GET", taskPath(lost), nil).want(http.StatusNotFound)
	carol.do("GET", "/users/me", nil).want(http.StatusUnauthorized)
	// Whoever comes next is not who had the number before.
	dave := a.user("dave")
	if id := dave.do("GET", "/users/me", nil).want(http.StatusOK).id(); id == carol.ID {
		t.Errorf("dave is account %d, as carol was", id)
	}
	carol.do("GET", "/users/me", nil).want(http.StatusUnauthorized)
	if id := dave.task("Next one"); id == lost {
		t.Errorf("task %d has come back to be another", id)
	}
	s.stop()
}

func TestSQLite_Restore_WhatCannotBeRestoredIsRefusedAndNothingChanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(t *testing.T, p *program, file string)
		code int
	}{
		{"text", func(_ *testing.T, p *program, _ string) { p.write("given.db", strings.Repeat("Dear diary,\n", 1000)) }, 3},
		{"empty", func(_ *testing.T, p *program, _ string) { p.write("given.db", "") }, 3},
		{"somebody else's", func(t *testing.T, _ *program, file string) {
			execSQL(t, "sqlite:"+file, `CREATE TABLE notes (body TEXT)`)
		}, 3},
		{"newer", func(t *testing.T, _ *program, file string) {
			execSQL(t, "sqlite:"+file, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, '0999_future', 1)`)
		}, 3},
		{"damaged in a table", func(t *testing.T, _ *program, file string) { damage(t, file, "tasks") }, 3},
		{"damaged in an index", func(t *testing.T, _ *program, file string) { damage(t, file, "tasks_by_title") }, 3},
		{"cut short", func(t *testing.T, _ *program, file string) {
			if err := os.Truncate(file, 100_000); err != nil {
				t.Fatal(err)
			}
		}, 3},
		{"references that lead nowhere", func(t *testing.T, _ *program, file string) {
			execSQL(t, "sqlite:"+file, `INSERT INTO tasks (title, person_id, created_at, updated_at) VALUES ('x', 4711, 0, 0)`)
		}, 3},
		{"without the log that belongs to it", func(_ *testing.T, p *program, _ string) { p.write("given.db-wal", "something") }, 1},
		{"missing", func(t *testing.T, _ *program, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t)
			p.superuser("root")
			grow(t, p.file("dueto.db"), 300)
			if err := os.Rename(p.backup("."), p.file("given.db")); err != nil {
				t.Fatal(err)
			}
			if tt.name == "text" || tt.name == "empty" || tt.name == "somebody else's" {
				if err := os.Remove(p.file("given.db")); err != nil {
					t.Fatal(err)
				}
			}
			tt.make(t, p, p.file("given.db"))
			before := listing(t, p.dir)
			o := p.run("restore", "given.db", "--yes").want(tt.code)
			if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: ") || !strings.Contains(o.stderr, "given.db") {
				t.Errorf("printed %q, %q", o.stdout, o.stderr)
			}
			if after := listing(t, p.dir); strings.Join(after, "\n") != strings.Join(before, "\n") {
				t.Errorf("the folder was changed from %q to %q", before, after)
			}
		})
	}
}

func TestSQLite_Restore_AsksFirstOrIsToldNotTo(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	backup := p.backup("copies")
	p.superuser("second")
	o := p.run("restore", backup).want(2)
	if o.stdout != "" || o.stderr != "dueto: standard input is no terminal to ask on: use --yes\n" {
		t.Errorf("printed %q, %q", o.stdout, o.stderr)
	}
	for _, answer := range []string{"", "n", "no", "maybe"} {
		s := p.onTerminal(t, "restore", backup)
		s.answer(`(?s)is sound.*in the place of dueto\.db\?.*\[y/N\] $`, answer)
		s.ends(1)
	}
	wantFiles(t, p.dir, "copies", "dueto.db", "dueto.secret")
	if n := query(t, p.file("dueto.db"), "SELECT count(*) FROM users"); n != 2 {
		t.Errorf("%d accounts are left", n)
	}
	s := p.onTerminal(t, "restore", backup)
	s.answer(`\[y/N\] $`, "y")
	s.expect(`Restored dueto\.db`)
	s.ends(0)
	if n := query(t, p.file("dueto.db"), "SELECT count(*) FROM users"); n != 1 {
		t.Errorf("%d accounts are there", n)
	}
}

func TestSQLite_Restore_WorksWithoutADatabaseAndRefusesItself(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	backup := p.backup("copies")
	if o := p.run("restore", "dueto.db", "--yes").want(1); !strings.Contains(o.stderr, "is the database itself") {
		t.Errorf("printed %q", o.stderr)
	}
	if err := os.Remove(p.file("dueto.db")); err != nil {
		t.Fatal(err)
	}
	if o := p.run("restore", backup, "--yes").want(0); strings.Contains(o.stdout, "kept as") {
		t.Errorf("printed %q", o.stdout)
	}
	wantFiles(t, p.dir, "copies", "dueto.db", "dueto.secret")
	s := p.serve()
	s.app().do("GET", "/readyz", nil).want(http.StatusOK)
	s.stop()
}

func TestSQLite_Restore_FullDiskLeavesTheOldOneInForce(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	if err := os.Mkdir(p.file("disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.superuser("root")
	grow(t, p.file("dueto.db"), 1500)
	backup := p.backup("copies")
	reason := "there is no room: the disk of disk is full"
	at := p.with("DUETO_DATABASE=sqlite:disk/dueto.db")
	if err := mountDisk(t, p.file("disk")); err != nil {
		t.Logf("limiting the size of files instead: %v", err)
		at.wrap = []string{"sh", "-c", `ulimit -S -f 1024 && exec "$@"`, "sh"}
		reason = ""
	}
	at.superuser("other")
	grow(t, p.file("disk/dueto.db"), 100)
	for range 2 {
		o := at.run("restore", backup, "--yes").want(1)
		if o.stdout != "" || !strings.HasPrefix(o.stderr, "dueto: nothing was restored, and the database was left as it was: "+reason) {
			t.Errorf("printed %q, %q", o.stdout, o.stderr)
		}
		wantFiles(t, p.file("disk"), "dueto.db", "dueto.secret")
	}
	intact(t, p.file("disk/dueto.db"))
	if n := query(t, p.file("disk/dueto.db"), "SELECT count(*) FROM tasks"); n != 100 {
		t.Errorf("%d tasks are left", n)
	}
}

func TestSQLite_Restore_KilledAtAnyMomentLeavesTheOldOrTheNew(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	backup := p.backup("copies")
	began := time.Now()
	p.run("restore", backup, "--yes").want(0)
	took := time.Since(began)
	const rounds = 24
	for i := range rounds {
		mark := fmt.Sprintf("mark%d", i)
		execSQL(t, "sqlite:"+p.file("dueto.db"), `UPDATE users SET time_zone = '`+mark+`'`)
		running := p.start("restore", backup, "--yes")
		select {
		case <-running.exited:
		case <-time.After(took * time.Duration(i) / (rounds - 4)):
		}
		running.kill()
		p.run("user", "list").want(0) // as the next start finds it
		if _, err := os.Stat(p.file("dueto.db-wal")); err == nil {
			t.Errorf("round %d: a log is left", i)
		}
		intact(t, p.file("dueto.db"))
		old := query(t, p.file("dueto.db"), "SELECT count(*) FROM users WHERE time_zone = '"+mark+"'")
		restored := query(t, p.file("dueto.db"), "SELECT count(*) FROM users WHERE time_zone = 'UTC'")
		if old+restored != 1 {
			t.Fatalf("round %d: neither the old nor the new", i)
		}
	}
}

// TestSQLite_Restore_CommandsThatWriteMeanwhileLoseNothing has commands make accounts
// while the database is restored over and over: each that was acknowledged is
// in the database, or in one that was kept.
func TestSQLite_Restore_CommandsThatWriteMeanwhileLoseNothing(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	backup := p.backup("copies")
	const writers, each = 2, 8
	stop := make(chan struct{})
	restored := 0
	var restoring, writing sync.WaitGroup
	restoring.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if o := p.run("restore", backup, "--yes"); o.code == 0 {
				restored++
			} else if !strings.Contains(o.stderr, "in use") {
				t.Errorf("restore: %d, %s", o.code, o.stderr)
			}
		}
	})
	made := make([][]string, writers)
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				name := fmt.Sprintf("user%d.%d", w, i)
				o := p.with("DUETO_SUPERUSER_PASSWORD="+password).run("createsuperuser", "--no-input", "--username", name, "--email", name+"@example.com", "--password-cost", "4")
				if o.code == 0 {
					made[w] = append(made[w], name)
				} else if !strings.Contains(o.stderr, "unavailable") {
					t.Errorf("createsuperuser: %d, %s", o.code, o.stderr)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	restoring.Wait()
	files, err := filepath.Glob(p.file("dueto.db*"))
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for _, names := range made {
		acknowledged += len(names)
		for _, name := range names {
			found := int64(0)
			for _, file := range files {
				found += query(t, file, "SELECT count(*) FROM users WHERE username = '"+name+"'")
			}
			if found == 0 {
				t.Errorf("%s was acknowledged and is in none of %d files", name, len(files))
			}
		}
	}
	for _, file := range files {
		intact(t, file)
	}
	if restored == 0 || acknowledged == 0 {
		t.Errorf("%d restores and %d accounts", restored, acknowledged)
	}
	t.Logf("%d restores, %d accounts of %d", restored, acknowledged, writers*each)
}
