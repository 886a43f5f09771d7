package models

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// examinePostgres examines a database of a server. Each query is of a moment of
// its own: one snapshot held for all would keep the server from tidying up.
func examinePostgres(ctx context.Context, url string) (found Examination, err error) {
	cfg, err := postgresConfig(patient(url)) // to read a large table takes its time
	if err != nil {
		return found, err
	}
	cfg.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return found, translate(err)
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkOursPostgres(ctx, db); err != nil {
		return found, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return found, translate(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	engine := examinedPostgres{}
	schema, err := engine.schema(ctx, conn)
	if err != nil {
		return found, err
	}
	if found, err = examine(ctx, engine, conn, schema); err != nil {
		return found, err
	}
	return found, examineServer(ctx, conn, &found)
}

// examinedPostgres is the first schema that a connection finds tables in.
type examinedPostgres struct{}

// dialect implements examined.
func (examinedPostgres) dialect() string { return "postgres" }

// schema gives the number of the last migration applied. A database that has
// none is not one to examine.
func (d examinedPostgres) schema(ctx context.Context, conn *sql.Conn) (int64, error) {
	there, err := integerOn(ctx, conn, "SELECT count(*) FROM pg_class WHERE oid = to_regclass('schema_migrations')")
	if err != nil {
		return 0, err
	}
	if there > 0 {
		return integerOn(ctx, conn, "SELECT coalesce(max(version), 0) FROM schema_migrations")
	}
	tables, err := d.tables(ctx, conn)
	switch {
	case err != nil:
		return 0, err
	case len(tables) > 0:
		return 0, fmt.Errorf("%w: it belongs to another program", ErrCorrupt)
	}
	return 0, errors.New("there is no database: it is empty; dueto migrate makes the tables")
}

// integrity implements examined: what is in pages and indexes only PostgreSQL's
// own tool looks at.
func (examinedPostgres) integrity(x *examiner) {
	for _, query := range []string{
		`SELECT format('The index %s of %s is invalid: queries do without it, and it may not keep unique what it should. Run: REINDEX INDEX %1$I', i.relname, t.relname)
			FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
			WHERE i.relnamespace = current_schema()::regnamespace AND NOT (indisvalid AND indisready AND indislive) ORDER BY 1`,
		`SELECT format('The constraint %s of %s was not checked on the rows that were there before it. Run: ALTER TABLE %2$I VALIDATE CONSTRAINT %1$I', conname, relname)
			FROM pg_constraint JOIN pg_class t ON t.oid = conrelid
			WHERE t.relnamespace = current_schema()::regnamespace AND NOT convalidated ORDER BY 1`,
		`SELECT DISTINCT format('The constraint %s is switched off at %s. Run: ALTER TABLE %2$I ENABLE TRIGGER ALL', conname, relname)
			FROM pg_trigger JOIN pg_class t ON t.oid = tgrelid JOIN pg_constraint c ON c.oid = tgconstraint
			WHERE t.relnamespace = current_schema()::regnamespace AND tgisinternal AND tgenabled IN ('D', 'R') ORDER BY 1`,
	} {
		x.faults(AreaIntegrity, query)
	}
}

var foreignKey = regexp.MustCompile(`^FOREIGN KEY \((\w+)\) REFERENCES (\w+)\((\w+)\)`)

// references implements examined. Constraints see to them, unless they are
// missing, or were switched off while rows were changed.
func (examinedPostgres) references(x *examiner, want []schemaObject) {
	for _, w := range want {
		key := foreignKey.FindStringSubmatch(w.sql)
		if w.kind != "constraint" || key == nil {
			continue
		}
		_, table, _ := strings.Cut(w.name, " of ")
		x.rule(AreaReferences, "%d rows of "+table+" refer to rows of "+key[2]+" that are not there.",
			fmt.Sprintf("SELECT count(*) FROM %s AS r WHERE r.%s IS NOT NULL AND NOT EXISTS (SELECT FROM %s AS p WHERE p.%s = r.%[2]s)", table, key[1], key[2], key[3]))
	}
}

// schemaFiles tell what each migration makes of the schema: a database that may
// only be read is no place to try it. A test writes them.
//
//go:embed schemas
var schemaFiles embed.FS

const schemasFolder = "schemas/postgres"

// fresh implements examined.
func (examinedPostgres) fresh(_ context.Context, applied []migration) ([]schemaObject, error) {
	var lines []string
	for _, m := range applied {
		text, err := schemaFiles.ReadFile(path.Join(schemasFolder, m.name+".txt"))
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if gone, ok := strings.CutPrefix(line, "- "); ok {
				lines = slices.DeleteFunc(lines, func(l string) bool { return l == gone })
			} else {
				lines = append(lines, strings.TrimPrefix(line, "+ "))
			}
		}
	}
	rows := make([]schemaObject, len(lines))
	for i, line := range lines {
		kind, rest, _ := strings.Cut(line, " ")
		name, definition, _ := strings.Cut(rest, ": ")
		rows[i] = schemaObject{kind: kind, name: name, sql: definition}
	}
	return joinColumns(rows), nil
}

// joinColumns puts columns to their tables.
func joinColumns(rows []schemaObject) (objects []schemaObject) {
	at := map[string]int{}
	for _, o := range rows {
		if o.kind == "table" {
			at[o.name] = len(objects)
		}
		if o.kind != "column" {
			objects = append(objects, o)
		}
	}
	for _, o := range rows {
		if i, ok := at[o.name]; ok && o.kind == "column" {
			objects[i].columns = append(objects[i].columns, o.sql)
		}
	}
	return objects
}

// objects implements examined.
func (d examinedPostgres) objects(ctx context.Context, conn *sql.Conn) ([]schemaObject, error) {
	rows, err := d.catalog(ctx, conn)
	return joinColumns(rows), err
}

// catalog lists what a schema has, and each column of a table. It leaves out
// what is of an extension ('e'), and what is part of something else ('i'): the
// indexes of constraints, and the sequences of identities.
func (examinedPostgres) catalog(ctx context.Context, conn *sql.Conn) ([]schemaObject, error) {
	return objectsOn(ctx, conn, `WITH ours AS (
			SELECT oid, relname, relkind, relpersistence, relrowsecurity FROM pg_class
			WHERE relnamespace = current_schema()::regnamespace
				AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype IN ('e', 'i'))
		)
		SELECT kind, name, definition FROM (
		SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
				WHEN 'f' THEN 'foreign table' ELSE 'sequence' END AS kind, relname::text AS name,
			CASE relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE '' END || CASE WHEN relrowsecurity THEN ' ROW LEVEL SECURITY' ELSE '' END AS definition, 0 AS place
			FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
		UNION ALL SELECT 'column', relname, attname || ' ' || format_type(atttypid, atttypmod)
				|| CASE WHEN attcollation <> typcollation THEN ' COLLATE ' || quote_ident(collname) ELSE '' END
				|| CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
				|| CASE attidentity WHEN 'd' THEN ' IDENTITY' WHEN 'a' THEN ' IDENTITY ALWAYS' ELSE '' END
				|| CASE WHEN attgenerated <> '' THEN ' GENERATED' ELSE '' END
				|| coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), ''), attnum
			FROM ours JOIN pg_attribute ON attrelid = ours.oid JOIN pg_type t ON t.oid = atttypid
			LEFT JOIN pg_collation c ON c.oid = attcollation LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
			WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT 'index', relname, replace(pg_get_indexdef(oid), ' ON ' || quote_ident(current_schema()) || '.', ' ON '), 0
			FROM ours WHERE relkind IN ('i', 'I')
		UNION ALL SELECT 'constraint', conname || ' of ' || relname, regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''), 0
			FROM ours JOIN pg_constraint c ON conrelid = ours.oid WHERE contype IN ('c', 'f', 'p', 'u', 'x')
		UNION ALL SELECT 'trigger', tgname || ' of ' || relname, pg_get_triggerdef(t.oid), 0
			FROM ours JOIN pg_trigger t ON tgrelid = ours.oid WHERE NOT tgisinternal
		UNION ALL SELECT 'rule', rulename || ' of ' || relname, pg_get_ruledef(r.oid), 0
			FROM ours JOIN pg_rewrite r ON ev_class = ours.oid WHERE rulename <> '_RETURN'
		) AS listed ORDER BY kind COLLATE "C" DESC, name COLLATE "C", place`)
}

// tables implements examined. A replica has none of the rows of a table that is
// not logged.
func (examinedPostgres) tables(ctx context.Context, conn *sql.Conn) ([]string, error) {
	return textsOn(ctx, conn, `SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
		AND (relpersistence <> 'u' OR NOT pg_is_in_recovery()) AND NOT EXISTS (
			SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e') ORDER BY relname`)
}

// columns implements examined.
func (examinedPostgres) columns(ctx context.Context, conn *sql.Conn, table string) ([]string, error) {
	return textsOn(ctx, conn, `SELECT replace(upper(format_type(atttypid, NULL)), ' ', '_') || ' ' || attname FROM pg_attribute
		WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, quoted(table))
}

// mistyped implements examined.
func (examinedPostgres) mistyped(string, string) string { return "" }

// notTexts implements examined. A cast would fail on what is no JSON; a
// constraint keeps that out, which may be missing.
func (examinedPostgres) notTexts(column string) string {
	const text = `"([^"\\\u0001-\u001f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"`
	const space = `[ \t\n\r]*`
	return column + ` !~ '^` + space + `\[` + space + `(` + text + space + `(,` + space + text + space + `)*)?\]` + space + `$'`
}

// lastGiven implements examined.
func (examinedPostgres) lastGiven(x *examiner, table string) string {
	const none = "NULL::bigint"
	var sequence sql.NullString
	var readable sql.NullBool
	err := x.conn.QueryRowContext(x.ctx, "SELECT s, has_sequence_privilege(s, 'SELECT') FROM pg_get_serial_sequence($1, 'id') AS s", quoted(table)).Scan(&sequence, &readable)
	if x.damaged(translate(err)) || !sequence.Valid {
		return none
	}
	if !readable.Bool {
		x.odd(AreaRules, "Whether ids of %s can come back is not known: this role may not read the sequence %s.", table, sequence.String)
		return none
	}
	return "(SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM " + sequence.String + ")"
}

// absent implements examined: undefined_table, undefined_column.
func (examinedPostgres) absent(err error) bool {
	code := sqlState(err)
	return code == "42P01" || code == "42703"
}
