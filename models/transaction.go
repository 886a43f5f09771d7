package models

import (
	"context"
	"database/sql"
)

// transaction is the one that the writer's batch shares, for gorm and for
// queries of ours. It is not a *sql.Tx, which starts a goroutine for itself and
// one for each of its queries.
type transaction struct {
	pool *sql.DB
	conn *sql.Conn
	// changed is set before anything is done that may change something.
	changed bool
}

// run runs fn between BEGIN and COMMIT, and undoes it where any of them fails.
func (t *transaction) run(fn func() error) (err error) {
	ctx := context.Background()
	if t.conn, err = t.pool.Conn(ctx); err != nil {
		return translate(err)
	}
	defer func() { _ = t.conn.Close() }() // it goes back to the pool
	if err := t.control(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err = fn(); err == nil {
		err = undecided(t.control(ctx, "COMMIT"))
	}
	if err != nil {
		_ = t.control(ctx, "ROLLBACK") // SQLite may have ended it by itself already
	}
	return err
}

func (t *transaction) control(ctx context.Context, statement string) error {
	_, err := t.conn.ExecContext(ctx, statement)
	return translate(err)
}

// autoCommitter is what is asked of SQLite's connection, and of what Options.Wrap
// puts around it: whether it is outside a transaction.
type autoCommitter interface{ AutoCommit() bool }

// open reports whether the transaction is still there: some errors end it. What
// ran after that would be committed at once.
func (t *transaction) open() (open bool) {
	err := t.conn.Raw(func(conn any) error {
		open = !conn.(autoCommitter).AutoCommit()
		return nil
	})
	return open && err == nil
}

// ExecContext implements gorm.ConnPool.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t.changed = true
	return t.conn.ExecContext(ctx, query, args...)
}

// QueryContext implements gorm.ConnPool.
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t.changed = t.changed || !reads(query)
	return t.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext implements gorm.ConnPool.
func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	t.changed = t.changed || !reads(query)
	return t.conn.QueryRowContext(ctx, query, args...)
}

// PrepareContext implements gorm.ConnPool.
func (t *transaction) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	t.changed = true // what it is prepared for is not seen
	return t.conn.PrepareContext(ctx, query)
}

// reads reports whether a statement is one that surely changes nothing.
func reads(query string) bool {
	const verb = "SELECT "
	return len(query) > len(verb) && query[:len(verb)] == verb
}
