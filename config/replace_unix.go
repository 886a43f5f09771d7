//go:build unix && !solaris && !aix

package config

import (
	"os"
	"syscall"
)

// lock waits for a lock, which ends when the file is closed. Where the file
// system has none, whoever rotates takes care to be alone.
func lock(f *os.File) {
	for syscall.Flock(int(f.Fd()), syscall.LOCK_EX) == syscall.EINTR { //nolint:errorlint // a number of the kernel's
	}
}

// sameOwner gives f the owner and group of another file, where they differ.
func sameOwner(f, like *os.File) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	theirs, err := like.Stat()
	if err != nil {
		return err
	}
	a, b := mine.Sys().(*syscall.Stat_t), theirs.Sys().(*syscall.Stat_t)
	if a.Uid == b.Uid && a.Gid == b.Gid {
		return nil
	}
	return f.Chown(int(b.Uid), int(b.Gid))
}
