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
)
