package models

import (
	"errors"
	"fmt"
)

// What a query or a write can fail with, whichever engine runs it. Anything
// else that comes out of this package is unexpected.
var (
	// ErrNotFound says that no row matched.
	ErrNotFound = errors.New("not found")
	// ErrDuplicate says that a unique column already holds the value.
	ErrDuplicate = errors.New("duplicate")
	// ErrReference says that a row refers to one that does not exist.
	ErrReference = errors.New("reference to a missing row")
	// ErrUnavailable says that the store cannot take a write now: disk full,
	// read-only, an I/O error, locked by another process, or closing.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrUndecided says that the store went away while a write was being
	// committed: it may have been kept. It is an ErrUnavailable too.
	ErrUndecided = fmt.Errorf("%w: whether the write was kept is not known", ErrUnavailable)
	// ErrCorrupt says that the database cannot be read as ours.
	ErrCorrupt = errors.New("the database is damaged or not one of Dueto's")
	// ErrSchemaNewer says that a newer version of Dueto migrated the database.
	ErrSchemaNewer = errors.New("the database was migrated by a newer version of Dueto")
	// ErrInUse says that somebody has the database open, who must not.
	ErrInUse = errors.New("the database is in use")
	// ErrNoRoom says that there is no room for a copy.
	ErrNoRoom = errors.New("there is no room")
	// ErrUnfinishedMove says that a move into the database has begun and not
	// ended: rows may be missing.
	ErrUnfinishedMove = errors.New("a move into the database has not been finished")
	// ErrMoveDiffers says that what a move has copied is not what is to be moved.
	ErrMoveDiffers = errors.New("the databases differ")
)

// UnsupportedError says that an engine leaves something to tools of its own.
type UnsupportedError struct {
	// Advice names them, with the command line where there is one.
	Advice string
}

func (e *UnsupportedError) Error() string { return e.Advice }
