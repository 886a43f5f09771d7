package tests

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faultyDisk has the calls that change files fail with the error that a file
// names, a number for each kind of call, while it is not 0.
const faultyDisk = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile unsigned long long *faults; // of writes, of syncs

__attribute__((constructor)) static void map(void) {
	const char *file = getenv("DISK_FAULTS");
	int fd = file ? open(file, O_RDWR) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(0, 2 * sizeof *faults, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) abort();
	faults = at;
}

#define FAIL(kind) if (faults[kind]) { errno = faults[kind]; return -1; }
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { FAIL(0); return REAL(pwrite)(fd, b, n, at); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) { FAIL(0); return REAL(pwrite64)(fd, b, n, at); }
int ftruncate(int fd, off_t n) { FAIL(0); return REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { FAIL(0); return REAL(ftruncate64)(fd, n); }
int fallocate(int fd, int mode, off_t at, off_t n) { FAIL(0); return REAL(fallocate)(fd, mode, at, n); }
int fsync(int fd) { FAIL(1); return REAL(fsync)(fd); }
int fdatasync(int fd) { FAIL(1); return REAL(fdatasync)(fd); }
`

func TestSQLite_DiskThatFailsRefusesWritesAndServesReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		writes, syncs syscall.Errno
	}{
		{"a disk that turned read-only", syscall.EROFS, syscall.EROFS},
		{"a disk that does not write", syscall.EIO, 0},
		{"a disk that does not keep what is written", 0, syscall.EIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t)
			library, source := p.file("faultydisk.so"), p.write("faultydisk.c", faultyDisk)
			if out, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
				t.Fatalf("cc: %v\n%s", err, out)
			}
			faults := p.write("faults", strings.Repeat("\x00", 16))
			disk := func(writes, syncs syscall.Errno) {
				numbers := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, uint64(writes)), uint64(syncs))
				f, err := os.OpenFile(faults, os.O_WRONLY, 0)
				must(t, err)
				_, err = f.WriteAt(numbers, 0)
				must(t, err)
				must(t, f.Close())
			}
			s := p.with("LD_PRELOAD="+library, "DISK_FAULTS="+faults).serve("--access-ttl=1h", "--public-url=http://dueto.test")
			a := s.app()
			alice := a.user("alice")
			kept := map[int64]string{alice.task("kept"): "kept"}
			told := "Nothing was changed."
			if tt.writes == 0 { // it is written, and may yet be found
				told = "Look whether it was before you try again."
			}

			for range 2 { // it comes and goes
				disk(tt.writes, tt.syncs)
				refused := alice.do("POST", "/tasks", map[string]any{"title": "refused"})
				wantUnavailable(refused)
				if detail := refused.object()["detail"].(string); !strings.HasSuffix(detail, told) {
					t.Errorf("it says %q, want %q", detail, told)
				}
				wantUnavailable(a.do("GET", "/readyz", nil))
				a.do("GET", "/healthz", nil).want(http.StatusOK)
				wantTasks(t, a, kept)
				disk(0, 0)
				a.do("GET", "/readyz", nil).want(http.StatusOK)
				kept[alice.task("after all")] = "after all"
				wantTasks(t, a, kept)
			}
			disk(tt.writes, tt.syncs)
			if tt.writes != 0 {
				wantUnavailable(alice.do("POST", "/tasks", map[string]any{"title": "refused"}))
			}
			s.kill()
			wantTasks(t, p.serve().app(), kept)
			intact(t, p.file("dueto.db"))
		})
	}
}

func TestServe_ClientsThatSendSlowlyHoldUpNobodyAndAreCutOff(t *testing.T) {
	t.Parallel()
	const slow = 100
	s := startBinary(t)
	alice := s.app().user("alice")
	conns := make([]net.Conn, slow)
	for i := range conns {
		conns[i] = s.dial(t)
		fmt.Fprintf(conns[i], "POST /tasks HTTP/1.1\r\nHost: dueto\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"title\":", alice.Access)
	}
	for i := range 20 {
		alice.task(fmt.Sprintf("meanwhile %d", i))
	}
	for _, conn := range conns {
		must(t, conn.SetReadDeadline(time.Now().Add(patience)))
		got, err := io.ReadAll(conn)
		if err != nil || strings.Contains(string(got), " 201 ") {
			t.Errorf("%q, %v; want the connection closed", got, err)
		}
	}
	if n := len(alice.do("GET", "/tasks?page_size=200", nil).want(http.StatusOK).list()); n != 20 {
		t.Errorf("%d tasks, want those of the 20 whole requests", n)
	}
}
