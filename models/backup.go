package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Backups are the copies of a database in a folder. They are made by an engine
// that copies its databases itself; of another's URL every method fails with
// an UnsupportedError.
type Backups struct {
	// URL names the database, and Dir the folder, which is made if it is missing.
	URL, Dir string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Backup is a copy that was made, and compared with what was copied.
type Backup struct {
	File   string
	Size   int64
	Schema int64
	Rows   []TableRows
}

// stampLayout sorts as text in the order of time.
const stampLayout = "20060102T150405.000Z"

const (
	// keepBefore is how many backups from before migrations are kept.
	keepBefore = 3
	// unfinishedAfter is when a copy that nothing was written to any more is
	// taken for one that a crash left.
	unfinishedAfter = time.Hour
)

// Make makes a backup, and then deletes all but the newest keep (0: none). The
// database may be in use. Where it fails nothing is deleted, and the folder is
// left as it was. It makes and migrates no database; it fails with ErrNoRoom on
// a full disk, and with ErrCorrupt where the copy is not sound.
func (b Backups) Make(ctx context.Context, keep int) (made Backup, err error) {
	if made, err = b.make(ctx, "", nil); err != nil {
		return made, err
	}
	return made, b.prune(keep, filepath.Base(made.File), false)
}

// errMigrated says that a database has other migrations than it had just now.
var errMigrated = errors.New("another process has migrated the database")

// MakeBeforeMigrating makes a backup of a database that has data and lacks
// migrations; made is nil where there is none to make, or where the engine
// makes none itself. Make does not count it among those that it keeps.
func (b Backups) MakeBeforeMigrating(ctx context.Context) (made *Backup, err error) {
	path, ok := sqliteFile(b.URL)
	if !ok {
		return nil, nil
	}
	list, err := migrations("sqlite")
	if err != nil {
		return nil, err
	}
	for {
		at, err := schemaOf(ctx, path)
		if err != nil || at == 0 {
			return nil, err
		}
		lacking, err := pending(list, at)
		if err != nil || len(lacking) == 0 {
			return nil, err
		}
		one, err := b.make(ctx, fmt.Sprintf("-before-%04d", at+1), func(schema int64) error {
			if schema != at {
				return errMigrated
			}
			return nil
		})
		switch {
		case errors.Is(err, errMigrated): // by a process that started at the same time
			continue
		case err != nil:
			return nil, err
		}
		return &one, b.prune(keepBefore, filepath.Base(one.File), true)
	}
}

// Newest gives the time of the newest backup, but for those made before
// migrations. It fails with ErrNotFound where there is none.
func (b Backups) Newest() (time.Time, error) {
	list, err := b.list(false)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(stampLayout, b.pattern().FindStringSubmatch(list[0])[1])
}

// stem is how the names of a database's backups begin.
func (b Backups) stem() string {
	path, _ := sqliteFile(b.URL)
	name := filepath.Base(path)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// pattern matches the names of this database's backups, and of no other's.
func (b Backups) pattern() *regexp.Regexp {
	return regexp.MustCompile(`^` + regexp.QuoteMeta(b.stem()) + `-(\d{8}T\d{6}\.\d{3}Z)(-before-\d{4,})?\.db$`)
}

// list gives the names of the backups of a kind, the newest first.
func (b Backups) list(before bool) (names []string, err error) {
	entries, err := os.ReadDir(b.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	pattern := b.pattern()
	for _, e := range entries {
		if found := pattern.FindStringSubmatch(e.Name()); found != nil && e.Type().IsRegular() && (found[2] != "") == before {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// prune deletes all but the newest backups of a kind, and never the one that
// was just made, which another clock may have made look old.
func (b Backups) prune(keep int, made string, before bool) error {
	if keep == 0 {
		return nil
	}
	names, err := b.list(before)
	if err != nil {
		return fmt.Errorf("the backup is made, but older ones cannot be listed: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == made })
	for _, name := range names[min(keep-1, len(names)):] {
		if err := os.Remove(filepath.Join(b.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the backup is made, but an older one cannot be deleted: %w", err)
		}
	}
	return nil
}

// make copies the database to a name of its own, if accept agrees to the
// schema of what would be copied.
func (b Backups) make(ctx context.Context, suffix string, accept func(schema int64) error) (made Backup, err error) {
	path, ok := sqliteFile(b.URL)
	if !ok {
		return made, unsupported("backup", b.URL)
	}
	if path, err = existing(path); err != nil {
		return made, err
	}
	defer func() { err = roomless(err, b.Dir) }()
	// Not read-only: a reader of a log needs the index to it, which a server that
	// crashed may have to have made anew. query_only keeps it from changing rows.
	from, err := openSnapshot(ctx, path, "mode=rw")
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	if from.schema == 0 {
		return made, fmt.Errorf("the database %s is empty", path)
	}
	if accept != nil {
		if err := accept(from.schema); err != nil {
			return made, err
		}
	}
	if err := makeFolder(b.Dir); err != nil {
		return made, err
	}
	if err := b.tidy(); err != nil {
		return made, err
	}
	f, name, err := b.create(suffix)
	if err != nil {
		return made, err
	}
	made = Backup{File: filepath.Join(b.Dir, name), Schema: from.schema}
	// Closed last: closing any handle on a file gives up the locks on it that
	// SQLite holds in this process.
	defer func() { err = errors.Join(err, f.Close()) }()
	if made.Rows, err = from.copyTo(ctx, f); err == nil {
		made.Size, err = settle(f, made.File)
	}
	if err != nil {
		removeDatabase(f.Name())
	}
	return made, err
}

// settle makes a file durable, and then known under its name.
func settle(f *os.File, name string) (size int64, err error) {
	if err := f.Sync(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return 0, err
	}
	return info.Size(), syncDir(filepath.Dir(name))
}

// unfinished is the name of a copy that is being made.
func unfinished(name string) string { return "." + name + ".part" }

// create makes the file of a backup under the name it has until it is finished,
// which keeps the other name free for it.
func (b Backups) create(suffix string) (f *os.File, name string, err error) {
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	for at := now().UTC().Truncate(time.Millisecond); ; at = at.Add(time.Millisecond) {
		name = b.stem() + "-" + at.Format(stampLayout) + suffix + ".db"
		f, err = os.OpenFile(filepath.Join(b.Dir, unfinished(name)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		// Only now: the one that had this name until here would be finished.
		if _, err := os.Lstat(filepath.Join(b.Dir, name)); errors.Is(err, fs.ErrNotExist) {
			return f, name, nil
		}
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			return nil, "", err
		}
	}
}

// tidy deletes what a crash left of copies. One that is still being made by
// somebody is written to.
func (b Backups) tidy() error {
	entries, err := os.ReadDir(b.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimPrefix(e.Name(), "."), ".part")
		if e.Name() != unfinished(name) || !b.pattern().MatchString(name) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > unfinishedAfter {
			removeDatabase(filepath.Join(b.Dir, unfinished(name)))
		}
	}
	return nil
}

// removeDatabase deletes a file of ours that is not wanted, and what SQLite
// keeps beside it.
func removeDatabase(file string) {
	for _, suffix := range []string{"-journal", "-wal", "-shm", ""} {
		_ = os.Remove(file + suffix) // what is left is deleted another time
	}
}

// makeFolder makes a folder for its owner only, if there is none.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// roomless says which disk is full, if one is.
func roomless(err error, dir string) error {
	if isFull(err) {
		return fmt.Errorf("%w: the disk of %s is full", ErrNoRoom, dir)
	}
	return err
}

// schemaOf gives the number of the last migration that a file has.
func schemaOf(ctx context.Context, path string) (at int64, err error) {
	path, err = existing(path)
	if err != nil {
		return 0, err
	}
	s, err := openSnapshot(ctx, path, "mode=rw")
	if err != nil {
		return 0, err
	}
	return s.schema, s.close()
}
