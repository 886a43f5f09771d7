package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// lockAttempts bounds how often the locks are asked for where the server undid
// that for a deadlock with writes that were under way.
const lockAttempts = 5

// lockPostgres opens a database and keeps writes out of its tables: those of
// servers wait, and fail once their time is up; reads go on.
func lockPostgres(ctx context.Context, database string, opts MoveOptions) (_ *moveSource, err error) {
	e, err := openPostgres(ctx, database, Options{Now: time.Now})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	if err := movable(e.read(ctx), "postgres"); err != nil {
		return nil, err
	}
	var tx *sql.Tx
	for range lockAttempts {
		if tx, err = e.lockTables(ctx); !conflicted(err) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("writes to it cannot be kept out: %w", translate(err))
	}
	s := &moveSource{
		db: DB{base: withPool(e.base, numbered{tx}), ctx: context.Background(), remote: true}, dialect: postgresDialect{},
		close: func() { _, _ = tx.Rollback(), e.close() },
	}
	if opts.Warn != nil {
		others, err := scalarSlow(s.db, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'dueto' AND pid <> pg_backend_pid()`)
		if err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
		if others > 0 {
			opts.Warn("A server is connected to the database that is moved. Its writes fail while the move runs; what it takes afterwards is not moved. Stop it.")
		}
	}
	return s, nil
}

// lockTables locks before the first query, whose snapshot then has all that was
// committed.
func (e *postgresEngine) lockTables(ctx context.Context) (*sql.Tx, error) {
	tx, err := e.conn.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(moveTables))
	for i, t := range moveTables {
		names[i] = t.name
	}
	for _, statement := range []string{
		"SET LOCAL statement_timeout = 0",
		"SET LOCAL idle_in_transaction_session_timeout = '5min'", // a move that vanished locks nothing for long
		"SET LOCAL lock_timeout = '10s'",
		"LOCK TABLE " + strings.Join(names, ", ") + " IN SHARE MODE",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
	}
	return tx, nil
}

// apart makes sure that the database is not the source itself, by whatever URL:
// it would refuse a lock of which the source has the only key.
func (e *postgresEngine) apart(ctx context.Context, source *moveSource) error {
	if source.dialect.dialect() != "postgres" {
		return nil
	}
	key := rand.Int64() //nolint:gosec // a name that nobody else uses
	if err := source.db.exec("SELECT pg_advisory_xact_lock_shared(?::bigint # hashtext(current_schema()))", key); err != nil {
		return err
	}
	free, err := scalarSlow(e.read(ctx), "SELECT pg_try_advisory_xact_lock(?::bigint # hashtext(current_schema()))::int", key)
	if err == nil && free == 0 {
		return errSameDatabase
	}
	return err
}

// postgresDialect is the moveDialect of PostgreSQL.
type postgresDialect struct{}

func (postgresDialect) dialect() string { return "postgres" }

var arrayTypes = map[columnKind]string{integers: "bigint[]", booleans: "boolean[]", texts: "text[]"}

// insertRows sends each column as one array. Its commit waits for no disk: what
// a crash takes it takes together with the note that it was copied, and the end
// of the move waits for all that was before it.
func (postgresDialect) insertRows(tx DB, t moveTable, rows [][]any) error {
	arrays, args := make([]string, len(t.columns)), make([]any, len(t.columns))
	for i, c := range t.columns {
		arrays[i] = "?::" + arrayTypes[c.kind]
		switch c.kind {
		case integers:
			args[i] = array[int64](rows, i)
		case booleans:
			args[i] = array[bool](rows, i)
		case texts:
			args[i] = array[string](rows, i)
		}
	}
	if err := tx.exec("SET LOCAL synchronous_commit = off"); err != nil {
		return err
	}
	return tx.exec("INSERT INTO "+t.name+" ("+t.names()+") SELECT * FROM unnest("+strings.Join(arrays, ", ")+")", args...)
}

// array gives a column of rows, with pointers where there is a NULL.
func array[T any](rows [][]any, column int) any {
	values, pointers, null := make([]T, len(rows)), make([]*T, len(rows)), false
	for i, row := range rows {
		if row[column] == nil {
			null = true
			continue
		}
		values[i] = row[column].(T)
		pointers[i] = &values[i]
	}
	if null {
		return pointers
	}
	return values
}

func (postgresDialect) lastID(db DB, table string) (int64, error) {
	var sequence string
	err := db.run(db.ctx, func(rows row) error { return rows.Scan(&sequence) },
		"SELECT pg_get_serial_sequence(?, 'id')", []any{table})
	if err != nil {
		return 0, err
	}
	return scalarSlow(db, "SELECT greatest(coalesce((SELECT max(id) FROM "+table+"), 0), last_value - CASE WHEN is_called THEN 0 ELSE 1 END) FROM "+sequence)
}

func (postgresDialect) setLastID(tx DB, table string, id int64) error {
	return tx.exec("SELECT setval(pg_get_serial_sequence(?, 'id'), greatest(?::bigint, 1), ?)", table, id, id > 0)
}

// settle has the planner know the tables, which it otherwise would within
// minutes only.
func (postgresDialect) settle(tx DB) error {
	for _, t := range moveTables {
		if err := tx.exec("ANALYZE " + t.name); err != nil {
			return err
		}
	}
	return nil
}
