package tests

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/internal/pgtest"
)

// replicated is a PostgreSQL server of a test's own, with replicas.
type replicated struct {
	t        testing.TB
	primary  *pgtest.Cluster
	db       *sql.DB // of the primary
	standbys []*pgtest.Cluster
}

// newReplicated starts the servers. The settings are those of the replicas.
func newReplicated(t testing.TB, standbys int, settings ...string) *replicated {
	t.Helper()
	w := &replicated{t: t, primary: ownCluster(t)}
	w.db = openDatabase(t, w.primary.URL(replicatedDatabase))
	for range standbys {
		s, err := w.primary.Standby(t.TempDir(), settings...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Kill() })
		w.standbys = append(w.standbys, s)
	}
	return w
}

// database is the one that the servers of ours use.
const replicatedDatabase = "postgres"

func (w *replicated) urls() (list []string) {
	for _, s := range w.standbys {
		list = append(list, s.URL(replicatedDatabase))
	}
	return list
}

// start starts a server of ours. Its clients say themselves where they are.
func (w *replicated) start(change ...func(*config.Config)) *app {
	w.t.Helper()
	return startApp(w.t, w.primary.URL(replicatedDatabase), &clock{now: start}, append([]func(*config.Config){func(c *config.Config) {
		c.DatabaseReplicas = w.urls()
		c.TrustedProxies = []string{"127.0.0.1"}
	}}, change...)...)
}

// change changes the primary's data past our servers.
func (w *replicated) change(statement string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(statement, args...); err != nil {
		w.t.Fatal(err)
	}
}

// arrived waits until each replica has a task.
func (w *replicated) arrived(id int64) {
	w.t.Helper()
	for _, c := range w.standbys {
		eventually(w.t, "a replica has the task", func() bool {
			return c.Exec(fmt.Sprintf("SELECT 1 / count(*) FROM tasks WHERE id = %d", id)) == nil
		})
	}
}

// forget has an account's changes noted long ago.
func (w *replicated) forget(p *person) {
	w.t.Helper()
	w.change("UPDATE recent_writers SET noted_at = noted_at - interval '2 minutes' WHERE user_id = $1", p.ID)
}

// Replicas that are always some time behind, and are read from nevertheless.
func TestPostgres_ReplicasShowEverybodyTheirOwnChangesAtOnce(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 2, "recovery_min_apply_delay = 300")
	one, two := w.start(), w.start()
	alice, bob := one.user("alice"), one.user("bob")
	aliceAtTwo, bobAtTwo := *alice, *bob
	aliceAtTwo.app, bobAtTwo.app = two, two
	key := newAPIKeyOf(alice)
	id := alice.task("0")
	w.forget(bob)
	w.arrived(id)
	title := func(r *response) string { return r.want(http.StatusOK).object()["title"].(string) }

	lateForBob, lateForNobody, lateForNeighbour := 0, 0, 0
	for round := 1; lateForBob == 0 || lateForNobody == 0 || lateForNeighbour == 0 || round <= 20; round++ {
		if round == 2000 {
			t.Fatalf("no replica is read from: late were bob %d, nobody %d, nobody beside alice %d times", lateForBob, lateForNobody, lateForNeighbour)
		}
		now := fmt.Sprint(round)
		alice.do("PATCH", taskPath(id), map[string]any{"title": now}, from("192.0.2.1")).want(http.StatusOK)
		// Herself, wherever she asks, and by whatever credential.
		for _, r := range []*response{
			alice.do("GET", taskPath(id), nil, from("192.0.2.1")),
			aliceAtTwo.do("GET", taskPath(id), nil, from("192.0.2.99")),
			two.do("GET", taskPath(id), nil, from("192.0.2.99"), header{"Authorization", "Token " + key}),
			one.do("GET", taskPath(id), nil, from("192.0.2.1")), // and where she is not signed in, at the same server
		} {
			if got := title(r); got != now {
				t.Fatalf("round %s: %s gave her %s", now, r.What, got)
			}
		}
		list := aliceAtTwo.do("GET", "/tasks?ordering=-updated_at", nil).want(http.StatusOK).list()
		if got := list[0]["title"]; got != now {
			t.Fatalf("round %s: the list gave her %v", now, got)
		}
		// The others may see it up to a second later.
		late := func(count *int, r *response) {
			if title(r) != now {
				*count++
			}
		}
		late(&lateForBob, bobAtTwo.do("GET", taskPath(id), nil, from("192.0.2.2")))
		late(&lateForNobody, one.do("GET", taskPath(id), nil, from("192.0.2.3")))
		late(&lateForNeighbour, two.do("GET", taskPath(id), nil, from("192.0.2.1")))
	}

	// After the pin she is one of the others, until she changes something again.
	w.forget(alice)
	for round, late := 1, false; !late; round++ {
		if round == 2000 {
			t.Fatal("who changed something long ago still reads from the primary")
		}
		now := fmt.Sprintf("by bob %d", round)
		w.change("UPDATE tasks SET title = $1, version = version + 1 WHERE id = $2", now, id)
		late = title(aliceAtTwo.do("GET", taskPath(id), nil)) != now
	}
	aliceAtTwo.do("PATCH", "/users/me", map[string]any{"time_zone": "Europe/Berlin"}).want(http.StatusOK)
	if zone := alice.do("GET", "/users/me", nil).want(http.StatusOK).object()["time_zone"]; zone != "Europe/Berlin" {
		t.Fatalf("her own account shows her %v", zone)
	}
}

