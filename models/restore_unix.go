//go:build unix

package models

import (
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockedByOthers reports whether another process holds one of the locks by
// which SQLite tells that a file is in use (sqlite.org/lockingv3.html): they are
// on the 512 bytes from the first GiB on.
func lockedByOthers(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // it is the operator's
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: 1 << 30, Len: 512}
	err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock)
	return lock.Type != unix.F_UNLCK, err
}

// sameOwner gives f the owner and group of another file, where they differ.
func sameOwner(f *os.File, like fs.FileInfo) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	a, b := mine.Sys().(*syscall.Stat_t), like.Sys().(*syscall.Stat_t)
	if a.Uid == b.Uid && a.Gid == b.Gid {
		return nil
	}
	return f.Chown(int(b.Uid), int(b.Gid))
}
