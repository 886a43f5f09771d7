package models

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestPostgres_WriteThatAnotherUndidIsRunAgain(t *testing.T) {
	t.Parallel()
	url := emptyPostgres(t)
	s, other := migratedURL(t, url), openURL(t, url)
	id := inserted(t, s, "contended")
	var seen []string // by each run
	err := s.Write(t.Context(), func(tx DB) error {
		task, err := TaskByID(tx, TaskScope{All: true}, id)
		if err != nil {
			return err
		}
		if seen = append(seen, task.Description); len(seen) == 1 {
			if err := other.Write(t.Context(), appendTo(id, "theirs")); err != nil {
				return err
			}
		}
		return appendTo(id, "ours")(tx)
	})
	if err != nil || !slices.Equal(seen, []string{"", "theirs"}) || description(t, s, id) != "theirsours" {
		t.Errorf("it gave %v, saw %q and stored %q", err, seen, description(t, s, id))
	}
}

// Neither row is changed by both; only together would they leave nobody.
func TestPostgres_WritesThatWouldBreakARuleBetweenThemDoNot(t *testing.T) {
	t.Parallel()
	s := migratedURL(t, emptyPostgres(t))
	var ids []int64
	for _, name := range []string{"anna", "bert"} {
		user := User{Username: name, UsernameKey: name, Email: name, EmailKey: name, Permissions: "[]", IsStaff: true, ActivatedAt: NullMicros(&at)}
		if err := s.Write(t.Context(), func(tx DB) error { user.ID = 0; return CreateUser(tx, &user) }); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, user.ID)
	}
	last := errors.New("the last one")
	var both sync.WaitGroup
	both.Add(len(ids))
	outcomes := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			runs := 0
			outcomes[i] = s.Write(t.Context(), func(tx DB) error {
				others, err := HasOtherActiveStaff(tx, id)
				if runs++; runs == 1 {
					both.Done()
					both.Wait() // each has looked before either changes anything
				}
				if err != nil || !others {
					return errors.Join(err, last)
				}
				return tx.exec("UPDATE users SET is_staff = FALSE WHERE id = ?", id)
			})
		})
	}
	wg.Wait()
	refused := 0
	for _, err := range outcomes {
		if errors.Is(err, last) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if n, err := scalar(s.Read(t.Context()), "SELECT count(*) FROM users WHERE is_staff"); err != nil || n != 1 || refused != 1 {
		t.Errorf("%d are left, %v; %d were refused", n, err, refused)
	}
}

func TestPostgres_WriteWhoseConnectionWasCutIsRunAgain(t *testing.T) {
	t.Parallel()
	url := emptyPostgres(t)
	s := migratedURL(t, url)
	runs := 0
	err := s.Write(t.Context(), func(tx DB) error {
		if err := addTask("once")(tx); err != nil {
			return err
		}
		if runs++; runs == 1 {
			pid, err := scalar(tx, "SELECT pg_backend_pid()")
			if err != nil {
				return err
			}
			raw(t, url, fmt.Sprintf("SELECT pg_terminate_backend(%d, 10000)", pid))
		}
		return addTask("twice")(tx)
	})
	if got := titles(t, s); err != nil || runs != 2 || !slices.Equal(got, []string{"once", "twice"}) {
		t.Errorf("it gave %v after %d runs and stored %q", err, runs, got)
	}
}

func TestPostgres_NoCommitIsNotToWaitForTheDisk(t *testing.T) {
	t.Parallel()
	relaxed, kept := emptyPostgres(t), emptyPostgres(t)
	u, err := url.Parse(relaxed)
	if err != nil {
		t.Fatal(err)
	}
	raw(t, relaxed, "ALTER DATABASE "+strings.TrimPrefix(u.Path, "/")+" SET synchronous_commit = off")
	for _, url := range []string{relaxed, kept + "?synchronous_commit=off"} {
		s, err := Open(t.Context(), url, Options{})
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "synchronous_commit = off") {
			t.Errorf("%s gave %v", url, err)
		}
	}
}

