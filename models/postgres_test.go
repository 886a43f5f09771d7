package models

import (
	"sync"
	"testing"
	"time"
)

// inserted makes a task in a store of its own and gives its id.
func inserted(t testing.TB, s *Store, task Task) int64 {
	t.Helper()
	task.Tags = "[]"
	if err := s.Write(t.Context(), func(tx DB) error { task.ID = 0; return CreateTask(tx, &task) }); err != nil {
		t.Fatal(err)
	}
	return task.ID
}

// Each of them undoes the others, and must get its turn nevertheless.
func TestWrite_ManyOfOneRowAreAllDone(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		const writes = 100
		id := inserted(t, s, Task{Title: "contended"})
		var wg sync.WaitGroup
		for range writes {
			wg.Go(func() {
				err := s.Write(t.Context(), func(tx DB) error {
					task, err := TaskByID(tx, TaskScope{All: true}, id)
					if err != nil {
						return err
					}
					time.Sleep(20 * time.Millisecond) // as a database far away takes
					task.Description += "x"
					return UpdateTask(tx, &task)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		task, err := TaskByID(s.Read(t.Context()), TaskScope{All: true}, id)
		if err != nil || len(task.Description) != writes || task.Version != writes+1 {
			t.Errorf("%d of %d changes are there, version %d, %v", len(task.Description), writes, task.Version, err)
		}
	})
}
