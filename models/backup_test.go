package models

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// folderNames gives the names in a folder, sorted.
func folderNames(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantNames(t testing.TB, dir string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := folderNames(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

// backupsOf gives the backups of a new database, on a clock that stands.
func backupsOf(t testing.TB) (Backups, *Store) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dueto.db")
	s := openAt(t, file)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return Backups{URL: "sqlite:" + file, Dir: filepath.Join(t.TempDir(), "backups"), Now: func() time.Time { return at }}, s
}

func execAll(t testing.TB, s *Store, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := s.Write(t.Context(), func(tx DB) error { return tx.exec(statement) }); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestBackups_NamesDifferAlsoWithinAMillisecond(t *testing.T) {
	t.Parallel()
	b, _ := backupsOf(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := b.Make(context.Background(), 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantNames(t, b.Dir, "dueto-20261018T120000.000Z.db", "dueto-20261018T120000.001Z.db", "dueto-20261018T120000.002Z.db", "dueto-20261018T120000.003Z.db")
	if newest, err := b.Newest(); err != nil || !newest.Equal(at.Add(3*time.Millisecond)) {
		t.Errorf("the newest is of %s, %v", newest, err)
	}
}

func TestBackups_OnlyOlderOnesOfTheSameNameAreDeleted(t *testing.T) {
	t.Parallel()
	b, _ := backupsOf(t)
	others := []string{
		"dueto.db", "notes.txt", "todo-20200101T000000.000Z.db", "dueto-20200101T000000.000Z.db.gz", "dueto-2020.db",
		"my-dueto-20200101T000000.000Z.db", "dueto-20200101T000000.000Z-before-0002.db", "dueto-copy-20200101T000000.000Z.db",
	}
	if err := os.Mkdir(b.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{"dueto-20200101T000000.000Z.db", "dueto-20210101T000000.000Z.db", "dueto-20990101T000000.000Z.db"}, others...) {
		if err := os.WriteFile(filepath.Join(b.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Make(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	wantNames(t, b.Dir, append([]string{"dueto-20210101T000000.000Z.db", "dueto-20261018T120000.000Z.db", "dueto-20990101T000000.000Z.db"}, others...)...)
	// The one that was just made stays, though the clock says that it is older.
	if _, err := b.Make(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	wantNames(t, b.Dir, append([]string{"dueto-20261018T120000.001Z.db"}, others...)...)
}

func TestBackups_WhatACrashLeftIsDeletedAndWhatIsBeingMadeIsNot(t *testing.T) {
	t.Parallel()
	b, _ := backupsOf(t)
	if err := os.Mkdir(b.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const fresh, left, foreign = ".dueto-20261018T110000.000Z.db.part", ".dueto-20261018T100000.000Z.db.part", ".todo-20261018T100000.000Z.db.part"
	for _, name := range []string{fresh, left, left + "-wal", foreign} {
		file := filepath.Join(b.Dir, name)
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if long := time.Now().Add(-2 * unfinishedAfter); name != fresh {
			if err := os.Chtimes(file, long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := b.Make(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	wantNames(t, b.Dir, fresh, foreign, "dueto-20261018T120000.000Z.db")
}

func TestBackups_AreOfOneMomentWhileRowsAreWritten(t *testing.T) {
	t.Parallel()
	b, s := backupsOf(t)
	execAll(t, s, joinedAt, `INSERT INTO tasks (title, created_at, updated_at) VALUES ('first', 0, 0)`)
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	defer writing.Wait()
	defer cancel()
	writing.Go(func() { // as many messages as tasks, and ids without gaps
		for ctx.Err() == nil {
			err := s.Write(t.Context(), func(tx DB) error {
				return errors.Join(
					tx.exec(`INSERT INTO tasks (title, description, created_at, updated_at) VALUES ('next', ?, 0, 0)`, strings.Repeat("x", 3000)),
					tx.exec(`INSERT INTO outbox (kind, created_at, next_attempt_at) VALUES ('note', 0, 0)`))
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	before := int64(0)
	for range 8 {
		made, err := b.Make(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]int64{}
		for _, r := range made.Rows {
			rows[r.Table] = r.Rows
		}
		if rows["tasks"] != rows["outbox"]+1 || rows["tasks"] < before || rows["users"] != 1 {
			t.Errorf("a backup has %v, after %d tasks", rows, before)
		}
		before = rows["tasks"]
		found, err := Examine(t.Context(), "sqlite:"+made.File)
		if err != nil || len(found.Faults) > 0 || !slices.Equal(found.Rows, made.Rows) {
			t.Errorf("the copy is %+v, %v; want rows %v", found, err, made.Rows)
		}
	}
	if stats := s.Stats(); before < 2 || stats.Writes < before {
		t.Errorf("%d tasks in the last backup, %+v", before, stats)
	}
	for _, name := range folderNames(t, b.Dir) { // one file each, with nothing beside it
		if info, err := os.Stat(filepath.Join(b.Dir, name)); err != nil || info.Mode() != 0o600 || !strings.HasSuffix(name, ".db") {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestBackups_GivenUpLeaveNothing(t *testing.T) {
	t.Parallel()
	b, _ := backupsOf(t)
	if _, err := b.Make(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Make(ctx, 7); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantNames(t, b.Dir, "dueto-20261018T120000.000Z.db")
}

func TestBackups_RefuseWhatIsNoDatabaseAndMakeNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	for _, tt := range []struct {
		name string
		want error
	}{{filepath.Join(dir, "missing.db"), os.ErrNotExist}, {file("empty.db", ""), nil}, {file("diary.db", strings.Repeat("Dear diary,\n", 1000)), ErrCorrupt}, {dir, nil}} {
		b := Backups{URL: "sqlite:" + tt.name, Dir: filepath.Join(dir, "backups")}
		if _, err := b.Make(t.Context(), 7); err == nil || (tt.want != nil && !errors.Is(err, tt.want)) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	wantNames(t, dir, "empty.db", "diary.db")
}

// versionOne makes a database of the first schema, with an account in it.
func versionOne(t testing.TB, file string) {
	t.Helper()
	list, err := migrations("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	s := openAt(t, file)
	for _, m := range list[:1] {
		err := s.Write(t.Context(), func(tx DB) error {
			_, err := applyMigration(tx, m, at)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	execAll(t, s, joinedAt)
}

func TestBackups_OfBeforeMigratingAreOfThatSchemaWhoeverMigratesFirst(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dueto.db")
	versionOne(t, file)
	b := Backups{URL: "sqlite:" + file, Dir: filepath.Join(t.TempDir(), "backups")}
	var wg sync.WaitGroup
	for range 4 {
		s := openAt(t, file)
		wg.Go(func() {
			made, err := b.MakeBeforeMigrating(context.Background())
			if err == nil {
				_, err = s.Migrate(context.Background())
			}
			if err != nil || (made != nil && made.Schema >= 3) { // another may be between two migrations
				t.Errorf("%+v, %v", made, err)
			}
		})
	}
	wg.Wait()
	names := folderNames(t, b.Dir)
	if len(names) == 0 || len(names) > keepBefore {
		t.Errorf("the folder has %q", names)
	}
	for _, name := range names {
		found, err := Examine(t.Context(), "sqlite:"+filepath.Join(b.Dir, name))
		if err != nil || len(found.Faults) > 0 || !strings.HasSuffix(name, fmt.Sprintf("-before-%04d.db", found.Schema+1)) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if _, err := b.Newest(); !errors.Is(err, ErrNotFound) {
		t.Errorf("they count as backups of now: %v", err)
	}
	// Up to date, there is none to make.
	if made, err := b.MakeBeforeMigrating(t.Context()); made != nil || err != nil {
		t.Errorf("got %+v, %v", made, err)
	}
}

func TestBackups_OfAMomentAfterMigratingIsNotTakenForOneBefore(t *testing.T) {
	t.Parallel()
	b, _ := backupsOf(t)
	calls := 0
	_, err := b.make(t.Context(), "-before-0002", func(schema int64) error {
		calls++
		if want := int64(len(migrationNames(t))); schema != want {
			t.Errorf("asked for schema %d, want %d", schema, want)
		}
		return errMigrated
	})
	if !errors.Is(err, errMigrated) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
	if _, err := os.Stat(b.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

func TestUnsupported_NamesTheToolsWithoutThePassword(t *testing.T) {
	t.Parallel()
	const url = "postgres://al'ice:hunter2@db.example.com:5433/dueto?sslmode=require&password=hunter2&pool_max_conns=9&application_name=a%20b"
	const quoted = `'postgres://al%27ice@db.example.com:5433/dueto?application_name=a%20b&sslmode=require'`
	b := Backups{URL: url, Dir: t.TempDir()}
	_, backup := b.Make(t.Context(), 7)
	_, restore := PrepareRestore(t.Context(), url, "dueto.dump", time.Now)
	check := &UnsupportedError{Advice: PostgresTools(url).Check}
	for tool, err := range map[string]error{"pg_dump ": backup, "pg_basebackup ": backup, "pg_restore ": restore, "recovery_target_time": restore, "pg_amcheck ": check} {
		var advice *UnsupportedError
		if !errors.As(err, &advice) || !strings.Contains(advice.Advice, tool) || !strings.Contains(advice.Advice, quoted) || strings.Contains(advice.Advice, "hunter2") {
			t.Errorf("%s: %v", tool, err)
		}
	}
	for _, odd := range []string{"postgres://alice:hunter2@db:port/dueto", "mysql://alice:hunter2@db/dueto", "hunter2"} {
		if err := fmt.Sprint(unsupported("backup", odd)); strings.Contains(err, "hunter2") {
			t.Errorf("%s: %s", odd, err)
		}
	}
	if made, err := b.MakeBeforeMigrating(t.Context()); made != nil || err != nil {
		t.Errorf("before migrating: %+v, %v", made, err)
	}
	if Supports(url) == nil || Supports("sqlite:dueto.db") != nil {
		t.Error("the wrong engines are supported")
	}
}
