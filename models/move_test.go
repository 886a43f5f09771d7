package models

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dueto/internal/pgtest"
)

// postgresServer makes the databases of these tests on one server, which the first
// one starts.
var postgresServer struct {
	once sync.Once
	*pgtest.Databases
	err error
}

func TestMain(m *testing.M) {
	m.Run()
	if postgresServer.Databases != nil {
		_ = postgresServer.Close()
	}
}

// newTarget gives the URL of a database that has nothing in it.
func newTarget(t testing.TB, engine string) string {
	t.Helper()
	if engine == "sqlite" {
		return "sqlite:" + filepath.Join(t.TempDir(), "dueto.db")
	}
	p := &postgresServer
	p.once.Do(func() { p.Databases, p.err = pgtest.NewDatabases() })
	if p.err != nil {
		t.Fatal(p.err)
	}
	url, drop, err := p.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = drop() })
	return url
}

// changed runs statements on a database, which is migrated first.
func changed(t testing.TB, url string, statements ...string) {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if err := s.Write(t.Context(), func(tx DB) error { return tx.exec(statement) }); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// newSource gives a database with rows in some tables.
func newSource(t testing.TB, engine string) string {
	t.Helper()
	url := newTarget(t, engine)
	statements := []string{}
	for i := 1; i <= 4; i++ {
		statements = append(statements,
			fmt.Sprintf(`INSERT INTO users (username, username_key, email, email_key, password_hash, date_joined, password_changed_at)
				VALUES ('u%d', 'u%d', 'e%d', 'e%d', '', %d, 0)`, i, i, i, i, i),
			fmt.Sprintf("INSERT INTO reserved_names (username_key, reserved_at) VALUES ('Ä%d', %d)", 9-i, i))
	}
	for i := 1; i <= 5; i++ {
		statements = append(statements, fmt.Sprintf("INSERT INTO tasks (title, person_id, created_at, updated_at) VALUES ('t%d', %d, 1, 1)", i, i%4+1))
	}
	changed(t, url, append(statements, "DELETE FROM tasks WHERE id = 5")...)
	return url
}

// contents gives all that is in a database, with the ids given out last.
func contents(t testing.TB, url string) (all []string) {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	db := s.Read(t.Context())
	for _, table := range moveTables {
		if table.columns, err = columnsOf(db, table.name); err != nil {
			t.Fatal(err)
		}
		rows, err := table.read(db, nil, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			all = append(all, fmt.Sprintf("%s %#v", table.name, row))
		}
		if table.numbered {
			last, err := s.engine.(moveDialect).lastID(db, table.name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s gave out %d", table.name, last))
		}
	}
	return all
}

// tablesOf gives the tables of a database, and those that each refers to.
func tablesOf(t *testing.T, url string) map[string][]string {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	query := `SELECT m.name, coalesce(f."table", '') FROM sqlite_schema m LEFT JOIN pragma_foreign_key_list(m.name) f
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
	if !strings.HasPrefix(url, "sqlite:") {
		query = `SELECT c.relname, coalesce(f.confrelid::regclass::text, '') FROM pg_class c
			LEFT JOIN pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f'
			WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace`
	}
	tables := map[string][]string{}
	err = each(s.Read(t.Context()), func(rows row) error {
		var name, parent string
		err := rows.Scan(&name, &parent)
		tables[name] = append(tables[name], parent)
		return err
	}, query)
	if err != nil || len(tables) < 9 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	return tables
}

func TestMove_EachTableOfEachEngineIsMovedAfterItsParentsOrNamed(t *testing.T) {
	t.Parallel()
	columns := map[string][]moveColumn{}
	for _, engine := range []string{"sqlite", "postgres"} {
		url := newTarget(t, engine)
		changed(t, url)
		tables := tablesOf(t, url)
		var before []string
		for _, table := range moveTables {
			parents, there := tables[table.name]
			if !there {
				t.Errorf("%s has no table %s", engine, table.name)
			}
			for _, parent := range parents {
				if parent != "" && !slices.Contains(before, parent) {
					t.Errorf("%s refers to %s, which is not moved before it", table.name, parent)
				}
			}
			before = append(before, table.name)
			delete(tables, table.name)
		}
		for name := range tables {
			if notMoved[name] == "" {
				t.Errorf("%s: the table %s is neither in moveTables nor, with a reason, in notMoved", engine, name)
			}
		}
		s, err := Open(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range moveTables {
			got, err := columnsOf(s.Read(t.Context()), table.name)
			if err != nil || !slices.ContainsFunc(got, func(c moveColumn) bool { return c.name == table.key }) {
				t.Errorf("%s: %s has %v, %v", engine, table.name, got, err)
			}
			if other, seen := columns[table.name]; seen && !slices.Equal(got, other) {
				t.Errorf("%s has %v on one engine and %v on the other", table.name, got, other)
			}
			columns[table.name] = got
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMove_RowsThatDifferAreEncodedDifferently(t *testing.T) {
	t.Parallel()
	seen := map[string][]any{}
	for _, row := range [][]any{
		{nil}, {""}, {"n"}, {int64(0)}, {false}, {true}, {"0"}, {nil, nil}, {"", ""}, {int64(1)}, {int64(-1)}, {"i"},
		{"a", "bc"}, {"ab", "c"}, {"abc"}, {"abc", ""}, {"abc", nil}, {nil, "abc"}, {int64(256)}, {"a\x00b"}, {"ab\x00"},
	} {
		encoded := string(encodeRow(nil, row))
		if other, there := seen[encoded]; there {
			t.Errorf("%#v and %#v are encoded alike", row, other)
		}
		seen[encoded] = row
	}
}

// stopAt ends a context at the so-manieth report of a move.
func stopAt(t *testing.T, n int) (context.Context, func(MoveProgress)) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, func(MoveProgress) {
		if n--; n <= 0 {
			cancel()
		}
	}
}

func TestMove_StoppedAtEachBatchGoesOnToTheEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ from, to string }{
		{"sqlite", "postgres"}, {"postgres", "sqlite"}, {"sqlite", "sqlite"}, {"postgres", "postgres"},
	} {
		t.Run(test.from+" to "+test.to, func(t *testing.T) {
			t.Parallel()
			from := newSource(t, test.from)
			want := contents(t, from)
			// 7 batches and the beginning, then the verification.
			for at := 1; at <= 10; at++ {
				to := newTarget(t, test.to)
				ctx, report := stopAt(t, at)
				if _, err := Move(ctx, from, to, MoveOptions{Batch: 3, Progress: report}); !errors.Is(err, context.Canceled) {
					t.Fatalf("stopped at report %d: %v", at, err)
				}
				if _, err := Inspect(t.Context(), to); !errors.Is(err, ErrUnfinishedMove) {
					t.Fatalf("stopped at report %d the target is taken for whole: %v", at, err)
				}
				if _, err := Move(t.Context(), from, to, MoveOptions{Batch: 3}); err != nil {
					t.Fatalf("stopped at report %d: %v", at, err)
				}
				if got := contents(t, to); !slices.Equal(got, want) {
					t.Fatalf("stopped at report %d the target has\n%s\nnot\n%s", at, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				if _, err := Inspect(t.Context(), to); err != nil {
					t.Fatalf("after the move: %v", err)
				}
			}
		})
	}
}

func TestMove_StoppedAfterEveryBatchGetsToTheEnd(t *testing.T) {
	t.Parallel()
	for engine, other := range map[string]string{"sqlite": "postgres", "postgres": "sqlite"} {
		from, to := newSource(t, engine), newTarget(t, other)
		want := contents(t, from)
		last := int64(len(rowsOf(want)))
		runs := 0
		for done := int64(-1); done < last; runs++ {
			ctx, report := stopAt(t, 2) // the first report is that it begins
			if _, err := Move(ctx, from, to, MoveOptions{Batch: 3, Progress: report}); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			now := copied(t, to)
			if now <= done {
				t.Fatalf("%d rows are copied after %d", now, done)
			}
			done = now
		}
		if _, err := Move(t.Context(), from, to, MoveOptions{Batch: 3}); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, to); !slices.Equal(got, want) || runs < 7 {
			t.Errorf("after %d runs the target has\n%s\nnot\n%s", runs, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// rowsOf leaves out the ids given out.
func rowsOf(contents []string) []string {
	return slices.DeleteFunc(slices.Clone(contents), func(s string) bool { return strings.Contains(s, " gave out ") })
}

// copied gives how many rows a target says that it has.
func copied(t *testing.T, url string) int64 {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	n, err := scalar(s.Read(t.Context()), "SELECT CAST(sum(copied) AS BIGINT) FROM move_progress")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMove_ChecksumsAreTheSameWhicheverEnginesAreMovedBetween(t *testing.T) {
	t.Parallel()
	url := newSource(t, "sqlite")
	var before []MovedTable
	for _, engine := range []string{"postgres", "sqlite", "sqlite", "postgres", "postgres"} {
		next := newTarget(t, engine)
		moved, err := Move(t.Context(), url, next, MoveOptions{Batch: 3})
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !slices.Equal(before, moved) {
			t.Errorf("%v became %v", before, moved)
		}
		before, url = moved, next
	}
	counts := map[string]int64{}
	for _, table := range before {
		counts[table.Name] = table.Rows
	}
	if want := map[string]int64{"users": 4, "sessions": 0, "tasks": 4, "api_tokens": 0, "outbox": 0, "security_events": 0,
		"reserved_names": 4, "store_probe": 1}; !maps.Equal(counts, want) {
		t.Errorf("moved %v, want %v", counts, want)
	}
}

func TestMove_NamesTheRowThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct{ damage, say string }{
		"a text that is none":   {"UPDATE tasks SET title = CAST(x'61ff' AS TEXT) WHERE id = 3", "tasks: the row with the id 3 cannot be stored: "},
		"a NUL":                 {"UPDATE users SET time_zone = 'a' || char(0) WHERE id = 2", "users: the row with the id 2 cannot be stored: "},
		"a number that is none": {"UPDATE tasks SET due_to = 'soon' WHERE id = 2", "tasks: the row with the id 2 has a due_to that is no integer"},
		"an owner that is none": {"PRAGMA foreign_keys = OFF; UPDATE tasks SET person_id = 77 WHERE id = 4", "tasks: the row with the id 4 cannot be stored: "},
		"a text that is bytes":  {"UPDATE tasks SET description = x'00' WHERE id = 1", "tasks: the row with the id 1 has a description that is no text"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			from := newSource(t, "sqlite")
			rawSQLite(t, strings.TrimPrefix(from, "sqlite:"), test.damage)
			_, err := Move(t.Context(), from, newTarget(t, "postgres"), MoveOptions{})
			if err == nil || !strings.HasPrefix(err.Error(), test.say) {
				t.Errorf("it failed with %v, want %q", err, test.say)
			}
		})
	}
}

func TestMove_TwoAtOnceIntoOneTargetDoNotMix(t *testing.T) {
	t.Parallel()
	from, to := newSource(t, "postgres"), newTarget(t, "postgres")
	want := contents(t, from)
	var once sync.Once
	_, err := Move(t.Context(), from, to, MoveOptions{Batch: 2, Progress: func(MoveProgress) {
		once.Do(func() {
			if _, err := Move(t.Context(), from, to, MoveOptions{Batch: 2}); err != nil {
				t.Errorf("the second, which overtakes the first: %v", err)
			}
		})
	}})
	if err == nil {
		t.Error("the first move did not notice the second")
	}
	if got := contents(t, to); !slices.Equal(got, want) {
		t.Errorf("the target has\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
