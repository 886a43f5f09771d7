package services

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	"dueto/models"
)

// The cast of the tables.
var (
	nobody   = Actor{}
	alice    = Actor{UserID: 1}
	bob      = Actor{UserID: 2}
	staff    = Actor{UserID: 3, Staff: true}
	operator = Actor{Staff: true}
)

// holding is a person who holds some words and nothing else.
func holding(words ...string) Actor { return Actor{UserID: 4, Permissions: words} }

// allBut holds every word but one.
func allBut(word string) Actor {
	return holding(slices.DeleteFunc(Permissions(), func(w string) bool { return w == word })...)
}

func idOf(id int64) sql.NullInt64 { return sql.NullInt64{Int64: id, Valid: true} }

func TestMay(t *testing.T) {
	t.Parallel()
	for _, word := range Permissions() {
		for name, c := range map[string]struct {
			actor Actor
			want  bool
		}{
			"nobody": {nobody, false}, "somebody": {alice, false}, "staff": {staff, true}, "the operator": {operator, true},
			"one who holds it": {holding(word), true}, "one who holds all others": {allBut(word), false},
			"one who holds it in capitals": {holding(strings.ToUpper(word)), false}, "one who holds its first half": {holding("tasks", "users"), false},
		} {
			if got := c.actor.May(word); got != c.want {
				t.Errorf("%s: %s is %v", word, name, got)
			}
		}
	}
	if !staff.May("tasks.everything") || !holding("tasks.everything").May("tasks.everything") {
		t.Error("a word of tomorrow is not asked for like one of today")
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		actor        Actor
		tasks, users bool // all of them
	}{
		"nobody": {nobody, false, false}, "somebody": {alice, false, false}, "staff": {staff, true, true}, "the operator": {operator, true, true},
		"tasks.view": {holding(PermViewTasks), true, false}, "users.view": {holding(PermViewUsers), false, true},
		"all but tasks.view": {allBut(PermViewTasks), false, true}, "all but users.view": {allBut(PermViewUsers), true, false},
	} {
		if got, want := taskScope(c.actor), (models.TaskScope{UserID: c.actor.UserID, All: c.tasks}); got != want {
			t.Errorf("%s sees the tasks %+v, want %+v", name, got, want)
		}
		if got, want := userScope(c.actor), (models.UserScope{UserID: c.actor.UserID, All: c.users}); got != want {
			t.Errorf("%s sees the users %+v, want %+v", name, got, want)
		}
	}
}

func TestTaskPolicy(t *testing.T) {
	t.Parallel()
	byAliceForBob := models.Task{PersonID: idOf(2), CreatedBy: idOf(1)}
	orphan := models.Task{}
	zero := models.Task{PersonID: idOf(0), CreatedBy: idOf(0)} // there is no such row: an actor without id must not own it
	leftover := models.Task{PersonID: sql.NullInt64{Int64: 1}, CreatedBy: sql.NullInt64{Int64: 1}}
	for _, c := range []struct {
		name                 string
		actor                Actor
		task                 models.Task
		owns, change, delete bool
	}{
		{"its maker", alice, byAliceForBob, true, true, true},
		{"its person", bob, byAliceForBob, true, true, true},
		{"nobody", nobody, byAliceForBob, false, false, false},
		{"a stranger", holding(), byAliceForBob, false, false, false},
		{"staff", staff, byAliceForBob, false, true, true},
		{"the operator", operator, byAliceForBob, false, true, true},
		{"tasks.change", holding(PermChangeTasks), byAliceForBob, false, true, false},
		{"tasks.delete", holding(PermDeleteTasks), byAliceForBob, false, false, true},
		{"all but tasks.change", allBut(PermChangeTasks), byAliceForBob, false, false, true},
		{"all but tasks.delete", allBut(PermDeleteTasks), byAliceForBob, false, true, false},
		{"nobody, of no one's", nobody, orphan, false, false, false},
		{"somebody, of no one's", alice, orphan, false, false, false},
		{"staff, of no one's", staff, orphan, false, true, true},
		{"nobody, of id 0", nobody, zero, false, false, false},
		{"the operator, of id 0", operator, zero, false, true, true},
		{"somebody, of a null that holds their id", alice, leftover, false, false, false},
	} {
		if got := ownsTask(c.actor, c.task); got != c.owns {
			t.Errorf("%s: owns is %v", c.name, got)
		}
		if got := canChangeTask(c.actor, c.task); got != c.change {
			t.Errorf("%s: may change is %v", c.name, got)
		}
		if got := canDeleteTask(c.actor, c.task); got != c.delete {
			t.Errorf("%s: may delete is %v", c.name, got)
		}
	}
}

