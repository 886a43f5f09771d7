package pgtest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
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
		return exec1(d.server.String(), "DROP DATABASE IF EXISTS "+d.name(0))
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

// Copy makes a copy of a database that fill is given once, empty.
func (d *Databases) Copy(fill func(url string) error) (url string, drop func() error, err error) {
	d.templating.Do(func() {
		d.template = d.name(0)
		if d.templateErr = exec1(d.server.String(), "CREATE DATABASE "+d.template+" TEMPLATE template0 ENCODING 'UTF8'"); d.templateErr == nil {
			d.templateErr = fill(d.URL(d.template))
		}
	})
	if d.templateErr != nil {
		return "", nil, d.templateErr
	}
	return d.create(d.template)
}

func (d *Databases) create(template string) (string, func() error, error) {
	name := d.name(d.made.Add(1))
	if err := exec1(d.server.String(), "CREATE DATABASE "+name+" TEMPLATE "+template+" ENCODING 'UTF8'"); err != nil {
		return "", nil, err
	}
	drop := func() error { return exec1(d.server.String(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") }
	return d.URL(name), drop, nil
}
