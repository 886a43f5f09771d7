package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"dueto/internal/pgtest"
	"dueto/models"
)

// databases makes the databases of the tests of what processes share.
var databases = sync.OnceValues(pgtest.NewDatabases)

func TestMain(m *testing.M) {
	code := m.Run()
	if d, err := databases(); err == nil {
		if err := d.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// openShared opens a store that processes can share.
func openShared(t testing.TB, url string, clock *hand) *models.Store {
	t.Helper()
	store, err := models.Open(t.Context(), url, models.Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func newSharedDatabase(t testing.TB) (url string) {
	t.Helper()
	d, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	url, drop, err := d.Copy(func(url string) error {
		store, err := models.Open(context.Background(), url, models.Options{})
		if err != nil {
			return err
		}
		_, err = store.Migrate(context.Background())
		return errors.Join(err, store.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return url
}

func sharedOver(t testing.TB, store *models.Store, clock *hand) *Shared {
	t.Helper()
	return NewShared(store, fixedKeyring(t, secretsOf("shared")), slog.New(slog.DiscardHandler), clock.now)
}

// inProcesses runs a test of a limit for a process that is alone, for one of
// several, and for two that share.
func inProcesses(t *testing.T, name string, run func(t *testing.T, clock *hand, processes []*Shared)) {
	t.Helper()
	for kind, number := range map[string]int{"alone": 0, "one of several": 1, "two": 2} {
		t.Run(strings.TrimPrefix(name+", "+kind, ", "), func(t *testing.T) {
			t.Parallel()
			clock := &hand{}
			if number == 0 {
				run(t, clock, []*Shared{nil})
				return
			}
			store := openShared(t, newSharedDatabase(t), clock)
			processes := make([]*Shared, number)
			for i := range processes {
				processes[i] = sharedOver(t, store, clock)
			}
			run(t, clock, processes)
			for i, p := range processes {
				if p.retry.Load() != 0 {
					t.Errorf("the database did not count for process %d", i)
				}
			}
		})
	}
}

// limiters gives one limit to each process.
func limiters(processes []*Shared, clock *hand, rate Rate) (l []*Limiter) {
	for _, shared := range processes {
		l = append(l, NewLimiter(rate, clock.now).sharedWith(shared, "test", rate))
	}
	return l
}

func TestShared_IsNothingWhereAProcessIsAlone(t *testing.T) {
	t.Parallel()
	store, err := models.Open(t.Context(), "sqlite:"+t.TempDir()+"/dueto.db", models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if s := NewShared(store, fixedKeyring(t, secretsOf("x")), slog.New(slog.DiscardHandler), time.Now); s != nil {
		t.Error("limits on SQLite ask the database")
	}
}
