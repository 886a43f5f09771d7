package models

import (
	"flag"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write anew what the migrations make of the schema")

// What the doctor compares a schema with is what each migration makes.
func TestPostgres_RecordedSchemasAreThoseOfTheMigrations(t *testing.T) {
	t.Parallel()
	e, err := openPostgres(t.Context(), newTarget(t, "postgres"), Options{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.close() }()
	list, err := migrations("postgres")
	if err != nil {
		t.Fatal(err)
	}
	var before []string
	for _, m := range list {
		if _, err := migrate(t.Context(), []migration{m}, e.write, at); err != nil {
			t.Fatal(err)
		}
		after := catalogLines(t, e)
		var change strings.Builder
		for _, line := range before {
			if !slices.Contains(after, line) {
				change.WriteString("- " + line + "\n")
			}
		}
		for _, line := range after {
			if !slices.Contains(before, line) {
				change.WriteString("+ " + line + "\n")
			}
		}
		before = after
		file := path.Join(schemasFolder, m.name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(change.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if recorded, err := os.ReadFile(file); err != nil || string(recorded) != change.String() {
			t.Errorf("%s is not what the migration makes: run go test ./models -run RecordedSchemas -update (%v)", file, err)
		}
	}
	files, err := schemaFiles.ReadDir(schemasFolder)
	if err != nil || len(files) != len(list) {
		t.Errorf("%d schemas are recorded, of %d migrations, %v", len(files), len(list), err)
	}
}

func catalogLines(t *testing.T, e *postgresEngine) (lines []string) {
	t.Helper()
	conn, err := e.conn.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	objects, err := examinedPostgres{}.catalog(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		lines = append(lines, strings.TrimSuffix(o.kind+" "+o.name+": "+o.sql, ": "))
	}
	return lines
}
