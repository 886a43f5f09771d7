package services

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dueto/models"
)

const (
	// outboxLease is how long a message is kept from other senders. One that was
	// being sent when its sender died is sent again after it.
	outboxLease = 2 * time.Minute
	// outboxPoll is how often messages are looked for that other processes wrote.
	outboxPoll = 5 * time.Second
	// outboxPatience is how long a message may wait: nobody wants to read of last
	// month's doings on the day that mail is set up.
	outboxPatience = 3 * 24 * time.Hour
	// outboxKeep is how long it is told what became of a message.
	outboxKeep = 7 * 24 * time.Hour
	// outboxTidy is how often what is too old is put away.
	outboxTidy = time.Hour
)

// Run sends what waits in the outbox until ctx ends; a message that is being
// sent then is sent to its end. Without a mailer it only puts away what is old.
func (o *Outbox) Run(ctx context.Context) {
	for ctx.Err() == nil {
		timer := time.NewTimer(o.pass(ctx))
		select {
		case <-ctx.Done():
		case <-o.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pass sends all that is due, and tells how long to wait for more.
func (o *Outbox) pass(ctx context.Context) time.Duration {
	o.tidy(ctx)
	if !o.Sends() {
		return outboxTidy
	}
	for ctx.Err() == nil {
		now := o.cfg.Now()
		if now.Before(o.pausedUntil) {
			return min(outboxPoll, o.pausedUntil.Sub(now))
		}
		m, err := o.claim(ctx, now)
		if errors.Is(err, models.ErrNotFound) {
			return o.untilNext(ctx, now)
		}
		if err != nil {
			if ctx.Err() == nil {
				o.cfg.Log.Error("the outbox cannot be read", "error", err.Error())
			}
			return outboxPoll
		}
		o.send(context.WithoutCancel(ctx), m)
	}
	return 0
}

// claim takes the next message that is due. It asks before it writes, so that an
// empty outbox costs a read.
func (o *Outbox) claim(ctx context.Context, now time.Time) (m models.Message, err error) {
	at, found, err := models.NextMessageAt(o.store.Read(ctx))
	if err != nil {
		return m, err
	}
	if !found || at > models.Micros(now) {
		return m, models.ErrNotFound
	}
	err = o.store.Write(ctx, func(tx models.DB) (err error) {
		m, err = models.ClaimMessage(tx, models.Micros(now), models.Micros(now.Add(outboxLease)))
		return err
	})
	return m, err
}

// tidy gives up what has waited for too long, and forgets what is long over.
func (o *Outbox) tidy(ctx context.Context) {
	now := o.cfg.Now()
	if now.Sub(o.tidied) < outboxTidy {
		return
	}
	o.tidied = now
	o.settle(ctx, func(tx models.DB) error {
		return models.TidyMessages(tx, models.Micros(now), models.Micros(now.Add(-outboxPatience)), models.Micros(now.Add(-outboxKeep)))
	})
}

// untilNext tells how long nothing is due.
func (o *Outbox) untilNext(ctx context.Context, now time.Time) time.Duration {
	at, found, err := models.NextMessageAt(o.store.Read(ctx))
	if err != nil || !found {
		return outboxPoll
	}
	return max(0, min(outboxPoll, models.Time(at).Sub(now)))
}

// send makes a message, sends it, and writes down what became of it.
func (o *Outbox) send(ctx context.Context, m models.Message) {
	mail, err := o.compose(o.store.Read(ctx), m)
	if err == nil {
		err = o.cfg.Mailer.Send(ctx, mail)
	}
	now := o.cfg.Now()
	finish := func(state, reason string) {
		o.settle(ctx, func(tx models.DB) error { return models.FinishMessage(tx, m.ID, state, reason, models.Micros(now)) })
	}
	log := o.cfg.Log.With("message_id", m.ID, "kind", m.Kind, "user_id", m.UserID.Int64, "attempt", m.Attempts)
	o.noteServer(now, err)
	switch {
	case err == nil:
		finish(models.MessageSent, "")
		log.Info("mail sent")
	case errors.Is(err, errNothingToSay):
		finish(models.MessageDropped, err.Error())
	case errors.Is(err, errMailRefused):
		finish(models.MessageFailed, err.Error())
		log.Error("mail refused", "error", err.Error())
	default:
		later := now.Add(backoff(m.Attempts, 30*time.Second, time.Hour))
		if errors.Is(err, errMailServer) { // no fault of the message, which waits no longer than the others
			later = o.pausedUntil
		}
		at := models.Micros(later)
		o.settle(ctx, func(tx models.DB) error { return models.PostponeMessage(tx, m.ID, at, err.Error()) })
		log.Warn("mail not sent; it will be tried again", "error", err.Error())
	}
}

// noteServer pauses the outbox while the mail server is down: the messages that
// wait need not each find that out.
func (o *Outbox) noteServer(now time.Time, err error) {
	switch {
	case errors.Is(err, errNothingToSay): // the server was not asked
		return
	case !errors.Is(err, errMailServer):
		o.failures = 0
		return
	}
	o.failures++
	o.pausedUntil = now.Add(backoff(int64(o.failures), 5*time.Second, 5*time.Minute))
}

// backoff doubles from first up to most.
func backoff(attempts int64, first, most time.Duration) time.Duration {
	return min(most, first<<min(attempts-1, 20))
}

// settle writes down what became of a message. Where the store does not take it
// the message is sent again when its lease is over, which is why a sender asks
// the store before it sends.
func (o *Outbox) settle(ctx context.Context, fn func(models.DB) error) {
	if err := o.store.Write(ctx, fn); err != nil {
		o.cfg.Log.Error("the outbox cannot be written", "error", err.Error())
	}
}

// messageID names a message alike at each attempt, so that a mailbox that gets
// it twice can tell.
func messageID(m models.Message) string { return fmt.Sprintf("%d.%d", m.ID, m.CreatedAt) }
