package models

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// migrationLock is the key of the advisory lock that one process holds while
	// it migrates ("Dueto").
	migrationLock = 0x44756574_6f
	// migrationTimeout bounds a migration, which may build an index on millions
	// of rows, and the wait for one that another process runs.
	migrationTimeout = time.Hour
)

// migrate holds a lock outside of the transactions: one that is waited for
// inside would not show what was committed meanwhile. Where nothing is pending
// there is none, so that a server may reach the database through a pooler that
// keeps no sessions.
func (e *postgresEngine) migrate(ctx context.Context, now time.Time) ([]string, error) {
	list, err := lacking(e.read(ctx), "postgres")
	if err != nil || len(list) == 0 {
		return nil, err
	}
	conn, err := e.conn.Conn(ctx)
	if err != nil {
		return nil, translate(err)
	}
	defer func() { _ = conn.Close() }()
	if err := awaitLock(ctx, conn, migrationLock); err != nil {
		return nil, err
	}
	defer func() { _, _ = conn.ExecContext(context.Background(), "SELECT pg_advisory_unlock($1)", migrationLock) }()
	return migrate(ctx, list, e.writeLong, now)
}

// awaitLock asks for an advisory lock until it has it: a statement that waits
// would be ended by its timeout.
func awaitLock(ctx context.Context, conn *sql.Conn, key int64) error {
	ctx, cancel := context.WithTimeout(ctx, migrationTimeout)
	defer cancel()
	for {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&got); err != nil {
			return translate(err)
		}
		if got {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: another process migrates it: %w", ErrUnavailable, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// writeLong runs fn once in a transaction that may take its time.
func (e *postgresEngine) writeLong(_ context.Context, fn func(DB) error) error {
	_, err := e.attempt(func(tx DB) error {
		if err := tx.exec("SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		return fn(tx)
	}, migrationTimeout)
	return err
}

// checkOursPostgres fails with ErrCorrupt where the schema has another
// program's tables, and with ErrUnavailable where the role may not read ours. It
// asks the catalog, which hides nothing: to a role without rights a full database
// would look empty elsewhere.
func checkOursPostgres(ctx context.Context, db *sql.DB) error {
	var role, schema string
	var ours, theirs, readable bool
	err := db.QueryRowContext(ctx, `SELECT current_user, coalesce(current_schema(), ''),
		coalesce(bool_or(c.relname = 'schema_migrations' AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
			WHERE a.attrelid = c.oid AND a.attname = 'applied_at' AND NOT a.attisdropped)), false),
		count(*) > 0,
		coalesce(bool_and(has_table_privilege(c.oid, 'SELECT')), true)
		FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND c.relname IN ('schema_migrations', 'users', 'tasks', 'sessions', 'outbox')`).Scan(&role, &schema, &ours, &theirs, &readable)
	switch {
	case err != nil:
		return translate(err)
	case schema == "":
		return fmt.Errorf("%w: there is no schema that the role %q may use: GRANT USAGE ON SCHEMA to it", ErrUnavailable, role)
	case theirs && !ours:
		return fmt.Errorf("%w: it belongs to another program", ErrCorrupt)
	case !readable:
		return fmt.Errorf("%w: the role %q may not read its tables: GRANT it SELECT, INSERT, UPDATE and DELETE ON ALL TABLES IN SCHEMA %s", ErrUnavailable, role, schema)
	}
	return nil
}
