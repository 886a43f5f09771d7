package services

import (
	"context"
	"errors"
	"strings"

	"dueto/models"
)

// CheckActivation reports what Activate would fail with, and changes nothing.
func (s *AccountService) CheckActivation(ctx context.Context, token string) error {
	_, err := s.pending(s.store.Read(ctx), token)
	return err
}

// Activate confirms the account that a link was made for. Whoever has the link
// may call it. It fails with CodeTokenExpired, CodeTokenNotValid (tampered, of
// another kind, or made for another address or password), CodeAlreadyActive,
// or CodeUserInactive: no link undoes a deactivation.
func (s *AccountService) Activate(ctx context.Context, token string) error {
	var user models.User
	err := s.store.Write(ctx, func(tx models.DB) (err error) {
		if user, err = s.pending(tx, token); err != nil {
			return err
		}
		user.ActivatedAt = models.NullMicros(new(s.now()))
		return models.UpdateUser(tx, &user)
	})
	if err == nil {
		s.events.record(ctx, "activated", user.ID)
	}
	return err
}

// ActivateByLink is Activate for somebody who follows the link: it activates
// where the link was handed out in an answer, and does nothing, which activated
// tells, where it went by mail: there, scanners follow links.
func (s *AccountService) ActivateByLink(ctx context.Context, token string) (activated bool, err error) {
	claims, err := s.tokens.Parse(token, TokenActivation)
	if err != nil {
		return false, err
	}
	if claims.Mailed {
		return false, s.CheckActivation(ctx, token)
	}
	return true, s.Activate(ctx, token)
}

// pending gives the account that a link may still confirm.
func (s *AccountService) pending(db models.DB, token string) (models.User, error) {
	user, fits, err := s.linked(db, token, TokenActivation)
	switch {
	case err != nil:
		return user, err
	case !fits:
		return user, ErrTokenNotValid
	case user.ActivatedAt.Valid:
		return user, ErrAlreadyActive
	}
	return user, nil
}

// linked gives the account, not deactivated, that a link was made for, and
// whether it was made for the account as it is now.
func (s *AccountService) linked(db models.DB, token string, kind TokenKind) (user models.User, fits bool, err error) {
	claims, err := s.tokens.Parse(token, kind)
	if err != nil {
		return user, false, err
	}
	user, err = models.UserByID(db, claims.UserID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return user, false, ErrUserInactive
	case err != nil:
		return user, false, err
	case user.DisabledAt.Valid:
		return user, false, ErrUserInactive
	}
	return user, s.tokens.MadeFor(claims, user), nil
}

// ResendActivation has the link sent again to an address whose account waits
// for it. Anybody may call it, and cannot tell from it whether there is one. It
// fails with CodeInvalid on what is no address.
func (s *AccountService) ResendActivation(ctx context.Context, email string) error {
	return s.writeTo(ctx, email, MailActivation, models.User.Pending)
}

// writeTo sends a message to the account with that address, if it has one that
// is fit for it and was not written to just now, at the same price if not.
func (s *AccountService) writeTo(ctx context.Context, email string, kind MailKind, fit func(models.User) bool) error {
	fields := Fields{}
	_, key := checkEmail(fields, email)
	if err := fields.Err("The address is not valid."); err != nil {
		return err
	}
	var userID int64
	mails := s.outbox.post()
	allowed := s.limits.mayWrite(ctx, kind, key)
	err := s.store.Write(ctx, func(tx models.DB) error {
		mails.clear()
		userID = 0
		user, err := models.UserByEmailKey(tx, key)
		switch {
		case err == nil && allowed && fit(user):
			userID = user.ID
			return mails.add(tx, kind, user.ID, "")
		case err == nil || errors.Is(err, models.ErrNotFound):
			return mails.addNothing(tx)
		}
		return err
	})
	if err != nil {
		if allowed {
			s.limits.giveBack(ctx, kind, key)
		}
		return err
	}
	mails.committed(ctx)
	s.events.record(ctx, strings.ReplaceAll(string(kind), "_", " ")+" asked for", userID)
	return nil
}
