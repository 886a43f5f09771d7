package models

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"
)

// Inspection is what a look at a database tells.
type Inspection struct {
	// New is whether it was never migrated.
	New bool
	// Pending are the migrations that it lacks.
	Pending []string
	// Newest is when an account was last made, or a session last used; it is
	// zero where there is none.
	Newest time.Time
	// Secrets are what the secrets of the servers of a PostgreSQL database are
	// known by.
	Secrets []string
	// Accounts is whether there is any account in a PostgreSQL database.
	Accounts bool
	// Rights are those on a PostgreSQL database.
	Rights Rights
}

// ErrUnfinished says that a database cannot be looked at: it was left by a
// crash or a copy in a state that only a writer can read.
var ErrUnfinished = errors.New("the database has a log without the index to it")

// Inspect looks at a database that is there, and neither makes nor changes a
// file; a server may be running on it. It fails with ErrCorrupt on what is not
// a database of ours, with ErrSchemaNewer on a newer version's, with
// ErrUnfinished, with ErrUnfinishedMove, and with ErrUnavailable on a file that
// cannot be read.
func Inspect(ctx context.Context, url string) (found Inspection, err error) {
	path, ok := sqliteFile(url)
	if !ok {
		return inspectPostgres(ctx, url)
	}
	mode, err := lookingMode(path)
	if err != nil {
		return found, err
	}
	conn := sql.OpenDB(newSQLiteConnector(path, mode, readerPragmas))
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetMaxOpenConns(1)
	if err := checkOurs(ctx, conn); err != nil {
		return found, err
	}
	base, err := openGorm(conn, Options{Now: time.Now})
	if err != nil {
		return found, err
	}
	db := DB{base: base, ctx: ctx}
	return inspect(db, "sqlite")
}

// inspect looks at a database that is open.
func inspect(db DB, engine string) (found Inspection, err error) {
	if found, err = pendingOf(db, engine); err == nil && !found.New {
		found.Newest, err = newest(db)
	}
	return found, err
}

// pendingOf looks only at what a database lacks.
func pendingOf(db DB, engine string) (found Inspection, err error) {
	list, err := lacking(db, engine)
	if err != nil {
		return found, err
	}
	for _, m := range list {
		found.Pending = append(found.Pending, m.name)
	}
	at, err := schemaVersion(db)
	found.New = err == nil && at == 0
	return found, err
}

// lookingMode gives the parameters that read a file without making any beside
// it: a reader of a write-ahead log makes the log and its index where they are
// not there.
func lookingMode(path string) (string, error) {
	log, logErr := os.Stat(path + "-wal")
	_, indexErr := os.Stat(path + "-shm")
	switch {
	case logErr == nil && indexErr == nil:
		return "mode=ro&readonly_shm=1", nil
	case logErr == nil && log.Size() > 0:
		return "", ErrUnfinished
	}
	return "mode=ro&immutable=1", nil
}

// newest gives the latest of the times that a clock which was set back would
// be behind.
func newest(db DB) (time.Time, error) {
	micros, err := countOf(db, `SELECT max(at) FROM (
		SELECT coalesce(max(date_joined), 0) AS at FROM users
		UNION ALL SELECT coalesce(max(created_at), 0) FROM sessions
		UNION ALL SELECT coalesce(max(last_used_at), 0) FROM sessions) AS times`)
	if err != nil || micros == 0 {
		return time.Time{}, err
	}
	return Time(micros), nil
}

// inspectPostgres is Inspect for PostgreSQL.
func inspectPostgres(ctx context.Context, url string) (found Inspection, err error) {
	e, err := openPostgres(ctx, url, Options{Now: time.Now})
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	db := e.read(ctx)
	if found, err = inspect(db, "postgres"); err != nil {
		return found, err
	}
	conn, err := e.conn.Conn(ctx)
	if err != nil {
		return found, translate(err)
	}
	found.Rights, err = rightsOf(ctx, conn, len(found.Pending) > 0)
	if err = errors.Join(err, conn.Close()); err != nil || len(found.Pending) > 0 { // the tables may not be there
		return found, err
	}
	if found.Secrets, err = SecretFingerprints(db); err != nil {
		if sqlState(err) == "42501" { // which the rights tell
			err = nil
		}
		return found, err
	}
	found.Accounts, err = HasAccounts(db)
	return found, err
}
