//go:build !linux

package cli

import "syscall"

// errNotDirectory is a path through what is no folder.
const errNotDirectory = syscall.ENOTDIR

// writable is not known before it is tried, which serve does at its start.
func writable(string) bool { return true }

// diskOf cannot tell here.
func diskOf(string) (disk, bool) { return disk{}, false }
