package services

import (
	"cmp"
	"context"
	"errors"

	"dueto/models"
)

// SetPassword gives an account a new password and ends its sessions and API
// tokens. It is for the command line and fails with CodeNotFound or CodeInvalid.
func (s *AccountService) SetPassword(ctx context.Context, username, password string) error {
	user, err := userByName(s.store.Read(ctx), username)
	if err != nil {
		return err
	}
	if err := passwordFor(user, "password", password); err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return s.change(ctx, user.ID, "password set", func(u *models.User) { s.setPassword(u, hash) })
}

// PasswordCheck gives a function that says what is wrong with a password for
// an account, with CodeInvalid. It fails with CodeNotFound.
func (s *AccountService) PasswordCheck(ctx context.Context, username string) (func(password string) error, error) {
	user, err := userByName(s.store.Read(ctx), username)
	return func(password string) error { return passwordFor(user, "password", password) }, err
}

// passwordFor says what is wrong with a new password for an account.
func passwordFor(u models.User, field, password string) error {
	fields := Fields{}
	checkPassword(fields, field, password, u.Username, u.Email)
	return fields.Err(invalidPassword)
}

// ActivateByName confirms an account or lifts its deactivation. It is for the
// command line and fails with CodeNotFound.
func (s *AccountService) ActivateByName(ctx context.Context, username string) error {
	user, err := userByName(s.store.Read(ctx), username)
	if err != nil {
		return err
	}
	return s.change(ctx, user.ID, "activated by operator", func(u *models.User) {
		setActive(u, true, s.now())
	})
}

// DeactivateByName keeps an account from signing in and ends its sessions. It
// is for the command line and fails with CodeNotFound.
func (s *AccountService) DeactivateByName(ctx context.Context, username string) error {
	user, err := userByName(s.store.Read(ctx), username)
	if err != nil {
		return err
	}
	return s.change(ctx, user.ID, "deactivated by operator", func(u *models.User) {
		setActive(u, false, s.now())
	})
}

// change changes an account. A deactivation ends its sessions, another password
// its API tokens too.
func (s *AccountService) change(ctx context.Context, id int64, event string, fn func(*models.User)) error {
	err := s.store.Write(ctx, func(tx models.DB) error {
		user, err := models.UserByID(tx, id)
		if err != nil {
			return err
		}
		before := user
		fn(&user)
		newPassword := user.PasswordChangedAt != before.PasswordChangedAt
		if newPassword || !user.Active() {
			if _, err := models.RevokeSessionsOf(tx, user.ID, 0, models.Micros(s.now())); err != nil {
				return err
			}
		}
		if newPassword {
			if _, err := models.DeleteAPITokensOf(tx, user.ID, ""); err != nil {
				return err
			}
		}
		return models.UpdateUser(tx, &user)
	})
	if err == nil {
		s.events.record(ctx, event, id)
	}
	return err
}

// userByName gives the account of that name, which an operator typed. It fails
// with CodeNotFound, or with CodeConflict where the name is another account's
// address: the operator may mean either.
func userByName(db models.DB, username string) (models.User, error) {
	user, err := models.UserByUsernameKey(db, usernameKey(username))
	if errors.Is(err, models.ErrNotFound) {
		return user, NewError(CodeNotFound, "There is no user "+username+".")
	}
	address, isAddress := canonicalEmail(username)
	if err != nil || !isAddress || address == user.EmailKey {
		return user, err
	}
	if _, err = models.UserByEmailKey(db, address); errors.Is(err, models.ErrNotFound) {
		return user, nil
	}
	return user, cmp.Or(err, error(NewError(CodeConflict, username+" is the name of one account and the address of another. Change one of them first.")))
}
