package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// lockingPragmas are those of a connection that keeps everybody else out of the
// file. locking_mode comes before the file is looked at, so that the log's
// index is shared with nobody.
var lockingPragmas = append([]pragma{sharedPragmas[0], {"locking_mode", "EXCLUSIVE", "exclusive"}}, sharedPragmas[1:]...)

// lockSQLite opens a file that no other process has open, and keeps it so: a
// server that runs on it would take writes that the move does not see.
func lockSQLite(ctx context.Context, path string, _ MoveOptions) (_ *moveSource, err error) {
	if err := CheckSQLite(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	conn := sql.OpenDB(newSQLiteConnector(path, "mode=rw&_txlock=immediate", lockingPragmas))
	conn.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}()
	if err := checkOurs(ctx, conn); err != nil {
		return nil, inUse(err)
	}
	base, err := openGorm(conn, Options{Now: time.Now})
	if err != nil {
		return nil, err
	}
	tx := base.WithContext(context.Background()).Begin()
	if tx.Error != nil {
		return nil, inUse(translate(tx.Error))
	}
	s := &moveSource{
		db: DB{base: tx, ctx: context.Background()}, dialect: sqliteDialect{}, file: path,
		close: func() { _, _ = tx.Rollback(), conn.Close() },
	}
	if err := movable(s.db, "sqlite"); err != nil {
		return nil, errors.Join(err, tx.Rollback().Error)
	}
	return s, nil
}

// inUse says what it means that a file is locked.
func inUse(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("it cannot be kept to the move alone: stop the server on it: %w", err)
	}
	return err
}

// sameFile reports whether two paths lead to one file, which is there.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// writeLong is write: SQLite ends no transaction by itself.
func (e *sqliteEngine) writeLong(ctx context.Context, fn func(DB) error) error {
	return e.write(ctx, fn)
}

// sqliteDialect is the moveDialect of SQLite.
type sqliteDialect struct{}

func (sqliteDialect) dialect() string { return "sqlite" }

// maxVariables is how many parameters SQLite lets a statement have.
const maxVariables = 32766

func (sqliteDialect) insertRows(tx DB, t moveTable, rows [][]any) error {
	width := len(t.columns)
	one := ", (" + strings.Repeat("?, ", width-1) + "?)"
	for len(rows) > 0 {
		n := min(len(rows), maxVariables/width)
		args := make([]any, 0, n*width)
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		if err := tx.exec("INSERT INTO "+t.name+" ("+t.names()+") VALUES "+strings.Repeat(one, n)[2:], args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (sqliteDialect) lastID(db DB, table string) (int64, error) {
	return scalarSlow(db, "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = ?), 0), coalesce((SELECT max(id) FROM "+table+"), 0))", table)
}

func (sqliteDialect) setLastID(tx DB, table string, id int64) error {
	if err := tx.exec("DELETE FROM sqlite_sequence WHERE name = ?", table); err != nil || id == 0 {
		return err
	}
	return tx.exec("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, id)
}

// settle does nothing: queries are written for a planner without statistics.
func (sqliteDialect) settle(DB) error { return nil }
