package models

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"
)

// planned is a query as it was sent, and how SQLite runs it.
type planned struct {
	query string
	plan  []string
}

// tail gives the query without its columns.
func (p planned) tail() string { return p.query[strings.Index(p.query, " FROM ")+1:] }

// explainer is a pool that asks for the plan of each query it passes on.
type explainer struct {
	gorm.ConnPool
	t    testing.TB
	sent []planned
}

func (e *explainer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := e.ConnPool.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		e.t.Fatalf("explain %s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	p := planned{query: query}
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			e.t.Fatal(err)
		}
		p.plan = append(p.plan, detail)
	}
	if err := rows.Err(); err != nil {
		e.t.Fatal(err)
	}
	e.sent = append(e.sent, p)
	return e.ConnPool.QueryContext(ctx, query, args...) //nolint:sqlclosecheck // the caller's to close
}

// explaining gives a read handle whose queries are explained.
func explaining(t testing.TB, s *Store) (DB, *explainer) {
	t.Helper()
	db := s.Read(t.Context())
	db.base = db.base.Session(&gorm.Session{Context: t.Context()}) // a statement of its own
	db.direct = nil                                                // through the pool, where they are seen
	e := &explainer{ConnPool: db.base.Statement.ConnPool, t: t}
	db.base.Statement.ConnPool = e
	return db, e
}

// openFilled opens a store of some thousand tasks of ten people, with many
// equal values in every column that can be ordered by.
func openFilled(t testing.TB) *Store {
	t.Helper()
	return filled(t, openMigrated(t))
}

