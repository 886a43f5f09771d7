package models

import (
	"context"
	"database/sql"
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
// is being made durable share the next one, so that fsync is paid once for all
// of them. Nearly all of them succeed, so that they run without a way to undo
// one alone; where one is to be undone, all of them are, and run again.
type writer struct {
	tx      *transaction
	handle  DB
	queue   chan *write
	batch   []*write // those that share the transaction
	stopped chan struct{}

	closing sync.RWMutex // held for reading while a write is handed over
	closed  bool

	writes  atomic.Int64
	commits atomic.Int64
}

// write is one caller's change, and its outcome once done is closed.
type write struct {
	ctx   context.Context
	fn    func(DB) error
	begun bool // it is not cancelled any more
	err   error
	done  chan struct{}
}

func startWriter(db *gorm.DB, pool *sql.DB) *writer {
	tx := &transaction{pool: pool}
	w := &writer{
		tx: tx, handle: DB{base: withPool(db, tx), ctx: context.Background()},
		queue: make(chan *write, maxBatch), stopped: make(chan struct{}),
	}
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
	w.batch = append(w.batch[:0], first)
	err := w.tx.run(w.together)
	if errors.Is(err, errSpoilt) {
		err = w.tx.run(w.apart)
	}
	if err == nil {
		w.commits.Add(1)
	}
	for i, job := range w.batch {
		if err != nil && job.begun { // what it found may be undone with the rest
			job.err = err
		}
		if job.err == nil {
			w.writes.Add(1)
		}
		close(job.done)
		w.batch[i] = nil // what it holds is the caller's
	}
}

// errSpoilt says that a write is to be undone, or that it ended the transaction
// that it shared.
var errSpoilt = errors.New("a write has spoilt its transaction")

// together runs the batch, and adds to it whatever comes meanwhile. A write that
// fails before it changed anything leaves nothing to undo. After any other
// failure what waits still is left for later: the batch is to run again.
func (w *writer) together() error {
	for job := w.batch[0]; job != nil; job = w.next() {
		if job.err = job.ctx.Err(); job.err != nil {
			continue // its client left before it began
		}
		job.begun = true
		w.tx.changed = false
		job.err = call(job.fn, w.handle)
		if (job.err != nil && w.tx.changed) || !w.tx.open() {
			return errSpoilt
		}
	}
	return nil
}

// apart runs the batch again, each write in a savepoint of its own, so that one
// that fails undoes nothing but itself.
func (w *writer) apart() error {
	for _, job := range w.batch {
		if !job.begun {
			continue
		}
		if err := w.handle.attempt(job); err != nil {
			return err
		}
	}
	return nil
}

// next adds a write that is waiting to the batch, or gives none. Where none is,
// those who could hand one over are let run first: on few processors they would
// otherwise wait for the whole commit, and then share the next one with few
// others.
func (w *writer) next() *write {
	for attempt := 0; len(w.batch) < maxBatch && attempt < 2; attempt++ {
		select {
		case job, ok := <-w.queue:
			if ok {
				w.batch = append(w.batch, job)
			}
			return job // nil once closed and drained
		default:
			runtime.Gosched()
		}
	}
	return nil
}

// attempt runs one write in a savepoint. What fn fails with is the write's own
// outcome; the error returned is of the transaction, which then is lost whole.
func (db DB) attempt(job *write) error {
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
