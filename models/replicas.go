package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// replicaPoll is how often it is asked how far a replica is.
	replicaPoll = 250 * time.Millisecond
	// replicaPatience bounds the wait for that answer.
	replicaPatience = 500 * time.Millisecond
)

// replicas are the streaming replicas of a database that may be read from.
type replicas struct {
	list    []*replica
	primary *pgxpool.Pool // to ask how far it is, however busy the others are
	began   time.Time     // moments are counted from here
	end     context.CancelFunc
	running sync.WaitGroup
	notify  func(replica string, used bool, reason string)
}

// replica is one of them, with connections of its own.
type replica struct {
	freshness

	name   string // its URL without what is secret
	pool   *pgxpool.Pool
	conn   *sql.DB
	handle DB
	told   bool // whether anything was told of it
	used   bool // as was told last
}

// openReplicas begins to watch replicas. It needs none of them to be there.
func openReplicas(e *postgresEngine, primary string, opts Options) (_ *replicas, err error) {
	s := &replicas{began: time.Now(), notify: opts.ReplicaChanged}
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	defer func() {
		if err != nil {
			_ = s.close()
		}
	}()
	cfg, err := postgresConfig(primary)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = int32(len(opts.Replicas))
	if s.primary, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, translate(err)
	}
	for _, dsn := range opts.Replicas {
		r, err := openReplica(ctx, e, dsn)
		if err != nil {
			return nil, fmt.Errorf("replica %s: %w", Redacted(dsn), err)
		}
		s.list = append(s.list, r)
	}
	for _, r := range s.list {
		s.running.Go(func() { s.watch(ctx, r) })
	}
	return s, nil
}

func openReplica(ctx context.Context, e *postgresEngine, dsn string) (*replica, error) {
	cfg, err := postgresConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.ValidateConnect = nil // one that is promoted is noticed by the watch
	cfg.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	r := &replica{name: Redacted(dsn)}
	r.leaveOut()
	if r.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, translate(err)
	}
	r.conn = stdlib.OpenDBFromPool(r.pool)
	r.handle = DB{base: withPool(e.base, numbered{r.conn}), gate: make(gate, cfg.MaxConns), remote: true, replica: r, primary: e}
	return r, nil
}

// watch judges a replica time and again.
func (s *replicas) watch(ctx context.Context, r *replica) {
	tick := time.NewTicker(replicaPoll)
	defer tick.Stop()
	for ctx.Err() == nil {
		at := time.Since(s.began) // before the primary is asked: what it says is of no earlier
		primary, own := progressOf(ctx, s.primary), progressOf(ctx, r.pool)
		r.judge(at, primary, own)
		used := r.usable(time.Since(s.began), true)
		// One that is left out from the start has had time to connect and to catch up.
		news := used != r.used || (!r.told && time.Since(s.began) > maxReplicaLag)
		if news && ctx.Err() == nil {
			r.told, r.used = true, used
			if s.notify != nil {
				s.notify(r.name, used, leftOutBecause(primary, own))
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// leftOutBecause says why a replica is not read from, by what primary and
// replica answered.
func leftOutBecause(primary, replica progress) string {
	var refused *pgconn.PgError
	switch {
	case errors.As(replica.err, &refused):
		return "it refuses: " + refused.Message
	case replica.err != nil:
		return "it does not answer"
	case !replica.recovering:
		return "it is no replica"
	case primary.err != nil:
		return "the primary does not answer"
	case primary.recovering:
		return "the primary is none"
	case replica.history != primary.history:
		return "it does not follow the primary's history, or has not recorded yet that it does"
	}
	return "it is behind"
}

// pick gives the replica to read from for somebody, or nil where none is fresh
// enough. Somebody has the same one as long as it is, in every process: no two
// answers go back in time. lenient is freshness.usable's.
func (s *replicas) pick(who string, lenient bool) *replica {
	now := time.Since(s.began)
	var best *replica
	var most uint64
	for _, r := range s.list {
		if !r.usable(now, lenient) {
			continue
		}
		h := fnv.New64a() // rendezvous hashing: where one falls out, only its readers move
		_, _ = h.Write([]byte(who))
		_, _ = h.Write([]byte(r.name))
		if score := scatter(h.Sum64()); best == nil || score > most {
			best, most = r, score
		}
	}
	return best
}

// scatter spreads FNV's values, whose high bits hardly depend on the last bytes
// (the finalizer of MurmurHash3).
func scatter(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func (s *replicas) close() error {
	s.end()
	s.running.Wait()
	if s.primary != nil {
		s.primary.Close()
	}
	var errs []error
	for _, r := range s.list {
		errs = append(errs, r.conn.Close())
		r.pool.Close()
	}
	return errors.Join(errs...)
}

// runAtReplica runs a query of a replica's handle, at the primary where that
// fails before a row was seen. A statement that is itself at fault fails there
// again; what took too long would do so again.
func (db DB) runAtReplica(ctx context.Context, scan func(row) error, query string, args []any) error {
	r := db.replica
	db.replica = nil
	begun := false
	err := db.run(ctx, func(rows row) error {
		begun = true
		return scan(rows)
	}, query, args)
	if err == nil || begun || ctx.Err() != nil || db.ctx.Err() != nil || sqlState(err) == "57014" { // query_canceled
		return err
	}
	if !conflicted(err) { // one that replays what the query stood in the way of is well
		r.leaveOut()
	}
	return db.primary.read(db.ctx).run(ctx, scan, query, args)
}
