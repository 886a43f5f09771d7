package models

// A missing due date sorts after all others in both directions.
const (
	dueLast     = "coalesce(due_to, 9223372036854775807)"
	dueLastDesc = "coalesce(due_to, -9223372036854775807)"
)

var taskSorts = sortColumns[Task]{
	"id":         column("id", func(t Task) any { return t.ID }),
	"priority":   column("priority", func(t Task) any { return t.Priority }),
	"title":      column("title", func(t Task) any { return t.Title }),
	"created_at": column("created_at", func(t Task) any { return t.CreatedAt }),
	"updated_at": column("updated_at", func(t Task) any { return t.UpdatedAt }),
	"due_to":     {asc: dueLast, desc: dueLastDesc, value: dueValue},
}

func dueValue(t Task, desc bool) any {
	switch {
	case t.DueTo.Valid:
		return t.DueTo.Int64
	case desc:
		return int64(-1<<63 + 1)
	default:
		return int64(1<<63 - 1)
	}
}

// TaskSortKeys lists the keys that tasks can be ordered by.
func TaskSortKeys() []string { return taskSorts.names() }

// TaskPosition gives a task's place in an order, for Page.Position: int64 and
// string values, the id last.
func TaskPosition(order Order, task Task) []any { return taskSorts.position(order, task) }

// TaskFilter narrows a list of tasks; a nil field does not. Times are Micros.
type TaskFilter struct {
	Scope        TaskScope
	Person       *int64
	CreatedBy    *int64
	Done         *bool
	Priority     *int64
	PriorityMin  *int64
	Private      *bool
	DueBefore    *int64 // exclusive
	DueAfter     *int64 // inclusive
	UpdatedSince *int64 // inclusive
	Overdue      *bool  // open and due before Now, or the contrary
	Now          int64
}

func (f TaskFilter) query(sel string) listQuery {
	q := listQuery{sel: sel}
	f.Scope.filter(&q)
	if f.Person != nil {
		q.filter("person_id = "+boundInteger, *f.Person)
	}
	if f.CreatedBy != nil {
		q.filter("created_by = "+boundInteger, *f.CreatedBy)
	}
	if f.Done != nil {
		q.filter("done = "+boundBoolean, *f.Done)
	}
	if f.Priority != nil {
		q.filter("priority = "+boundInteger, *f.Priority)
	}
	if f.PriorityMin != nil {
		q.filter("priority >= ?", *f.PriorityMin)
	}
	if f.Private != nil {
		q.filter("private = "+boundBoolean, *f.Private)
	}
	if f.DueBefore != nil {
		q.filter(dueLast+" < ?", *f.DueBefore)
	}
	if f.DueAfter != nil {
		q.filter(dueLast+" >= ? AND due_to IS NOT NULL", *f.DueAfter)
	}
	if f.UpdatedSince != nil {
		q.filter("updated_at >= ?", *f.UpdatedSince)
	}
	if f.Overdue != nil && *f.Overdue {
		q.filter("done = FALSE AND "+dueLast+" < ?", f.Now)
	}
	if f.Overdue != nil && !*f.Overdue {
		q.filter("(done = TRUE OR "+dueLast+" >= ?)", f.Now)
	}
	return q
}

// ListTasks reads one page of the tasks that match.
func ListTasks(db DB, f TaskFilter, p Page) ([]Task, error) {
	return list(db, f.query("SELECT "+taskColumns+" FROM tasks"), taskSorts, p, scanTask)
}

// CountTasks counts the tasks that match.
func CountTasks(db DB, f TaskFilter) (int64, error) {
	q := f.query("SELECT count(*) FROM tasks")
	return countOf(db, q.sql(""), q.args...)
}

// TaskSummary is what an account's representation says of its tasks.
type TaskSummary struct {
	Count  int64
	Newest []int64 // ids, the newest first
}

// SummarizeTasks gives, for each account, how many of its tasks are in scope
// and the ids of the newest ones, at most newest of them.
func SummarizeTasks(db DB, scope TaskScope, userIDs []int64, newest int) (map[int64]TaskSummary, error) {
	summaries := make(map[int64]TaskSummary, len(userIDs))
	if len(userIDs) == 0 {
		return summaries, nil
	}
	q := listQuery{sel: `SELECT person_id, id,
		row_number() OVER (PARTITION BY person_id ORDER BY id DESC) AS place,
		count(*) OVER (PARTITION BY person_id) AS total FROM tasks`}
	args := make([]any, len(userIDs))
	for i, id := range userIDs {
		args[i] = id
	}
	q.filter("person_id IN ("+placeholders(len(args))+")", args...)
	scope.filter(&q)
	q.args = append(q.args, newest)
	err := each(db, func(rows row) error {
		var person, id, total int64
		if err := rows.Scan(&person, &id, &total); err != nil {
			return err
		}
		s := summaries[person]
		summaries[person] = TaskSummary{Count: total, Newest: append(s.Newest, id)}
		return nil
	}, "SELECT person_id, id, total FROM ("+q.sql("")+") AS ranked WHERE place <= ? ORDER BY person_id, place", q.args...)
	return summaries, err
}