func filled(t testing.TB, s *Store) *Store {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	maybe := func(n int64) sql.NullInt64 {
		return sql.NullInt64{Int64: 1 + random.Int64N(n), Valid: random.IntN(4) > 0}
	}
	err := s.Write(t.Context(), func(tx DB) error {
		for i := range 10 {
			name := fmt.Sprint("user", i)
			if err := CreateUser(tx, &User{Username: name, UsernameKey: name, Email: name, EmailKey: name, Permissions: "[]"}); err != nil {
				return err
			}
		}
		for range 3000 {
			task := Task{
				Title: fmt.Sprint("task ", random.IntN(500)), Tags: "[]", DueTo: maybe(500), Done: random.IntN(2) == 0,
				Priority: random.Int64N(5), Private: random.IntN(3) == 0, PersonID: maybe(10), CreatedBy: maybe(10),
				CreatedAt: random.Int64N(500), UpdatedAt: random.Int64N(500),
			}
			if err := CreateTask(tx, &task); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scopes are whose eyes a list can be read with.
var scopes = map[string]TaskScope{"nobody": {}, "somebody": {UserID: 3}, "staff": {UserID: 1, All: true}}

func TestListTasks_EveryPageIsReadFromAnIndex(t *testing.T) {
	t.Parallel()
	s := openFilled(t)
	for _, key := range TaskSortKeys() {
		for _, desc := range []bool{false, true} {
			for who, scope := range scopes {
				order := Order{{Name: key, Desc: desc}}
				if key == "id" && !desc {
					order = nil
				}
				t.Run(fmt.Sprintf("%s desc=%v for %s", key, desc, who), func(t *testing.T) {
					t.Parallel()
					testPlans(t, s, TaskFilter{Scope: scope}, order)
				})
			}
		}
	}
	person, done := int64(3), false
	for who, scope := range scopes {
		t.Run("a person's open tasks by due date for "+who, func(t *testing.T) {
			t.Parallel()
			testPlans(t, s, TaskFilter{Scope: scope, Person: &person, Done: &done}, Order{{Name: "due_to"}})
		})
	}
}

// testPlans reads the first page and, from its last row, one page in each
// direction, and looks at how each query is run.
func testPlans(t *testing.T, s *Store, f TaskFilter, order Order) {
	db, explained := explaining(t, s)
	page := Page{Order: order, Limit: 50}
	rows, err := ListTasks(db, f, page)
	if err != nil || len(rows) != page.Limit {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	page.Position = TaskPosition(order, rows[len(rows)-1])
	for _, page.Backward = range []bool{false, true} {
		if _, err := ListTasks(db, f, page); err != nil {
			t.Fatal(err)
		}
	}
	if len(explained.sent) < 3 {
		t.Fatalf("%d queries were seen", len(explained.sent))
	}
	byID := order.withID()[0].Name == "id"
	for _, p := range explained.sent {
		for _, step := range p.plan {
			// The table itself is the index of the ids.
			scansAll := strings.HasPrefix(step, "SCAN") && !strings.Contains(step, "USING") && !byID
			if scansAll || sortsAll(step) {
				t.Errorf("%s\n\tis run as %q", p.tail(), p.plan)
				break
			}
		}
	}
}

// sortsAll tells a sort of all rows from one of those that tie on all keys but
// the id: where ties are few, that is cheaper than one more index to write.
func sortsAll(step string) bool {
	return strings.Contains(strings.ReplaceAll(step, "TEMP B-TREE FOR LAST TERM", ""), "TEMP B-TREE")
}

func TestListUsers_EveryPageIsReadFromAnIndex(t *testing.T) {
	t.Parallel()
	s := openMigrated(t)
	yes, no, all := true, false, UserScope{All: true}
	for name, f := range map[string]UserFilter{
		"all": {}, "search": {Search: []string{"ann", "example"}}, "search by staff": {Scope: all, Search: []string{"ann", "example"}},
		"active": {Scope: all, Active: &yes}, "not active": {Scope: all, Active: &no},
		"staff": {Scope: all, Staff: &yes}, "never activated": {Scope: all, NeverActivated: &yes},
		"all of them": {Scope: all, Active: &no, Staff: &no, NeverActivated: &no, Search: []string{"ann"}},
	} {
		for _, key := range UserSortKeys() {
			for _, desc := range []bool{false, true} {
				db, explained := explaining(t, s)
				page := Page{Order: Order{{Name: key, Desc: desc}}, Limit: 50}
				for _, page.Position = range [][]any{nil, UserPosition(page.Order, User{ID: 7, UsernameKey: "bob"})} {
					if _, err := ListUsers(db, f, page); err != nil {
						t.Fatal(err)
					}
				}
				for _, p := range explained.sent {
					if plan := strings.Join(p.plan, "; "); sortsAll(plan) {
						t.Errorf("%s: %s\n\tis run as %q", name, p.tail(), plan)
					}
				}
			}
		}
	}
}

// Pages by cursor are put together from several queries; all of them in a row
// must be the list that one query gives.
func TestListTasks_PagesInARowAreTheWholeList(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		filled(t, s)
		db := s.Read(t.Context())
		for _, order := range []Order{
			nil,
			{{Name: "id", Desc: true}},
			{{Name: "due_to"}},
			{{Name: "due_to", Desc: true}},
			{{Name: "priority", Desc: true}, {Name: "title"}},
			{{Name: "title", Desc: true}, {Name: "due_to"}, {Name: "updated_at", Desc: true}},
			{{Name: "priority"}, {Name: "id", Desc: true}, {Name: "title"}},
		} {
			f := TaskFilter{Scope: scopes["somebody"]}
			want, err := ListTasks(db, f, Page{Order: order, Limit: 10_000})
			if err != nil {
				t.Fatal(err)
			}
			for _, backward := range []bool{false, true} {
				got := []Task{}
				at := Page{Order: order, Limit: 333, Backward: backward}
				if backward {
					last := want[len(want)-1]
					got, at.Position = append(got, last), TaskPosition(order, last)
				}
				for {
					rows, err := ListTasks(db, f, at)
					if err != nil {
						t.Fatal(err)
					}
					if len(rows) == 0 {
						break
					}
					edge := rows[len(rows)-1]
					if backward {
						got, edge = append(rows, got...), rows[0]
					} else {
						got = append(got, rows...)
					}
					at.Position = TaskPosition(order, edge)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%v, backward %v: %d rows in pages differ from the %d at once", order, backward, len(got), len(want))
				}
			}
		}
	})
}

func TestCountTasks_CountsWhatIsListed(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		filled(t, s)
		db := s.Read(t.Context())
		yes, no := true, false
		three, from := int64(3), int64(250)
		for name, f := range map[string]TaskFilter{
			"all":           {},
			"person":        {Person: &three},
			"created by":    {CreatedBy: &three},
			"done":          {Done: &yes},
			"private":       {Private: &no},
			"priority":      {Priority: &three},
			"priority min":  {PriorityMin: &three},
			"due":           {DueAfter: &three, DueBefore: &from},
			"updated since": {UpdatedSince: &from},
			"overdue":       {Overdue: &yes, Now: from},
			"not overdue":   {Overdue: &no, Now: from},
		} {
			for who, scope := range scopes {
				f.Scope = scope
				rows, err := ListTasks(db, f, Page{Limit: 10_000})
				if err != nil {
					t.Fatal(err)
				}
				if n, err := CountTasks(db, f); err != nil || n != int64(len(rows)) || n == 0 {
					t.Errorf("%s for %s: counted %d, %v; listed %d", name, who, n, err, len(rows))
				}
			}
		}
	})
}