func TestPostgres_AnotherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	beside := emptyPostgres(t)
	u, err := url.Parse(beside)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/") + "_latin1"
	raw(t, beside, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc")
	t.Cleanup(func() { raw(t, beside, "DROP DATABASE "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	s, err := Open(t.Context(), u.String(), Options{})
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "server_encoding = LATIN1") {
		t.Errorf("it gave %v", err)
	}
}

func TestPostgres_TablesOfAnotherProgramAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	url := emptyPostgres(t)
	raw(t, url, "CREATE TABLE tasks (body TEXT)", "INSERT INTO tasks VALUES ('keep me')")
	if s, err := Open(t.Context(), url, Options{}); !errors.Is(err, ErrCorrupt) {
		_ = s.Close()
		t.Fatalf("Open gave %v", err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var body string
	var tables int
	err = errors.Join(db.QueryRowContext(t.Context(), "SELECT body FROM tasks").Scan(&body),
		db.QueryRowContext(t.Context(), "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()").Scan(&tables))
	if err != nil || body != "keep me" || tables != 1 {
		t.Errorf("it has %q in %d tables, %v", body, tables, err)
	}
}

func TestPostgres_NoErrorTellsThePassword(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2hunter2"
	for _, url := range []string{
		"postgres://dueto:" + hidden + "@127.0.0.1:1/dueto",
		"postgres://127.0.0.1:1/dueto?user=dueto&password=" + hidden,
		"postgres://dueto:" + hidden + "@127.0.0.1:1,127.0.0.1:2/dueto",
		"postgres://dueto:" + hidden + "@127.0.0.1:1/dueto?sslmode=" + hidden,
		"postgres://dueto:" + hidden + "@127.0.0.1:1/dueto?pool_max_conns=" + hidden,
		"postgres://dueto:" + hidden + "@127.0.0.1:port/dueto",
		"postgres://dueto:" + hidden + "%zz@127.0.0.1:1/dueto",
		"postgres://dueto:" + hidden + "@127.0.0.1:1/dueto?sslkey=x&sslpassword=" + hidden,
	} {
		for what, look := range map[string]func() error{
			"Open": func() error {
				s, err := Open(t.Context(), url, Options{})
				if err == nil {
					_ = s.Close()
				}
				return err
			},
			"Inspect": func() error { _, err := Inspect(t.Context(), url); return err },
		} {
			if err := look(); !errors.Is(err, ErrUnavailable) || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), hidden) {
				t.Errorf("%s of %s gave %v", what, url, err)
			}
		}
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"sqlite:dueto.db": "sqlite:dueto.db",
		"postgres://dueto:word@db.example.com:5433/dueto?sslmode=require&password=word": "postgres://db.example.com:5433/dueto",
		"postgres://dueto@one:1,two:2/dueto":                                            "postgres://one:1,two:2/dueto",
		"postgres:///dueto?host=/run/postgresql":                                        "postgres:///dueto",
		"postgres://dueto:wo%zzrd@db.example.com/dueto":                                 "the database",
		"host=db.example.com password=word":                                             "the database",
		"mysql://dueto:word@db.example.com/dueto":                                       "the database",
	} {
		if got := Redacted(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                                "",
		"SELECT 1":                        "SELECT 1",
		"SELECT ?":                        "SELECT $1",
		"a = ? AND b IN (?,?) LIMIT ?":    "a = $1 AND b IN ($2,$3) LIMIT $4",
		"a = '?' AND b = ?":               "a = '?' AND b = $1",
		"a = 'it''s?' AND b = ?":          "a = 'it''s?' AND b = $1",
		"a LIKE ? ESCAPE '\\' AND b = ?":  "a LIKE $1 ESCAPE '\\' AND b = $2",
		"é = ? AND ü = '?'":               "é = $1 AND ü = '?'",
		"?" + strings.Repeat(",?", 11):    "$1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12",
		"SELECT $1 WHERE kind = 'no more": "SELECT $1 WHERE kind = 'no more",
	} {
		if got := number(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