func TestUserPolicy(t *testing.T) {
	t.Parallel()
	active := models.User{ID: 1, ActivatedAt: idOf(1)}
	pending := models.User{ID: 1}
	disabled := models.User{ID: 1, ActivatedAt: idOf(1), DisabledAt: idOf(2)}
	chief := models.User{ID: 5, ActivatedAt: idOf(1), IsStaff: true}
	unsaved := models.User{ActivatedAt: idOf(1)}
	for _, c := range []struct {
		name                         string
		actor                        Actor
		user                         models.User
		see, private, change, delete bool
	}{
		{"nobody", nobody, active, true, false, false, false},
		{"nobody, a pending one", nobody, pending, false, false, false, false},
		{"nobody, a deactivated one", nobody, disabled, false, false, false, false},
		{"nobody, one without id", nobody, unsaved, true, false, false, false},
		{"oneself", alice, active, true, true, true, true},
		{"oneself, pending", alice, pending, true, true, true, true},
		{"another", bob, active, true, false, false, false},
		{"another, a pending one", bob, pending, false, false, false, false},
		{"another, a deactivated one", bob, disabled, false, false, false, false},
		{"another, one of the staff", bob, chief, true, false, false, false},
		{"staff", staff, active, true, true, true, true},
		{"staff, a pending one", staff, pending, true, true, true, true},
		{"staff, a deactivated one", staff, disabled, true, true, true, true},
		{"staff, one of the staff", staff, chief, true, true, true, true},
		{"the operator", operator, chief, true, true, true, true},
		{"users.view", holding(PermViewUsers), active, true, true, false, false},
		{"users.view, a pending one", holding(PermViewUsers), pending, true, true, false, false},
		{"users.add", holding(PermAddUsers), active, true, false, false, false},
		{"users.change", holding(PermChangeUsers), active, true, false, true, false},
		{"users.delete", holding(PermDeleteUsers), active, true, false, false, true},
		{"every word, one of the staff", holding(Permissions()...), chief, true, true, false, false},
		{"every word of tasks", holding(PermViewTasks, PermAddTasks, PermChangeTasks, PermDeleteTasks), active, true, false, false, false},
	} {
		for decision, d := range map[string]struct{ got, want bool }{
			"see": {canSeeUser(c.actor, c.user), c.see}, "see private fields": {canSeePrivateFields(c.actor, c.user), c.private},
			"change": {canChangeUser(c.actor, c.user), c.change}, "delete": {canDeleteUser(c.actor, c.user), c.delete},
		} {
			if d.got != d.want {
				t.Errorf("%s: may %s is %v", c.name, decision, d.got)
			}
		}
	}
}

func TestManagingAUser_WordsDoNotReachStaff(t *testing.T) {
	t.Parallel()
	plain, chief := models.User{ID: 1}, models.User{ID: 5, IsStaff: true}
	for _, c := range []struct {
		name          string
		actor         Actor
		plain, ofRank bool
	}{
		{"nobody", nobody, false, false},
		{"somebody", bob, false, false},
		{"oneself", alice, false, false}, // owning is another matter
		{"one who holds the word", holding(PermChangeUsers), true, false},
		{"one who holds the others", allBut(PermChangeUsers), false, false},
		{"staff", staff, true, true},
		{"the operator", operator, true, true},
	} {
		if got := canManageUser(c.actor, plain, PermChangeUsers); got != c.plain {
			t.Errorf("%s, a plain account: %v", c.name, got)
		}
		if got := canManageUser(c.actor, chief, PermChangeUsers); got != c.ofRank {
			t.Errorf("%s, one of the staff: %v", c.name, got)
		}
	}
}

func TestIsSelf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		actor Actor
		id    int64
		want  bool
	}{
		"oneself": {alice, 1, true}, "another": {bob, 1, false}, "staff": {staff, 1, false}, "nobody and no id": {nobody, 0, false},
		"the operator and no id": {operator, 0, false},
	} {
		if got := isSelf(c.actor, models.User{ID: c.id}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
