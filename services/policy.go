package services

import (
	"database/sql"
	"slices"

	"dueto/models"
)

// The rules of who may do what, as decisions on plain values. Which rows an
// actor can see at all is decided by the scope of the query: what is out of
// scope does not exist.

// taskScope says which tasks the actor can see.
func taskScope(a Actor) models.TaskScope {
	return models.TaskScope{UserID: a.UserID, All: a.May(PermViewTasks)}
}

// ownsTask reports whether the task is for or by the actor.
func ownsTask(a Actor, t models.Task) bool {
	is := func(id sql.NullInt64) bool { return id.Valid && id.Int64 == a.UserID }
	return a.Authenticated() && (is(t.PersonID) || is(t.CreatedBy))
}

func canChangeTask(a Actor, t models.Task) bool { return ownsTask(a, t) || a.May(PermChangeTasks) }

func canDeleteTask(a Actor, t models.Task) bool { return ownsTask(a, t) || a.May(PermDeleteTasks) }

// userScope says which accounts the actor can see: pending and deactivated
// ones are there for those who manage accounts only, and for themselves.
func userScope(a Actor) models.UserScope {
	return models.UserScope{UserID: a.UserID, All: a.May(PermViewUsers)}
}

func canSeeUser(a Actor, u models.User) bool {
	return u.Active() || isSelf(a, u) || a.May(PermViewUsers)
}

// canSeePrivateFields reports whether the actor is shown the address, the
// state and the permissions of the account.
func canSeePrivateFields(a Actor, u models.User) bool { return isSelf(a, u) || a.May(PermViewUsers) }

// canManageUser reports whether the actor may use a word on the account. A word
// is for what is not one's own, and does not reach staff, nor those who hold a
// word that the actor does not: whoever changes an account's address can own it.
func canManageUser(a Actor, u models.User, word string) bool {
	beyond := func(held string) bool { return !a.May(held) }
	return a.Staff || (a.May(word) && !isSelf(a, u) && !u.IsStaff && !slices.ContainsFunc(stringList(u.Permissions), beyond))
}

// canCreateUser reports whether the actor may make an account for somebody else.
func canCreateUser(a Actor, in NewAccount) bool {
	return a.May(PermAddUsers) && (a.Staff || (!in.Staff && len(in.Permissions) == 0))
}

func canChangeUser(a Actor, u models.User) bool {
	return isSelf(a, u) || canManageUser(a, u, PermChangeUsers)
}

func canDeleteUser(a Actor, u models.User) bool {
	return isSelf(a, u) || canManageUser(a, u, PermDeleteUsers)
}

func isSelf(a Actor, u models.User) bool { return a.Authenticated() && a.UserID == u.ID }
