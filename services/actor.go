package services

import (
	"slices"

	"dueto/models"
)

// Actor is who asks. The zero Actor is nobody in particular.
type Actor struct {
	UserID int64
	Staff  bool
	// Permissions are the words granted beyond owning; see Permissions().
	Permissions []string
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

// actorOf makes the actor of a signed-in request.
func actorOf(u models.User) Actor {
	return Actor{UserID: u.ID, Staff: u.IsStaff, Permissions: stringList(u.Permissions)}
}
