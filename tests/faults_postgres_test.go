package tests

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dueto/internal/pgtest"
	"dueto/services"
)

// newCluster starts a server that keeps what it acknowledges.
func newCluster(t *testing.T, settings ...string) *pgtest.Cluster {
	t.Helper()
	return ownCluster(t, append([]string{"fsync = on", "full_page_writes = on"}, settings...)...)
}

// must is for steps that are not what is tested.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serveOn starts the real server on a database of PostgreSQL.
func serveOn(t *testing.T, url string) *serving {
	t.Helper()
	p := newProgram(t).with("DUETO_DATABASE=" + url)
	return p.serve("--public-url=http://dueto.test", "--access-ttl=1h", "--max-page-size=1000", "--log-level=error")
}

// insist creates tasks and changes them, on and on, through whatever refusals,
// until it is told to stop.
func (l *ledger) insist(alice *person, stop <-chan struct{}, acknowledged *atomic.Int64) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		l.made++
		task := &ledgerTask{title: fmt.Sprintf("%s %d", l.name, l.made)}
		status, id := attempt(alice, "POST", "/tasks", task.title, 0)
		if status != http.StatusCreated {
			time.Sleep(time.Millisecond) // a server that refuses at once is not to be kept busy
			continue
		}
		acknowledged.Add(1)
		task.id = id
		l.tasks = append(l.tasks, task)
		for range 2 {
			task.asked++
			if status, _ := attempt(alice, "PATCH", taskPath(id), task.title, task.asked); status == http.StatusOK {
				task.told = task.asked
				acknowledged.Add(1)
			}
		}
	}
}

// underLoad has clients write while something happens, waits until so many
// writes were acknowledged after it, and compares what is stored.
func underLoad(t *testing.T, alice *person, happens func(progress func(writes int64))) {
	t.Helper()
	const clients, after = 6, 40
	var acknowledged atomic.Int64
	progress := func(writes int64) {
		t.Helper()
		for from, began := acknowledged.Load(), time.Now(); acknowledged.Load() < from+writes; time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > patience {
				t.Fatalf("%d writes of %d were acknowledged", acknowledged.Load()-from, writes)
			}
		}
	}
	stop := make(chan struct{})
	var ledgers [clients]ledger
	var wg sync.WaitGroup
	for i := range ledgers {
		ledgers[i].name = fmt.Sprintf("client %d", i)
		wg.Go(func() { ledgers[i].insist(alice, stop, &acknowledged) })
	}
	defer wg.Wait()
	ended := sync.OnceFunc(func() { close(stop) })
	defer ended()
	progress(after)
	happens(progress)
	progress(after)
	ended()
	wg.Wait()
	stored, titles := map[int64]map[string]any{}, map[any]bool{}
	for pages := 0; ; {
		page := alice.do("GET", fmt.Sprintf("/tasks?page_size=1000&fields=id,title,description&page=%d", pages+1), nil).want(http.StatusOK).list()
		for _, task := range page {
			stored[int64(task["id"].(float64))] = task
			if titles[task["title"]] {
				t.Errorf("%v is there twice", task["title"])
			}
			titles[task["title"]] = true
		}
		if pages++; len(page) < 1000 {
			break
		}
	}
	for i := range ledgers {
		ledgers[i].check(t, stored)
	}
	t.Logf("%d writes acknowledged, %d tasks stored", acknowledged.Load(), len(stored))
}

func TestPostgres_NothingAcknowledgedIsLostWhenItCrashes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := serveOn(t, c.URL("postgres"))
	alice := s.app().user("alice")
	underLoad(t, alice, func(progress func(int64)) {
		for range 3 {
			must(t, c.Kill())
			alice.do("GET", "/tasks/1", nil).wantProblem(http.StatusServiceUnavailable, services.CodeStorage)
			alice.app.do("GET", "/healthz", nil).want(http.StatusOK)
			if r := alice.app.do("GET", "/readyz", nil).want(http.StatusServiceUnavailable); r.Header.Get("Retry-After") == "" {
				t.Error("a 503 without Retry-After")
			}
			must(t, c.Start())
			progress(60)
		}
	})
	alice.app.do("GET", "/readyz", nil).want(http.StatusOK)
	s.stop()
}

