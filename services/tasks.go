package services

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"dueto/models"
)

// TaskService holds the rules of tasks.
type TaskService struct {
	store   *models.Store
	cursors *Cursors
	now     func() time.Time
	// defaultPrivate is the visibility of a task that does not say.
	defaultPrivate bool
}

// NewTaskService makes the service; now is the clock.
func NewTaskService(store *models.Store, cursors *Cursors, now func() time.Time, defaultPrivate bool) *TaskService {
	return &TaskService{store: store, cursors: cursors, now: now, defaultPrivate: defaultPrivate}
}

// TaskPatch says what a task is made of or changed to. Lengths and ranges are
// the caller's to have checked; the schema repeats them.
type TaskPatch struct {
	Title       Change[string]
	Description Change[string]
	DueTo       Change[*time.Time]
	Done        Change[bool]
	Priority    Change[int64]
	Tags        Change[[]string]
	Private     Change[bool]
	Person      Change[*int64]
}

const invalidTask = "The task is not valid."

// TaskVersion gives what identifies a task's present state.
func TaskVersion(t models.Task) string { return strconv.FormatInt(t.Version, 10) }

// Create makes a task, for the actor where no person is named. Anybody signed
// in may call it. It fails with CodeInvalid when the person is not an active
// account.
func (s *TaskService) Create(ctx context.Context, actor Actor, in TaskPatch) (models.Task, error) {
	if !actor.Authenticated() {
		return models.Task{}, ErrNotAuthenticated
	}
	now := models.Micros(s.now())
	self := sql.NullInt64{Int64: actor.UserID, Valid: true}
	var task models.Task
	err := s.store.Write(ctx, func(tx models.DB) error {
		task = models.Task{Tags: "[]", Private: s.defaultPrivate, PersonID: self, CreatedBy: self, CreatedAt: now}
		if err := s.apply(tx, actor, &task, in, now); err != nil {
			return err
		}
		return models.CreateTask(tx, &task)
	})
	return task, taskError(err)
}

// CheckNew reports what Create would fail with but for the actor.
func (s *TaskService) CheckNew(ctx context.Context, in TaskPatch) error {
	return s.assign(s.store.Read(ctx), Actor{}, new(models.Task), in.Person)
}

// Get gives a task that the actor can see, else fails with CodeNotFound.
func (s *TaskService) Get(ctx context.Context, actor Actor, id int64) (models.Task, error) {
	task, err := models.TaskByID(reading(ctx, s.store, actor), taskScope(actor), id)
	return task, taskError(err)
}

// Update changes a task. Its person, its maker and those with tasks.change may
// call it. It fails with CodeNotFound, CodePermissionDenied, CodePrecondition
// or CodeInvalid.
func (s *TaskService) Update(ctx context.Context, actor Actor, id int64, patch TaskPatch, expected Expected) (models.Task, error) {
	var task models.Task
	err := s.change(ctx, actor, id, expected, canChangeTask, func(tx models.DB, found models.Task) error {
		task = found
		if err := s.apply(tx, actor, &task, patch, models.Micros(s.now())); err != nil {
			return err
		}
		return models.UpdateTask(tx, found, &task)
	})
	return task, err
}

// Delete removes a task. Its person, its maker and those with tasks.delete may
// call it. It fails with CodeNotFound, CodePermissionDenied or CodePrecondition.
func (s *TaskService) Delete(ctx context.Context, actor Actor, id int64, expected Expected) error {
	return s.change(ctx, actor, id, expected, canDeleteTask, func(tx models.DB, found models.Task) error {
		return models.DeleteTask(tx, found.ID)
	})
}

// change runs fn on a task in the transaction that decided that it may.
func (s *TaskService) change(ctx context.Context, actor Actor, id int64, expected Expected,
	allowed func(Actor, models.Task) bool, fn func(models.DB, models.Task) error,
) error {
	if !actor.Authenticated() {
		return ErrNotAuthenticated
	}
	return taskError(s.store.Write(ctx, func(tx models.DB) error {
		task, err := models.TaskByID(tx, taskScope(actor), id)
		if err != nil {
			return err
		}
		if !allowed(actor, task) {
			return ErrPermissionDenied
		}
		if err := expected.check(TaskVersion(task)); err != nil {
			return err
		}
		return fn(tx, task)
	}))
}

// apply sets what the patch sets.
func (s *TaskService) apply(tx models.DB, actor Actor, t *models.Task, p TaskPatch, now int64) error {
	t.UpdatedAt = now
	p.Title.apply(&t.Title)
	p.Description.apply(&t.Description)
	p.Priority.apply(&t.Priority)
	p.Private.apply(&t.Private)
	if p.DueTo.Set {
		t.DueTo = models.NullMicros(p.DueTo.To)
	}
	if p.Tags.Set {
		t.Tags = jsonList(p.Tags.To)
	}
	if p.Done.Set && p.Done.To != t.Done {
		t.Done = p.Done.To
		t.DoneAt = sql.NullInt64{Int64: now, Valid: t.Done}
	}
	return s.assign(tx, actor, t, p.Person)
}

// assign sets the person, who must be able to act unless it was them already.
func (s *TaskService) assign(tx models.DB, actor Actor, t *models.Task, person Change[*int64]) error {
	if !person.Set {
		return nil
	}
	var to sql.NullInt64
	if person.To != nil {
		to = sql.NullInt64{Int64: *person.To, Valid: true}
	}
	if to.Valid && to != t.PersonID && to.Int64 != actor.UserID {
		user, err := models.UserByID(tx, to.Int64)
		if err != nil && !errors.Is(err, models.ErrNotFound) {
			return err
		}
		if !user.Active() {
			return FieldError(invalidTask, "person", "There is no active user with this id.")
		}
	}
	t.PersonID = to
	return nil
}

// taskError turns what the store fails with into what a client is told.
func taskError(err error) error {
	switch {
	case errors.Is(err, models.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, models.ErrReference):
		// A person who was named is looked at in the same transaction: it is the
		// caller whose account went away meanwhile.
		return ErrUserInactive.Because(err)
	}
	return err
}

// TaskQuery narrows a list of tasks; a nil field does not.
type TaskQuery struct {
	Person       *int64
	CreatedBy    *int64
	Done         *bool
	Priority     *int64
	PriorityMin  *int64
	Private      *bool
	DueBefore    *time.Time // exclusive
	DueAfter     *time.Time // inclusive
	UpdatedSince *time.Time // inclusive
	Overdue      *bool
}

// List gives a page of the tasks that the actor can see. Anybody may call it.
// It fails with CodeInvalid on a cursor that is not one of this list's.
func (s *TaskService) List(ctx context.Context, actor Actor, q TaskQuery, page PageRequest) ([]models.Task, PageInfo, error) {
	filter := models.TaskFilter{
		Scope: taskScope(actor), Person: q.Person, CreatedBy: q.CreatedBy, Done: q.Done,
		Priority: q.Priority, PriorityMin: q.PriorityMin, Private: q.Private, Overdue: q.Overdue,
		DueBefore: micros(q.DueBefore), DueAfter: micros(q.DueAfter), UpdatedSince: micros(q.UpdatedSince),
		Now: models.Micros(s.now()),
	}
	db := reading(ctx, s.store, actor)
	tasks, info, err := paginate(s.cursors, page, func(p models.Page) ([]models.Task, error) {
		return models.ListTasks(db, filter, p)
	}, models.TaskPosition)
	if err == nil && page.Count {
		info.Total = new(int64)
		*info.Total, err = models.CountTasks(db, filter)
	}
	return tasks, info, err
}

func micros(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	return new(models.Micros(*t))
}
