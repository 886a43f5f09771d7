package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Restore is a backup that waits to take the place of a database.
type Restore struct {
	// Backup is what is to be restored; its file is the one that was given.
	Backup
	// Pending are the migrations that it lacks, which the next start applies.
	Pending []string
	// Replaces tells whether there is a database that would be replaced.
	Replaces bool

	path string   // of the database
	copy *os.File // in the same folder
	now  func() time.Time
}

// PrepareRestore copies a file to the folder of the database that a URL names,
// and makes sure that the copy is sound. It fails with ErrCorrupt and
// ErrSchemaNewer as opening such a database would, with ErrInUse where somebody
// has the present database open, and with an UnsupportedError on the URL of an
// engine that does not restore by itself. The present database stays in force
// until Commit.
func PrepareRestore(ctx context.Context, url, file string, now func() time.Time) (r *Restore, err error) {
	path, ok := sqliteFile(url)
	if !ok {
		return nil, unsupported("restore", url)
	}
	r = &Restore{Backup: Backup{File: file}, path: path, now: now}
	present, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case !present.Mode().IsRegular():
		return nil, fmt.Errorf("the database %s is not a file", path)
	default:
		r.Replaces = true
		if r.path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
	}
	given, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if present != nil && os.SameFile(given, present) {
		return nil, fmt.Errorf("%s is the database itself", file)
	}
	from, err := r.openBackup(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	if r.Replaces { // there is no point in asking whether to go on where one cannot
		held, err := r.holdPresent(ctx)
		if err != nil {
			return nil, err
		}
		held.release()
	}
	if err := r.fill(ctx, from, present); err != nil {
		r.Discard()
		return nil, roomless(err, filepath.Dir(r.path))
	}
	return r, nil
}

// openBackup opens the file that is to be restored and tells what is in it.
func (r *Restore) openBackup(ctx context.Context) (*snapshot, error) {
	mode, err := lookingMode(r.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore a file that dueto backup made", r.File, err)
	}
	from, err := openSnapshot(ctx, r.File, mode)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.File, err)
	}
	list, err := migrations("sqlite")
	if err == nil && from.schema == 0 {
		err = fmt.Errorf("%w: it is empty", ErrCorrupt)
	}
	var lacking []migration
	if err == nil {
		lacking, err = pending(list, from.schema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", r.File, err), from.close())
	}
	for _, m := range lacking {
		r.Pending = append(r.Pending, m.name)
	}
	r.Schema = from.schema
	return from, nil
}

// restoring is what the names of copies begin with that wait to be restored.
const restoring = ".restoring-"

// fill makes the copy, of the same owner as the file it is to replace.
func (r *Restore) fill(ctx context.Context, from *snapshot, present fs.FileInfo) (err error) {
	folder := filepath.Dir(r.path)
	if r.copy, err = os.CreateTemp(folder, "."+filepath.Base(r.path)+restoring+"*"); err != nil { // mode 0600
		return err
	}
	if present != nil {
		if err := sameOwner(r.copy, present); err != nil {
			return fmt.Errorf("keep the owner of %s: %w", r.path, err)
		}
	}
	if r.Rows, err = from.copyTo(ctx, r.copy); err != nil {
		return fmt.Errorf("%s: %w", r.File, err)
	}
	info, err := r.copy.Stat()
	if err != nil {
		return err
	}
	r.Size = info.Size()
	return r.copy.Sync()
}

// Discard throws the copy away. After Commit it does nothing.
func (r *Restore) Discard() {
	if r.copy == nil {
		return
	}
	removeDatabase(r.copy.Name())
	_ = r.copy.Close() // nothing in it is wanted
	r.copy = nil
}

// Commit puts the copy in the place of the database, which it keeps under
// another name, if there is one. It fails with ErrInUse where somebody has the
// database open. At each moment, whenever the power fails, what has the name of
// the database is the old one or the new one, whole, and without a log that
// belongs to the other.
func (r *Restore) Commit(ctx context.Context) (kept string, err error) {
	defer r.Discard()
	defer func() { err = roomless(err, filepath.Dir(r.path)) }()
	folder := filepath.Dir(r.path)
	r.tidy()
	kept = r.path + ".before-restore-" + r.now().UTC().Format(stampLayout)

	var old *holder
	switch _, err := os.Lstat(r.path); {
	case err == nil:
		if old, err = r.holdPresent(ctx); err != nil {
			return "", err
		}
		defer old.release()
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err := r.raiseIDs(ctx, old); err != nil {
		return "", err
	}
	if err := errors.Join(r.copy.Sync(), setAsideLog(r.path, kept)); err != nil {
		return "", err
	}
	if old == nil { // linked, which fails where there is one by now
		if err := os.Link(r.copy.Name(), r.path); err != nil {
			return "", fmt.Errorf("%w: %w", ErrInUse, err)
		}
		return "", syncDir(folder)
	}
	if err := os.Link(r.path, kept); err != nil {
		return "", fmt.Errorf("the database cannot be kept under another name (move it away yourself, and try again): %w", err)
	}
	if err := syncDir(folder); err != nil {
		return kept, err
	}
	if err := os.Rename(r.copy.Name(), r.path); err != nil {
		return "", errors.Join(err, os.Remove(kept))
	}
	return kept, syncDir(folder)
}

// tidy deletes what was left by a restore that was ended by a crash: copies, and
// second names of the database. These would be copies only once it is replaced.
func (r *Restore) tidy() {
	folder, base := filepath.Dir(r.path), filepath.Base(r.path)
	entries, _ := os.ReadDir(folder)
	present, presentErr := os.Stat(r.path)
	second := regexp.MustCompile(`^` + regexp.QuoteMeta(base) + `\.before-restore-\d{8}T\d{6}\.\d{3}Z$`)
	left := regexp.MustCompile(`^\.` + regexp.QuoteMeta(base+restoring) + `\d+$`)
	for _, e := range entries {
		name := filepath.Join(folder, e.Name())
		info, err := e.Info()
		switch {
		case err != nil:
		case second.MatchString(e.Name()) && presentErr == nil && os.SameFile(info, present):
			_ = os.Remove(name) // another time
		case left.MatchString(e.Name()) && time.Since(info.ModTime()) > unfinishedAfter:
			removeDatabase(name)
		}
	}
}

// setAsideLog moves a log that nobody uses away from a database: SQLite would
// take it for the new one's. There is none beside a database that could be
// opened, for its log was folded into it.
func setAsideLog(path, kept string) error {
	for _, suffix := range []string{"-wal", "-journal"} {
		if err := os.Rename(path+suffix, kept+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) { // the log's index
		return err
	}
	return syncDir(filepath.Dir(path))
}

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

// holdPragmas have a lock that was had once held until the end.
var holdPragmas = []pragma{
	{"trusted_schema", "OFF", "0"},
	{"synchronous", "FULL", "2"},
	{"locking_mode", "EXCLUSIVE", "exclusive"},
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
			err = foldLog(ctx, h.conn)
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
func foldLog(ctx context.Context, conn *sql.Conn) error {
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "delete" { // it was taken into use in between
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
	tables, err := texts(ctx, conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")
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
	rows, err := conn.QueryContext(ctx, "SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer' AND seq BETWEEN 0 AND ?", int64(maxSequence))
	if err != nil {
		return nil
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var seq int64
		if rows.Scan(&name, &seq) != nil {
			return nil
		}
		last[name] = seq
	}
	if rows.Err() != nil {
		return nil
	}
	return last
}

// maxSequence is an id that no table ever comes to, so that one beyond it is a
// mistake. From the greatest that there is nothing could be inserted any more.
const maxSequence = 1 << 53
