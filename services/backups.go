package services

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"dueto/models"
)

// BackupsConfig is what Backups is made of.
type BackupsConfig struct {
	Backups models.Backups
	Every   time.Duration // 0 is never
	Keep    int
	Now     func() time.Time
	Log     *slog.Logger
}

// Backups makes a backup every so often.
type Backups struct {
	cfg      BackupsConfig
	failures int64
}

// NewBackups makes one of its parts.
func NewBackups(cfg BackupsConfig) *Backups { return &Backups{cfg: cfg} }

const (
	// backupRetry is how soon a backup that failed is tried again, at first; it
	// doubles up to the time between two that succeed.
	backupRetry = time.Minute
	// backupPoll is how often it is looked whether one is due: clocks are set, and
	// machines sleep.
	backupPoll = time.Minute
)

// Run makes a backup whenever the newest one is older than the time between two,
// until ctx ends; one that is being made then is given up.
func (b *Backups) Run(ctx context.Context) {
	for b.cfg.Every > 0 && ctx.Err() == nil {
		timer := time.NewTimer(b.pass(ctx))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pass makes a backup if one is due, and tells how long to wait.
func (b *Backups) pass(ctx context.Context) time.Duration {
	wait, err := b.untilDue()
	if err == nil && wait <= 0 {
		wait, err = b.cfg.Every, b.make(ctx)
	}
	if err == nil {
		b.failures = 0
		return min(wait, backupPoll)
	}
	if ctx.Err() != nil {
		return 0
	}
	b.failures++
	b.cfg.Log.Error("no backup was made; it will be tried again", "error", err.Error())
	return backoff(b.failures, min(backupRetry, b.cfg.Every), b.cfg.Every)
}

// untilDue asks the folder, so that neither restarts nor other processes over
// the same files make more of them, or fewer. A backup from the future tells of
// a clock that was wrong, and of nothing else.
func (b *Backups) untilDue() (time.Duration, error) {
	newest, err := b.cfg.Backups.Newest()
	if errors.Is(err, models.ErrNotFound) {
		return 0, nil
	}
	age := b.cfg.Now().Sub(newest)
	if err != nil || age < 0 {
		return 0, err
	}
	return b.cfg.Every - age, nil
}

// make makes a backup beside the requests, which go first.
func (b *Backups) make(ctx context.Context) (err error) {
	began := time.Now()
	var made models.Backup
	givingWay(func() { made, err = b.cfg.Backups.Make(ctx, b.cfg.Keep) })
	if made.Size > 0 {
		b.cfg.Log.Info("backup made", "file", made.File, "bytes", made.Size, "took", time.Since(began).Round(time.Millisecond).String())
	}
	return err
}
