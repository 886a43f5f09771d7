package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// examineFile examines what SQLite keeps in a file.
func examineFile(ctx context.Context, path string) (Examination, error) {
	path, err := existing(path)
	if err != nil {
		return Examination{}, err
	}
	for {
		mode, err := lookingMode(path)
		if err != nil {
			return Examination{}, err
		}
		found, err := examineSQLite(ctx, path, mode)
		// A file at rest is read without locks. If it was taken into use, what
		// was read may be neither the old nor the new.
		if now, nowErr := lookingMode(path); nowErr != nil || now == mode || errors.Is(err, context.Canceled) {
			return found, err
		}
	}
}

func examineSQLite(ctx context.Context, path, mode string) (found Examination, err error) {
	s, err := openSnapshot(ctx, path, mode)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	found, err = examine(ctx, examinedSQLite{}, s.conn, s.schema)
	found.Size, found.Log = sizeOf(path), sizeOf(path+"-wal")
	return found, err
}

func sizeOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// examinedSQLite is a file of SQLite.
type examinedSQLite struct{}

// dialect implements examined.
func (examinedSQLite) dialect() string { return "sqlite" }

// integrity implements examined.
func (examinedSQLite) integrity(x *examiner) {
	lines, err := textsOn(x.ctx, x.conn, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFaults))
	for _, line := range lines {
		if line != "ok" {
			x.fault(AreaIntegrity, "%s.", oneLine(line))
		}
	}
	x.damaged(err)
}

// references implements examined. It looks at the CHECK constraints too, which
// SQLite does not where it may not write.
func (examinedSQLite) references(x *examiner, want []schemaObject) {
	x.faults(AreaReferences, `SELECT count(*) || ' rows of ' || "table" || ' refer to rows of ' || parent || ' that are not there.'
		FROM pragma_foreign_key_check GROUP BY "table", parent`)
	for _, w := range want {
		for _, condition := range w.checks() {
			x.rule(AreaIntegrity, "%d rows of "+w.name+" break a CHECK: "+strings.ReplaceAll(condition, "%", "%%")+".",
				"SELECT count(*) FROM "+quoted(w.name)+" WHERE NOT ("+condition+")")
		}
	}
}

// fresh implements examined.
func (d examinedSQLite) fresh(ctx context.Context, list []migration) (objects []schemaObject, err error) {
	pool := sql.OpenDB(newSQLiteConnector("fresh", "mode=memory", sharedPragmas))
	defer func() { err = errors.Join(err, pool.Close()) }()
	pool.SetMaxOpenConns(1) // each connection would have a database of its own
	base, err := openGorm(pool, Options{})
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if _, err := applyMigration(DB{base: base, ctx: ctx}, m, Time(0)); err != nil {
			return nil, err
		}
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return d.objects(ctx, conn)
}

// objects implements examined.
func (examinedSQLite) objects(ctx context.Context, conn *sql.Conn) (list []schemaObject, err error) {
	list, err = objectsOn(ctx, conn, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].kind != "table" {
			continue
		}
		list[i].columns, err = textsOn(ctx, conn, `SELECT name || ' ' || type || iif("notnull", ' NOT NULL', '') || coalesce(' DEFAULT ' || dflt_value, '') ||
			iif(pk, ' in the primary key', '') FROM pragma_table_xinfo(?)`, list[i].name)
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// tables implements examined.
func (examinedSQLite) tables(ctx context.Context, conn *sql.Conn) ([]string, error) {
	return tableNames(ctx, conn)
}

// columns implements examined.
func (examinedSQLite) columns(ctx context.Context, conn *sql.Conn, table string) ([]string, error) {
	return textsOn(ctx, conn, "SELECT type || ' ' || name FROM pragma_table_xinfo(?)", table)
}

// mistyped implements examined: SQLite lets a value be of another type.
func (examinedSQLite) mistyped(kind, column string) string {
	switch kind {
	case "INTEGER", "BIGINT":
		return "typeof(" + column + ") NOT IN ('integer', 'null')"
	case "BOOLEAN":
		return column + " NOT IN (0, 1)"
	case "TEXT":
		return "typeof(" + column + ") NOT IN ('text', 'null')"
	}
	return ""
}

// notTexts implements examined.
func (examinedSQLite) notTexts(column string) string {
	return "CASE WHEN NOT json_valid(" + column + ") THEN TRUE WHEN json_type(" + column + ") <> 'array' THEN TRUE " +
		"ELSE EXISTS (SELECT 1 FROM json_each(" + column + ") WHERE json_each.type <> 'text') END"
}

// lastGiven implements examined.
func (examinedSQLite) lastGiven(_ *examiner, table string) string {
	name := "'" + strings.ReplaceAll(table, "'", "''") + "'"
	return "CASE WHEN EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = " + name + " AND sql LIKE '%AUTOINCREMENT%') " +
		"THEN coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = " + name + "), 0) END" // none before the first row
}

// absent implements examined.
func (examinedSQLite) absent(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrError
}
