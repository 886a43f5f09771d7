package models

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"
)

// maxBatch bounds how many writes share a commit, and so how long another
// process waits for the lock.
const maxBatch = 256

// writer runs all changes on one connection. Writes that wait while a commit
// is being made durable share the next one, each in a savepoint of its own, so
// that fsync is paid once for all of them and a refused write undoes nothing
// but itself.
type writer struct {
	db      *gorm.DB
	queue   chan *write
	stopped chan struct{}

	closing sync.RWMutex // held for reading while a write is handed over
	closed  bool

	writes  atomic.Int64
	commits atomic.Int64
}

// write is one caller's change, and its outcome once done is closed.
type write struct {
	ctx  context.Context
	fn   func(DB) error
	err  error
	done chan struct{}
}

func startWriter(db *gorm.DB) *writer {
	w := &writer{db: db, queue: make(chan *write, maxBatch), stopped: make(chan struct{})}
	go w.loop()
	return w
}

// do hands fn to the writer and waits for its commit.
func (w *writer) do(ctx context.Context, fn func(DB) error) error {
	job := &write{ctx: ctx, fn: fn, done: make(chan struct{})}
	if err := w.enqueue(job); err != nil {
		return err
	}
	<-job.done
	return job.err
}

func (w *writer) enqueue(job *write) error {
	w.closing.RLock()
	defer w.closing.RUnlock()
	if w.closed {
		return fmt.Errorf("%w: it is closing", ErrUnavailable)
	}
	select {
	case w.queue <- job:
		return nil
	case <-job.ctx.Done():
		return job.ctx.Err()
	}
}

// stop takes no more writes and returns when the accepted ones are committed.
func (w *writer) stop() {
	w.closing.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.closing.Unlock()
	<-w.stopped
}

func (w *writer) loop() {
	defer close(w.stopped)
	for job := range w.queue {
		w.commit(job)
	}
}

// commit runs first and whatever waits behind it in one transaction. No caller
// hears of success before the commit; if the commit fails, all hear of it.
func (w *writer) commit(first *write) {
	batch := make([]*write, 0, 8)
	tx := w.db.Begin()
	err := translate(tx.Error)
	if err != nil {
		first.err = err
		close(first.done)
		return
	}
	handle := DB{base: tx, ctx: context.Background()}
	for job := first; job != nil; {
		batch = append(batch, job)
		if err = handle.attempt(job); err != nil {
			break // what waits still is not lost with this transaction
		}
		job = w.next(len(batch))
	}
	if err == nil {
		err = translateCommit(tx.Commit().Error)
	}
	if err != nil {
		_ = tx.Rollback() // after a failed commit the transaction may be gone already
	} else {
		w.commits.Add(1)
	}
	for _, job := range batch {
		if err != nil && job.err == nil {
			job.err = err
		}
		if job.err == nil {
			w.writes.Add(1)
		}
		close(job.done)
	}
}

// next takes a write that is waiting, or none. Where none is, those who could
// hand one over are let run first: on few processors they would otherwise wait
// for the whole commit, and then share the next one with few others.
func (w *writer) next(taken int) *write {
	for attempt := 0; taken < maxBatch && attempt < 2; attempt++ {
		select {
		case job := <-w.queue: // nil once closed and drained
			return job
		default:
			runtime.Gosched()
		}
	}
	return nil
}

// attempt runs one write in a savepoint. What fn fails with is the write's own
// outcome; the error returned is of the transaction, which then is lost whole.
func (db DB) attempt(job *write) error {
	if job.err = job.ctx.Err(); job.err != nil {
		return nil //nolint:nilerr // its client left before it began: no fault of the transaction
	}
	if err := db.exec("SAVEPOINT one_write"); err != nil {
		return err
	}
	job.err = call(job.fn, db)
	if job.err != nil {
		if err := db.exec("ROLLBACK TO one_write"); err != nil {
			return errors.Join(job.err, err) // the engine has ended the transaction itself
		}
	}
	return db.exec("RELEASE one_write")
}

// call turns a panic into an error, so that a defect in one write does not end
// the others with it.
func call(fn func(DB) error, db DB) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(db)
}