func TestPostgres_RestartUnderLoadIsGotOver(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	alice := serveOn(t, c.URL("postgres")).app().user("alice")
	underLoad(t, alice, func(progress func(int64)) {
		for range 2 {
			must(t, c.Stop())
			must(t, c.Start())
			progress(30)
		}
	})
}

func TestPostgres_FailoverToTheReplicaLosesNothing(t *testing.T) {
	t.Parallel()
	primary := newCluster(t)
	standby, err := primary.Standby(t.TempDir(), "fsync = on")
	must(t, err)
	t.Cleanup(func() { _ = standby.Kill() })
	must(t, primary.Configure("synchronous_standby_names = '*'")) // a commit is told when both have it
	must(t, primary.Reload())
	s := serveOn(t, fmt.Sprintf("postgres://dueto@127.0.0.1:%d,127.0.0.1:%d/postgres", primary.Port, standby.Port))
	alice := s.app().user("alice")
	underLoad(t, alice, func(progress func(int64)) {
		must(t, primary.Kill())
		must(t, standby.Configure("synchronous_standby_names = ''"))
		must(t, standby.Reload())
		must(t, standby.Promote())
		progress(60)
	})
}

func TestPostgres_ConnectionsCutUnderLoadLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	alice := serveOn(t, c.URL("postgres")).app().user("alice")
	underLoad(t, alice, func(progress func(int64)) {
		for range 25 {
			must(t, c.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dueto'"))
			progress(4)
		}
	})
}

func TestPostgres_MadeReadOnlyRefusesWritesAndServesReads(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a := serveOn(t, c.URL("postgres")).app()
	alice := a.user("alice")
	task := alice.task("kept")
	must(t, c.Exec("ALTER SYSTEM SET default_transaction_read_only = on"))
	must(t, c.Reload())
	readOnlyNow := func() bool {
		return alice.do("POST", "/tasks", map[string]any{"title": "refused?"}).Status == http.StatusServiceUnavailable
	}
	await(t, "writes are refused", readOnlyNow)
	r := alice.do("POST", "/tasks", map[string]any{"title": "refused"}).wantProblem(http.StatusServiceUnavailable, services.CodeStorage)
	if r.Header.Get("Retry-After") == "" {
		t.Error("a 503 without Retry-After")
	}
	alice.do("GET", taskPath(task), nil).want(http.StatusOK)
	a.do("GET", "/readyz", nil).want(http.StatusServiceUnavailable)
	must(t, c.Exec("ALTER SYSTEM RESET default_transaction_read_only"))
	must(t, c.Reload())
	await(t, "it is ready again", func() bool { return a.do("GET", "/readyz", nil).Status == http.StatusOK })
	alice.do("POST", "/tasks", map[string]any{"title": "taken"}).want(http.StatusCreated)
}

func TestPostgres_FullDiskRefusesWritesUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	dir, err := os.MkdirTemp(t.TempDir(), "disk")
	must(t, err)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "tmpfs", dir).CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount: %v: %s", err, out)
		}
		t.Skipf("a disk is needed that can be filled, and only root may mount one: %v", err)
	}
	t.Cleanup(func() {
		_ = c.Kill()
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	must(t, c.Adopt(dir))
	must(t, c.Exec(fmt.Sprintf("CREATE TABLESPACE small LOCATION '%s'", dir)))
	must(t, c.Exec("CREATE DATABASE small TABLESPACE small TEMPLATE template0"))
	a := serveOn(t, c.URL("small")).app()
	alice := a.user("alice")
	kept := alice.task("kept")

	ballast := dir + "/ballast"
	must(t, fill(ballast))
	long := map[string]any{"title": "long", "description": noise(9000)}
	var refused *response
	await(t, "the disk is full", func() bool {
		refused = alice.do("POST", "/tasks", long)
		return refused.Status != http.StatusCreated
	})
	refused.wantProblem(http.StatusServiceUnavailable, services.CodeStorage)
	alice.do("GET", taskPath(kept), nil).want(http.StatusOK)
	must(t, os.Remove(ballast))
	alice.do("POST", "/tasks", long).want(http.StatusCreated)
	a.do("GET", "/readyz", nil).want(http.StatusOK)
}

// fill writes a file until there is no room.
func fill(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size >= 1<<12; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
	return nil
}

// noise is text that does not compress.
func noise(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return base64.StdEncoding.EncodeToString(raw)[:n]
}

// await polls until something holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("it does not come to pass: %s", what)
		}
	}
}
