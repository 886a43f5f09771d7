package services

import (
	"context"
	"strconv"
	"time"
)

// MailLimits keeps strangers from filling a mailbox, and an account from
// writing to many. A nil one limits nothing.
type MailLimits struct {
	minute, day *Limiter
}

var (
	mailsAMinute = Rate{Requests: 1, Per: time.Minute, Burst: 1}
	mailsADay    = Rate{Requests: 5, Per: 24 * time.Hour, Burst: 5}
)

// NewMailLimits makes the limits, for all processes that share them; now is the
// clock.
func NewMailLimits(now func() time.Time, shared *Shared) *MailLimits {
	return &MailLimits{
		minute: NewLimiter(mailsAMinute, now).sharedWith(shared, "mails a minute", mailsAMinute),
		day:    NewLimiter(mailsADay, now).sharedWith(shared, "mails a day", mailsADay),
	}
}

// mayWrite counts a message of a kind that anybody can have sent to an address:
// one a minute and five a day. It counts alike whether the address has an
// account; who asks is not told.
func (m *MailLimits) mayWrite(ctx context.Context, kind MailKind, emailKey string) bool {
	_, ok := m.count(ctx, kind, emailKey)
	return ok
}

// count is mayWrite for those who may be told, and how long to wait.
func (m *MailLimits) count(ctx context.Context, kind MailKind, emailKey string) (wait time.Duration, ok bool) {
	if m == nil {
		return 0, true
	}
	key := string(kind) + ":" + emailKey
	if wait, ok = m.minute.Allow(ctx, key); !ok {
		return wait, false
	}
	return m.day.Allow(ctx, key)
}

// giveBack undoes a count whose message was not written.
func (m *MailLimits) giveBack(ctx context.Context, kind MailKind, emailKey string) {
	if m == nil {
		return
	}
	key := string(kind) + ":" + emailKey
	m.minute.giveBack(ctx, key)
	m.day.giveBack(ctx, key)
}

// mayChange counts an address that an account asks to change to: five a day of
// an account, and as any message of one address. It fails with CodeThrottled.
func (m *MailLimits) mayChange(ctx context.Context, userID int64, emailKey string) error {
	if m == nil {
		return nil
	}
	if wait, ok := m.day.Allow(ctx, "user:"+strconv.FormatInt(userID, 10)); !ok {
		return Throttled(wait)
	}
	if wait, ok := m.count(ctx, MailEmailChange, emailKey); !ok {
		return Throttled(wait)
	}
	return nil
}
