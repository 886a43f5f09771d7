package main

import (
	"database/sql"
	"errors"
	"runtime"
	"sync"
)

// engine is what the statements need of a database.
type engine struct {
	reads, writes *sql.DB // writes has one connection where writes are grouped
	begin         string
	// bind gives a query the engine's placeholders in place of question marks.
	bind func(query string) string
	// insert runs an INSERT and gives the new id.
	insert func(stmt *sql.Stmt, args []any) (int64, error)
}

// store holds the statements, prepared once on each connection. They run
// without a context that can end: for one that can, database/sql and the driver
// start goroutines.
type store struct {
	engine
	byID, first, after, ofPerson, session *sql.Stmt

	create, commit, start *sql.Stmt // on connections that write
	queue                 chan *write

	mu      sync.Mutex
	changes [allMembers + 1]*sql.Stmt // by the members that they set, prepared when they are first needed
}

func openStore(e engine, grouped bool) (*store, error) {
	const selection = "SELECT " + columns + " FROM tasks WHERE private = FALSE "
	st := &store{engine: e}
	var errs []error
	prepare := func(db *sql.DB, query string) *sql.Stmt {
		stmt, err := db.Prepare(e.bind(query))
		errs = append(errs, err)
		return stmt
	}
	st.start = prepare(e.writes, e.begin)
	st.commit = prepare(e.writes, "COMMIT")
	st.create = prepare(e.writes, `INSERT INTO tasks (title, description, due_to, done, done_at, priority, tags, private,
		person_id, created_by, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	st.byID = prepare(e.reads, selection+"AND id = ?")
	st.first = prepare(e.reads, selection+"ORDER BY id LIMIT 50")
	st.after = prepare(e.reads, selection+"AND id > ? ORDER BY id LIMIT 50")
	st.ofPerson = prepare(e.reads, selection+"AND person_id = CAST(? AS BIGINT) AND done = CAST(? AS BOOLEAN) ORDER BY coalesce(due_to, 9223372036854775807), id LIMIT 50")
	st.session = prepare(e.reads, `SELECT s.user_id, s.generation, s.rotated_at, s.expires_at, s.revoked_at,
		u.id, u.username, u.is_staff, u.permissions, u.activated_at, u.disabled_at
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = CAST(? AS BIGINT)`)
	if grouped {
		st.queue = make(chan *write, 256)
		go st.group()
	}
	return st, errors.Join(errs...)
}

// task reads the task into row, or fails with sql.ErrNoRows.
func (st *store) task(row *row, id int64) error {
	rows, err := st.byID.Query(id)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return errors.Join(rows.Err(), sql.ErrNoRows)
	}
	return rows.Scan(row.targets[:]...)
}

// insert makes a task and gives its id once it is durable.
func (st *store) insert(args ...any) (id int64, err error) {
	err = st.do(func() (err error) {
		id, err = st.engine.insert(st.create, args)
		return err
	})
	return id, err
}

// update changes the named members of a task that is for or by the user, and
// reads it into row. It fails with sql.ErrNoRows where there is none.
func (st *store) update(row *row, set members, args []any) error {
	return st.do(func() error {
		stmt, err := st.changing(set) //nolint:sqlclosecheck // kept for the next one
		if err != nil {
			return err
		}
		rows, err := stmt.Query(args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		if !rows.Next() {
			return errors.Join(rows.Err(), sql.ErrNoRows)
		}
		if err := rows.Scan(row.targets[:]...); err != nil {
			return err
		}
		rows.Next() // to its end, which is where a statement alone commits
		return errors.Join(rows.Err(), rows.Close())
	})
}

// changing gives the statement that sets the members. It names no column
// besides: each that is named costs its indexes a write.
func (st *store) changing(set members) (stmt *sql.Stmt, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.changes[set] == nil {
		if st.changes[set], err = st.writes.Prepare(st.bind(set.update())); err != nil { //nolint:sqlclosecheck // likewise
			return nil, err
		}
	}
	return st.changes[set], nil
}

// write is a statement that waits for its commit.
type write struct {
	run  func() error
	err  error
	done chan struct{}
}

// do runs a statement and returns once what it wrote is durable.
func (st *store) do(run func() error) error {
	if st.queue == nil {
		return run() // a statement alone is a transaction, and its end a commit
	}
	w := &write{run: run, done: make(chan struct{})}
	st.queue <- w
	<-w.done
	return w.err
}

// group commits together the writes that wait behind one another. A statement
// that fails undoes nothing but itself.
func (st *store) group() {
	batch := make([]*write, 0, cap(st.queue))
	for first := range st.queue {
		batch = batch[:0]
		_, err := st.start.Exec()
		for w := first; w != nil; w = st.waiting(len(batch)) {
			batch = append(batch, w)
			if err == nil {
				w.err = w.run()
			}
		}
		if err == nil {
			_, err = st.commit.Exec()
		}
		for _, w := range batch {
			w.err = errors.Join(w.err, err)
			close(w.done)
		}
	}
}

// waiting gives a write that can share the commit, or nil. Before it gives up
// it lets those that are about to write go on: on one processor they would
// wait for the very commit that they come too late for.
func (st *store) waiting(taken int) *write {
	for range 2 {
		if taken == cap(st.queue) {
			return nil
		}
		select {
		case w := <-st.queue:
			return w
		default:
			runtime.Gosched()
		}
	}
	return nil
}
