package services

import (
	"context"
	"errors"

	"dueto/models"
)

// forcedReset counts resets that are forced apart from those that anybody may
// ask for: a flood of the latter must not keep staff from an account that was
// broken into.
const forcedReset MailKind = "forced password reset"

// ForceReset takes an account's password away, ends its sessions and API tokens,
// and has a link sent by which its owner sets a new one. Staff may call it, and
// those with users.change where PATCH would let them; not for oneself. It fails
// with CodeNotFound, CodePermissionDenied, CodeThrottled, or CodeConflict on an
// account that is not active.
func (s *UserService) ForceReset(ctx context.Context, actor Actor, id int64) error {
	if !actor.Authenticated() {
		return ErrNotAuthenticated
	}
	mails := s.accounts.outbox.post()
	counted := false // however often the transaction is run
	mayWrite := func(emailKey string) error {
		if counted {
			return nil
		}
		wait, ok := s.accounts.limits.count(ctx, forcedReset, emailKey)
		if !ok {
			return Throttled(wait)
		}
		counted = true
		return nil
	}
	err := s.store.Write(ctx, func(tx models.DB) error {
		mails.clear()
		actor, err := actor.standing(tx, models.Micros(s.now()))
		if err != nil {
			return err
		}
		user, err := models.UserByID(tx, id)
		switch {
		case errors.Is(err, models.ErrNotFound) || (err == nil && !canSeeUser(actor, user)):
			return ErrNotFound
		case err != nil:
			return err
		case isSelf(actor, user) || !canManageUser(actor, user, PermChangeUsers):
			return ErrPermissionDenied
		case !user.Active():
			return NewError(CodeConflict, "The account is not active.")
		}
		if err := mayWrite(user.EmailKey); err != nil {
			return err
		}
		s.accounts.setPassword(&user, "")
		if err := models.UpdateUser(tx, &user); err != nil {
			return err
		}
		if _, err := models.RevokeSessionsOf(tx, id, 0, models.Micros(s.now())); err != nil {
			return err
		}
		if _, err := models.DeleteAPITokensOf(tx, id, ""); err != nil {
			return err
		}
		return mails.add(tx, MailPasswordReset, id, "")
	})
	if err != nil {
		return err
	}
	mails.committed(ctx)
	s.events.record(ctx, "password reset forced", id, "by", actor.UserID)
	return nil
}
