// Package models holds the rows, every query on them, and the store they live
// in: engines, connection pools, transactions and migrations. It knows nothing
// of who may do what.
package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Store is one database behind one of the engines. Services read and write
// through it and cannot tell which engine it is.
type Store struct {
	engine   engine
	replicas *replicas // nil where there are none
	shared   bool
	now      func() time.Time
	clock    func() time.Time          // now, if it was given
	probed   atomic.Pointer[time.Time] // when a probe was last written
}

// probeEvery keeps those who ask for readiness from making the disk busy.
const probeEvery = time.Second

// engine is the seam at which a second kind of database is added.
type engine interface {
	// read gives a handle for queries that need no transaction.
	read(ctx context.Context) DB
	// write runs fn in a transaction and returns once it is durable.
	write(ctx context.Context, fn func(DB) error) error
	// migrate applies the pending migrations, once, however many ask.
	migrate(ctx context.Context, now time.Time) (applied []string, err error)
	// stats counts what was asked of the engine since it was opened.
	stats() Stats
	close() error
}

// Stats counts writes and the durable commits that carried them.
type Stats struct {
	Writes  int64
	Commits int64
}

// Options are what a store needs besides its URL.
type Options struct {
	// Now is the clock; nil means time.Now, and the database's for what several
	// processes share.
	Now func() time.Time
	// Wrap puts something between database/sql and an engine's driver, where each
	// statement and each end of a transaction passes; nil puts nothing. It is for
	// tests.
	Wrap func(driver.Connector) driver.Connector
	// Replicas are the URLs of streaming replicas of a PostgreSQL database.
	Replicas []string
	// ReplicaChanged is told of each replica, by its URL without what is secret,
	// when it is read from, and when it is left out and why; nil is nobody.
	ReplicaChanged func(replica string, used bool, reason string)
}

// pool makes a pool of an engine's connections.
func (o Options) pool(c driver.Connector) *sql.DB { return sql.OpenDB(o.wrapped(c)) }

func (o Options) wrapped(c driver.Connector) driver.Connector {
	if o.Wrap != nil {
		return o.Wrap(c)
	}
	return c
}

// Open opens the database that a URL such as "sqlite:dueto.db" or
// "postgres://dueto@db.example.com/dueto" names; a file is made if there is none.
// It fails with ErrCorrupt on what is not a database of ours, and with
// ErrUnavailable on one that cannot be opened.
func Open(ctx context.Context, database string, opts Options) (*Store, error) {
	clock := opts.Now
	if clock == nil {
		opts.Now = time.Now
	}
	var e engine
	var err error
	if path, ok := sqliteFile(database); ok {
		e, err = openSQLite(ctx, path, opts)
	} else if isPostgres(database) {
		e, err = openPostgres(ctx, database, opts)
	} else {
		err = errNoEngine
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", Redacted(database), err)
	}
	s := &Store{engine: e, now: opts.Now, clock: clock}
	var primary *postgresEngine
	if primary, s.shared = e.(*postgresEngine); s.shared && len(opts.Replicas) > 0 {
		if s.replicas, err = openReplicas(primary, database, opts); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	return s, nil
}

// Shared reports whether processes on several machines may use the database.
func (s *Store) Shared() bool { return s.shared }

// Read gives a handle for queries outside a transaction, bound to ctx.
func (s *Store) Read(ctx context.Context) DB {
	db := s.engine.read(ctx)
	db.replicated = s.replicas != nil
	return db
}

// Write runs fn in a transaction and returns once the commit is durable, or
// with fn's error once everything fn did is undone. Inside, fn sees the data as
// if no other write ran (serializable); to keep that true an engine may undo
// what fn did and run it again, so fn sets what it hands out from scratch. A
// ctx that ends while the write waits its turn cancels it; once fn has begun,
// nothing does. fn may run on another goroutine, must use only the handle it is
// given, and should not compute for long: other writes wait behind it.
func (s *Store) Write(ctx context.Context, fn func(tx DB) error) error {
	err := s.engine.write(ctx, fn)
	if errors.Is(err, ErrUnavailable) {
		s.probed.Store(nil) // not ready until a probe succeeds
	}
	return err
}

// Migrate applies the migrations that the database lacks and returns their
// names. It fails with ErrSchemaNewer when the database is ahead of the binary,
// and with ErrUnfinishedMove on one that a move has left halfway.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	return s.engine.migrate(ctx, s.now())
}

// Ready reports whether the store answers reads and takes writes, by doing
// both; a write that succeeded within the last second stands for the next.
func (s *Store) Ready(ctx context.Context) error {
	if _, err := scalar(s.Read(ctx), "SELECT at FROM store_probe"); err != nil {
		return err
	}
	began := time.Now()
	if last := s.probed.Load(); last != nil && began.Sub(*last) < probeEvery {
		return nil
	}
	err := s.Write(ctx, func(tx DB) error {
		return tx.exec("UPDATE store_probe SET at = ?", Micros(s.now()))
	})
	if err == nil {
		s.probed.Store(&began)
	}
	return err
}

// Stats returns the counters of writes and commits.
func (s *Store) Stats() Stats { return s.engine.stats() }

// Close waits for accepted writes, then closes the database.
func (s *Store) Close() error {
	var err error
	if s.replicas != nil {
		err = s.replicas.close()
	}
	return errors.Join(err, s.engine.close())
}

// affectedOne turns "nothing matched" into ErrNotFound.
func affectedOne(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// translate turns an error of gorm or of an engine into one of this package's.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound):
		return ErrNotFound
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return fmt.Errorf("%w: %w", ErrDuplicate, err)
	case errors.Is(err, gorm.ErrForeignKeyViolated):
		return fmt.Errorf("%w: %w", ErrReference, err)
	case sqlState(err) != "" || brokenOff(err):
		return translatePostgres(err)
	default:
		return translateSQLite(err)
	}
}

// gormConfig is what every engine opens gorm with.
func gormConfig(opts Options) *gorm.Config {
	return &gorm.Config{
		TranslateError:         true,
		SkipDefaultTransaction: true, // writes are in a transaction of ours already
		DisableAutomaticPing:   true,
		NowFunc:                func() time.Time { return opts.Now().UTC() },
		// Errors come back to us: most are a client's mistake, and the others are
		// logged once, with their request. No bound value reaches a log.
		Logger: logger.Discard,
	}
}

// Micros gives the form in which times are stored: whole microseconds since
// 1970-01-01T00:00:00Z, the fraction beyond them cut off.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time gives a stored time back, in UTC.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// NullMicros is Micros for a column that may be NULL: nil is NULL.
func NullMicros(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: Micros(*t), Valid: true}
}
