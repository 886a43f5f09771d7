package models

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// restorable gives a closed database with a task "new", and a backup of when it
// had a task "old".
func restorable(t testing.TB) (file, backup string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "dueto.db")
	s, err := Open(t.Context(), "sqlite:"+file, Options{})
	if err == nil {
		_, err = s.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	execAll(t, s, `INSERT INTO tasks (title, created_at, updated_at) VALUES ('old', 0, 0)`)
	made, err := Backups{URL: "sqlite:" + file, Dir: t.TempDir()}.Make(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	execAll(t, s, `UPDATE tasks SET title = 'new'`, `INSERT INTO tasks (title, created_at, updated_at) VALUES ('second', 0, 0)`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return file, made.File
}

func prepare(t testing.TB, file, backup string) *Restore {
	t.Helper()
	r, err := PrepareRestore(t.Context(), "sqlite:"+file, backup, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Discard)
	return r
}

// firstTask tells which state a database is in, as a server would find it.
func firstTask(t testing.TB, file string) (title string) {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+file, Options{})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = s.Read(t.Context()).gorm().Raw("SELECT title FROM tasks WHERE id = 1").Scan(&title).Error
	if err != nil {
		t.Fatal(err)
	}
	return title
}

func TestRestore_WheneverThePowerFailsTheDatabaseIsTheOldOrTheNew(t *testing.T) {
	t.Parallel()
	file, backup := restorable(t)
	total := len(prepare(t, file, backup).steps("", true))
	was := "new"
	for done := 0; done <= total; done++ {
		t.Run(fmt.Sprintf("after %d steps", done), func(t *testing.T) {
			file, backup := restorable(t)
			r := prepare(t, file, backup)
			old, err := r.holdPresent(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kept := file + ".before-restore-20261018T120000.000Z"
			for i, step := range r.steps(kept, true)[:done] {
				if err := step(); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
			}
			old.release() // as the end of the process does
			is := firstTask(t, file)
			if is != was && (was != "new" || is != "old") {
				t.Errorf("the database is %q after %q", is, was)
			}
			was = is
			if was == "old" && firstTask(t, kept) != "new" {
				t.Errorf("the kept database is not the one of before")
			}
			// The next restore finds its way, and what was left is not taken for more.
			if _, err := prepare(t, file, backup).Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if is := firstTask(t, file); is != "old" {
				t.Errorf("restored again it is %q", is)
			}
		})
	}
	if was != "old" {
		t.Errorf("after all steps it is %q", was)
	}
}

func TestRestore_IdsGivenOutSinceDoNotComeBack(t *testing.T) {
	t.Parallel()
	next := func(t *testing.T, file string) (id int64) {
		s := openAt(t, file)
		execAll(t, s, `INSERT INTO tasks (title, created_at, updated_at) VALUES ('third', 0, 0)`)
		id, err := scalar(s.Read(t.Context()), "SELECT max(id) FROM tasks")
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	t.Run("where the present database knows them", func(t *testing.T) {
		file, backup := restorable(t)
		if _, err := prepare(t, file, backup).Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if id := next(t, file); id != 3 {
			t.Errorf("the next id is %d, want 3", id)
		}
	})
	t.Run("where there is none", func(t *testing.T) {
		_, backup := restorable(t)
		file := filepath.Join(t.TempDir(), "dueto.db")
		if kept, err := prepare(t, file, backup).Commit(t.Context()); err != nil || kept != "" {
			t.Fatal(kept, err)
		}
		if id := next(t, file); id != idGap+2 {
			t.Errorf("the next id is %d, want %d", id, idGap+2)
		}
	})
	t.Run("where it was begun anew", func(t *testing.T) {
		_, backup := restorable(t)
		file := filepath.Join(t.TempDir(), "dueto.db")
		s, err := Open(t.Context(), "sqlite:"+file, Options{})
		if err == nil {
			_, err = s.Migrate(t.Context())
			err = errors.Join(err, s.Close())
		}
		if err == nil {
			_, err = prepare(t, file, backup).Commit(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if id := next(t, file); id != idGap+2 {
			t.Errorf("the next id is %d, want %d", id, idGap+2)
		}
	})
}

func TestRestore_RefusesADatabaseThatIsOpen(t *testing.T) {
	t.Parallel()
	file, backup := restorable(t)
	r := prepare(t, file, backup)
	s, err := Open(t.Context(), "sqlite:"+file, Options{}) // after it was prepared
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context()); !errors.Is(err, ErrInUse) {
		t.Errorf("committed: %v", err)
	}
	execAll(t, s, `INSERT INTO tasks (title, created_at, updated_at) VALUES ('third', 0, 0)`) // it goes on
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantNames(t, filepath.Dir(file), "dueto.db")
	if is := firstTask(t, file); is != "new" {
		t.Errorf("the database is %q", is)
	}
}

func TestRestore_AStoreThatOpensMeanwhileOpensTheNewOne(t *testing.T) {
	t.Parallel()
	file, backup := restorable(t)
	r := prepare(t, file, backup)
	old, err := r.holdPresent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	var s *Store
	go func() {
		var err error
		s, err = Open(context.Background(), "sqlite:"+file, Options{})
		opened <- err
	}()
	steps := r.steps(file+".before-restore-20261018T120000.000Z", true)
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	// Another one is at work on the new database, with a log.
	other, err := Open(t.Context(), "sqlite:"+file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	execAll(t, other, `UPDATE tasks SET description = 'changed'`)
	old.release()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	n, err := scalar(s.Read(t.Context()), "SELECT count(*) FROM tasks WHERE title = 'old' AND description = 'changed'")
	if err != nil || n != 1 {
		t.Errorf("the store that waited sees %d, %v", n, err)
	}
	if err := errors.Join(s.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{file: "old", file + ".before-restore-20261018T120000.000Z": "new"} {
		if is := firstTask(t, name); is != want {
			t.Errorf("%s is %q, want %q", name, is, want)
		}
		if found, err := Examine(t.Context(), "sqlite:"+name); err != nil || len(found.Faults) > 0 {
			t.Errorf("%s: %+v, %v", name, found.Faults, err)
		}
	}
}

func TestRestore_ReplacesWhatIsDamagedAndItsLog(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"no database": strings.Repeat("Dear diary,\n", 1000), "an empty file": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, backup := restorable(t)
			file := filepath.Join(t.TempDir(), "dueto.db")
			if err := os.WriteFile(file, []byte(content), 0o640); err != nil {
				t.Fatal(err)
			}
			if content != "" {
				for _, suffix := range []string{"-wal", "-shm"} {
					if err := os.WriteFile(file+suffix, []byte("of the old one"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			kept, err := prepare(t, file, backup).Commit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantNames(t, filepath.Dir(file), "dueto.db", filepath.Base(kept))
			if b, err := os.ReadFile(kept); err != nil || string(b) != content {
				t.Errorf("what is kept is another file: %v", err)
			}
			if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
				t.Errorf("the mode is %v, %v", info.Mode(), err)
			}
			if is := firstTask(t, file); is != "old" {
				t.Errorf("the database is %q", is)
			}
		})
	}
}

func TestRestore_ALogWithoutADatabaseIsNotTakenForTheNewOnes(t *testing.T) {
	t.Parallel()
	crash := crashed(t, "", "-wal", "-shm") // with an account in the log
	_, backup := restorable(t)
	if err := os.Remove(crash); err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(t, crash, backup).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is := firstTask(t, crash); is != "old" {
		t.Errorf("the database is %q", is)
	}
	if n, err := scalar(openAt(t, crash).Read(t.Context()), "SELECT count(*) FROM users"); err != nil || n != 0 {
		t.Errorf("%d accounts of the log are there, %v", n, err)
	}
}

func TestRestore_FollowsALinkToTheDatabase(t *testing.T) {
	t.Parallel()
	file, backup := restorable(t)
	link := filepath.Join(t.TempDir(), "dueto.db")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	kept, err := prepare(t, link, backup).Commit(t.Context())
	if err != nil || filepath.Dir(kept) != filepath.Dir(file) {
		t.Fatal(kept, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if is := firstTask(t, link); is != "old" {
		t.Errorf("the database is %q", is)
	}
}
