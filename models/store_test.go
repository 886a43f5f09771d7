package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// at is what the clock of these tests shows.
var at = time.Date(2026, 10, 18, 12, 0, 0, 0, time.UTC)

// openAt opens a store over a file and closes it with the test.
func openAt(t testing.TB, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+file, Options{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// openMigrated opens a store of its own that is ready for use.
func openMigrated(t testing.TB) *Store {
	t.Helper()
	s := openAt(t, filepath.Join(t.TempDir(), "dueto.db"))
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// rawSQLite opens a file as any other program would.
func rawSQLite(t testing.TB, file string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func migrationNames(t testing.TB) []string {
	t.Helper()
	list, err := migrations("sqlite")
	if err != nil || len(list) == 0 {
		t.Fatalf("%d migrations, %v", len(list), err)
	}
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = m.name
	}
	return names
}

func TestMigrate_FreshDatabaseGetsEveryMigrationOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		s, want := openURL(t, url), namesFor(t, url)
		applied, err := s.Migrate(t.Context())
		if err != nil || !slices.Equal(applied, want) {
			t.Fatalf("the first run applied %v, %v; want %v", applied, err, want)
		}
		if applied, err = s.Migrate(t.Context()); err != nil || len(applied) != 0 {
			t.Fatalf("the second run applied %v, %v", applied, err)
		}
		if applied, err = openURL(t, url).Migrate(t.Context()); err != nil || len(applied) != 0 {
			t.Fatalf("another store applied %v, %v", applied, err)
		}
		for query, want := range map[string]int64{
			"SELECT count(*) FROM schema_migrations":        int64(len(want)),
			"SELECT max(applied_at) FROM schema_migrations": Micros(at),
			"SELECT count(*) FROM store_probe":              1,
		} {
			if got, err := scalar(s.Read(t.Context()), query); err != nil || got != want {
				t.Errorf("%s: %d, %v; want %d", query, got, err, want)
			}
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("a migrated store is not ready: %v", err)
		}
	})
}

func TestMigrate_SeveralStoresAtOnceMigrateOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		stores := []*Store{openURL(t, url), openURL(t, url), openURL(t, url)}
		applied := make([][]string, len(stores))
		var wg sync.WaitGroup
		for i, s := range stores {
			wg.Go(func() {
				var err error
				if applied[i], err = s.Migrate(t.Context()); err != nil {
					t.Errorf("store %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		all := slices.Concat(applied...)
		slices.Sort(all)
		if !slices.Equal(all, namesFor(t, url)) {
			t.Fatalf("together they applied %v", applied)
		}
	})
}

func TestMigrate_NewerSchemaIsRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		s := migratedURL(t, url)
		newer := int64(len(namesFor(t, url)) + 1)
		err := s.Write(t.Context(), func(tx DB) error {
			return tx.exec("INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, 'from the future', 0)", newer)
		})
		if err != nil {
			t.Fatal(err)
		}
		if applied, err := s.Migrate(t.Context()); !errors.Is(err, ErrSchemaNewer) || len(applied) != 0 {
			t.Fatalf("Migrate gave %v, %v; want ErrSchemaNewer", applied, err)
		}
	})
}

func TestOpen_WhatIsNotOursIsRefusedAndLeftAsItWas(t *testing.T) {
	t.Parallel()
	write := func(content string) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	makers := map[string]func(t *testing.T, file string){
		"a short text file":                          write("hello\n"),
		"a long text file":                           write(string(slices.Repeat([]byte("Dear diary, nothing happened.\n"), 1000))),
		"a header and then nothing that makes sense": write("SQLite format 3\x00" + string(slices.Repeat([]byte{0xAB}, 8192))),
		"another program's database": func(t *testing.T, file string) {
			rawSQLite(t, file, "CREATE TABLE cookies (id INTEGER PRIMARY KEY)", "INSERT INTO cookies VALUES (1)")
		},
	}
	for name, make := range makers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "other.db")
			make(t, file)
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), "sqlite:"+file, Options{})
			if err == nil {
				_ = s.Close()
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("Open gave %v; want ErrCorrupt", err)
			}
			after, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, after) {
				t.Error("a file that was refused has been changed")
			}
			if rest, _ := filepath.Glob(file + "?*"); len(rest) != 0 {
				t.Errorf("a file that was refused left %v beside it", rest)
			}
		})
	}
}

// A name from another tool's bookkeeping is no sign that the schema is ours.
func TestOpen_AnotherToolsSchemaMigrationsAreNotOurs(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		raw(t, url, "CREATE TABLE schema_migrations (version INTEGER NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL)",
			"INSERT INTO schema_migrations VALUES (1, FALSE)", "CREATE TABLE cookies (id INTEGER PRIMARY KEY)")
		s, err := Open(t.Context(), url, Options{})
		if err == nil {
			_, err = s.Migrate(t.Context())
			_ = s.Close()
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("opening and migrating gave %v; want ErrCorrupt", err)
		}
	})
}

func TestOpen_FileThatCannotBeOpenedIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"a folder":         t.TempDir(),
		"no such folder":   filepath.Join(t.TempDir(), "none", "dueto.db"),
		"below a file":     filepath.Join(os.Args[0], "dueto.db"),
		"a name too long":  filepath.Join(t.TempDir(), string(slices.Repeat([]byte{'x'}, 300))),
		"a NUL in a name":  filepath.Join(t.TempDir(), "a\x00b"),
		"a slash too many": t.TempDir() + "/",
	} {
		if _, err := Open(t.Context(), "sqlite:"+file, Options{}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v; want ErrUnavailable", name, err)
		}
	}
	for _, url := range []string{"", "sqlite:", "sqlite://", "sqlite::memory:", "mysql:x", "dueto.db"} {
		if s, err := Open(t.Context(), url, Options{}); err == nil {
			_ = s.Close()
			t.Errorf("Open(%q) was taken", url)
		}
	}
}

func TestOpen_FileIsTheOneThatIsNamedAndPrivate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "with space.db", "a?mode=memory.db", "a#b.db", "a%20b.db", "a&b=c.db", "é.db"} {
		dir := t.TempDir()
		s := openAt(t, filepath.Join(dir, name))
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %04o", e.Name(), info.Mode().Perm())
			}
		}
		want := []string{name, name + "-shm", name + "-wal"}
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("files %q; want %q", names, want)
		}
	}
}

func TestClose_LeavesOneFileAndTakesNoMoreWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), "sqlite:"+filepath.Join(dir, "dueto.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Migrate(t.Context())
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
	ran := false
	err = s.Write(t.Context(), func(DB) error { ran = true; return nil })
	if !errors.Is(err, ErrUnavailable) || ran {
		t.Errorf("a write after Close gave %v (it ran: %v); want ErrUnavailable", err, ran)
	}
}

// Every connection counts: a pragma sent through a pool reaches one of them.
func TestPragmas_EveryConnectionOfBothPoolsHasThem(t *testing.T) {
	t.Parallel()
	e := openMigrated(t).engine.(*sqliteEngine)
	shared := map[string]string{
		"busy_timeout": "5000", "foreign_keys": "1", "trusted_schema": "0", "journal_size_limit": "67108864", "journal_mode": "wal",
	}
	for name, pool := range map[string]struct {
		db  *sql.DB
		own map[string]string
	}{
		"writer":  {e.writes, map[string]string{"synchronous": "2", "query_only": "0"}},
		"readers": {e.readers, map[string]string{"query_only": "1"}},
	} {
		n := pool.db.Stats().MaxOpenConnections
		if (name == "writer") != (n == 1) {
			t.Errorf("%s: up to %d connections", name, n)
		}
		for range n {
			conn, err := pool.db.Conn(t.Context()) // kept until the end: the next one is another
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			for _, wanted := range []map[string]string{shared, pool.own} {
				for pragma, want := range wanted {
					var got string
					if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
						t.Errorf("%s: %s = %q, %v; want %q", name, pragma, got, err, want)
					}
				}
			}
		}
	}
}

func TestRead_HandleCannotWrite(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	for _, statement := range []string{
		"UPDATE store_probe SET at = 1", "DELETE FROM store_probe", "CREATE TABLE x (id INTEGER)", "PRAGMA user_version = 7",
	} {
		if err := s.Read(context.Background()).exec(statement); err == nil {
			t.Errorf("%s: a read handle did it", statement)
		}
	}
	if n, err := scalar(s.Read(t.Context()), "SELECT count(*) FROM store_probe WHERE at = 0"); err != nil || n != 1 {
		t.Errorf("the probe is %d, %v", n, err)
	}
}

func TestSchema_EnforcesReferences(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		err := s.Write(t.Context(), func(tx DB) error {
			return CreateTask(tx, &Task{Title: "x", Tags: "[]", PersonID: sql.NullInt64{Int64: 99, Valid: true}})
		})
		if !errors.Is(err, ErrReference) {
			t.Fatalf("a task for nobody gave %v; want ErrReference", err)
		}
		for i, want := range []error{nil, ErrDuplicate} {
			err := s.Write(t.Context(), func(tx DB) error {
				return CreateUser(tx, &User{Username: "a", UsernameKey: "a", Email: fmt.Sprint(i), EmailKey: fmt.Sprint(i), Permissions: "[]"})
			})
			if !errors.Is(err, want) {
				t.Fatalf("account %d gave %v; want %v", i, err, want)
			}
		}
	})
}
