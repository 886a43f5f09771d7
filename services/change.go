package services

import "slices"

// Change is one member of a patch: what to set it to, if it is to be set.
type Change[T any] struct {
	Set bool
	To  T
}

// SetTo is a change that happens.
func SetTo[T any](v T) Change[T] { return Change[T]{Set: true, To: v} }

func (c Change[T]) apply(target *T) {
	if c.Set {
		*target = c.To
	}
}

// Expected is the state of a resource that a change was made for. The zero
// value expects nothing.
type Expected struct {
	// Given is whether anything is expected; with Any, that it exists.
	Given bool
	Any   bool
	// Versions lists the versions of which it must have one.
	Versions []string
}

// check fails with ErrPrecondition unless the version is an expected one.
func (e Expected) check(version string) error {
	if !e.Given || e.Any || slices.Contains(e.Versions, version) {
		return nil
	}
	return ErrPrecondition
}
