package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
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
// ErrSchemaNewer as opening such a database would, with ErrInUse where another
// process has the present database open, and with an UnsupportedError on the URL of an
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
	r.tidy() // room is needed for the next copy
	given, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	switch mode := given.Mode(); {
	case mode.IsDir():
		return nil, fmt.Errorf("%s is a folder: name a file that dueto backup made", file)
	case !mode.IsRegular():
		return nil, fmt.Errorf("%s is no file", file)
	}
	if present != nil && os.SameFile(given, present) {
		return nil, fmt.Errorf("%s is the database itself", file)
	}
	from, err := r.openBackup(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	if r.Replaces { // Commit makes sure; there is no point in asking whether to go on where one cannot
		if used, err := lockedByOthers(r.path); used || err != nil {
			return nil, errors.Join(ErrInUse, err)
		}
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
// the database is the old one or the new one, whole if it was, and without a log
// that belongs to the other.
func (r *Restore) Commit(ctx context.Context) (kept string, err error) {
	defer r.Discard()
	defer func() { err = roomless(err, filepath.Dir(r.path)) }()
	r.tidy()
	kept = r.keepAs()
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
	for _, step := range r.steps(kept, old != nil) {
		if err := step(); err != nil {
			r.tidy()
			return "", err
		}
	}
	if old == nil {
		return "", nil
	}
	return kept, nil
}

// keepAs gives a name for the present database that nothing has.
func (r *Restore) keepAs() string {
	for at := r.now().UTC(); ; at = at.Add(time.Millisecond) {
		name := r.path + ".before-restore-" + at.Format(stampLayout)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
	}
}

// steps puts the copy in place. After each of them the power may fail.
func (r *Restore) steps(kept string, replaces bool) []func() error {
	sync := func() error { return syncDir(filepath.Dir(r.path)) }
	steps := []func() error{
		r.copy.Sync,
		// A log that nobody uses: SQLite would take it for the new database's. There
		// is none beside one that could be opened, for it was folded into that.
		func() error { return renameAny(r.path+"-wal", kept+"-wal") },
		func() error { return renameAny(r.path+"-journal", kept+"-journal") },
		func() error { return removeAny(r.path + "-shm") }, // the log's index
		sync,
	}
	if !replaces { // linked, which fails where there is one by now
		return append(steps, func() error {
			if err := os.Link(r.copy.Name(), r.path); err != nil {
				return fmt.Errorf("%w: %w", ErrInUse, err)
			}
			return nil
		}, sync)
	}
	return append(steps, func() error {
		if err := os.Link(r.path, kept); err != nil {
			return fmt.Errorf("the database cannot be kept under another name (move it away yourself, and try again): %w", err)
		}
		return nil
	}, sync, func() error { return os.Rename(r.copy.Name(), r.path) }, sync)
}

// renameAny renames a file if there is one.
func renameAny(from, to string) error {
	if err := os.Rename(from, to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeAny deletes a file if there is one.
func removeAny(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
