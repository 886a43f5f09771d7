//go:build linux

package tests

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"
)

// intact checks a database file from outside.
func intact(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity_check: %s, %v", verdict, err)
	}
}

// ledger is what one client asked for and was told. Only it writes its tasks.
type ledger struct {
	name  string
	tasks []*ledgerTask
	made  int // creates asked for
}

// ledgerTask has the number of the last change that was asked for, and of the
// last that was acknowledged.
type ledgerTask struct {
	id          int64
	title       string
	asked, told int
}

// attempt sends a task to a server that may be gone before it answers, which
// gives status 0.
func attempt(alice *person, method, path, title string, change int) (status int, id int64) {
	body := strings.NewReader(fmt.Sprintf(`{"title":%q,"description":"%d"}`, title, change))
	req, err := http.NewRequest(method, alice.URL+path, body)
	if err != nil {
		alice.t.Error(err)
		return 0, 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+alice.Access)
	res, err := noRedirects.Do(req)
	if err != nil {
		return 0, 0
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusCreated && res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		alice.t.Errorf("%s %s: status %d", method, path, res.StatusCode)
	}
	id, _ = strconv.ParseInt(filepath.Base(res.Header.Get("Location")), 10, 64)
	return res.StatusCode, id
}

// write creates a task and changes it twice, over and over, until the server
// answers no more.
func (l *ledger) write(alice *person, acknowledged func()) {
	for {
		l.made++
		task := &ledgerTask{title: fmt.Sprintf("%s %d", l.name, l.made)}
		status, id := attempt(alice, "POST", "/tasks", task.title, 0)
		if status != http.StatusCreated {
			wantGone(alice, status)
			return
		}
		acknowledged()
		task.id = id
		l.tasks = append(l.tasks, task)
		for range 2 {
			task.asked++
			status, _ := attempt(alice, "PATCH", taskPath(id), task.title, task.asked)
			if status != http.StatusOK {
				wantGone(alice, status)
				return
			}
			task.told = task.asked
			acknowledged()
		}
	}
}

// wantGone checks that a server that did not do what it was asked for gave no
// answer at all.
func wantGone(alice *person, status int) {
	if status != 0 {
		alice.t.Errorf("status %d", status)
	}
}

// check compares the ledger with what the server has.
func (l *ledger) check(t *testing.T, stored map[int64]map[string]any) {
	t.Helper()
	for _, task := range l.tasks {
		found, ok := stored[task.id]
		if !ok || found["title"] != task.title {
			t.Errorf("task %d, %q, was acknowledged and is lost: %v", task.id, task.title, found)
			continue
		}
		change, err := strconv.Atoi(found["description"].(string))
		if err != nil || change < task.told || change > task.asked {
			t.Errorf("task %d shows change %q; %d was acknowledged and %d asked for", task.id, found["description"], task.told, task.asked)
		}
	}
}

func TestDurability_NothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	const rounds, clients, writes = 8, 6, 60
	p := newProgram(t)
	serve := func() *serving {
		return p.serve("--public-url=http://dueto.test", "--access-ttl=1h", "--max-page-size=1000")
	}
	s := serve()
	alice := s.app().user("alice")
	var ledgers [clients]ledger
	for i := range ledgers {
		ledgers[i].name = fmt.Sprintf("client %d", i)
	}
	for range rounds {
		var acknowledged atomic.Int64
		enough := make(chan struct{})
		var wg sync.WaitGroup
		for i := range ledgers {
			wg.Go(func() {
				ledgers[i].write(alice, func() {
					if acknowledged.Add(1) == writes {
						close(enough)
					}
				})
			})
		}
		select {
		case <-enough:
		case <-s.exited:
			t.Fatalf("the server ended by itself:\n%s", s.stderr)
		}
		s.kill()
		wg.Wait()

		s = serve()
		alice.app = s.app()
		stored, titles := map[int64]map[string]any{}, map[any]bool{}
		for _, task := range alice.do("GET", "/tasks?page_size=1000&fields=id,title,description", nil).want(http.StatusOK).list() {
			stored[int64(task["id"].(float64))] = task
			if titles[task["title"]] {
				t.Errorf("%v is there twice", task["title"])
			}
			titles[task["title"]] = true
		}
		for i := range ledgers {
			ledgers[i].check(t, stored)
		}
		if !onPostgres {
			intact(t, p.file("dueto.db"))
		}
	}
	s.stop()
	p.wantLeft("dueto.secret")
}

// syncCounter counts the calls that make files durable. It takes its time over
// them, as a disk does: where the temporary folder is in memory there would be
// nothing to wait for, and so nothing to commit together.
const syncCounter = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned long long *calls;

__attribute__((constructor)) static void map(void) {
	const char *file = getenv("SYNC_CALLS");
	int fd = file ? open(file, O_RDWR) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(0, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) abort();
	calls = at;
}

static int counted(const char *name, int fd) {
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	struct stat st;
	int result = real(fd);
	usleep(20000);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) __atomic_add_fetch(calls, 1, __ATOMIC_SEQ_CST);
	return result;
}

