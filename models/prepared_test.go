package models

import (
	"context"
	"testing"
)

// A statement that SQLite prepares anew has its columns' names read anew: that
// is how it shows. It depends on what the values are bound to, and on SQLite.
func TestHotQueries_ArePreparedOnce(t *testing.T) { //nolint:paralleltest // it counts allocations
	s := openMigrated(t)
	db := s.Read(context.Background())
	somebody, yes, five := TaskScope{UserID: 1}, true, int64(5)
	tasks := func(f TaskFilter, p Page) func() error {
		p.Limit = 51
		return func() error { _, err := ListTasks(db, f, p); return err }
	}
	byDue := Order{{Name: "due_to"}}
	type hot = struct {
		most float64 // with some to spare; preparing costs 14 and more
		run  func() error
	}
	for name, query := range map[string]hot{
		"a session":               {18, func() error { _, _, err := SessionUser(db, 1); return err }},
		"an API token":            {18, func() error { _, _, err := APITokenUser(db, "hash"); return err }},
		"a task":                  {18, func() error { _, err := TaskByID(db, TaskScope{}, 1); return err }},
		"somebody's task":         {18, func() error { _, err := TaskByID(db, somebody, 1); return err }},
		"an account":              {18, func() error { _, err := UserByID(db, 1); return err }},
		"the first page":          {30, tasks(TaskFilter{}, Page{})},
		"somebody's first page":   {30, tasks(TaskFilter{Scope: somebody}, Page{})},
		"the next page":           {30, tasks(TaskFilter{}, Page{Position: []any{int64(7)}})},
		"the next page by date":   {52, tasks(TaskFilter{}, Page{Order: byDue, Position: []any{int64(7), int64(7)}})},
		"a person's open tasks":   {42, tasks(TaskFilter{Person: &five, Done: &yes}, Page{Order: byDue})},
		"tasks of one priority":   {42, tasks(TaskFilter{Priority: &five, CreatedBy: &five}, Page{})},
		"somebody's private ones": {42, tasks(TaskFilter{Scope: somebody, Private: &yes}, Page{})},
	} {
		if allocations := testing.AllocsPerRun(20, func() { _ = query.run() }); allocations > query.most {
			t.Errorf("%s costs %.0f allocations, which says that it is prepared each time; want %.0f at most", name, allocations, query.most)
		}
	}
}