func newAPIKeyOf(p *person) string {
	p.t.Helper()
	key, _ := p.do("POST", "/auth/tokens", map[string]any{"name": "reader"}).want(http.StatusCreated).object()["key"].(string)
	return key
}

func TestPostgres_AddressThatAChangeCameFromReadsThePrimaryForAMinute(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 1, "recovery_min_apply_delay = 300")
	a := w.start()
	alice := a.user("alice")
	id := alice.task("0")
	w.arrived(id)
	late := func() bool {
		for round := range 200 {
			now := fmt.Sprint(time.Now().UnixNano(), round)
			w.change("UPDATE tasks SET title = $1 WHERE id = $2", now, id)
			if a.do("GET", taskPath(id), nil, from("192.0.2.7")).want(http.StatusOK).object()["title"] != now {
				return true
			}
		}
		return false
	}
	eventually(t, "the replica is read from", late)
	a.do("POST", "/auth/login", map[string]any{"username": "nobody", "password": "wrong"}, from("192.0.2.7")).want(http.StatusUnauthorized)
	if late() {
		t.Error("who asked for a change just now reads from a replica")
	}
	a.Clock.Advance(time.Minute - time.Second)
	if late() {
		t.Error("who asked for a change within the minute reads from a replica")
	}
	a.Clock.Advance(time.Second)
	eventually(t, "the replica is read from again", late)
}

func TestPostgres_ReplicaThatStandsStillIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 1)
	a := w.start()
	alice := a.user("alice")
	id := alice.task("0")
	w.arrived(id)
	shown := func() any {
		return a.do("GET", taskPath(id), nil, from("192.0.2.3")).want(http.StatusOK).object()["title"]
	}
	eventually(t, "the replica shows the task as it was", func() bool {
		if err := w.standbys[0].Exec("SELECT pg_wal_replay_pause()"); err != nil {
			t.Fatal(err)
		}
		now := fmt.Sprint(time.Now().UnixNano())
		alice.do("PATCH", taskPath(id), map[string]any{"title": now}, from("192.0.2.1")).want(http.StatusOK)
		stale := shown() != now
		eventually(t, "it is left out", func() bool { return shown() == now })
		if err := w.standbys[0].Exec("SELECT pg_wal_replay_resume()"); err != nil {
			t.Fatal(err)
		}
		return stale
	})
}

