//go:build linux

package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dueto/models"
)

// manyTasks has a database get so many tasks, in either engine's words.
func manyTasks(t testing.TB, url string, n int) {
	t.Helper()
	if err := migrateNew(url); err != nil {
		t.Fatal(err)
	}
	execSQL(t, url, fmt.Sprintf(`WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < %d)
		INSERT INTO tasks (title, description, created_at, updated_at) SELECT 'task ' || i, 'ä "quoted" text', i, -i FROM numbers`, n))
}

// copiedRows asks a target how far the move is, -1 where it has not begun.
func copiedRows(t testing.TB, url string) int64 {
	t.Helper()
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 { // looking would make it
			return -1
		}
	}
	db := openDatabase(t, url)
	defer func() { _ = db.Close() }()
	var n int64
	if err := db.QueryRow("SELECT CAST(sum(copied) AS BIGINT) FROM move_progress").Scan(&n); err != nil {
		return -1
	}
	return n
}

func TestPostgres_MoveKilledAgainAndAgainGetsToTheEnd(t *testing.T) {
	t.Parallel()
	const rows, kills = 40_000, 6
	for what, urls := range map[string]func(t *testing.T) (from, to string){
		"to PostgreSQL": func(t *testing.T) (string, string) { return newFile(t), emptyPostgres(t) },
		"to SQLite":     func(t *testing.T) (string, string) { return emptyPostgres(t), newFile(t) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			from, to := urls(t)
			manyTasks(t, from, rows)
			want := dump(t, from)
			p := newProgram(t)
			reached := int64(-1)
			for range kills {
				s := p.start(moveArgs(from, to)...)
				goal := max(reached, 0) + rand.Int64N(rows/kills)
				eventually(t, "the move gets further", func() bool {
					select {
					case <-s.exited:
						t.Fatalf("it ended by itself after %d rows:\n%s", reached, s.stderr)
					default:
					}
					return copiedRows(t, to) >= goal
				})
				s.kill()
				if o := p.with("DUETO_DATABASE=" + to).run("migrate").want(3); !strings.Contains(o.stderr, "has not been finished") {
					t.Errorf("a killed move's target is refused with %s", o.stderr)
				}
				now := copiedRows(t, to)
				if now < goal || now < reached {
					t.Fatalf("after the kill %d rows are copied, and were at least %d", now, goal)
				}
				reached = now
			}
			o := p.run(moveArgs(from, to)...).want(0)
			if !strings.Contains(o.stderr, fmt.Sprintf("Going on with a move that has copied %d of %d rows.\n", reached, rows+1)) {
				t.Errorf("after %d rows it says %s", reached, o.stderr)
			}
			wantDump(t, to, want)
			wantDump(t, from, want)
		})
	}
}

func TestPostgres_MoveGoesOnAfterTheServerDied(t *testing.T) {
	t.Parallel()
	for what, target := range map[string]bool{"the one moved to": true, "the one moved from": false} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t)
			from, to := newFile(t), cluster.URL("postgres")
			if !target {
				from, to = to, from
			}
			manyTasks(t, from, 1000)
			var once sync.Once
			_, err := models.Move(context.Background(), from, to, models.MoveOptions{Batch: 100, Progress: func(p models.MoveProgress) {
				if p.Done >= 300 {
					once.Do(func() {
						if err := cluster.Kill(); err != nil {
							t.Error(err)
						}
					})
				}
			}})
			if !errors.Is(err, models.ErrUnavailable) {
				t.Errorf("it fails with %v", err)
			}
			if err := cluster.Start(); err != nil {
				t.Fatal(err)
			}
			// PostgreSQL was not asked to have each batch on the disk at once.
			if n := copiedRows(t, to); n < 0 || n > 300 || n%100 != 0 || (n < 300 && !target) {
				t.Errorf("of 300 rows that were copied there are %d", n)
			}
			if _, err := models.Move(context.Background(), from, to, models.MoveOptions{}); err != nil {
				t.Fatal(err)
			}
			wantDump(t, to, dump(t, from)) // a server that crashed leaves some ids out
		})
	}
}

func TestSQLite_MoveToAFullDiskGoesOnOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	if err := os.Mkdir(p.file("disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	heal := func() { p.wrap = nil }
	if err := mountDisk(t, p.file("disk")); err != nil {
		t.Logf("limiting the size of files instead: %v", err)
		fileSizeLimit.prepare(t, p)
	} else {
		ballast := filepath.Join(p.file("disk"), "ballast")
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		heal = func() {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		}
	}
	from, to := newFile(t), "sqlite:"+p.file("disk/dueto.db")
	manyTasks(t, from, 2500)
	want := dump(t, from)
	for range 2 {
		o := p.run(moveArgs(from, to)...).want(1)
		if !strings.Contains(o.stderr, "the store is unavailable") || !strings.Contains(o.stderr, "\nThe same command goes on from here") {
			t.Errorf("it says %s", o.stderr)
		}
	}
	heal()
	p.run(moveArgs(from, to)...).want(0)
	wantDump(t, to, want)
	intact(t, p.file("disk/dueto.db"))
}

func TestSQLite_MoveShowsABarOnATerminal(t *testing.T) {
	t.Parallel()
	from, to := newFile(t), newFile(t)
	manyTasks(t, from, 20_000)
	s := newProgram(t).onTerminal(t, moveArgs(from, to)...)
	s.expect(`Copying +\d\d% \[=+>\.*\] \(\d+/20001, \d+ rows/s\) \[\d+s:\d+s\]`)
	s.expect(`Copying   100% \[=+\] \(20001/20001, \d+ rows/s\) *\r\n`)
	s.expect(`Verifying +\d\d% \[=+>\.*\] \(\d+/20001, \d+ rows/s\) \[\d+s:\d+s\]`)
	s.expect(`Verifying 100% \[=+\] \(20001/20001, \d+ rows/s\) *\r\n`)
	s.expect(`tasks +20000  [0-9a-f]{64}\r\n`)
	s.expect(`both have the same\.\r\n`)
	s.ends(0)
}

func TestSQLite_MoveInterruptedAtATerminalGoesOn(t *testing.T) {
	t.Parallel()
	from, to := newFile(t), newFile(t)
	manyTasks(t, from, 60_000)
	p := newProgram(t)
	s := p.onTerminal(t, moveArgs(from, to)...)
	s.expect(`Copying   +\d+% \[=+>`)
	s.send("\x03")
	s.expect("\r\ndueto: interrupted; the same command goes on from here\r\n$")
	s.ends(130)
	n := copiedRows(t, to)
	if n < 2000 || n%2000 != 0 || n >= 60_000 {
		t.Fatalf("%d rows are copied", n)
	}
	s = p.onTerminal(t, moveArgs(from, to)...)
	s.expect(fmt.Sprintf(`^Going on with a move that has copied %d of 60001 rows\.\r\n`, n))
	s.expect(fmt.Sprintf(`/%d, `, 60_001-n))
	s.expect(`both have the same\.\r\n`)
	s.ends(0)
	wantDump(t, to, dump(t, from))
}

func TestSQLite_MoveWithoutATerminalIsSilentUnlessItTakesLong(t *testing.T) {
	t.Parallel()
	from, to := newFile(t), newFile(t)
	manyTasks(t, from, 10)
	began := time.Now()
	if o := newProgram(t).run(moveArgs(from, to)...).want(0); o.stderr != "" && time.Since(began) < 10*time.Second {
		t.Errorf("it prints %q", o.stderr)
	}
}
