package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"dueto/models"
	"dueto/services"
)

const accounts = 1000

func engineVersion() string { return "SQLite " + models.SQLiteVersion() }

// Requests speak for the first account; the floor's, by this session.
const floorSession = 1

const password = "a fine long phrase 71" //nolint:gosec // every account's, of this run only

func username(person int) string { return fmt.Sprintf("person%04d", person) }

// ownTasks gives the ids of tasks that are the first account's: few, and from
// one end of the table to the other.
func ownTasks(tasks int) (ids []int64) {
	for i := range variety {
		ids = append(ids, int64(1+i*(tasks/variety)))
	}
	return ids
}

// seedDatabase makes the database file by Dueto's own migrations and fills it.
// The same number of tasks gives the same rows, but for their times: those end
// at now.
func seedDatabase(ctx context.Context, path string, tasks int, now time.Time) (err error) {
	store, err := models.Open(ctx, "sqlite:"+path, models.Options{})
	if err != nil {
		return err
	}
	_, err = store.Migrate(ctx)
	if err := errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	// The file is nobody's yet: that it be durable, or whole after a crash, is
	// not worth the time.
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate&_synchronous=OFF&_cache_size=-200000")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()                       // does nothing after the commit
	s := seeder{random: rand.New(rand.NewPCG(1, 2)), now: now} //nolint:gosec // the same rows each time
	if err := s.accounts(ctx, tx); err != nil {
		return fmt.Errorf("seed accounts: %w", err)
	}
	if err := withoutIndexes(tx, func() error { return s.tasks(tx, tasks) }); err != nil {
		return fmt.Errorf("seed tasks: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // leaves one file to copy
	return err
}

// withoutIndexes makes the indexes of tasks after the rows: sorting them once is
// several times faster than a million insertions into each.
func withoutIndexes(tx *sql.Tx, fill func() error) error {
	rows, err := tx.Query("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'tasks' AND sql IS NOT NULL ORDER BY rowid")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var drop, create []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return err
		}
		drop, create = append(drop, "DROP INDEX "+name), append(create, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	run := func(statements []string) error {
		for _, statement := range statements {
			if _, err := tx.Exec(statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}
	if err := run(drop); err != nil {
		return err
	}
	if err := fill(); err != nil {
		return err
	}
	return run(create)
}

type seeder struct {
	random *rand.Rand
	now    time.Time
}

func (s *seeder) accounts(ctx context.Context, tx *sql.Tx) error {
	hash, err := services.NewPasswords(4, 1).Hash(ctx, password)
	if err != nil {
		return err
	}
	insert, err := tx.Prepare(`INSERT INTO users (username, username_key, email, email_key, password_hash, date_joined, activated_at, password_changed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	joined := s.now.Add(-900 * 24 * time.Hour).UnixMicro()
	for i := range accounts {
		name := username(i + 1)
		email := name + "@example.com"
		if _, err := insert.Exec(name, name, email, email, hash, joined, joined, joined); err != nil {
			return err
		}
	}
	now := s.now.UnixMicro()
	_, err = tx.Exec(`INSERT INTO sessions (id, user_id, generation, created_at, rotated_at, last_used_at, expires_at)
		VALUES (?, 1, 1, ?, ?, ?, ?)`, floorSession, now, now, now, s.now.Add(30*24*time.Hour).UnixMicro())
	return err
}

// tasks makes tasks of which a third are due, two fifths done, a tenth private.
func (s *seeder) tasks(tx *sql.Tx, count int) error {
	insert, err := tx.Prepare(`INSERT INTO tasks (title, description, due_to, done, done_at, priority, tags, private,
		person_id, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	const span = 700 * 24 * time.Hour
	first := s.now.Add(-span)
	for i := range count {
		created := first.Add(time.Duration(float64(span) * float64(i) / float64(count))).Add(time.Duration(s.random.IntN(1e6)) * time.Microsecond)
		updated := created
		var due, doneAt any
		if s.chance(3) {
			due = created.Add(time.Duration(1+s.random.IntN(60*24)) * time.Hour).Truncate(15 * time.Minute).UnixMicro()
		}
		done := s.random.IntN(5) < 2
		if done {
			updated = created.Add(time.Duration(1+s.random.IntN(1e6)) * time.Second)
			doneAt = updated.UnixMicro()
		}
		priority := 0
		if s.chance(2) {
			priority = 1 + s.random.IntN(4)
		}
		person := 1 + s.random.IntN(accounts)
		maker := person
		if s.chance(10) {
			maker = 1 + s.random.IntN(accounts)
		}
		if i%(count/variety) == 0 {
			person = 1 // see ownTasks
		}
		if _, err := insert.Exec(s.title(), s.description(), due, done, doneAt, priority, s.tags(), s.chance(10),
			person, maker, created.UnixMicro(), updated.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// chance is true once in n.
func (s *seeder) chance(n int) bool { return s.random.IntN(n) == 0 }

func (s *seeder) one(words []string) string { return words[s.random.IntN(len(words))] }

func (s *seeder) title() string {
	return s.one(verbs) + " " + s.one(things) + " " + s.one(circumstances)
}

func (s *seeder) description() string {
	if s.chance(2) {
		return ""
	}
	return s.one(notes)
}

func (s *seeder) tags() string {
	switch s.random.IntN(4) {
	case 0:
		return "[]"
	case 1:
		return `["` + s.one(labels[:4]) + `","` + s.one(labels[4:]) + `"]`
	default:
		return `["` + s.one(labels) + `"]`
	}
}

var (
	verbs         = []string{"Call", "Pay", "Write to", "Order", "Check", "Repair", "Visit", "Plan", "Sort", "Return", "Ask about", "Clean", "Prepare", "Cancel"}
	things        = []string{"the dentist", "the electricity bill", "Aunt Zoë", "new filters", "the bicycle", "the library books", "the insurance", "the garden shed", "the quarterly report", "the train tickets", "Müller & Sons", "the \"old\" contract", "the coffee machine", "next week's menu"}
	circumstances = []string{"before the weekend", "for Anna", "after lunch", "again", "with the team", "at the office", "on the way home", "by phone", "as agreed", "for the trip"}
	notes         = []string{
		"The number is on the back of the letter.",
		"Last time it took two weeks, so better to begin early.\nAsk for Mr. Ortega.",
		"See the notes of the last meeting.",
		"Needs the blue folder; it is in the second drawer from the top, under the maps.",
		"Not urgent.",
	}
	labels = []string{"home", "work", "errands", "family", "phone", "money", "waiting", "garden"}
)
