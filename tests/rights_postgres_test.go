package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestPostgres_CheckAndDoctorTellWhatARoleMayNotDo(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	must(t, c.Exec("CREATE DATABASE tasks"))
	database := c.URL("tasks")
	onServer(t, database).superuser("root")
	const lacks = ` reader may not do what a server does: it lacks `
	const grant = " +As the owner of the tables, run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader"
	p := onServer(t, reader(t, c, "tasks", "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader"))
	for _, step := range []struct {
		name, statement string
		lacks           []string
	}{
		{"may only read", "SELECT 1", []string{`INSERT, UPDATE and DELETE on api_tokens, outbox, recent_writers, reserved_names, secret_fingerprints, ` +
			`security_events, sessions, shared_failures, shared_limits, store_probe, tasks, users`}},
		{"may do all", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader", nil},
		{"may not do some of it", "REVOKE DELETE ON sessions FROM reader; REVOKE UPDATE, DELETE ON tasks FROM reader", []string{`DELETE on sessions`, `UPDATE and DELETE on tasks`}},
		{"may not read something", "GRANT ALL ON tasks, sessions TO reader; REVOKE SELECT ON secret_fingerprints FROM reader", []string{`SELECT on secret_fingerprints`}},
		{"may not migrate", "GRANT ALL ON ALL TABLES IN SCHEMA public TO reader; DELETE FROM schema_migrations WHERE version > 1; REVOKE INSERT ON schema_migrations FROM reader",
			[]string{`INSERT on schema_migrations`, `CREATE on the schema public, to migrate`}},
	} {
		execSQL(t, database, step.statement)
		found, check := p.check(t)
		doctor := p.run("doctor")
		var warned []string
		for _, what := range step.lacks {
			wantSaid(t, check, `error    database\.rights  The role`+lacks+what+`\.`)
			if strings.HasPrefix(what, "CREATE") {
				wantSaid(t, check, ` +Run dueto migrate as the owner of the tables, or, where there are none: GRANT CREATE ON SCHEMA public TO reader`)
				continue
			}
			wantSaid(t, check, grant)
			if !strings.HasPrefix(what, "SELECT") && step.name != "may not migrate" {
				warned = append(warned, what)
			}
		}
		for _, what := range warned {
			wantSaid(t, doctor.want(0), `warn +server +No server could be run as the role reader: it lacks `+what+`\.`)
		}
		if rights := slices.DeleteFunc(found, func(f string) bool { return f != "error database.rights" }); len(rights) != len(step.lacks) {
			t.Errorf("%s: found %d, want %d:\n%s", step.name, len(rights), len(step.lacks), check.stdout)
		}
		if step.lacks == nil && strings.Contains(doctor.want(0).stdout, "No server could be run") {
			t.Errorf("%s: the doctor says\n%s", step.name, doctor.stdout)
		}
	}
}

// A server needs no more than what check asks for: nothing on sequences.
func TestPostgres_RoleThatLacksNothingServes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	must(t, c.Exec("CREATE DATABASE tasks"))
	onServer(t, c.URL("tasks")).run("migrate").want(0)
	p := onServer(t, reader(t, c, "tasks", "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader", "REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM reader"))
	a := p.serve().app()
	alice := a.user("alice")
	task := alice.task("Next one")
	alice.do("PATCH", taskPath(task), map[string]any{"done": true}).want(http.StatusOK)
	alice.do("DELETE", taskPath(task), nil).want(http.StatusNoContent)
	alice.apiToken("any", nil)
	alice.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
	a.do("GET", "/readyz", nil).want(http.StatusOK)
	if _, o := p.check(t); strings.Contains(o.stdout, "database.rights") {
		t.Errorf("check says\n%s", o.stdout)
	}
}

func TestPostgres_DatabaseThatTakesNoWritesIsToldOfBeforeServing(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 1)
	onServer(t, w.primary.URL(replicatedDatabase)).superuser("root")
	eventually(t, "the replica has the account", func() bool {
		return w.standbys[0].Exec("SELECT 1 / count(*) FROM users") == nil
	})
	standby := onServer(t, w.urls()[0])
	const replica = "the server is a replica, which takes no writes; name the primary"
	standby.run("serve", "--addr=127.0.0.1:0", "--log-level=error").want(1).
		prints("", "dueto: postgres://127.0.0.1:"+standby.database[strings.LastIndex(standby.database, ":")+1:]+": the store is unavailable: "+replica+"\n")
	wantSaid(t, standby.run("check").want(1), `error    database\.read-only  The database postgres://.* takes no writes: `+replica+`\.`, ` +Name the primary in database\.`)

	must(t, w.primary.Exec("ALTER ROLE dueto SET default_transaction_read_only = on"))
	p := onServer(t, w.primary.URL(replicatedDatabase))
	const readOnly = "default_transaction_read_only is on, of the server, the database or the role dueto"
	wantSaid(t, p.run("check").want(1), `error    database\.read-only  The database postgres://.* takes no writes: `+readOnly+`\.`)
	wantSaid(t, p.run("doctor"), `warn +server +It takes no writes, so that no server could be run on it: `+readOnly+`\.`)
}
