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
	waited := false // it may run again, with the others taken from the queue
	job := &write{ctx: context.Background(), done: make(chan struct{}), fn: func(tx DB) error {
		for !waited && len(w.queue) < n {
			runtime.Gosched()
		}
		waited = true
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

// together runs the writes behind first, in one transaction, and gives their
// outcomes.
func together(t *testing.T, s *Store, first func(DB) error, jobs ...*write) (front error) {
	t.Helper()
	wait := hold(t, s, len(jobs), first)
	for _, job := range jobs {
		job.done = make(chan struct{})
		if job.ctx == nil {
			job.ctx = t.Context()
		}
		if err := s.engine.(*sqliteEngine).writer.enqueue(job); err != nil {
			t.Fatal(err)
		}
	}
	front = wait()
	for _, job := range jobs {
		<-job.done
	}
	return front
}

func TestWrite_RunsAgainOnlyWhereThereIsSomethingToUndo(t *testing.T) {
	t.Parallel()
	refusal := errors.New("refused")
	for name, test := range map[string]struct {
		fails func(DB) error
		runs  int // of a write in front of it
	}{
		"refused at once": {func(DB) error { return refusal }, 1},
		"refused after it read": {func(tx DB) error {
			_, err := TaskByID(tx, TaskScope{}, 404)
			return errors.Join(refusal, err)
		}, 1},
		"a panic at once":         {func(DB) error { panic(refusal) }, 1},
		"refused after a change":  {func(tx DB) error { return errors.Join(addTask("no")(tx), refusal) }, 2},
		"refused by the database": {func(tx DB) error { return errors.Join(tx.exec("INSERT INTO tasks (id) VALUES (NULL)"), refusal) }, 2},
		"a change by gorm":        {func(tx DB) error { return errors.Join(tx.gorm().Create(&User{}).Error, refusal) }, 2},
		"a change that returns": {func(tx DB) error {
			_, err := scalar(tx, "DELETE FROM tasks RETURNING id")
			return errors.Join(err, refusal)
		}, 2},
		"a panic after the change": {func(tx DB) error { return errors.Join(addTask("no")(tx), func() error { panic(refusal) }()) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openMigrated(t)
			runs, failed := 0, 0
			bad, behind := &write{fn: func(tx DB) error { failed++; return test.fails(tx) }}, &write{fn: addTask("behind")}
			front := together(t, s, func(tx DB) error { runs++; return addTask("in front")(tx) }, bad, behind)
			if front != nil || bad.err == nil || behind.err != nil {
				t.Errorf("the outcomes are %v, %v, %v", front, bad.err, behind.err)
			}
			if runs != test.runs || failed != test.runs {
				t.Errorf("the one in front ran %d times, the one that failed %d times; want %d", runs, failed, test.runs)
			}
			if got := titles(t, s); !slices.Equal(got, []string{"behind", "in front"}) {
				t.Errorf("stored %q", got)
			}
		})
	}
}

func TestWrite_TheRunThatCountsGivesTheOutcome(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	ctx, cancel := context.WithCancel(t.Context())
	left, leave := context.WithCancel(t.Context())
	first, second := errors.New("first run"), errors.New("second run")
	var runs, mended, never int
	jobs := []*write{
		{ctx: ctx, fn: func(tx DB) error { cancel(); leave(); return addTask("begun, then cancelled")(tx) }},
		{ctx: left, fn: func(DB) error { never++; return nil }},
		{fn: func(tx DB) error {
			if mended++; mended == 1 {
				return first
			}
			return addTask("refused only once")(tx)
		}},
		{fn: func(tx DB) error {
			if runs++; runs == 1 {
				return errors.Join(addTask("no")(tx), first)
			}
			return errors.Join(addTask("no")(tx), second)
		}},
	}
	if err := together(t, s, func(DB) error { return nil }, jobs...); err != nil {
		t.Error(err)
	}
	if jobs[0].err != nil || jobs[2].err != nil {
		t.Errorf("what was good in the second run gave %v and %v", jobs[0].err, jobs[2].err)
	}
	if err := jobs[1].err; !errors.Is(err, context.Canceled) || never != 0 {
		t.Errorf("the write whose client left gave %v and ran %d times", err, never)
	}
	if err := jobs[3].err; !errors.Is(err, second) || errors.Is(err, first) || runs != 2 {
		t.Errorf("the write that was undone gave %v and ran %d times", err, runs)
	}
	if got := titles(t, s); !slices.Equal(got, []string{"begun, then cancelled", "refused only once"}) {
		t.Errorf("stored %q", got)
	}
}

// What ran after the end of the transaction would be stored at once, and told to
// be lost.
func TestWrite_EndOfTheTransactionIsNoticedThoughTheWriteHidesIt(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	ends, behind := &write{fn: func(tx DB) error { _ = tx.exec("ROLLBACK"); return nil }}, &write{fn: addTask("behind")}
	front := together(t, s, addTask("in front"), ends, behind)
	if ends.err == nil {
		t.Error("the write that ended its transaction is told that it is stored")
	}
	var want []string
	for title, err := range map[string]error{"in front": front, "behind": behind.err} {
		if err == nil {
			want = append(want, title)
		}
	}
	slices.Sort(want)
	if got := titles(t, s); !slices.Equal(got, want) {
		t.Errorf("stored %q; acknowledged were %q", got, want)
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
