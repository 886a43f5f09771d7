package models

import (
	"context"
	"fmt"
	"strings"
)

// Supports fails with an UnsupportedError on the URL of an engine that leaves
// backups and all that goes with them to tools of its own.
func Supports(databaseURL string) error {
	if _, ok := sqliteFile(databaseURL); ok {
		return nil
	}
	return unsupported("", databaseURL)
}

// unsupported says how what is asked for is done with the tools of the engine
// that a URL names.
func unsupported(task, databaseURL string) error {
	if !isPostgres(databaseURL) {
		return &UnsupportedError{Advice: "there is no engine for the database: use sqlite:FILE"}
	}
	const password = "The password is taken from ~/.pgpass or PGPASSWORD."
	tools := PostgresTools(databaseURL)
	var advice string
	switch task {
	case "backup":
		advice = fmt.Sprintf(`PostgreSQL makes its own backups, while Dueto serves. One file with all that is in the database:
  %s
The whole cluster, from which any later moment can be recovered if archive_mode and archive_command keep its write-ahead log:
  %s
`, tools.Dump, tools.BaseBackup)
	case "restore":
		advice = fmt.Sprintf(`PostgreSQL restores its own backups. Stop every dueto first. From a file of pg_dump, all or nothing:
  %s
To a moment, from pg_basebackup and the archived write-ahead log: put the folder in place, set restore_command and recovery_target_time, make recovery.signal, and start PostgreSQL.
`, tools.Restore)
	}
	return &UnsupportedError{Advice: advice + password}
}

// Tools are command lines of PostgreSQL's own tools. There is no password in
// them.
type Tools struct {
	// Dump makes a file of one database, and Restore takes it back.
	Dump, Restore string
	// BaseBackup copies the whole cluster.
	BaseBackup string
	// Check reads each page of each table and index.
	Check string
}

// PostgresTools gives the command lines for the database that a URL names.
func PostgresTools(databaseURL string) Tools {
	name := shellQuoted(withoutPassword(databaseURL))
	return Tools{
		Dump:       `pg_dump --format=custom --file="dueto-$(date -u +%Y%m%dT%H%M%SZ).dump" --dbname=` + name,
		Restore:    "pg_restore --clean --if-exists --no-owner --single-transaction --exit-on-error --dbname=" + name + " FILE",
		BaseBackup: "pg_basebackup --pgdata=FOLDER --wal-method=stream --checkpoint=fast --dbname=" + name,
		Check:      "pg_amcheck --install-missing --heapallindexed --progress " + name,
	}
}

// Unsaved gives the migrations that a database with data lacks and that no
// backup is made before: where the engine makes its own.
func (s *Store) Unsaved(ctx context.Context) ([]string, error) {
	e, ok := s.engine.(*postgresEngine)
	if !ok {
		return nil, nil
	}
	found, err := pendingOf(e.read(ctx), e.dialect())
	if err != nil || found.New {
		return nil, err
	}
	return found.Pending, nil
}

// shellQuoted gives a word as a shell takes it.
func shellQuoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
