package models

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// inserted makes a task and gives its id.
func inserted(t testing.TB, s *Store, title string) int64 {
	t.Helper()
	var task Task
	err := s.Write(t.Context(), func(tx DB) error {
		task = Task{Title: title, Tags: "[]"}
		return CreateTask(tx, &task)
	})
	if err != nil {
		t.Fatal(err)
	}
	return task.ID
}

// appendTo adds to a task's description what it was not decided to before the
// transaction.
func appendTo(id int64, text string) func(DB) error {
	return func(tx DB) error {
		task, err := TaskByID(tx, TaskScope{All: true}, id)
		if err != nil {
			return err
		}
		stored := task
		task.Description += text
		return UpdateTask(tx, stored, &task)
	}
}

func description(t testing.TB, s *Store, id int64) string {
	t.Helper()
	task, err := TaskByID(s.Read(t.Context()), TaskScope{All: true}, id)
	if err != nil {
		t.Fatal(err)
	}
	return task.Description
}

func TestWrite_RefusedOneLeavesNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		refusal := errors.New("refused")
		id := inserted(t, s, "kept")
		err := s.Write(t.Context(), func(tx DB) error {
			return errors.Join(addTask("half")(tx), appendTo(id, "x")(tx), refusal)
		})
		if !errors.Is(err, refusal) {
			t.Errorf("it gave %v", err)
		}
		if got := titles(t, s); !slices.Equal(got, []string{"kept"}) || description(t, s, id) != "" {
			t.Errorf("stored %q", got)
		}
	})
}

func TestWrite_PanicFailsItsOwnWriteOnly(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		err := s.Write(t.Context(), func(tx DB) error {
			if err := addTask("half")(tx); err != nil {
				return err
			}
			var nothing *Task
			return addTask(nothing.Title)(tx)
		})
		if err == nil {
			t.Error("a write that panicked succeeded")
		}
		if err := s.Write(t.Context(), addTask("next")); err != nil {
			t.Errorf("the next write: %v", err)
		}
		if got := titles(t, s); !slices.Equal(got, []string{"next"}) {
			t.Errorf("stored %q", got)
		}
	})
}

func TestWrite_CancelledBeforeItBeganNeverRuns(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		ran := false
		err := s.Write(ctx, func(DB) error { ran = true; return nil })
		if !errors.Is(err, context.Canceled) || ran {
			t.Errorf("it gave %v (it ran: %v)", err, ran)
		}
	})
}

func TestWrite_CancelledAfterItBeganIsDone(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Write(ctx, func(tx DB) error {
			cancel()
			return addTask("kept")(tx)
		})
		if got := titles(t, s); err != nil || !slices.Equal(got, []string{"kept"}) {
			t.Errorf("it gave %v and stored %q", err, got)
		}
	})
}

// Each of them undoes the others, and must get its turn nevertheless.
func TestWrite_ManyOfOneRowAreAllDone(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		const writes = 100
		id := inserted(t, s, "contended")
		var wg sync.WaitGroup
		for range writes {
			wg.Go(func() {
				err := s.Write(t.Context(), func(tx DB) error {
					task, err := TaskByID(tx, TaskScope{All: true}, id)
					if err != nil {
						return err
					}
					time.Sleep(20 * time.Millisecond) // as a database far away takes
					stored := task
					task.Description += "x"
					return UpdateTask(tx, stored, &task)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := description(t, s, id); len(got) != writes {
			t.Errorf("%d of %d changes are there", len(got), writes)
		}
	})
}

func TestWrite_IDsAreNotGivenTwice(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		inserted(t, s, "kept")
		gone := inserted(t, s, "deleted")
		if err := s.Write(t.Context(), func(tx DB) error { return DeleteTask(tx, gone) }); err != nil {
			t.Fatal(err)
		}
		if next := inserted(t, s, "next"); next <= gone {
			t.Errorf("after %d was deleted, the next is %d", gone, next)
		}
	})
}

func TestClose_EndsReadsAndWrites(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		s, err := Open(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Migrate(t.Context())
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		ran := false
		if err := s.Write(t.Context(), func(DB) error { ran = true; return nil }); !errors.Is(err, ErrUnavailable) || ran {
			t.Errorf("a write gave %v (it ran: %v)", err, ran)
		}
		if _, err := TaskByID(s.Read(t.Context()), TaskScope{}, 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a read gave %v", err)
		}
	})
}
