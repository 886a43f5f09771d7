package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"time"

	"dueto/models"
)

// Outbox keeps messages from the transaction that they belong to until a mail
// server has taken them. What is kept is what a message is about; its text, and
// any link in it, is made when it is sent.
type Outbox struct {
	store  *models.Store
	tokens *Tokens
	cfg    OutboxConfig
	wake   chan struct{}
	// pausedUntil and failures say how the mail server has been of late.
	pausedUntil time.Time
	failures    int
	tidied      time.Time
}

// OutboxConfig is what messages are made and sent with.
type OutboxConfig struct {
	// Mailer sends them; nil leaves them to wait for an operator.
	Mailer Mailer
	// Site is the public URL.
	Site string
	// Link gives the URL that a token of a kind is followed by.
	Link func(kind TokenKind, token string) string
	Log  *slog.Logger
	Now  func() time.Time
}

// NewOutbox makes the outbox; Run sends from it.
func NewOutbox(store *models.Store, tokens *Tokens, cfg OutboxConfig) *Outbox {
	return &Outbox{store: store, tokens: tokens, cfg: cfg, wake: make(chan struct{}, 1)}
}

// Sends reports whether a mail server is set up.
func (o *Outbox) Sends() bool { return o.cfg.Mailer != nil }

// wakeDelay is the shortest time between a message and its sending; the longest
// is twice that.
const wakeDelay = 40 * time.Millisecond

// Wake has Run look for messages now.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // it is about to look
	}
}

// post is what one transaction writes to people.
type post struct {
	outbox *Outbox
	added  []models.Message
}

func (o *Outbox) post() *post { return &post{outbox: o} }

// clear begins anew, as a transaction does that is run again.
func (p *post) clear() { p.added = nil }

// add writes a message about an account. It goes to address, or, where that is
// empty, to the account's.
func (p *post) add(tx models.DB, kind MailKind, userID int64, address string) error {
	m := models.Message{Kind: string(kind), Address: address, CreatedAt: models.Micros(p.outbox.cfg.Now())}
	m.UserID.Int64, m.UserID.Valid = userID, true
	if err := models.AddMessage(tx, &m); err != nil {
		return err
	}
	p.added = append(p.added, m)
	return nil
}

// addNothing takes as long as add.
func (p *post) addNothing(tx models.DB) error {
	return models.AddNoMessage(tx, models.Micros(p.outbox.cfg.Now()))
}

// committed is called once the transaction is.
func (p *post) committed(ctx context.Context) {
	if p.outbox.Sends() {
		// Not at once: a mail that goes out would be felt by who asks again, and
		// tell that there is somebody to write to.
		time.AfterFunc(wakeDelay+mathrand.N(wakeDelay), p.outbox.Wake) //nolint:gosec // no secret
		return
	}
	for _, m := range p.added {
		p.outbox.cfg.Log.InfoContext(ctx, "a message waits in the outbox: no mail is set up",
			"message_id", m.ID, "kind", m.Kind, "user_id", m.UserID.Int64, "request_id", RequestID(ctx))
	}
}

// errNothingToSay says that a message has become pointless.
var errNothingToSay = errors.New("there is nothing left to say")

// compose makes a message as things are now.
func (o *Outbox) compose(db models.DB, m models.Message) (Mail, error) {
	user, err := models.UserByID(db, m.UserID.Int64)
	if errors.Is(err, models.ErrNotFound) {
		return Mail{}, errNothingToSay
	}
	if err != nil {
		return Mail{}, err
	}
	l := letter{kind: MailKind(m.Kind), user: user, to: m.Address}
	if err := l.suit(db); err != nil {
		return Mail{}, err
	}
	content := mailContent{Kind: l.kind, Username: l.user.Username, Site: o.cfg.Site}
	if content.Link, content.Lifetime, err = o.link(l); err != nil {
		return Mail{}, err
	}
	mail := Mail{ID: messageID(m), To: cmp.Or(l.to, l.user.Email)}
	mail.Subject, mail.Text, mail.HTML, err = composeMail(content)
	return mail, err
}

// letter is a message on its way to be made.
type letter struct {
	kind MailKind
	user models.User
	to   string
}

// suit fits a letter to the state of its account, or fails with errNothingToSay.
// Whether an address is taken is found out only here, where nobody waits who
// could tell from it.
func (l *letter) suit(db models.DB) error {
	switch l.kind {
	case MailActivation:
		return unless(l.user.Pending())
	case MailPasswordReset:
		return unless(l.user.Active())
	case MailAddressTaken:
		if l.user.Pending() {
			l.kind = MailRegisteredAgain
			return nil
		}
		return unless(l.user.Active())
	case MailEmailChange:
		return l.suitEmailChange(db)
	}
	return nil
}

func (l *letter) suitEmailChange(db models.DB) error {
	// Confirmed or withdrawn, or another one is wished for by now.
	if l.user.PendingEmail == "" || l.user.PendingEmail != l.to || !l.user.Active() {
		return errNothingToSay
	}
	key, _ := canonicalEmail(l.user.PendingEmail)
	owner, err := models.UserByEmailKey(db, key)
	switch {
	case errors.Is(err, models.ErrNotFound) || (err == nil && (owner.ID == l.user.ID || owner.Pending())):
		return nil // who confirms an address comes before who only claims it
	case err != nil:
		return err
	}
	l.kind, l.user, l.to = MailAddressTaken, owner, ""
	return l.suit(db)
}

func unless(sayable bool) error {
	if sayable {
		return nil
	}
	return errNothingToSay
}

// link mints the link that a letter carries, if it carries one.
func (o *Outbox) link(l letter) (url string, lifetime time.Duration, err error) {
	var kind TokenKind
	var token string
	switch l.kind {
	case MailActivation:
		kind, lifetime = TokenActivation, o.tokens.ActivationTTL
		token, err = o.tokens.Activation(l.user, true)
	case MailPasswordReset, MailRegisteredAgain:
		kind, lifetime = TokenReset, o.tokens.ResetTTL
		token, err = o.tokens.Reset(l.user)
	case MailEmailChange:
		kind, lifetime = TokenEmail, o.tokens.ActivationTTL
		token, err = o.tokens.Email(l.user)
	default:
		return "", 0, nil
	}
	return o.cfg.Link(kind, token), lifetime, err
}

// Messages lists the last messages, those that wait first.
func (o *Outbox) Messages(ctx context.Context) ([]models.Message, error) {
	return models.Messages(o.store.Read(ctx), 200)
}

// Show makes a message as it would be sent now. It is for operators: what it
// gives may hold a link that opens an account. It fails with CodeNotFound, or
// with CodeConflict on a message that would not be sent any more.
func (o *Outbox) Show(ctx context.Context, id int64) (Mail, error) {
	db := o.store.Read(ctx)
	m, err := models.MessageByID(db, id)
	if errors.Is(err, models.ErrNotFound) {
		return Mail{}, NewError(CodeNotFound, fmt.Sprintf("There is no message %d.", id))
	}
	if err != nil {
		return Mail{}, err
	}
	if m.State == models.MessageSent || m.State == models.MessageDropped {
		return Mail{}, NewError(CodeConflict, "This message is "+m.State+"; it was not kept.")
	}
	mail, err := o.compose(db, m)
	if errors.Is(err, errNothingToSay) {
		return Mail{}, NewError(CodeConflict, "There is nothing left to say: the account has changed since.")
	}
	return mail, err
}
