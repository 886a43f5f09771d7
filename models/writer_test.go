package models

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// hold keeps the writer busy with first until n more writes wait behind it,
// and gives the outcome of first.
func hold(t testing.TB, s *Store, n int, first func(DB) error) (wait func() error) {
	t.Helper()
	w := s.engine.(*sqliteEngine).writer
	job := &write{ctx: context.Background(), done: make(chan struct{}), fn: func(tx DB) error {
		for len(w.queue) < n {
			runtime.Gosched()
		}
		return first(tx)
	}}
	if err := w.enqueue(job); err != nil {
		t.Fatal(err)
	}
	return func() error {
		<-job.done
		return job.err
	}
}

func addTask(title string) func(DB) error {
	return func(tx DB) error { return CreateTask(tx, &Task{Title: title, Tags: "[]"}) }
}

// titles gives what is stored, sorted.
func titles(t testing.TB, s *Store) []string {
	t.Helper()
	tasks, err := ListTasks(s.Read(context.Background()), TaskFilter{Scope: TaskScope{All: true}}, Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(tasks))
	for i, task := range tasks {
		list[i] = task.Title
	}
	slices.Sort(list)
	return list
}

func TestWrite_RefusedWritesUndoOnlyThemselvesAndTheRestShareACommit(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	before := s.Stats()
	refusal := errors.New("refused")
	first := hold(t, s, 50, addTask("first"))
	want := []string{"first"}
	var wg sync.WaitGroup
	for i := range 50 {
		title := fmt.Sprintf("%02d", i)
		if i%5 > 1 {
			want = append(want, title)
		}
		wg.Go(func() {
			err := s.Write(t.Context(), func(tx DB) error {
				if err := addTask(title)(tx); err != nil {
					return err
				}
				switch i % 5 {
				case 0:
					return refusal
				case 1:
					panic("a defect")
				}
				return nil
			})
			switch i % 5 {
			case 0:
				if !errors.Is(err, refusal) {
					t.Errorf("write %d: %v; want its own refusal", i, err)
				}
			case 1:
				if err == nil || errors.Is(err, refusal) {
					t.Errorf("write %d panicked, and gave %v", i, err)
				}
			default:
				if err != nil {
					t.Errorf("write %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if err := first(); err != nil {
		t.Errorf("the first write: %v", err)
	}
	slices.Sort(want)
	if got := titles(t, s); !slices.Equal(got, want) {
		t.Errorf("stored %q; want %q", got, want)
	}
	after := s.Stats()
	if writes, commits := after.Writes-before.Writes, after.Commits-before.Commits; writes != 31 || commits >= writes {
		t.Errorf("%d writes in %d commits; want 31 in fewer", writes, commits)
	}
}

func TestWrite_PanicFailsItsOwnWriteOnly(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
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
}

func TestWrite_CancelledWhileItWaitsNeverRuns(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := hold(t, s, 1, func(DB) error { cancel(); return nil })
	ran := false
	err := s.Write(ctx, func(DB) error { ran = true; return nil })
	if err := first(); err != nil {
		t.Errorf("the write in front: %v", err)
	}
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("a write whose client left gave %v (it ran: %v)", err, ran)
	}
}

func TestWrite_CancelledAfterItBeganIsDone(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Write(ctx, func(tx DB) error {
		cancel()
		return addTask("kept")(tx)
	})
	if got := titles(t, s); err != nil || !slices.Equal(got, []string{"kept"}) {
		t.Errorf("it gave %v and stored %q", err, got)
	}
}

// On some errors SQLite undoes the statement, on others it ends the transaction
// itself, and all that share it with it.
func TestWrite_FullDiskIsToldToEverybodyItTouches(t *testing.T) {
	t.Parallel()
	for name, tooBig := range map[string]func(DB) error{
		"the statement is undone": func(tx DB) error {
			return CreateTask(tx, &Task{Title: "too big", Tags: "[]", Description: string(make([]byte, 1<<20))})
		},
		"the transaction is gone": func(tx DB) error {
			return tx.exec("INSERT INTO tasks (title, description, created_at, updated_at) VALUES ('too big', zeroblob(1048576), 0, 0)")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testFullDisk(t, openMigrated(t), tooBig)
		})
	}
}

func testFullDisk(t *testing.T, s *Store, tooBig func(DB) error) {
	limitPages(t, s, 1) // no fewer than there are
	front := hold(t, s, 2, addTask("in front"))
	waiting := []*write{
		{ctx: t.Context(), fn: tooBig, done: make(chan struct{})},
		{ctx: t.Context(), fn: addTask("behind"), done: make(chan struct{})},
	}
	for _, job := range waiting {
		if err := s.engine.(*sqliteEngine).writer.enqueue(job); err != nil {
			t.Fatal(err)
		}
	}
	limitPages(t, s, 1<<30) // waits its turn behind the three
	outcomes := map[string]error{"in front": front()}
	for i, name := range []string{"too big", "behind"} {
		select {
		case <-waiting[i].done:
			outcomes[name] = waiting[i].err
		default:
			t.Errorf("the write %q was taken from the queue and never answered", name)
		}
	}
	var acknowledged []string
	for name, err := range outcomes {
		if err == nil {
			acknowledged = append(acknowledged, name)
		} else if !errors.Is(err, ErrUnavailable) {
			t.Errorf("the write %q gave %v; want ErrUnavailable", name, err)
		}
	}
	if outcomes["too big"] == nil {
		t.Error("the disk was not full")
	}
	slices.Sort(acknowledged)
	if got := titles(t, s); !slices.Equal(got, acknowledged) {
		t.Errorf("stored %q; acknowledged were %q", got, acknowledged)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("not ready with room again: %v", err)
	}
}

// limitPages bounds the size of the file, as a full disk does.
func limitPages(t testing.TB, s *Store, pages int) {
	t.Helper()
	err := s.Write(t.Context(), func(tx DB) error {
		_, err := scalar(tx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
