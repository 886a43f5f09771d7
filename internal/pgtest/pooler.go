package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNoPooler says that PgBouncer is not on this machine.
var ErrNoPooler = errors.New("PgBouncer is missing: on Debian, apt-get install pgbouncer")

// Pooler starts a PgBouncer before the cluster, in a folder below dir, that
// keeps no sessions (transaction pooling) and has fewer connections than its
// clients. Of the cluster it gives what a client sees: its URL.
func (c *Cluster) Pooler(dir string) (*Cluster, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // off the PATH of those who are not root
		if _, err := os.Stat(program); err != nil {
			return nil, ErrNoPooler
		}
	}
	p, err := prepared(dir)
	if err != nil {
		return nil, err
	}
	p.bin = filepath.Dir(program)
	settings := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d user=dueto
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout, default_transaction_read_only
`, c.Port, p.Port)
	if err := os.WriteFile(filepath.Join(p.Dir, "pgbouncer.ini"), []byte(settings), 0o644); err != nil { //nolint:gosec // another user reads it
		return nil, err
	}
	p.cmd = p.command("pgbouncer", filepath.Join(p.Dir, "pgbouncer.ini"))
	return p, p.begin()
}