func TestPostgres_ReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 2)
	p := newProgram(t)
	p.env = append(p.env, "DUETO_DATABASE="+w.primary.URL(replicatedDatabase))
	s := p.serve("--secret="+secret, "--database-replicas="+strings.Join(w.urls(), ","), "--trusted-proxies=127.0.0.1")
	a := s.app()
	alice := a.user("alice")
	id := alice.task("here")
	at := 0
	logged := func(what string, c *pgtest.Cluster) {
		t.Helper()
		_, at = s.stderr.await(t, s.exited, fmt.Sprintf(`"a replica is %s[^"]*","replica":"postgres://127.0.0.1:%d/`, what, c.Port), at)
	}
	reads := func() {
		t.Helper()
		for i := range 20 { // of either replica
			a.do("GET", taskPath(id), nil, from(fmt.Sprintf("192.0.2.%d", 10+i))).want(http.StatusOK)
		}
	}
	for _, c := range w.standbys {
		s.stderr.await(t, s.exited, fmt.Sprintf(`"a replica is read from","replica":"postgres://127.0.0.1:%d/`, c.Port), 0)
	}
	at = len(s.stderr.String())
	w.arrived(id)
	reads()

	first, second := w.standbys[0], w.standbys[1]
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	reads() // what was under way, and what comes before it is noticed, goes to the primary
	logged("left out", first)
	reads()
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	logged("read from", first)
	reads()

	// A replica that became a primary of its own is none any more.
	if err := first.Promote(); err != nil {
		t.Fatal(err)
	}
	logged("left out", first)
	alice.do("PATCH", taskPath(id), map[string]any{"title": "changed"}).want(http.StatusOK)
	eventually(t, "nobody reads from it", func() bool {
		for i := range 20 {
			if a.do("GET", taskPath(id), nil, from(fmt.Sprintf("192.0.2.%d", 10+i))).want(http.StatusOK).object()["title"] != "changed" {
				return false
			}
		}
		return true
	})

	// Without the primary, who is not signed in goes on reading.
	if err := w.primary.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is noticed that the primary is away", func() bool {
		return a.do("GET", taskPath(id), nil, from("192.0.2.8")).Status == http.StatusOK
	})
	reads()
	alice.do("GET", taskPath(id), nil, from("192.0.2.8")).wantProblem(http.StatusServiceUnavailable, "storage_unavailable")
	alice.do("PATCH", taskPath(id), map[string]any{"title": "lost"}).wantProblem(http.StatusServiceUnavailable, "storage_unavailable")
	if err := w.primary.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "changes are taken again", func() bool {
		return alice.do("PATCH", taskPath(id), map[string]any{"title": "kept"}).Status == http.StatusOK
	})
	if got := alice.do("GET", taskPath(id), nil).want(http.StatusOK).object()["title"]; got != "kept" {
		t.Errorf("it shows %v", got)
	}
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	reads()
	s.stop()
}

func TestPostgres_ReplicasOfAFailover(t *testing.T) {
	t.Parallel()
	w := newReplicated(t, 2, "wal_retrieve_retry_interval = 100ms")
	next, other := w.standbys[0], w.standbys[1]
	p := newProgram(t)
	p.env = append(p.env, fmt.Sprintf("DUETO_DATABASE=postgres://dueto@127.0.0.1:%d,127.0.0.1:%d/%s", w.primary.Port, next.Port, replicatedDatabase))
	s := p.serve("--secret="+secret, "--database-replicas="+strings.Join(w.urls(), ","), "--trusted-proxies=127.0.0.1")
	a := s.app()
	alice := a.user("alice")
	id := alice.task("before")
	w.arrived(id)
	told := func(what string, c *pgtest.Cluster, from int) (end int) {
		t.Helper()
		_, end = s.stderr.await(t, s.exited, fmt.Sprintf(`"a replica is %s[^"]*","replica":"postgres://127.0.0.1:%d/`, what, c.Port), from)
		return end
	}
	told("read from", next, 0)
	told("read from", other, 0)
	anybody := func(i int) *response { return a.do("GET", taskPath(id), nil, from(fmt.Sprintf("192.0.2.%d", 10+i))) }

	at := len(s.stderr.String())
	if err := w.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replicas answer for all", func() bool {
		for i := range 20 {
			if anybody(i).Status != http.StatusOK {
				return false
			}
		}
		return true
	})
	if err := next.Promote(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new primary takes changes", func() bool {
		return alice.do("PATCH", taskPath(id), map[string]any{"title": "after"}).Status == http.StatusOK
	})
	if got := alice.do("GET", taskPath(id), nil).want(http.StatusOK).object()["title"]; got != "after" {
		t.Fatalf("her own change is not there: %v", got)
	}
	// The other one follows nobody; its history ended with the old primary.
	told("left out", other, at)
	at = told("left out", next, at)
	for i := range 20 {
		if got := anybody(i).want(http.StatusOK).object()["title"]; got != "after" {
			t.Fatalf("a replica of the former primary is read from: %v", got)
		}
	}
	if err := other.Exec(fmt.Sprintf("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=%d user=dueto'", next.Port)); err != nil {
		t.Fatal(err)
	}
	if err := other.Reload(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it follows the new one", func() bool {
		return next.Exec("CHECKPOINT") == nil && other.Exec("CHECKPOINT") == nil &&
			other.Exec(fmt.Sprintf("SELECT 1 / count(*) FROM tasks WHERE id = %d AND title = 'after'", id)) == nil
	})
	told("read from", other, at)
	if strings.Contains(s.stderr.String()[at:], fmt.Sprintf(`"a replica is read from","replica":"postgres://127.0.0.1:%d/`, next.Port)) {
		t.Error("the new primary is taken for a replica")
	}
}
