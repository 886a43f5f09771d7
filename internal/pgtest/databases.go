package pgtest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// Databases makes databases on one server: on that of DUETO_TEST_POSTGRES, or
// on one that is started for it.
type Databases struct {
	server  *url.URL // of a database that others can be made from
	cluster *Cluster // nil where the server is not ours
	dir     string
	made    atomic.Int64

	template    string
	templating  sync.Once
	templateErr error

	mu   sync.Mutex
	free []string // URLs of copies that were given back empty
}

// NewDatabases finds or starts the server. It fails with ErrMissing where there
// is none to be had.
func NewDatabases() (*Databases, error) {
	if given := os.Getenv("DUETO_TEST_POSTGRES"); given != "" {
		server, err := url.Parse(given)
		if err != nil {
			return nil, errors.New("DUETO_TEST_POSTGRES is not a URL")
		}
		return &Databases{server: server}, nil
	}
	dir, err := os.MkdirTemp("", "dueto-postgres-")
	if err != nil {
		return nil, err
	}
	c, err := New(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	server, err := url.Parse(c.URL("postgres"))
	return &Databases{server: server, cluster: c, dir: dir}, err
}

// Close stops the server if it was started.
func (d *Databases) Close() error {
	if d.cluster == nil {
		err := exec1(d.server.String(), "DROP DATABASE IF EXISTS "+d.name(0))
		for _, url := range d.free {
			err = errors.Join(err, d.drop(url))
		}
		return err
	}
	return errors.Join(d.cluster.Stop(), os.RemoveAll(d.dir))
}

func (d *Databases) name(n int64) string { return fmt.Sprintf("dueto_test_%d_%d", os.Getpid(), n) }

// URL names a database on the server.
func (d *Databases) URL(name string) string {
	u := *d.server
	u.Path = "/" + name
	return u.String()
}

// Create makes an empty database.
func (d *Databases) Create() (url string, drop func() error, err error) { return d.create("template0") }

// Copy gives a database as it is after fill, which is called once. To give it
// back spares the next one the making, if its rows are all that was changed.
func (d *Databases) Copy(fill func(url string) error) (url string, giveBack func(rowsAlone bool) error, err error) {
	d.templating.Do(func() {
		d.template = d.name(0)
		if d.templateErr = exec1(d.server.String(), "CREATE DATABASE "+d.template+" TEMPLATE template0 ENCODING 'UTF8'"); d.templateErr == nil {
			d.templateErr = fill(d.URL(d.template))
		}
	})
	if d.templateErr != nil {
		return "", nil, d.templateErr
	}
	if url = d.takeFree(); url == "" {
		if url, _, err = d.create(d.template); err != nil {
			return "", nil, err
		}
	}
	return url, func(rowsAlone bool) error {
		if rowsAlone && exec1(url, empty) == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.free = append(d.free, url)
			return nil
		}
		return d.drop(url)
	}, nil
}

func (d *Databases) takeFree() (url string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.free); n > 0 {
		url, d.free = d.free[n-1], d.free[:n-1]
	}
	return url
}

// empty takes all rows out of a database but those that a migration made, and
// counts from 1 again. It fails where somebody is still connected, who might
// write yet.
const empty = `DO $$
DECLARE
	name text;
BEGIN
	FOR i IN 1..100 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid());
		PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
	END LOOP;
	IF EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()) THEN
		RAISE 'in use';
	END IF;
	SET LOCAL session_replication_role = replica; -- in any order
	FOR name IN SELECT table_name FROM information_schema.tables
		WHERE table_schema = current_schema() AND table_name NOT IN ('schema_migrations', 'store_probe') LOOP
		EXECUTE format('DELETE FROM %I', name);
	END LOOP;
	UPDATE store_probe SET at = 0;
	PERFORM setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences;
END $$`

func (d *Databases) create(template string) (string, func() error, error) {
	name := d.name(d.made.Add(1))
	if err := exec1(d.server.String(), "CREATE DATABASE "+name+" TEMPLATE "+template+" ENCODING 'UTF8'"); err != nil {
		return "", nil, err
	}
	made := d.URL(name)
	return made, func() error { return d.drop(made) }, nil
}

// nameIn gives the name of the database that a URL of ours names.
func nameIn(made string) string {
	u, err := url.Parse(made)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

func (d *Databases) drop(made string) error {
	return exec1(d.server.String(), "DROP DATABASE IF EXISTS "+nameIn(made)+" WITH (FORCE)")
}
