package tests

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"dueto/models"
)

// movedTo is the server that the guide moves to.
const movedTo = "postgres://dueto:s3cret@db.example.com/dueto"

// moveVolatile is what differs between two moves.
var moveVolatile = replacements{
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "SUM"},
	{regexp.MustCompile(`\bin [0-9.]+m?s;`), "in TIME;"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`), "DATE"},
}

// TestDocuments_MoveGuidePrintsWhatItSays types the guide's commands in an
// empty folder, with a server of PostgreSQL in place of the guide's.
func TestDocuments_MoveGuidePrintsWhatItSays(t *testing.T) {
	t.Parallel()
	const name = "docs/move.md"
	text := readDocument(t, name)
	url := emptyPostgres(t)
	p := newProgram(t)
	if err := os.MkdirAll(p.file("bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.binary, p.file("bin/dueto")); err != nil {
		t.Fatal(err)
	}
	tour := steps(text)
	if len(tour) < 8 {
		t.Fatalf("it has %d commands", len(tour))
	}
	part := make([]step, len(tour))
	for i, s := range tour {
		part[i].command = strings.ReplaceAll(s.command, movedTo, url)
	}
	outputs := typed(t, p, part)
	for i, s := range tour {
		outputs[i] = strings.ReplaceAll(outputs[i], models.Redacted(url), models.Redacted(movedTo))
		switch got := outputs[i]; {
		case moveVolatile.apply(steady(got)) == moveVolatile.apply(steady(s.output)):
			outputs[i] = s.output
		case !*update:
			t.Errorf("$ %s\nprints\n%swhere the document says\n%s", s.command, got, s.output)
		}
	}
	if *update {
		writeDocument(t, name, withOutputs(text, outputs))
	}
}
