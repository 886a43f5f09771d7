package models

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// Migrations are forward only: a file that has been released is never edited.
//
//go:embed migrations
var migrationFiles embed.FS

type migration struct {
	version int64
	name    string
	script  string
}

// migrations lists an engine's migrations, in order, numbered from 1 without gaps.
func migrations(engine string) ([]migration, error) {
	dir := path.Join("migrations", engine)
	files, err := fs.ReadDir(migrationFiles, dir)
	if err != nil {
		return nil, err
	}
	var list []migration
	for i, f := range files { // ReadDir sorts by name
		number, _, _ := strings.Cut(f.Name(), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("migration %s is out of sequence: number %d is next", f.Name(), i+1)
		}
		script, err := fs.ReadFile(migrationFiles, path.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, migration{version, strings.TrimSuffix(f.Name(), ".sql"), string(script)})
	}
	return list, nil
}

// lacking gives the migrations of an engine that a database lacks. It fails with
// ErrUnfinishedMove on one that a move has left halfway.
func lacking(db DB, engine string) ([]migration, error) {
	if err := unfinishedMove(db, engine); err != nil {
		return nil, err
	}
	list, err := migrations(engine)
	if err != nil {
		return nil, err
	}
	at, err := schemaVersion(db)
	if err != nil {
		return nil, err
	}
	return pending(list, at)
}

// migrate applies migrations, all in one transaction: nobody finds a database
// halfway, and what fails changes nothing. The version is read in it again, so of
// two processes that start together the second finds the first one's work done.
func migrate(ctx context.Context, list []migration, write func(context.Context, func(DB) error) error, now time.Time) (applied []string, err error) {
	err = write(ctx, func(tx DB) error {
		applied = nil // of a transaction that is run again
		for _, m := range list {
			ran, err := applyMigration(tx, m, now)
			if err != nil {
				return fmt.Errorf("migration %s: %w", m.name, err)
			}
			if ran {
				applied = append(applied, m.name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return applied, nil
}

// pending gives the migrations that a database at a version lacks.
func pending(list []migration, at int64) ([]migration, error) {
	if at > int64(len(list)) {
		return nil, fmt.Errorf("%w: its schema is version %d, this binary knows %d", ErrSchemaNewer, at, len(list))
	}
	return list[at:], nil
}

func applyMigration(tx DB, m migration, now time.Time) (ran bool, err error) {
	at, err := schemaVersion(tx)
	if err != nil || at >= m.version {
		return false, err
	}
	if err := tx.exec(`CREATE TABLE IF NOT EXISTS schema_migrations (
		version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`); err != nil {
		return false, err
	}
	if err := tx.exec(m.script); err != nil {
		return false, err
	}
	return true, tx.exec("INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)",
		m.version, m.name, Micros(now))
}

// versionTables counts the tables of versions in a database of each engine, also
// those that may not be read.
var versionTables = map[string]string{
	"sqlite":   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
	"postgres": `SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migrations'`,
}

// schemaVersion gives the number of the last migration applied, 0 for none.
func schemaVersion(db DB) (int64, error) {
	n, err := scalar(db, versionTables[db.gorm().Name()])
	if err != nil || n == 0 {
		return 0, err
	}
	return scalar(db, "SELECT coalesce(max(version), 0) FROM schema_migrations")
}
