package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// minSQLite is the first version without the write-ahead log's reset
// corruption (sqlite.org/wal.html, "The WAL-reset bug").
const minSQLite = 3051003

// lockWait is how long another process's lock is waited for, as busy_timeout.
const lockWait = 5 * time.Second

// sqliteEngine is one file: a pool of readers, and one writer whose queue is
// committed together.
type sqliteEngine struct {
	sqliteDialect
	readers *sql.DB
	reads   atomic.Pointer[gorm.DB]
	direct  *sqliteReads
	slow    gate // before queries that may take their time
	writes  *sql.DB
	writer  *writer
}

// pragma is a setting that each connection gets as it is opened, and that is
// read back at start: a setting that silently did not take is a lost write
// later.
type pragma struct{ name, value, want string }

// sharedPragmas are every connection's. busy_timeout comes first, so that the
// others wait for a lock instead of failing.
var sharedPragmas = []pragma{
	{"busy_timeout", "5000", "5000"},               // another process may be writing
	{"foreign_keys", "ON", "1"},                    // off by default, for each connection
	{"trusted_schema", "OFF", "0"},                 // a crafted file cannot call functions from its schema
	{"journal_size_limit", "67108864", "67108864"}, // give back a log that a burst left behind
	{"cell_size_check", "ON", "1"},                 // notice a damaged page when it is read
}

var writerPragmas = append(sharedPragmas[:len(sharedPragmas):len(sharedPragmas)],
	pragma{"journal_mode", "WAL", "wal"}, // readers do not wait for the writer
	pragma{"synchronous", "FULL", "2"})   // an acknowledged write survives power loss

var readerPragmas = append(sharedPragmas[:len(sharedPragmas):len(sharedPragmas)],
	pragma{"query_only", "ON", "1"}) // a read handle cannot write by mistake

// SQLiteVersion gives the version of SQLite that is built in.
func SQLiteVersion() string {
	version, _, _ := sqlite3.Version()
	return version
}

// CheckSQLite fails when the version of SQLite that is built in loses data.
func CheckSQLite() error {
	_, version, _ := sqlite3.Version()
	return checkSQLite(version)
}

func checkSQLite(version int) error {
	if version < minSQLite {
		return fmt.Errorf("SQLite %d is too old: at least %d is needed", version, minSQLite)
	}
	return nil
}

// errReplaced says that a file was replaced, by a restore, while it was opened.
var errReplaced = fmt.Errorf("%w: it was replaced meanwhile", ErrUnavailable)

func openSQLite(ctx context.Context, path string, opts Options) (*sqliteEngine, error) {
	for {
		if e, err := connectSQLite(ctx, path, opts); !errors.Is(err, errReplaced) {
			return e, err
		}
	}
}

