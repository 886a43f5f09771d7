package tests

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/internal/pgtest"
	"dueto/services"
)

// twin starts another server over the database of one, with the same clock.
func (a *app) twin(change ...func(*config.Config)) *app {
	a.t.Helper()
	return startApp(a.t, a.Config.Database, a.Clock, change...)
}

// at gives a person who asks another server.
func (p *person) at(a *app) *person {
	moved := *p
	moved.app = a
	return &moved
}

func TestProcesses_SpentRefreshTokenIsSpentEverywhere(t *testing.T) {
	t.Parallel()
	one := newApp(t)
	two := one.twin()
	alice := one.user("alice")
	spent := alice.Refresh
	successor := one.refreshWith(spent).want(http.StatusOK).object()["refresh"]
	if got := two.refreshWith(spent).want(http.StatusOK).object()["refresh"]; got != successor {
		t.Fatal("within the grace the other server gave another successor")
	}
	// Of many that come to both at once, all get one successor.
	answers := sendAtOnce(12, func(i int) *response { return []*app{one, two}[i%2].refreshWith(successor.(string)) })
	for _, r := range answers {
		if r.want(http.StatusOK).object()["refresh"] != answers[0].object()["refresh"] {
			t.Fatal("two successors of one token")
		}
	}
	alice.setTokens(answers[0])
	one.Clock.Advance(11 * time.Second)
	wantRefusedToken(t, two.refreshWith(successor.(string)), services.CodeTokenNotValid)
	alice.wantSignedOut(services.CodeTokenNotValid)
	alice.at(two).wantSignedOut(services.CodeTokenNotValid)
}

