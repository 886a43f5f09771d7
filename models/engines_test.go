package models

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"
)

// emptyPostgres gives the URL of a database of PostgreSQL that has nothing in it.
func emptyPostgres(t testing.TB) string { return newTarget(t, "postgres") }

// onEachEngine runs a test on an empty database of either engine.
func onEachEngine(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, newTarget(t, engine))
		})
	}
}

// onEachStore is onEachEngine for a store that is ready for use.
func onEachStore(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	onEachEngine(t, func(t *testing.T, url string) { test(t, migratedURL(t, url)) })
}

// openURL opens a store and closes it with the test.
func openURL(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{Now: func() time.Time { return at }})
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

func migratedURL(t testing.TB, url string) *Store {
	t.Helper()
	s := openURL(t, url)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// raw changes a database as any other program would.
func raw(t testing.TB, url string, statements ...string) {
	t.Helper()
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		rawSQLite(t, file, statements...)
		return
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// namesFor gives the migrations of the engine of a URL.
func namesFor(t testing.TB, url string) []string {
	t.Helper()
	if strings.HasPrefix(url, "sqlite:") {
		return migrationNames(t)
	}
	list, err := migrations("postgres")
	if err != nil || len(list) == 0 {
		t.Fatalf("%d migrations, %v", len(list), err)
	}
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = m.name
	}
	return names
}

// occupy takes all of a store's turns to read, until they are released.
func occupy(s *Store) (release func()) {
	if e, ok := s.engine.(*sqliteEngine); ok {
		taken := make([]queryer, cap(e.direct.idle))
		for i := range taken {
			taken[i] = <-e.direct.idle
		}
		return func() {
			for _, conn := range taken {
				e.direct.idle <- conn
			}
		}
	}
	slots := s.engine.(*postgresEngine).gate
	for range cap(slots) {
		slots <- struct{}{}
	}
	return func() {
		for range cap(slots) {
			<-slots
		}
	}
}

// busy gives how many turns to read are taken.
func busy(s *Store) int {
	if e, ok := s.engine.(*sqliteEngine); ok {
		return cap(e.direct.idle) - len(e.direct.idle)
	}
	return len(s.engine.(*postgresEngine).gate)
}