func connectSQLite(ctx context.Context, path string, opts Options) (_ *sqliteEngine, err error) {
	if err := CheckSQLite(); err != nil {
		return nil, err
	}
	if path == "" || strings.Contains(path, ":memory:") {
		return nil, fmt.Errorf("%q is not a file: use sqlite:FILE", path)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	named, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := inspectSQLite(ctx, path); err != nil {
		return nil, err
	}
	e := &sqliteEngine{}
	defer func() {
		if err != nil {
			_ = e.close()
		}
	}()

	e.writes = opts.pool(newSQLiteConnector(path, "_txlock=immediate", writerPragmas))
	e.writes.SetMaxOpenConns(1)
	err = verifySQLite(ctx, e.writes, writerPragmas)
	// From here on the log is open, and no restore replaces the file. One that
	// replaced it before has left us another file with this one's log.
	if now, statErr := os.Stat(path); statErr != nil || !os.SameFile(named, now) {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	writes, err := openGorm(e.writes, opts)
	if err != nil {
		return nil, err
	}

	connector := opts.wrapped(newSQLiteConnector(path, "mode=ro", readerPragmas))
	if e.direct, err = newSQLiteReads(ctx, connector, directReaders()); err != nil {
		return nil, err
	}
	e.slow = make(gate, directReaders()/2)
	e.readers = sql.OpenDB(connector)
	e.readers.SetMaxOpenConns(gormReaders)
	e.readers.SetMaxIdleConns(gormReaders)
	if err := verifySQLite(ctx, e.readers, readerPragmas); err != nil {
		return nil, err
	}
	reads, err := openGorm(e.readers, opts)
	if err != nil {
		return nil, err
	}
	e.reads.Store(reads)
	e.writer = startWriter(writes, e.writes)
	return e, nil
}

// gormReaders is how many connections there are for what is read through gorm.
const gormReaders = 2

// directReaders is how many there are for the rest. Each keeps a page cache;
// more of them than can run only wait.
func directReaders() int { return max(4, runtime.GOMAXPROCS(0)*2) }

// createPrivate makes the file if there is none, readable by its owner only:
// it will hold password hashes. SQLite gives its log files the same mode.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func openGorm(db *sql.DB, opts Options) (*gorm.DB, error) {
	g, err := gorm.Open(sqlite.New(sqlite.Config{Conn: db}), gormConfig(opts))
	if err != nil {
		return nil, translate(err)
	}
	return g, nil
}

// sqliteConnector opens connections that all carry the same pragmas. One sent
// through the pool would reach a single connection only.
type sqliteConnector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func newSQLiteConnector(path, params string, pragmas []pragma) *sqliteConnector {
	// The statement cache spares parsing the same few queries again. A connection
	// is never used by two goroutines at once, so that it needs no lock of its own,
	// which SQLite would otherwise take for each column of each row.
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: params + "&_stmt_cache_size=64&_mutex=no"}).String()
	set := func(conn *sqlite3.SQLiteConn) error {
		for _, p := range pragmas {
			if err := setPragma(conn, p); err != nil {
				return fmt.Errorf("set %s: %w", p.name, err)
			}
		}
		return nil
	}
	return &sqliteConnector{dsn: dsn, driver: &sqlite3.SQLiteDriver{ConnectHook: set}}
}

// setPragma waits for another process itself: SQLite does not ask busy_timeout
// when it switches to a write-ahead log.
func setPragma(conn *sqlite3.SQLiteConn, p pragma) error {
	for started := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		_, err := conn.Exec("PRAGMA "+p.name+" = "+p.value, nil)
		var locked sqlite3.Error
		if !errors.As(err, &locked) || locked.Code != sqlite3.ErrBusy || time.Since(started) > lockWait {
			return err
		}
	}
}

// Connect implements driver.Connector.
func (c *sqliteConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c *sqliteConnector) Driver() driver.Driver { return c.driver }

// applicationID is what the first migration marks a file with ("Duet").
const applicationID = 0x44756574

// inspectSQLite makes sure that the schema can be read and is ours, before
// anything is done that would change the file.
func inspectSQLite(ctx context.Context, path string) (err error) {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return err
	}
	mode := "mode=ro&immutable=1" // makes no log files beside it, which a reader could not remove
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		mode = "mode=ro" // the file is not whole without its log
	}
	db := sql.OpenDB(newSQLiteConnector(path, mode, sharedPragmas[:1]))
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	return checkOurs(ctx, db)
}

// checkOurs fails with ErrCorrupt where the schema cannot be read, or is
// another program's.
func checkOurs(ctx context.Context, db *sql.DB) error {
	var id, tables int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return translate(err)
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return translate(err)
	}
	if tables > 0 && id != applicationID {
		return fmt.Errorf("%w: it belongs to another program", ErrCorrupt)
	}
	return nil
}

// verifySQLite reads the pragmas back.
func verifySQLite(ctx context.Context, db *sql.DB, pragmas []pragma) error {
	for _, p := range pragmas {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&got); err != nil {
			return translate(err)
		}
		if got != p.want {
			return fmt.Errorf("SQLite has %s = %s where %s was asked for", p.name, got, p.want)
		}
	}
	return nil
}

