package services

import (
	"context"
	"errors"

	"dueto/models"
)

// SetPassword gives an account a new password and ends its sessions. It is for
// the command line and fails with CodeNotFound or CodeInvalid.
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
	return s.change(ctx, user.ID, "password set", func(u *models.User) bool {
		s.setPassword(u, hash)
		return true
	})
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
	return s.change(ctx, user.ID, "activated by operator", func(u *models.User) bool {
		setActive(u, true, s.now())
		return false
	})
}

// DeactivateByName keeps an account from signing in and ends its sessions. It
// is for the command line and fails with CodeNotFound.
func (s *AccountService) DeactivateByName(ctx context.Context, username string) error {
	user, err := userByName(s.store.Read(ctx), username)
	if err != nil {
		return err
	}
	return s.change(ctx, user.ID, "deactivated by operator", func(u *models.User) bool {
		setActive(u, false, s.now())
		return true
	})
}

// change changes an account and, where fn says so, ends its sessions.
func (s *AccountService) change(ctx context.Context, id int64, event string, fn func(*models.User) (endSessions bool)) error {
	err := s.store.Write(ctx, func(tx models.DB) error {
		user, err := models.UserByID(tx, id)
		if err != nil {
			return err
		}
		if fn(&user) {
			if _, err := models.RevokeSessionsOf(tx, user.ID, 0, models.Micros(s.now())); err != nil {
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

func userByName(db models.DB, username string) (models.User, error) {
	user, err := models.UserByUsernameKey(db, usernameKey(username))
	if errors.Is(err, models.ErrNotFound) {
		return user, NewError(CodeNotFound, "There is no user "+username+".")
	}
	return user, err
}
