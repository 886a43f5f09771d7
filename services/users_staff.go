package services

import (
	"context"
	"slices"

	"dueto/models"
)

// errLastStaff keeps an installation administrable over the API. The command
// line can make another superuser, and so may do without.
var errLastStaff = NewError(CodeConflict, "This is the last active staff account. Make another one first.")

// keepsStaff fails with CodeConflict where a change takes away the last active
// staff account; after is the zero User when it is deleted.
func keepsStaff(tx models.DB, before, after models.User) error {
	administers := func(u models.User) bool { return u.IsStaff && u.Active() }
	if !administers(before) || administers(after) {
		return nil
	}
	others, err := models.HasOtherActiveStaff(tx, before.ID)
	if err == nil && !others {
		return errLastStaff
	}
	return err
}

// recordChange tells of a change to what an account may do, or to who can own it.
func (s *UserService) recordChange(ctx context.Context, actor Actor, before, after models.User) {
	record := func(event string, attrs ...any) {
		if actor.UserID != after.ID {
			attrs = append(attrs, "by", actor.UserID)
		}
		s.events.record(ctx, event, after.ID, attrs...)
	}
	switch {
	case after.Active() && !before.Active():
		record("activated")
	case before.Active() && !after.Active():
		record("deactivated")
	}
	if before.Email != after.Email {
		record("email changed")
	}
	if before.PendingEmail != after.PendingEmail && after.PendingEmail != "" {
		record("email change asked for")
	}
	if before.IsStaff != after.IsStaff {
		record("staff changed", "staff", after.IsStaff)
	}
	if before.Permissions != after.Permissions {
		record("permissions changed", "permissions", stringList(after.Permissions))
	}
}

// PermissionsOf gives the words that were granted to an account; staff hold all.
func PermissionsOf(u models.User) []string { return stringList(u.Permissions) }

// GrantByName gives an account words besides those that it holds, and tells
// which it holds then. It is for the command line and fails with CodeNotFound
// or CodeInvalid.
func (s *AccountService) GrantByName(ctx context.Context, username string, words ...string) ([]string, error) {
	return s.permit(ctx, username, words, func(held []string) []string { return append(held, words...) })
}

// RevokeByName takes words from an account, and tells which it holds then. It
// is for the command line and fails as GrantByName does.
func (s *AccountService) RevokeByName(ctx context.Context, username string, words ...string) ([]string, error) {
	return s.permit(ctx, username, words, func(held []string) []string {
		return slices.DeleteFunc(held, func(word string) bool { return slices.Contains(words, word) })
	})
}

func (s *AccountService) permit(ctx context.Context, username string, words []string, change func(held []string) []string) ([]string, error) {
	fields := Fields{}
	checkPermissions(fields, words)
	if err := fields.Err("The permissions are not valid."); err != nil {
		return nil, err
	}
	user, err := s.changeByName(ctx, username, "permissions changed by operator", func(u *models.User) {
		held := change(stringList(u.Permissions))
		slices.Sort(held)
		u.Permissions = jsonList(slices.Compact(held))
	})
	return stringList(user.Permissions), err
}

// PromoteByName makes an account staff. It is for the command line and fails
// with CodeNotFound.
func (s *AccountService) PromoteByName(ctx context.Context, username string) error {
	_, err := s.changeByName(ctx, username, "staff changed by operator", func(u *models.User) { u.IsStaff = true })
	return err
}

// DemoteByName makes an account staff no longer, the last one too. It is for
// the command line and fails with CodeNotFound.
func (s *AccountService) DemoteByName(ctx context.Context, username string) error {
	_, err := s.changeByName(ctx, username, "staff changed by operator", func(u *models.User) { u.IsStaff = false })
	return err
}

// changeByName changes an account, and records it where something is changed.
func (s *AccountService) changeByName(ctx context.Context, username, event string, change func(*models.User)) (models.User, error) {
	var user models.User
	var changed bool
	err := s.store.Write(ctx, func(tx models.DB) (err error) {
		if user, err = userByName(tx, username); err != nil {
			return err
		}
		before := user
		change(&user)
		if changed = user != before; !changed {
			return nil
		}
		return models.UpdateUser(tx, &user)
	})
	if err == nil && changed {
		s.events.record(ctx, event, user.ID)
	}
	return user, err
}
