package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// TableRows is how many rows a table has.
type TableRows struct {
	Table string
	Rows  int64
}

// snapshot is a database as it is at one moment, however long it is looked at:
// a read transaction that others may write beside.
type snapshot struct {
	pool   *sql.DB
	conn   *sql.Conn
	schema int64 // number of the last migration applied, 0 for none
}

// openSnapshot begins to read a file, whose DSN gets the parameters. It fails
// with ErrCorrupt on what is not a database of ours.
func openSnapshot(ctx context.Context, path, params string) (*snapshot, error) {
	s := &snapshot{pool: sql.OpenDB(newSQLiteConnector(path, params, readerPragmas))}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *snapshot) begin(ctx context.Context) (err error) {
	if err := checkOurs(ctx, s.pool); err != nil {
		return err
	}
	if s.conn, err = s.pool.Conn(ctx); err != nil {
		return translate(err)
	}
	if _, err := s.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return translate(err)
	}
	s.schema, err = schemaOn(ctx, s.conn) // what is read first fixes the moment
	return err
}

// close ends the reading.
func (s *snapshot) close() error {
	var err error
	if s.conn != nil {
		err = s.conn.Close()
	}
	return errors.Join(err, s.pool.Close())
}

// schemaOn gives the number of the last migration applied, 0 for none.
func schemaOn(ctx context.Context, conn *sql.Conn) (int64, error) {
	there, err := integerOn(ctx, conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'")
	if err != nil || there == 0 {
		return 0, err
	}
	return integerOn(ctx, conn, "SELECT coalesce(max(version), 0) FROM schema_migrations")
}

// count counts the rows of each table.
func count(ctx context.Context, conn *sql.Conn) (rows []TableRows, err error) {
	names, err := tableNames(ctx, conn)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		n, err := integerOn(ctx, conn, "SELECT count(*) FROM "+quoted(name))
		if err != nil {
			return nil, err
		}
		rows = append(rows, TableRows{name, n})
	}
	return rows, nil
}

// tableNames lists the tables, but for SQLite's own.
func tableNames(ctx context.Context, conn *sql.Conn) ([]string, error) {
	return textsOn(ctx, conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
}

// quoted gives a name as SQL has it.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// copyPragmas are of a copy while it is filled: nobody reads it, one that is
// not finished is thrown away, and one that is gets synced as a whole.
var copyPragmas = []pragma{
	{"trusted_schema", "OFF", "0"},
	{"locking_mode", "EXCLUSIVE", "exclusive"},
	{"journal_mode", "OFF", "off"},
	{"synchronous", "OFF", "0"},
}

// finishPragmas make one file of a copy, without a log to go with it.
var finishPragmas = []pragma{
	{"trusted_schema", "OFF", "0"},
	{"cell_size_check", "ON", "1"},
	{"locking_mode", "EXCLUSIVE", "exclusive"},
	{"journal_mode", "DELETE", "delete"},
}

const (
	// pagesAtOnce are copied between two looks at whether to go on.
	pagesAtOnce = 256
	// syncEvery is after how many of these steps what was written goes to the
	// disk: all at once it would hold up the syncs of others.
	syncEvery = 16
)

// copyTo fills an empty file that nobody else knows with the snapshot, makes
// sure that the copy is whole, and tells what is in it. Its caller syncs it.
//
// Pages are copied as they are (sqlite.org/backup.html). VACUUM INTO, the other
// way, begins a transaction of its own and so has rows that were not counted.
func (s *snapshot) copyTo(ctx context.Context, f *os.File) (rows []TableRows, err error) {
	if rows, err = count(ctx, s.conn); err != nil {
		return nil, err
	}
	pool := sql.OpenDB(newSQLiteConnector(f.Name(), "mode=rw", copyPragmas))
	target, err := pool.Conn(ctx)
	if err == nil {
		err = target.Raw(func(to any) error {
			return s.conn.Raw(func(from any) error {
				return copyPages(ctx, to.(*sqlite3.SQLiteConn), from.(*sqlite3.SQLiteConn), f)
			})
		})
		err = errors.Join(err, target.Close())
	}
	if err := errors.Join(err, pool.Close()); err != nil {
		return nil, translate(err)
	}
	// The log cannot be begun anew while somebody reads from before its end.
	if _, err := s.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		return nil, translate(err)
	}
	return rows, finish(ctx, f.Name(), rows)
}

func copyPages(ctx context.Context, to, from *sqlite3.SQLiteConn, f *os.File) (err error) {
	pages, err := to.Backup("main", from, "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, extended(pages.Close())) }()
	for step, left := 1, -1; ; step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := pages.Step(pagesAtOnce)
		if err != nil || done {
			return extended(err)
		}
		if pages.Remaining() == left {
			return fmt.Errorf("%w: the copy is locked", ErrUnavailable)
		}
		left = pages.Remaining()
		if step%syncEvery == 0 {
			if err := f.Sync(); err != nil {
				return err
			}
		}
	}
}

// extended sorts an extended result code, which the driver takes for a plain
// one here.
func extended(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.Code > 0xff {
		return sqlite3.Error{Code: e.Code & 0xff, ExtendedCode: sqlite3.ErrNoExtended(e.Code)}
	}
	return err
}

// finish makes one file of a copy and compares it with what was copied.
func finish(ctx context.Context, path string, rows []TableRows) (err error) {
	pool := sql.OpenDB(newSQLiteConnector(path, "mode=rw", finishPragmas))
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := verifySQLite(ctx, pool, finishPragmas[2:]); err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := sound(ctx, conn); err != nil {
		return err
	}
	found, err := count(ctx, conn)
	if err == nil && !slices.Equal(found, rows) {
		err = fmt.Errorf("the copy has other rows than the database: %v, not %v", found, rows)
	}
	return err
}

// sound fails with ErrCorrupt where a page, an index or a reference is broken.
func sound(ctx context.Context, conn *sql.Conn) error {
	damage, err := textsOn(ctx, conn, "PRAGMA integrity_check(1)")
	if err != nil {
		return err
	}
	if len(damage) != 1 || damage[0] != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, oneLine(strings.Join(damage, "; ")))
	}
	broken, err := integerOn(ctx, conn, "SELECT count(*) FROM pragma_foreign_key_check")
	if err == nil && broken > 0 {
		err = fmt.Errorf("%w: %d references lead nowhere", ErrCorrupt, broken)
	}
	return err
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// existing gives the file of a database that is there, its name resolved: the
// log of a linked database lies beside the file that the link leads to.
func existing(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no database: %w", err)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", path)
	}
	return filepath.EvalSymlinks(path)
}

// isFull reports whether something failed for want of room.
func isFull(err error) bool {
	var e sqlite3.Error
	return errors.Is(err, syscall.ENOSPC) || (errors.As(err, &e) && e.Code == sqlite3.ErrFull)
}

// syncDir makes a new name in a folder survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // it is the operator's
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
