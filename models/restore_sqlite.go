package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"
)

// holder has a database for itself, unless it is damaged: then conn is nil.
type holder struct {
	pool *sql.DB
	conn *sql.Conn
}

func (h *holder) release() {
	if h != nil && h.conn != nil {
		_ = h.conn.Close() // nothing was written
	}
	if h != nil && h.pool != nil {
		_ = h.pool.Close()
	}
}

// holdPragmas are of the connection that has a database alone.
var holdPragmas = []pragma{
	{"trusted_schema", "OFF", "0"},
	{"synchronous", "FULL", "2"},
}

// holdWait is how long a command that is just ending is waited for.
const holdWait = time.Second

// holdPresent keeps everybody from the database. To leave the write-ahead log,
// SQLite has to have the database alone (sqlite.org/wal.html); it folds the log
// into the file first. A server that starts meanwhile waits for its turn, and
// then finds that the file it opened is not the database any more: see
// connectSQLite.
func (r *Restore) holdPresent(ctx context.Context) (h *holder, err error) {
	for started := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		h := &holder{pool: sql.OpenDB(newSQLiteConnector(r.path, "mode=rw", holdPragmas))}
		if h.conn, err = h.pool.Conn(ctx); err == nil {
			err = foldLog(ctx, h.conn, r.path)
		}
		if err == nil {
			return h, nil
		}
		h.release()
		var e sqlite3.Error
		if !errors.As(err, &e) || e.Code != sqlite3.ErrBusy {
			break
		}
		if time.Since(started) > holdWait {
			return nil, fmt.Errorf("%w: %w", ErrInUse, err)
		}
	}
	if err = translate(err); !errors.Is(err, ErrCorrupt) {
		return nil, err
	}
	// SQLite cannot lock what it cannot read. Nobody can begin to use it either.
	if used, err := lockedByOthers(r.path); used || err != nil {
		return nil, errors.Join(ErrInUse, err)
	}
	return new(holder), nil
}

// foldLog makes one file of a database and locks it.
func foldLog(ctx context.Context, conn *sql.Conn, path string) error {
	journal := "delete"
	if sizeOf(path) == 0 {
		journal = "memory" // locking it begins it, which would make a file beside it
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA journal_mode = "+journal); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return err
	}
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != journal { // it was taken into use in between
		return sqlite3.Error{Code: sqlite3.ErrBusy}
	}
	return nil
}

// idGap is by how much the next ids are raised where it is not known which ones
// were given out after the backup.
const idGap = 1_000_000

// raiseIDs keeps ids that were given out after the backup from coming back: a
// token that names one is still signed, and would be somebody else's. Where the
// present database goes on from the backup it knows them.
func (r *Restore) raiseIDs(ctx context.Context, old *holder) error {
	var known map[string]int64
	if old != nil && old.conn != nil {
		known = sequences(ctx, old.conn)
	}
	pool := sql.OpenDB(newSQLiteConnector(r.copy.Name(), "mode=rw", finishPragmas))
	defer func() { _ = pool.Close() }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = conn.Close() }()
	mine := sequences(ctx, conn)
	successor := len(known) > 0
	for table, last := range mine {
		successor = successor && known[table] >= last
	}
	tables, err := textsOn(ctx, conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")
	if err != nil {
		return err
	}
	slices.Sort(tables)
	for _, table := range tables {
		next := mine[table] + idGap
		if successor {
			next = known[table]
		}
		if _, err := conn.ExecContext(ctx, "DELETE FROM sqlite_sequence WHERE name = ?", table); err != nil {
			return translate(err)
		}
		if _, err := conn.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, next); err != nil {
			return translate(err)
		}
	}
	return nil
}

// sequences gives the last id of each table, as far as it can be read and makes
// sense.
func sequences(ctx context.Context, conn *sql.Conn) map[string]int64 {
	last := map[string]int64{}
	err := eachOn(ctx, conn, func(rows row) error {
		var name string
		var seq int64
		err := rows.Scan(&name, &seq)
		last[name] = seq
		return err
	}, "SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer' AND seq BETWEEN 0 AND ?", int64(maxSequence))
	if err != nil {
		return nil
	}
	return last
}

// maxSequence is an id that no table ever comes to, so that one beyond it is a
// mistake. From the greatest that there is nothing could be inserted any more.
const maxSequence = 1 << 53
