package tests

import (
	"strings"
	"testing"
)

func TestPostgres_ReplicaInPlaceOfThePrimaryIsToldToBeOne(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 1)
	const want = "the server is a replica, which takes no writes; name the primary"
	p := newMachine(t, w.urls()[0])
	if o := p.run("migrate"); o.code == 0 || !strings.Contains(o.stderr, want) {
		t.Errorf("migrate: exit code %d: %s", o.code, o.stderr)
	}
	database := "sqlite:" + t.TempDir() + "/dueto.db"
	from := newMachine(t, database)
	from.run("migrate").want(0)
	if o := from.run("move", "--from="+database, "--to="+w.urls()[0]); o.code == 0 || !strings.Contains(o.stderr, want) {
		t.Errorf("move: exit code %d: %s", o.code, o.stderr)
	}
}
