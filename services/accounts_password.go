package services

import (
	"context"
	"errors"
	"fmt"

	"dueto/models"
)

const invalidPassword = "The password is not valid."

// ChangePassword gives the actor's account a new password and ends its other
// sessions. It fails with CodeInvalid, for a wrong old password too, CodeBusy, or
// CodeThrottled.
func (s *AccountService) ChangePassword(ctx context.Context, actor Actor, old, password string) error {
	if !actor.Authenticated() {
		return ErrNotAuthenticated
	}
	user, err := models.UserByID(s.store.Read(ctx), actor.UserID)
	if err != nil {
		return err
	}
	if err := passwordFor(user, "new_password", password); err != nil {
		return err
	}
	match, err := s.confirm(ctx, actor, user, old)
	if err != nil {
		return err
	}
	wrong := FieldError(invalidPassword, "old_password", "Your old password was entered incorrectly. Please enter it again.")
	if !match {
		s.events.record(ctx, "wrong password at its change", user.ID)
		return wrong
	}
	err = s.replacePassword(ctx, user, password, actor.SessionID, "password changed")
	if errors.Is(err, ErrTokenNotValid) { // changed meanwhile
		return wrong
	}
	return err
}

// confirm compares a password with that of an account that asks to do something
// grave. Who has stolen a session must not have more guesses than others, nor keep
// the owner from trying.
func (s *AccountService) confirm(ctx context.Context, actor Actor, user models.User, password string) (bool, error) {
	return s.failures.Guard(ctx, fmt.Sprintf("id:%d by session %d, token %d", user.ID, actor.SessionID, actor.TokenID), func() (bool, error) {
		return s.passwords.Compare(ctx, user.PasswordHash, password)
	})
}

// RequestReset has a link sent by which the account with that address gets a new
// password. Anybody may call it, and cannot tell from it whether there is one.
// It fails with CodeInvalid on what is no address.
func (s *AccountService) RequestReset(ctx context.Context, email string) error {
	return s.writeTo(ctx, email, MailPasswordReset, models.User.Active)
}

// CheckReset reports what ConfirmReset would fail with whatever the password.
func (s *AccountService) CheckReset(ctx context.Context, token string) error {
	_, err := s.resettable(s.store.Read(ctx), token)
	return err
}

// resettable gives the account whose password a link may still set.
func (s *AccountService) resettable(db models.DB, token string) (models.User, error) {
	user, fits, err := s.linked(db, token, TokenReset)
	if err == nil && !fits {
		err = ErrTokenNotValid
	}
	return user, err
}

// ConfirmReset sets a new password and ends all sessions and API tokens of the
// account; one that waited for its confirmation is confirmed by it. Whoever has
// the link may call it, once. It fails with CodeTokenExpired, CodeTokenNotValid
// (used, or made for another address or password too), CodeUserInactive,
// CodeInvalid or CodeBusy.
func (s *AccountService) ConfirmReset(ctx context.Context, token, password string) error {
	user, err := s.resettable(s.store.Read(ctx), token)
	if err != nil {
		return err
	}
	if err := passwordFor(user, "new_password", password); err != nil {
		return err
	}
	if err := s.replacePassword(ctx, user, password, 0, "password reset"); err != nil {
		return err
	}
	// What others guessed must not keep out the owner, who has just shown up.
	s.failures.Clear(ctx, loginKey(user.EmailKey, ""))
	s.failures.Clear(ctx, loginKey("", user.UsernameKey))
	return nil
}

// replacePassword sets a password that was found good for the account as it was
// read, ends its sessions but one, or all and its API tokens too, and tells its
// owner.
func (s *AccountService) replacePassword(ctx context.Context, read models.User, password string, keepSession int64, event string) error {
	hash, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	mails := s.outbox.post()
	err = s.store.Write(ctx, func(tx models.DB) error {
		mails.clear()
		user, err := models.UserByID(tx, read.ID)
		if errors.Is(err, models.ErrNotFound) || (err == nil && user.DisabledAt.Valid) {
			return ErrUserInactive
		}
		if err != nil {
			return err
		}
		// What was decided before the transaction must still hold in it.
		if user.PasswordChangedAt != read.PasswordChangedAt || user.EmailKey != read.EmailKey {
			return ErrTokenNotValid
		}
		s.setPassword(&user, hash)
		setActive(&user, true, s.now())
		if err := models.UpdateUser(tx, &user); err != nil {
			return err
		}
		if _, err := models.RevokeSessionsOf(tx, user.ID, keepSession, models.Micros(s.now())); err != nil {
			return err
		}
		if keepSession == 0 { // whoever resets a password may have lost the account to somebody
			if _, err := models.DeleteAPITokensOf(tx, user.ID, ""); err != nil {
				return err
			}
		}
		return mails.add(tx, MailPasswordChanged, user.ID, "")
	})
	if err != nil {
		return err
	}
	mails.committed(ctx)
	s.events.record(ctx, event, read.ID)
	if read.Pending() {
		s.events.record(ctx, "activated", read.ID)
	}
	return nil
}

// setPassword moves the time of the change too, by which every link dies that
// was made before. A wish for another address ends with it: its message may
// still wait, and would be sent with a link made afterwards.
func (s *AccountService) setPassword(u *models.User, hash string) {
	u.PasswordHash, u.PendingEmail = hash, ""
	u.PasswordChangedAt = max(models.Micros(s.now()), u.PasswordChangedAt+1)
}
