package tests

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // to look at databases from outside
	_ "github.com/mattn/go-sqlite3"

	"dueto/internal/pgtest"
	"dueto/models"
)

// onPostgres is whether the tests run on PostgreSQL: DUETO_TEST_ENGINE says so.
// Tests of what only one engine has begin with TestSQLite or TestPostgres.
var onPostgres = os.Getenv("DUETO_TEST_ENGINE") == "postgres"

// databases makes the databases of the tests that run on PostgreSQL; asked is
// whether any did.
var (
	asked     atomic.Bool
	databases = sync.OnceValues(func() (*pgtest.Databases, error) {
		asked.Store(true)
		return pgtest.NewDatabases()
	})
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopChromium(); err != nil {
		fmt.Fprintln(os.Stderr, "stop Chromium:", err)
		code = 1
	}
	if code == 0 && wholeSuite() {
		if err := wantAllSeen(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if asked.Load() {
		if d, err := databases(); err == nil {
			if err := d.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// newDatabase gives the URL of a database that is new, and gone with the test.
// On PostgreSQL it is migrated, which saves time.
func newDatabase(t testing.TB) string {
	t.Helper()
	if !onPostgres {
		return "sqlite:" + filepath.Join(t.TempDir(), "dueto.db")
	}
	d, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	url, giveBack, err := d.Copy(migrateNew)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, changed := lookedInto.LoadAndDelete(url)
		if err := giveBack(!changed); err != nil {
			t.Error(err)
		}
	})
	return url
}

// lookedInto are the databases that a test opened by itself: it may have changed
// more than rows.
var lookedInto sync.Map

// emptyPostgres gives the URL of a database of PostgreSQL that has nothing in
// it, whichever engine the tests run on.
func emptyPostgres(t testing.TB) string {
	t.Helper()
	d, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	url, drop, err := d.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = drop() })
	return url
}

// ownCluster starts a PostgreSQL server for a test to do with as it likes.
func ownCluster(t testing.TB, settings ...string) *pgtest.Cluster {
	t.Helper()
	c, err := pgtest.New(t.TempDir(), settings...)
	if pgtest.MayGoWithout(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Kill() })
	return c
}

func migrateNew(url string) error {
	store, err := models.Open(context.Background(), url, models.Options{})
	if err != nil {
		return err
	}
	_, err = store.Migrate(context.Background())
	return errors.Join(err, store.Close())
}

// openDatabase looks at a database from outside.
func openDatabase(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", url
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite3", "file:"+file+"?_busy_timeout=10000"
	}
	lookedInto.Store(url, true)
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// execSQL changes a database from outside.
func execSQL(t testing.TB, url string, statements ...string) {
	t.Helper()
	db := openDatabase(t, url)
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

// withEmptyDatabase gives the same program over a database that nothing was made
// in yet, on either engine.
func (p *program) withEmptyDatabase() *program {
	p.t.Helper()
	if !onPostgres {
		return p
	}
	url := emptyPostgres(p.t)
	empty := p.with("DUETO_DATABASE=" + url)
	empty.database = url
	return empty
}

// wantNoDatabase checks that nothing was made in the program's empty database.
func (p *program) wantNoDatabase() {
	p.t.Helper()
	if !onPostgres {
		wantFiles(p.t, p.dir)
	} else if rows := allRows(p.t, p.database); len(rows) > 0 {
		p.t.Fatalf("the database has tables:\n%s", rows)
	}
}

// wantLeft checks what is in the program's folder besides its database, which
// is one file or none of the folder's.
func (p *program) wantLeft(names ...string) {
	p.t.Helper()
	if !onPostgres {
		names = append(names, "dueto.db")
	}
	wantFiles(p.t, p.dir, names...)
}

// atRest gives all that a database holds: its files or, where a server has them,
// its rows.
func atRest(t testing.TB, url string) []byte {
	t.Helper()
	file, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return allRows(t, url)
	}
	var stored []byte
	for _, suffix := range []string{"", "-wal", "-journal"} {
		part, err := os.ReadFile(file + suffix)
		if err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			t.Fatal(err)
		}
		stored = append(stored, part...)
	}
	return stored
}

// allRows gives all values of all tables, read from outside.
func allRows(t testing.TB, url string) []byte {
	t.Helper()
	db := openDatabase(t, url)
	defer func() { _ = db.Close() }()
	tables := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if !strings.HasPrefix(url, "sqlite:") {
		tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	var all bytes.Buffer
	for _, table := range allValues(t, db, tables) {
		fmt.Fprintf(&all, "%s\n%s\n", table, strings.Join(allValues(t, db, `SELECT * FROM "`+table+`"`), "\n"))
	}
	return all.Bytes()
}

// allValues gives the values of all rows of a query, one after the other.
func allValues(t testing.TB, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			out = append(out, v.String)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// refuse has the database fail what a trigger would fire on, such as "BEFORE
// INSERT ON outbox", as if there were no room, until it is healed.
func refuse(t testing.TB, url, when string) (heal func()) {
	t.Helper()
	table := when[strings.LastIndexByte(when, ' ')+1:]
	if strings.HasPrefix(url, "sqlite:") {
		execSQL(t, url, "CREATE TRIGGER refused "+when+" BEGIN SELECT RAISE(ABORT, 'no room'); END")
		return func() { execSQL(t, url, "DROP TRIGGER refused") }
	}
	execSQL(t, url, "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$",
		"CREATE TRIGGER refused "+when+" FOR EACH ROW EXECUTE FUNCTION refused()")
	return func() { execSQL(t, url, "DROP TRIGGER refused ON "+table, "DROP FUNCTION refused()") }
}
