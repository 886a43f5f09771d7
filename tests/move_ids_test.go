package tests

import (
	"fmt"
	"strings"
	"testing"
)

func TestPostgres_MoveGivesOutNoIDTwice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		from, to, back func(testing.TB) string
	}{
		{"from a file", newFile, emptyPostgres, newFile},
		{"from a server", emptyPostgres, newFile, emptyPostgres},
	} {
		for name, deleted := range map[string]bool{"the greatest is there": false, "the greatest was deleted": true} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				t.Parallel()
				from, to, back := tt.from(t), tt.to(t), tt.back(t)
				p := newProgram(t)
				p.with("DUETO_DATABASE=" + from).run("migrate").want(0)
				greatest := int64(4_000_000_000)
				imported(t, from, greatest) // past a server's sequences, which know nothing of it
				if deleted {
					greatest++
					given(t, from, greatest)
					execSQL(t, from, fmt.Sprintf("DELETE FROM tasks WHERE id = %d", greatest), fmt.Sprintf("DELETE FROM users WHERE id = %d", greatest))
				}
				p.run(moveArgs(from, to)...).want(0)
				users, tasks := createdAfter(t, to, "alice", greatest, greatest)
				p.run(moveArgs(to, back)...).want(0)
				createdAfter(t, back, "bob", users, tasks)
			})
		}
	}
}

// imported puts an account and a task into a database under an id.
func imported(t testing.TB, url string, id int64) {
	t.Helper()
	execSQL(t, url,
		fmt.Sprintf(`INSERT INTO users (id, username, username_key, email, email_key, password_hash, date_joined, password_changed_at) VALUES (%d, 'u%[1]d', 'u%[1]d', 'e%[1]d', 'e%[1]d', '', 1, 1)`, id),
		fmt.Sprintf(`INSERT INTO tasks (id, title, person_id, created_at, updated_at) VALUES (%d, 'imported', %[1]d, 1, 1)`, id))
}

// given is imported, of an id that the tables have given out.
func given(t testing.TB, url string, id int64) {
	t.Helper()
	imported(t, url, id) // which SQLite notes
	if !strings.HasPrefix(url, "sqlite:") {
		execSQL(t, url, fmt.Sprintf("SELECT setval('users_id_seq', %d), setval('tasks_id_seq', %[1]d)", id))
	}
}

// createdAfter makes accounts and tasks over the API, whose ids have to be above
// those, and gives the greatest.
func createdAfter(t testing.TB, url, name string, user, task int64) (lastUser, lastTask int64) {
	t.Helper()
	a := startApp(t, url, &clock{now: start})
	defer a.stop()
	for i := range 2 {
		who := a.user(fmt.Sprint(name, i))
		if who.ID <= user {
			t.Errorf("%s: an account gets the id %d after %d", url, who.ID, user)
		}
		user = who.ID
		for range 2 {
			id := who.task("new")
			if id <= task {
				t.Errorf("%s: a task gets the id %d after %d", url, id, task)
			}
			task = id
		}
	}
	return user, task
}