int fsync(int fd) { return counted("fsync", fd); }
int fdatasync(int fd) { return counted("fdatasync", fd); }
`

func TestSQLite_OneSyncForManyWritesAndOneForEachAlone(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	library := p.file("synccounter.so")
	source := p.write("synccounter.c", syncCounter)
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	calls := p.write("calls", strings.Repeat("\x00", 8))
	count := func() int { return int(binary.NativeEndian.Uint64([]byte(readFile(t, calls)))) }

	a := p.with("LD_PRELOAD="+library, "SYNC_CALLS="+calls).serve().app()
	alice := a.user("alice")
	for i := range 20 {
		before := count()
		alice.task(fmt.Sprintf("alone %d", i))
		if count() == before {
			t.Fatalf("write %d was acknowledged before it was durable", i)
		}
	}

	const clients, each = 32, 20
	before := count()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				r := alice.do("POST", "/tasks", map[string]any{"title": fmt.Sprintf("client %d, task %d", c, i)})
				if r.Status != http.StatusCreated {
					t.Errorf("status %d: %s", r.Status, r.Body)
				}
			}
		})
	}
	wg.Wait()
	syncs := count() - before
	t.Logf("%d syncs for %d writes of %d clients", syncs, clients*each, clients)
	// A client has one write under way, so a commit carries at most one of each.
	if syncs < each || syncs > clients*each/2 {
		t.Errorf("%d syncs for %d writes; want at least %d and at most %d", syncs, clients*each, each, clients*each/2)
	}
}

// fault is a way to run out of space, and of getting it back.
type fault struct {
	prepare func(t *testing.T, p *program)
	heal    func(t *testing.T, p *program, s *serving)
}

var fileSizeLimit = fault{
	prepare: func(_ *testing.T, p *program) {
		p.wrap = []string{"sh", "-c", `ulimit -S -f 1024 && exec "$@"`, "sh"}
	},
	heal: func(t *testing.T, _ *program, s *serving) {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		_, _, errno := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(s.cmd.Process.Pid), syscall.RLIMIT_FSIZE,
			uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
	},
}

var fullDisk = fault{
	prepare: func(t *testing.T, p *program) {
		if err := os.WriteFile(filepath.Join(p.file("disk"), "ballast"), make([]byte, 512<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	},
	heal: func(t *testing.T, p *program, _ *serving) {
		if err := os.Remove(filepath.Join(p.file("disk"), "ballast")); err != nil {
			t.Fatal(err)
		}
	},
}

// mountDisk mounts a disk of 2 MiB on a folder, or says why it cannot.
func mountDisk(t *testing.T, dir string) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root may mount a disk")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return nil
}

func TestSQLite_FileThatMayNotGrow(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	if err := os.Mkdir(p.file("disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	fileSizeLimit.check(t, p)
}

func TestSQLite_FullDisk(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	if err := os.Mkdir(p.file("disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := fullDisk
	if err := mountDisk(t, p.file("disk")); err != nil {
		t.Logf("limiting the size of files instead: %v", err)
		f = fileSizeLimit
	}
	f.check(t, p)
}

// check fills the disk through the API and frees it again.
func (f fault) check(t *testing.T, p *program) {
	t.Helper()
	f.prepare(t, p)
	s := p.serve("--database=sqlite:disk/dueto.db", "--public-url=http://dueto.test", "--access-ttl=1h")
	a := s.app()
	alice := a.user("alice")
	a.do("GET", "/readyz", nil).want(http.StatusOK)

	kept := map[int64]string{}
	var refused *response
	for i := 0; refused == nil && i < 1000; i++ {
		title := fmt.Sprintf("task %d", i)
		r := alice.do("POST", "/tasks", map[string]any{"title": title, "description": strings.Repeat("x", 9000)})
		if r.Status == http.StatusCreated {
			kept[r.id()] = title
		} else {
			refused = r
		}
	}
	if refused == nil || len(kept) == 0 {
		t.Fatalf("%d tasks were taken, none refused", len(kept))
	}
	wantUnavailable(refused)
	// What is left may be room enough for smaller writes; a refused one has the
	// store probed anew.
	ready := a.do("GET", "/readyz", nil)
	for i := 0; ready.Status == http.StatusOK && i < 400; i++ {
		if r := alice.do("POST", "/tasks", map[string]any{"title": "small"}); r.Status == http.StatusCreated {
			kept[r.id()] = "small"
		}
		ready = a.do("GET", "/readyz", nil)
	}
	wantUnavailable(ready)
	wantUnavailable(alice.do("POST", "/tasks", map[string]any{"title": "one more"}))
	wantUnavailable(alice.do("DELETE", "/users/me", map[string]any{"password": password}))
	wantUnavailable(a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}))

	a.do("GET", "/healthz", nil).want(http.StatusOK)
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	wantTasks(t, a, kept)

	f.heal(t, p, s)
	a.do("GET", "/readyz", nil).want(http.StatusOK)
	for id := range kept {
		alice.do("PATCH", taskPath(id), map[string]any{"title": "changed"}).want(http.StatusOK)
		kept[id] = "changed"
		break
	}
	kept[alice.task("after all")] = "after all"
	a.login("alice")
	s.stop()

	p.wrap = nil
	wantTasks(t, p.serve("--database=sqlite:disk/dueto.db").app(), kept)
	intact(t, filepath.Join(p.file("disk"), "dueto.db"))
}

func wantUnavailable(r *response) {
	r.t.Helper()
	r.wantProblem(http.StatusServiceUnavailable, "storage_unavailable")
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 {
		r.t.Errorf("%s: Retry-After is %q", r.What, r.Header.Get("Retry-After"))
	}
}

// wantTasks checks which tasks are there, by id and title.
func wantTasks(t *testing.T, a *app, want map[int64]string) {
	t.Helper()
	list := a.do("GET", "/tasks?page_size=200&fields=id,title", nil).want(http.StatusOK).list()
	for _, task := range list {
		if id := int64(task["id"].(float64)); want[id] != task["title"] {
			t.Errorf("task %d is %q, want %q", id, task["title"], want[id])
		}
	}
	if len(list) != len(want) {
		t.Errorf("%d tasks are there, want %d", len(list), len(want))
	}
}
