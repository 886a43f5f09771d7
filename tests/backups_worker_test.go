package tests

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dueto/models"
	"dueto/services"
)

// worker makes backups of a server's database until the test is over.
func (a *app) worker(dir string, every time.Duration) (log *syncBuffer, stop func()) {
	log = &syncBuffer{}
	backups := services.NewBackups(services.BackupsConfig{
		Backups: models.Backups{URL: a.Config.Database, Dir: dir, Now: a.Clock.Now}, Every: every, Keep: 3,
		Now: a.Clock.Now, Log: slog.New(slog.NewJSONHandler(log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { backups.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	a.t.Cleanup(stop)
	return log, stop
}

// awaitUntil waits until something is so.
func awaitUntil(t *testing.T, what string, so func() bool) {
	t.Helper()
	for begin := time.Now(); !so(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestSQLite_Backups_WorkerMakesOneWhenTheNewestIsTooOld(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	dir := filepath.Join(t.TempDir(), "backups")
	count := func() int {
		found, err := filepath.Glob(filepath.Join(dir, "dueto-*.db"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	log, _ := a.worker(dir, 20*time.Millisecond)
	made := func(n int) func() bool {
		return func() bool { return strings.Count(log.String(), `"backup made"`) == n }
	}
	awaitUntil(t, "the first backup", made(1))
	for n := 2; n <= 5; n++ { // the clock stands between
		alice.task("Next one")
		a.Clock.Advance(20 * time.Millisecond)
		awaitUntil(t, "a further backup", made(n))
	}
	awaitUntil(t, "as many as are kept", func() bool { return count() == 3 })
}

func TestSQLite_Backups_WorkerTriesAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	dir := filepath.Join(t.TempDir(), "backups")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log, stop := a.worker(dir, 10*time.Millisecond)
	awaitUntil(t, "two failures", func() bool { return strings.Count(log.String(), `"level":"ERROR"`) >= 2 })
	a.user("alice").task("Next one")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	awaitUntil(t, "a backup", func() bool { return strings.Contains(log.String(), `"backup made"`) })
	stop()
}

func TestSQLite_Backups_WorkerThatIsOffMakesNone(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	services.NewBackups(services.BackupsConfig{Backups: models.Backups{URL: a.Config.Database, Dir: filepath.Join(t.TempDir(), "none")}}).Run(context.Background())
	wantFiles(t, filepath.Dir(a.databaseFile()), "dueto.db", "dueto.db-shm", "dueto.db-wal")
}
