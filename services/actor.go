package services

import (
	"slices"

	"dueto/models"
)

// Actor is who asks. The zero Actor is nobody in particular.
type Actor struct {
	UserID   int64
	Username string
	Staff    bool
	// Permissions are the words granted beyond owning; see Permissions().
	Permissions []string
	// SessionID is the login behind the request; 0 where an API token is.
	SessionID int64
	// TokenID is the API token that speaks for the account, or 0.
	TokenID int64
	// Scope lists the words that the token is limited to; nil is no limit.
	Scope []string
	// Recent is whether the actor asked for a change a while ago or now, and so
	// must not read what a replica has.
	Recent bool
	// noted is whether the database knows that, and for long enough.
	noted bool
}

// Authenticated reports whether the actor is somebody.
func (a Actor) Authenticated() bool { return a.UserID != 0 }

// The words that may be granted to an account; staff hold all of them.
const (
	PermViewTasks   = "tasks.view"
	PermAddTasks    = "tasks.add"
	PermChangeTasks = "tasks.change"
	PermDeleteTasks = "tasks.delete"
	PermViewUsers   = "users.view"
	PermAddUsers    = "users.add"
	PermChangeUsers = "users.change"
	PermDeleteUsers = "users.delete"
)

// Permissions lists the words that may be granted.
func Permissions() []string {
	return []string{
		PermViewTasks, PermAddTasks, PermChangeTasks, PermDeleteTasks,
		PermViewUsers, PermAddUsers, PermChangeUsers, PermDeleteUsers,
	}
}

// May reports whether the actor holds a word.
func (a Actor) May(word string) bool { return a.Staff || slices.Contains(a.Permissions, word) }

// AnyScope stands for the word of what every API token may do.
const AnyScope = "*"

// CheckScope fails with CodePermissionDenied where an API token speaks that must
// not do what a word names. What has no word is not for API tokens at all.
func (a Actor) CheckScope(word string) error {
	switch {
	case a.TokenID == 0, word == AnyScope:
		return nil
	case word == "":
		return NewError(CodePermissionDenied, "An API token cannot do this. Sign in.")
	case a.Scope != nil && !slices.Contains(a.Scope, word):
		return NewError(CodePermissionDenied, "This API token lacks the permission "+word+".")
	}
	return nil
}

// actorOf makes the actor of a signed-in request.
func actorOf(u models.User) Actor {
	return Actor{
		UserID: u.ID, Username: u.Username, Staff: u.IsStaff, Permissions: stringList(u.Permissions),
		Recent: u.WroteAgo.Valid && u.WroteAgo.Int64 < ownWritesFor.Microseconds(),
		noted:  u.WroteAgo.Valid && u.WroteAgo.Int64 < ownWritesNoted.Microseconds(),
	}
}

// actorOfSession makes the actor of a request with a session's token.
func actorOfSession(u models.User, s models.Session) Actor {
	a := actorOf(u)
	a.SessionID = s.ID
	return a
}

// actorOfToken makes the actor of a request with an API token. A token that is
// limited speaks for no staff: it holds those of the account's words that it
// names.
func actorOfToken(u models.User, t models.APIToken) Actor {
	a := actorOf(u)
	a.TokenID = t.ID
	if !t.Permissions.Valid {
		return a
	}
	a.Scope = stringList(t.Permissions.String)
	held := a.Permissions
	if a.Staff {
		held = Permissions()
	}
	a.Staff = false
	a.Permissions = slices.DeleteFunc(slices.Clone(held), func(word string) bool { return !slices.Contains(a.Scope, word) })
	return a
}
