package models

import (
	"database/sql"
	"fmt"
	"strings"
)

// Task is a row of tasks. Times are stored as Micros gives them.
type Task struct {
	ID          int64
	Title       string
	Description string
	DueTo       sql.NullInt64
	Done        bool
	DoneAt      sql.NullInt64
	Priority    int64  // 0 (none) to 4 (urgent)
	Tags        string // a JSON array of strings, as it is answered
	Private     bool
	PersonID    sql.NullInt64 // who it is for
	CreatedBy   sql.NullInt64
	CreatedAt   int64
	UpdatedAt   int64
	Version     int64 // counts the changes, from 1
}

const taskColumns = `id, title, description, due_to, done, done_at, priority, tags, private,
	person_id, created_by, created_at, updated_at, version`

// scanTask follows taskColumns.
var scanTask = scanner[Task]{14, func(t *Task, b *rowBuffer) {
	t.ID, t.Title, t.Description = b.int64(0), b.string(1), b.string(2)
	t.DueTo, t.Done, t.DoneAt = b.nullInt64(3), b.bool(4), b.nullInt64(5)
	t.Priority, t.Tags, t.Private = b.int64(6), b.string(7), b.bool(8)
	t.PersonID, t.CreatedBy = b.nullInt64(9), b.nullInt64(10)
	t.CreatedAt, t.UpdatedAt, t.Version = b.int64(11), b.int64(12), b.int64(13)
}}

// TaskScope says whose eyes tasks are read with: those that are not private,
// and all that are for or by the user. UserID 0 is nobody.
type TaskScope struct {
	UserID int64
	All    bool
}

// The conditions of a scope. That of somebody takes the id twice. "private =
// FALSE" would tempt the planner to an index that has the column but not the
// order that is asked for.
const (
	scopeNobody   = "NOT private"
	scopeSomebody = "(NOT private OR person_id = " + boundInteger + " OR created_by = " + boundInteger + ")"
)

func (s TaskScope) filter(q *listQuery) {
	switch {
	case s.All:
	case s.UserID == 0:
		q.filter(scopeNobody)
	default:
		q.filter(scopeSomebody, s.UserID, s.UserID)
	}
}

// TaskByID gives the task if it is in scope, else ErrNotFound.
func TaskByID(db DB, scope TaskScope, id int64) (Task, error) {
	const byID = "SELECT " + taskColumns + " FROM tasks WHERE id = ?"
	switch {
	case scope.All:
		return one(db, scanTask, byID, id)
	case scope.UserID == 0:
		return one(db, scanTask, byID+" AND "+scopeNobody, id)
	default:
		return one(db, scanTask, byID+" AND "+scopeSomebody, id, scope.UserID, scope.UserID)
	}
}

// CreateTask inserts the task and sets its ID and Version. It fails with
// ErrReference when PersonID or CreatedBy names no account.
func CreateTask(tx DB, task *Task) error {
	task.Version = 1
	id, err := insert(tx, `INSERT INTO tasks (title, description, due_to, done, done_at, priority, tags, private,
		person_id, created_by, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		task.Title, task.Description, task.DueTo, task.Done, task.DoneAt, task.Priority, task.Tags, task.Private,
		task.PersonID, task.CreatedBy, task.CreatedAt, task.UpdatedAt, task.Version)
	if err != nil {
		return fmt.Errorf("create task: %w", err)
	}
	task.ID = id
	return nil
}

// UpdateTask writes the columns in which a task differs from what is stored, and
// counts the version up: SQLite rewrites each index that has a column which is
// named, whether or not its value is another. It fails with ErrNotFound or
// ErrReference.
func UpdateTask(tx DB, stored Task, task *Task) error {
	task.Version = stored.Version + 1
	var set assignments
	assign(&set, "title", stored.Title, task.Title)
	assign(&set, "description", stored.Description, task.Description)
	assign(&set, "due_to", stored.DueTo, task.DueTo)
	assign(&set, "done", stored.Done, task.Done)
	assign(&set, "done_at", stored.DoneAt, task.DoneAt)
	assign(&set, "priority", stored.Priority, task.Priority)
	assign(&set, "tags", stored.Tags, task.Tags)
	assign(&set, "private", stored.Private, task.Private)
	assign(&set, "person_id", stored.PersonID, task.PersonID)
	assign(&set, "updated_at", stored.UpdatedAt, task.UpdatedAt)
	assign(&set, "version", stored.Version, task.Version)
	err := affectedOne(tx.execCount("UPDATE tasks SET "+strings.Join(set.columns, ", ")+" WHERE id = ?", append(set.values, task.ID)...))
	if err != nil {
		return fmt.Errorf("update task: %w", err)
	}
	return nil
}

// assignments are what an UPDATE sets.
type assignments struct {
	columns []string
	values  []any
}

// assign adds a column if its value changes.
func assign[T comparable](set *assignments, column string, stored, value T) {
	if value != stored {
		set.columns = append(set.columns, column+" = ?")
		set.values = append(set.values, value)
	}
}

// DeleteTask removes the task, or fails with ErrNotFound.
func DeleteTask(tx DB, id int64) error {
	if err := affectedOne(tx.execCount("DELETE FROM tasks WHERE id = ?", id)); err != nil {
		return fmt.Errorf("delete task: %w", err)
	}
	return nil
}

// DeleteTasksOf removes the tasks that are for a person and returns how many.
func DeleteTasksOf(tx DB, userID int64) (int64, error) {
	if err := tx.takeTime(); err != nil {
		return 0, err
	}
	return tx.execCount("DELETE FROM tasks WHERE person_id = ?", userID)
}
