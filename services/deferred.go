package services

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"dueto/models"
)

const (
	// maxDeferred bounds the writes that wait; more are dropped.
	maxDeferred = 10_000
	// deferPause lets the answer out first, and the next request in: what is
	// written behind an answer must not be felt by who asks again at once.
	deferPause = 5 * time.Millisecond
	// flushPatience is how long a reader waits for what was deferred before.
	flushPatience = time.Second
)

// Deferred writes what no request should wait for, a moment later: notes of
// what was done, which may be lost with the process. A goroutine does it that
// ends when there is nothing left.
type Deferred struct {
	store *models.Store
	log   *slog.Logger

	mu      sync.Mutex
	queue   []func(models.DB) error
	writing chan struct{} // closed when the queue is empty; nil while nothing is written
}

// NewDeferred takes the store, and the log for what cannot be written.
func NewDeferred(store *models.Store, log *slog.Logger) *Deferred {
	return &Deferred{store: store, log: log}
}

// add queues a write.
func (d *Deferred) add(write func(models.DB) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) >= maxDeferred {
		return
	}
	d.queue = append(d.queue, write)
	if d.writing == nil {
		d.writing = make(chan struct{})
		go d.drain()
	}
}

// drain writes what is queued, all that waits at once, until nothing is.
func (d *Deferred) drain() {
	for {
		time.Sleep(deferPause)
		d.mu.Lock()
		batch := d.queue
		d.queue = nil
		if len(batch) == 0 {
			close(d.writing)
			d.writing = nil
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		err := d.store.Write(context.Background(), func(tx models.DB) error {
			for _, write := range batch {
				if err := write(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			d.log.Error("notes were not written", "count", len(batch), "error", err.Error())
		}
	}
}

// Flush waits until everything added so far is written, or ctx ends.
func (d *Deferred) Flush(ctx context.Context) {
	d.mu.Lock()
	writing := d.writing
	d.mu.Unlock()
	if writing == nil {
		return
	}
	select {
	case <-writing:
	case <-ctx.Done():
	}
}

// settle is Flush for a reader, who does not wait for a store that is stuck.
func (d *Deferred) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushPatience)
	defer cancel()
	d.Flush(ctx)
}