func (e *sqliteEngine) read(ctx context.Context) DB {
	return DB{base: e.reads.Load(), ctx: ctx, slow: e.slow, direct: e.direct}
}

func (e *sqliteEngine) write(ctx context.Context, fn func(DB) error) error {
	return e.writer.do(ctx, fn)
}

func (e *sqliteEngine) migrate(ctx context.Context, now time.Time) ([]string, error) {
	list, err := lacking(e.read(ctx), "sqlite")
	if err != nil {
		return nil, err
	}
	return migrate(ctx, list, e.write, now)
}

func (e *sqliteEngine) stats() Stats {
	return Stats{Writes: e.writer.writes.Load(), Commits: e.writer.commits.Load()}
}

// close drains the writer, then folds the log into the file, so that what is
// left is one file that can be copied.
func (e *sqliteEngine) close() error {
	if e.writer != nil {
		e.writer.stop()
	}
	var errs []error
	if reads := e.reads.Load(); reads != nil {
		e.reads.Store(refusing(reads))
	}
	if e.direct != nil {
		errs = append(errs, e.direct.close(cap(e.direct.idle)))
	}
	if e.readers != nil {
		errs = append(errs, e.readers.Close())
	}
	if e.writes != nil {
		if e.writer != nil {
			_, err := e.writes.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
			errs = append(errs, err)
		}
		errs = append(errs, e.writes.Close())
	}
	return errors.Join(errs...)
}

// closedPool is what a closed engine reads from. database/sql's own refusal
// could be told from a defect by its text only.
type closedPool struct{}

// refusing gives a handle on which every query fails with ErrUnavailable.
func refusing(db *gorm.DB) *gorm.DB { return withPool(db, closedPool{}) }

// withPool gives a handle whose queries go another way.
func withPool(db *gorm.DB, pool gorm.ConnPool) *gorm.DB {
	other := db.Session(&gorm.Session{NewDB: true, Context: context.Background()})
	other.Statement.ConnPool = pool
	return other
}

var errClosed = fmt.Errorf("%w: it is closed", ErrUnavailable)

// PrepareContext implements gorm.ConnPool.
func (closedPool) PrepareContext(context.Context, string) (*sql.Stmt, error) { return nil, errClosed }

// ExecContext implements gorm.ConnPool.
func (closedPool) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errClosed
}

// QueryContext implements gorm.ConnPool.
func (closedPool) QueryContext(context.Context, string, ...any) (*sql.Rows, error) {
	return nil, errClosed
}

// QueryRowContext implements gorm.ConnPool; no query of ours uses it.
func (closedPool) QueryRowContext(context.Context, string, ...any) *sql.Row { return nil }

// undecided tells of what a commit failed with whether it is known to have
// failed. One whose sync did stands in the log all the same: a later write takes
// its place, but after a crash before that it would be found, and be valid.
func undecided(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.ExtendedCode == sqlite3.ErrIoErrFsync {
		return fmt.Errorf("%w: %w", ErrUndecided, err)
	}
	return err
}

// translateSQLite sorts SQLite's result codes (sqlite.org/rescode.html) into
// this package's errors.
func translateSQLite(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case sqlite3.ErrConstraint:
		switch e.ExtendedCode {
		case sqlite3.ErrConstraintUnique, sqlite3.ErrConstraintPrimaryKey:
			return fmt.Errorf("%w: %w", ErrDuplicate, err)
		case sqlite3.ErrConstraintForeignKey:
			return fmt.Errorf("%w: %w", ErrReference, err)
		}
		return err
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrReadonly, sqlite3.ErrBusy, sqlite3.ErrLocked,
		sqlite3.ErrCantOpen, sqlite3.ErrPerm, sqlite3.ErrProtocol, sqlite3.ErrNomem:
		return fmt.Errorf("%w: %w (%s)", ErrUnavailable, err, strconv.Itoa(int(e.ExtendedCode)))
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrFormat:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
