package models

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// folderOf gives the files of a folder with what is in them.
func folderOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

// inspected inspects a file and expects that its folder stays as it is, to the
// byte.
func inspected(t *testing.T, file string) (Inspection, error) {
	t.Helper()
	before := folderOf(t, filepath.Dir(file))
	found, err := Inspect(t.Context(), "sqlite:"+file)
	after := folderOf(t, filepath.Dir(file))
	for name := range after {
		if before[name] != after[name] {
			t.Errorf("%s was changed or made", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("of %d files there are %d", len(before), len(after))
	}
	return found, err
}

const joinedAt = `INSERT INTO users (username, username_key, email, email_key, password_hash, date_joined, password_changed_at)
	VALUES ('alice', 'alice', 'a@example.com', 'a@example.com', '', 1000, 0)`

const sessionAt = `INSERT INTO sessions (user_id, generation, created_at, rotated_at, last_used_at, expires_at) VALUES (1, 1, `

func TestInspect_TellsTheNewestTimeOfAccountsAndSessions(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		s := migratedURL(t, url)
		for _, step := range []struct {
			statement string
			want      time.Time
		}{
			{"", time.Time{}},
			{joinedAt, Time(1000)},
			{sessionAt + "2000, 0, 0, 9000)", Time(2000)},
			{sessionAt + "0, 0, 3000, 9000)", Time(3000)},
			{"DELETE FROM users", time.Time{}},
		} {
			if step.statement != "" {
				if err := s.Write(t.Context(), func(tx DB) error { return tx.exec(step.statement) }); err != nil {
					t.Fatal(err)
				}
			}
			// What is in the log only is seen too. (Within one process the index is
			// shared with the store, and so not read-only.)
			found, err := Inspect(t.Context(), url)
			if err != nil || !found.Newest.Equal(step.want) || found.Pending != nil {
				t.Errorf("after %q: %+v, %v; want %s", step.statement, found, err, step.want)
			}
		}
	})
}

func TestInspect_TellsWhatIsPending(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dueto.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := inspected(t, file); err != nil || !slices.Equal(found.Pending, migrationNames(t)) {
		t.Errorf("an empty file: %+v, %v", found, err)
	}
}

func TestInspect_LeavesAClosedDatabaseAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dueto.db")
	s, err := Open(t.Context(), "sqlite:"+file, Options{})
	if err == nil {
		_, err = s.Migrate(t.Context())
	}
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if found, err := inspected(t, file); err != nil || found.Pending != nil {
		t.Errorf("got %+v, %v", found, err)
	}
	rawSQLite(t, file, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, '0999_future', 1)`)
	if _, err := inspected(t, file); !errors.Is(err, ErrSchemaNewer) {
		t.Errorf("a newer one: %v", err)
	}
}

// crashed copies the files of a database in use, as a crash leaves them.
func crashed(t *testing.T, suffixes ...string) string {
	t.Helper()
	file, copied := filepath.Join(t.TempDir(), "dueto.db"), filepath.Join(t.TempDir(), "dueto.db")
	s := openAt(t, file)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), func(tx DB) error { return tx.exec(joinedAt) }); err != nil {
		t.Fatal(err)
	}
	files := folderOf(t, filepath.Dir(file))
	for _, suffix := range suffixes {
		if err := os.WriteFile(copied+suffix, []byte(files["dueto.db"+suffix]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

func TestInspect_ReadsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	found, err := inspected(t, crashed(t, "", "-wal", "-shm"))
	if err != nil || !found.Newest.Equal(Time(1000)) {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestInspect_DoesNotMakeTheIndexThatALogLacks(t *testing.T) {
	t.Parallel()
	if _, err := inspected(t, crashed(t, "", "-wal")); !errors.Is(err, ErrUnfinished) {
		t.Errorf("got %v", err)
	}
}

func TestInspect_RefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes.db")
	rawSQLite(t, notes, `CREATE TABLE notes (body TEXT)`)
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("Dear diary,\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{notes, text} {
		if _, err := inspected(t, file); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := inspected(t, filepath.Join(dir, "missing.db")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Inspect(t.Context(), "postgres://localhost/dueto"); err == nil {
		t.Error("another engine's URL is taken")
	}
}

func TestCheckSQLite_RefusesVersionsThatLoseData(t *testing.T) {
	t.Parallel()
	if err := CheckSQLite(); err != nil {
		t.Error(err)
	}
	for version, ok := range map[int]bool{3051002: false, 3051003: true, 3053000: true} {
		if err := checkSQLite(version); (err == nil) != ok {
			t.Errorf("%d: %v", version, err)
		}
	}
}