func TestProcesses_WhatEndsAtOneHasEndedAtTheOther(t *testing.T) {
	t.Parallel()
	one := newApp(t)
	two := one.twin()
	staff := one.staff("root")
	me := func(p *person, headers ...header) *response {
		return p.at(two).app.do("GET", "/users/me", nil, headers...)
	}

	alice := one.user("alice")
	me(alice, bearer(alice.Access)).want(http.StatusOK)
	one.do("POST", "/auth/logout", map[string]any{"refresh": alice.Refresh}).want(http.StatusNoContent)
	wantRefusedToken(t, me(alice, bearer(alice.Access)), services.CodeTokenNotValid)

	bob := one.user("bob")
	token := bob.do("POST", "/auth/tokens", map[string]any{"name": "script"}).want(http.StatusCreated).object()
	key := header{"Authorization", "Token " + token["key"].(string)}
	me(bob, key).want(http.StatusOK)
	bob.do("DELETE", fmt.Sprintf("/auth/tokens/%v", token["id"]), nil).want(http.StatusNoContent)
	wantRefusedToken(t, me(bob, key), services.CodeTokenNotValid)

	carol := one.user("carol")
	me(carol, bearer(carol.Access)).want(http.StatusOK)
	staff.do("PATCH", userPath(carol.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	wantRefusedToken(t, me(carol, bearer(carol.Access)), services.CodeUserInactive)
}

func TestProcesses_ClocksMayDifferBySeconds(t *testing.T) {
	t.Parallel()
	ahead := newApp(t)
	behind := startApp(t, ahead.Config.Database, &clock{now: start.Add(-5 * time.Second)})
	alice := ahead.user("alice")
	alice.at(behind).do("GET", "/users/me", nil).want(http.StatusOK)
	alice.setTokens(behind.refreshWith(alice.Refresh).want(http.StatusOK))
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	ahead.Clock.Advance(time.Second)
	wantRefusedToken(t, ahead.login("alice").at(behind).do("GET", "/users/me", nil), services.CodeTokenNotValid)
}

func TestProcesses_ThreeSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	m := newMailApp(t)
	all := []*app{m.app, m.twin(m.mail.settings), m.twin(m.mail.settings)}
	const each = 12
	name := func(i int) string { return fmt.Sprintf("person%02d", i) }
	for i := range each * len(all) {
		all[i%len(all)].ask(name(i), address(name(i))).want(http.StatusCreated)
	}
	for _, r := range sendAtOnce(each*len(all), func(i int) *response {
		return all[i%len(all)].askFor(resendPath, address(name(i)))
	}) {
		r.want(http.StatusAccepted)
	}
	for i := range each * len(all) {
		m.wantInbox(address(name(i)), subjectActivation, subjectActivation)
	}
	for _, row := range m.settle() {
		if row.Attempts != 1 {
			t.Errorf("it took %d attempts: %+v", row.Attempts, row)
		}
	}
}

// siteFlag is where the clients of several servers reach them, which tokens name.
const siteFlag = "--public-url=http://dueto.test"

// newMachine is a program in a folder of its own over a database that it shares.
func newMachine(t testing.TB, database string, env ...string) *program {
	t.Helper()
	return newProgram(t).with(append(env, "DUETO_DATABASE="+database)...)
}

func TestPostgres_ManyStartedAtOnceOnAnEmptyDatabaseMigrateOnce(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	var all []*serving
	for range 4 {
		all = append(all, newMachine(t, database, "DUETO_SECRET="+secret).launch(siteFlag))
	}
	logs := ""
	for _, s := range all {
		s.listening()
		logs += s.stderr.String()
	}
	if strings.Count(logs, "migrated the database") != 1 || strings.Contains(logs, `"ERROR"`) {
		t.Errorf("migrated not once:\n%s", logs)
	}
	alice := all[0].app().user("alice")
	id := alice.task("made at one")
	for _, s := range all[1:] {
		alice.at(s.app()).do("PATCH", taskPath(id), map[string]any{"title": "changed at another"}).want(http.StatusOK)
	}
}

func TestPostgres_ServerWithASecretOfItsOwnIsRefused(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	// Each machine would make a secret: one of them does.
	machines := []*program{newMachine(t, database), newMachine(t, database), newMachine(t, database)}
	servers := make([]*serving, len(machines))
	for i, p := range machines {
		servers[i] = p.launch(siteFlag)
	}
	var running, refused []int
	for i, s := range servers {
		eventually(t, "it listens or ends", func() bool {
			select {
			case <-s.exited:
				refused = append(refused, i)
				return true
			default:
			}
			listens := strings.Contains(s.stderr.String(), "listening on")
			if listens {
				running = append(running, i)
			}
			return listens
		})
	}
	if len(running) != 1 || len(refused) != 2 {
		t.Fatalf("%d run, %d are refused", len(running), len(refused))
	}
	for _, i := range refused {
		if code, said := servers[i].wait(), servers[i].stderr.String(); code != 2 || !strings.Contains(said, "have another secret") || !strings.Contains(said, "dueto keys adopt") {
			t.Fatalf("exit code %d:\n%s", code, said)
		}
	}
	first := machines[running[0]]
	servers[running[0]].listening()
	alice := servers[running[0]].app().user("alice")

	// One that comes later does not even make a file. Nor does a command.
	later := newMachine(t, database)
	s := later.launch(siteFlag)
	if code := s.wait(); code != 2 {
		t.Fatalf("exit code %d:\n%s", code, s.stderr)
	}
	if o := later.run("user", "promote", "alice"); o.code != 2 || !strings.Contains(o.stderr, "have another secret") {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	if _, err := os.Stat(later.file("dueto.secret")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a secret was made: %v", err)
	}
	// With the file it is one of them.
	kept := readFile(t, first.file("dueto.secret"))
	later.write("dueto.secret", kept)
	alice.at(later.serve(siteFlag).app()).do("GET", "/users/me", nil).want(http.StatusOK)

	// And with another one, if that is what is wanted.
	servers[running[0]].stop()
	fresh := newMachine(t, database)
	if o := fresh.run("keys", "adopt"); o.code != 2 || !strings.Contains(o.stderr, "use --yes") {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	if _, err := os.Stat(fresh.file("dueto.secret")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a secret was made: %v", err)
	}
	if o := fresh.run("keys", "adopt", "--yes"); o.code != 0 || !strings.Contains(o.stdout, "Made a secret in ") {
		t.Fatalf("exit code %d: %s%s", o.code, o.stdout, o.stderr)
	}
	fresh.run("keys", "adopt").want(0) // it is the database's already
	wantRefusedToken(t, alice.at(fresh.serve(siteFlag).app()).do("GET", "/users/me", nil), services.CodeTokenNotValid)
	back := first.launch(siteFlag)
	if code := back.wait(); code != 2 {
		t.Fatalf("the former secret is taken, exit code %d:\n%s", code, back.stderr)
	}
	first.write("dueto.secret", readFile(t, fresh.file("dueto.secret"))+kept) // what the former signed is good too
	alice.at(first.serve(siteFlag).app()).do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestPostgres_MovedAccountsKeepTheirSecret(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	p := newMachine(t, database)
	p.run("migrate").want(0)
	execSQL(t, database, `INSERT INTO users (username, username_key, email, email_key, password_hash, date_joined, password_changed_at)
		VALUES ('alice', 'alice', 'alice@example.com', 'alice@example.com', '', 0, 0)`)
	s := p.launch(siteFlag)
	if code := s.wait(); code != 2 || !strings.Contains(s.stderr.String(), "have another secret") {
		t.Fatalf("exit code %d:\n%s", code, s.stderr)
	}
	p.write("dueto.secret", secret+"\n")
	p.serve(siteFlag)
}

// Each machine has its own copy of the secret file; the operator changes one
// after the other. Whatever any of them signs, all of them take at any time.
func TestPostgres_SecretIsRotatedOverMachinesWithoutLosingAToken(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	machines := []*program{newMachine(t, database), newMachine(t, database)}
	servers := make([]*app, len(machines))
	for i, p := range machines {
		p.write("dueto.secret", secret+"\n")
		servers[i] = p.serve(siteFlag).app()
	}
	alice := servers[0].user("alice")
	first := headerOf(t, alice.Refresh)["kid"]
	// holds asks each for tokens, which the others must take.
	holds := func() (kids []any) {
		t.Helper()
		for i, a := range servers {
			alice.setTokens(a.refreshWith(alice.Refresh).want(http.StatusOK))
			kids = append(kids, headerOf(t, alice.Refresh)["kid"])
			alice.at(servers[1-i]).do("GET", "/users/me", nil).want(http.StatusOK)
			alice.setTokens(servers[1-i].refreshWith(alice.Refresh).want(http.StatusOK))
			alice.at(a).do("GET", "/users/me", nil).want(http.StatusOK)
		}
		return kids
	}
	// put replaces a machine's file as a whole.
	put := func(p *program, lines ...string) {
		t.Helper()
		p.write("new", strings.Join(lines, "\n")+"\n")
		if err := os.Rename(p.file("new"), p.file("dueto.secret")); err != nil {
			t.Fatal(err)
		}
	}
	holds()
	for _, p := range machines { // 1: the next one is known
		put(p, secret, secondSecret)
		holds()
	}
	for i, p := range machines { // 2: and signs
		put(p, secondSecret, secret)
		eventually(t, "the next one signs", func() bool { return holds()[i] != first })
	}
	for _, p := range machines { // 3: the former is forgotten
		put(p, secondSecret)
		holds()
	}
}

func TestPostgres_Pooler(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 1)
	pooler, err := w.primary.Pooler(t.TempDir())
	if errors.Is(err, pgtest.ErrNoPooler) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pooler.Kill() })
	ofReplica, err := w.standbys[0].Pooler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ofReplica.Kill() })
	const mode = "?default_query_exec_mode=exec" // no prepared statements: the next transaction has another session
	if err := migrateNew(w.primary.URL(replicatedDatabase)); err != nil {
		t.Fatal(err)
	}
	pooled := func() *app {
		return startApp(t, pooler.URL(replicatedDatabase)+mode, &clock{now: start}, func(c *config.Config) {
			c.DatabaseReplicas = []string{ofReplica.URL(replicatedDatabase) + mode}
			c.TrustedProxies = []string{"127.0.0.1"}
		})
	}
	one, two := pooled(), pooled()
	alice := one.user("alice")
	sendAtOnce(60, func(i int) *response {
		p := alice.at([]*app{one, two}[i%2])
		id := p.task(fmt.Sprint("Task ", i), map[string]any{"due_to": "2026-12-18T20:12:01+01:00", "tags": []string{"home"}})
		p.do("PATCH", taskPath(id), map[string]any{"done": true}).want(http.StatusOK)
		p.do("GET", "/tasks?person="+fmt.Sprint(alice.ID)+"&ordering=due_to&count=exact", nil).want(http.StatusOK)
		return p.do("GET", taskPath(id), nil).want(http.StatusOK)
	})
	list := alice.do("GET", "/tasks?page_size=200&done=true", nil).want(http.StatusOK).list()
	if len(list) != 60 {
		t.Errorf("%d tasks are there", len(list))
	}
	alice.setTokens(two.refreshWith(alice.Refresh).want(http.StatusOK))
	// By way of its own pooler, the replica is read from too.
	if err := pooler.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica answers alone", func() bool {
		return one.do("GET", "/tasks", nil, from("192.0.2.3")).Status == http.StatusOK
	})
}
