package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"runtime"

	"github.com/mattn/go-sqlite3"
)

// The settings are those that Dueto's models open the file with.
var (
	shared  = []string{"busy_timeout = 5000", "foreign_keys = ON", "trusted_schema = OFF", "journal_size_limit = 67108864", "cell_size_check = ON"}
	writing = append([]string{"busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL"}, shared...)
	reading = append(shared[:len(shared):len(shared)], "query_only = ON")
)

const readers = 4

// store holds the statements, prepared once on each connection. They run
// without a context that can end: for one that can, database/sql and the driver
// start goroutines.
type store struct {
	byID, first, after, ofPerson, session *sql.Stmt

	insert, begin, commit *sql.Stmt // on the one connection that writes
	queue                 chan *write
}

func openStore(path string, grouped bool) (*store, error) {
	writes := sql.OpenDB(newConnector(path, "_txlock=immediate", writing))
	writes.SetMaxOpenConns(1)
	reads := sql.OpenDB(newConnector(path, "mode=ro", reading))
	reads.SetMaxOpenConns(readers)
	reads.SetMaxIdleConns(readers)
	const selection = "SELECT " + columns + " FROM tasks WHERE private = FALSE "
	st := &store{}
	var errs []error
	prepare := func(db *sql.DB, query string) *sql.Stmt {
		stmt, err := db.Prepare(query)
		errs = append(errs, err)
		return stmt
	}
	st.begin = prepare(writes, "BEGIN IMMEDIATE")
	st.commit = prepare(writes, "COMMIT")
	st.insert = prepare(writes, `INSERT INTO tasks (title, description, due_to, done, done_at, priority, tags, private,
		person_id, created_by, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	st.byID = prepare(reads, selection+"AND id = ?")
	st.first = prepare(reads, selection+"ORDER BY id LIMIT 50")
	st.after = prepare(reads, selection+"AND id > ? ORDER BY id LIMIT 50")
	st.ofPerson = prepare(reads, selection+"AND person_id = ? AND done = ? ORDER BY coalesce(due_to, 9223372036854775807), id LIMIT 50")
	st.session = prepare(reads, `SELECT s.user_id, s.generation, s.rotated_at, s.expires_at, s.revoked_at,
		u.id, u.username, u.is_staff, u.permissions, u.activated_at, u.disabled_at
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ?`)
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

// write is an insert that waits for its commit.
type write struct {
	args []any
	id   int64
	err  error
	done chan struct{}
}

// create inserts a task and gives its id once it is durable.
func (st *store) create(args ...any) (int64, error) {
	if st.queue == nil {
		return st.run(args) // a statement alone is a transaction, and its end a commit
	}
	w := &write{args: args, done: make(chan struct{})}
	st.queue <- w
	<-w.done
	return w.id, w.err
}

func (st *store) run(args []any) (int64, error) {
	result, err := st.insert.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// group commits together the writes that wait behind one another. An insert
// that fails undoes nothing but itself.
func (st *store) group() {
	batch := make([]*write, 0, cap(st.queue))
	for first := range st.queue {
		batch = batch[:0]
		_, err := st.begin.Exec()
		for w := first; w != nil; w = st.waiting(len(batch)) {
			batch = append(batch, w)
			if err == nil {
				w.id, w.err = st.run(w.args)
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

// connector opens connections that all carry the same settings.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func newConnector(path, params string, pragmas []string) *connector {
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params + "&_stmt_cache_size=64"
	return &connector{dsn, &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		for _, p := range pragmas {
			if _, err := conn.Exec("PRAGMA "+p, nil); err != nil {
				return err
			}
		}
		return nil
	}}}
}

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }
