package models

import (
	"errors"
	"strings"
)

var userSorts = sortColumns[User]{
	"id":          column("id", func(u User) any { return u.ID }),
	"username":    column("username_key", func(u User) any { return u.UsernameKey }),
	"date_joined": column("date_joined", func(u User) any { return u.DateJoined }),
}

// UserSortKeys lists the keys that accounts can be ordered by.
func UserSortKeys() []string { return userSorts.names() }

// UserPosition gives an account's place in an order, for Page.Position.
func UserPosition(order Order, u User) []any { return userSorts.position(order, u) }

// UserScope says whose eyes accounts are read with: the active ones and one's
// own. UserID 0 is nobody.
type UserScope struct {
	UserID int64
	All    bool
}

func (s UserScope) query(sel string) listQuery {
	q := listQuery{sel: sel}
	switch {
	case s.All:
	case s.UserID == 0:
		q.filter("activated_at IS NOT NULL AND disabled_at IS NULL")
	default:
		q.filter("((activated_at IS NOT NULL AND disabled_at IS NULL) OR id = ?)", s.UserID)
	}
	return q
}

// UserFilter narrows a list of accounts; a nil field does not.
type UserFilter struct {
	Scope          UserScope
	Active         *bool // confirmed and not deactivated
	Staff          *bool
	NeverActivated *bool
	// Search lists lower-case words: each must be part of the name or, with
	// Scope.All, of the address.
	Search []string
}

func (f UserFilter) query(sel string) listQuery {
	q := f.Scope.query(sel)
	if f.Active != nil && *f.Active {
		q.filter("activated_at IS NOT NULL AND disabled_at IS NULL")
	}
	if f.Active != nil && !*f.Active {
		q.filter("(activated_at IS NULL OR disabled_at IS NOT NULL)")
	}
	if f.Staff != nil {
		q.filter("is_staff = ?", *f.Staff)
	}
	if f.NeverActivated != nil {
		q.filter("(activated_at IS NULL) = ?", *f.NeverActivated)
	}
	for _, word := range f.Search {
		part := containing(word)
		if f.Scope.All {
			q.filter(`(username_key LIKE ? ESCAPE '\' OR email_key LIKE ? ESCAPE '\')`, part, part)
		} else {
			q.filter(`username_key LIKE ? ESCAPE '\'`, part)
		}
	}
	return q
}

// containing gives the pattern of a text that a word is part of; what has a
// meaning in a pattern stands for itself.
func containing(word string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(word) + "%"
}

// ListUsers reads one page of the accounts that match.
func ListUsers(db DB, f UserFilter, p Page) ([]User, error) {
	return list(db, f.query("SELECT "+userColumns+" FROM users"), userSorts, p, scanUser)
}

// CountUsers counts the accounts that match.
func CountUsers(db DB, f UserFilter) (int64, error) {
	q := f.query("SELECT count(*) FROM users")
	return countOf(db, q.sql(""), q.args...)
}

// HasOtherActiveStaff reports whether another account than except is staff and
// may act.
func HasOtherActiveStaff(db DB, except int64) (bool, error) {
	_, err := countOf(db, `SELECT id FROM users
		WHERE is_staff = TRUE AND activated_at IS NOT NULL AND disabled_at IS NULL AND id <> ? LIMIT 1`, except)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
