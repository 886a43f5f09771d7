package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writeNew makes a file that only its owner can read: under another name at
// first, then linked into place, so that of two processes that do so at once
// one wins, which made tells, and neither reads half a file.
func writeNew(file string, content []byte) (made bool, err error) {
	tmp, err := writeBeside(file, content, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(tmp) }()
	err = os.Link(tmp, file)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, errors.Join(err, syncDir(filepath.Dir(file)))
}

// replace puts what change makes of a file in its place, with the same owner:
// whoever reads it meanwhile sees the old content or the new. Of two that
// replace it at once, the second starts from what the first has made.
func replace(file string, change func(old []byte) ([]byte, error)) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	current, err := openLocked(file)
	if err != nil {
		return err
	}
	defer func() { _ = current.Close() }()
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	content, err := change(old)
	if err != nil {
		return err
	}
	tmp, err := writeBeside(file, content, current)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(file))
}

// openLocked opens a file and waits until nobody else holds its lock. A file
// that was replaced while waiting is not the one any more.
func openLocked(file string) (*os.File, error) {
	for {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		lock(f)
		held, heldErr := f.Stat()
		named, namedErr := os.Stat(file)
		if err = errors.Join(heldErr, namedErr); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if os.SameFile(held, named) {
			return f, nil
		}
		_ = f.Close()
	}
}

// writeBeside writes a file of another name in the same folder, for its owner
// only, who is that of like, if any.
func writeBeside(file string, content []byte, like *os.File) (name string, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".dueto.new-*") // mode 0600
	if err != nil {
		return "", err
	}
	if like != nil {
		if err := sameOwner(tmp, like); err != nil {
			return "", errors.Join(fmt.Errorf("keep the owner of %s: %w", file, err), tmp.Close(), os.Remove(tmp.Name()))
		}
	}
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", errors.Join(err, os.Remove(tmp.Name()))
	}
	return tmp.Name(), nil
}

// syncDir makes a new name in a folder survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
