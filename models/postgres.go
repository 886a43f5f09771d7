package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jackc/puddle/v2"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

const (
	// defaultPostgresConns is how many connections a process opens at most,
	// unless the URL says otherwise by pool_max_conns. Writes that wait for the
	// disk share a flush, so more than the processors are of use.
	defaultPostgresConns = 20
	// limitShare is which part of them is for limits: they are asked for while
	// the others are held, by transactions that wait for the answer.
	limitShare = 5
	// writeTimeout bounds a transaction, as the server sees it and as we do.
	writeTimeout = 30 * time.Second
	// maxAttempts and retryFor bound how often and how long a write is run again
	// that was undone through no fault of its own.
	maxAttempts = 12
	retryFor    = 10 * time.Second
	// freeAttempts are those of a write that was undone to keep it apart from
	// others. Then it waits until it is the only one of them that is run again: of
	// many that are after one row, one is kept and all others are undone each time.
	freeAttempts = 3
)

// postgresEngine is one database of a PostgreSQL server, or of servers of which
// one is the primary. Each write is a transaction of its own; the server makes
// those durable together that are committed at the same time.
type postgresEngine struct {
	postgresDialect
	pool *pgxpool.Pool
	conn *sql.DB // over pool
	base *gorm.DB
	gate gate
	// limiting is the gate before the connections that limits have to themselves.
	limiting gate
	// slow lets in as many queries at once that may take their time.
	slow gate
	// again lets in one write that is run again at a time.
	again gate

	closing sync.RWMutex // held for reading while a write runs
	closed  atomic.Bool

	writes  atomic.Int64
	commits atomic.Int64
}

func openPostgres(ctx context.Context, dsn string, opts Options) (_ *postgresEngine, err error) {
	cfg, err := postgresConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = max(cfg.MaxConns, 2)
	e := &postgresEngine{limiting: make(gate, max(1, cfg.MaxConns/limitShare))}
	if e.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, translate(err)
	}
	e.conn = opts.pool(stdlib.GetPoolConnector(e.pool))
	e.conn.SetMaxIdleConns(0) // the pool beneath keeps them
	defer func() {
		if err != nil {
			_ = e.close()
		}
	}()
	if err := verifyPostgres(ctx, e.conn); err != nil {
		return nil, err
	}
	if err := checkOursPostgres(ctx, e.conn); err != nil {
		return nil, err
	}
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: e.conn}), gormConfig(opts))
	if err != nil {
		return nil, translate(err)
	}
	e.base = withPool(g, numbered{e.conn})
	e.gate, e.again = make(gate, int(cfg.MaxConns)-cap(e.limiting)), make(gate, 1)
	e.slow = make(gate, max(1, cap(e.gate)/2))
	return e, nil
}

// postgresConfig reads a URL, and sets what it leaves open.
func postgresConfig(dsn string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	u, ok := postgresURL(dsn)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: the URL of the database cannot be read", ErrUnavailable)
	}
	params := cfg.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":                    "dueto",
		"statement_timeout":                   "5s",  // a query that went wrong ends
		"idle_in_transaction_session_timeout": "15s", // a process that vanished holds no lock
	} {
		if _, set := params[name]; !set {
			params[name] = value
		}
	}
	if !u.Query().Has("pool_max_conns") {
		cfg.MaxConns = defaultPostgresConns
	}
	if strings.Contains(u.Host+u.Query().Get("host"), ",") && !u.Query().Has("target_session_attrs") {
		cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	// A query whose request is over is cancelled on the server; its connection
	// stays, or clients that hang up would have us open one after the other.
	cfg.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 2 * time.Second}
	}
	return cfg, nil
}

// verifyPostgres makes sure that the server keeps what it acknowledges and
// sorts as we do.
func verifyPostgres(ctx context.Context, db *sql.DB) error {
	for _, s := range []struct{ name, want, advice string }{
		{"server_encoding", "UTF8", "create the database with ENCODING 'UTF8'"},
		{"synchronous_commit", "", "acknowledged writes would be lost: set synchronous_commit to on"},
	} {
		var got string
		if err := db.QueryRowContext(ctx, "SELECT current_setting($1)", s.name).Scan(&got); err != nil {
			return translate(err)
		}
		if (s.want != "" && got != s.want) || (s.want == "" && got == "off") {
			return fmt.Errorf("PostgreSQL has %s = %s: %s", s.name, got, s.advice)
		}
	}
	return nil
}

func (e *postgresEngine) read(ctx context.Context) DB {
	if e.closed.Load() {
		return DB{base: refusing(e.base), ctx: ctx, gate: e.gate}
	}
	return DB{base: e.base, ctx: ctx, gate: e.gate, slow: e.slow, remote: true}
}

// write runs fn until it is committed, or fails for a reason of its own. It is
// run again where the server undid it: to keep transactions apart, or because
// the connection broke before the commit was asked for. Where it broke during
// the commit nobody knows what came of it, and fn is not run again.
func (e *postgresEngine) write(ctx context.Context, fn func(DB) error) error {
	e.closing.RLock()
	defer e.closing.RUnlock()
	if e.closed.Load() {
		return fmt.Errorf("%w: it is closing", ErrUnavailable)
	}
	began, alone := time.Now(), false
	defer func() {
		if alone {
			e.again.leave()
		}
	}()
	for attempt := 1; ; attempt++ {
		if err := e.gate.enter(ctx); err != nil {
			return err
		}
		again, err := e.attempt(fn, writeTimeout)
		e.gate.leave()
		ctx = context.Background() // what has begun is not given up
		if err == nil {
			e.writes.Add(1)
			e.commits.Add(1)
			return nil
		}
		if !again || attempt == maxAttempts || time.Since(began) > retryFor {
			return err
		}
		if conflicted(err) && attempt >= freeAttempts && !alone {
			waiting, cancel := context.WithDeadline(context.Background(), began.Add(retryFor))
			alone = e.again.enter(waiting) == nil
			cancel()
			if !alone {
				return err
			}
			continue
		}
		time.Sleep(rand.N(time.Millisecond << min(attempt, 8))) //nolint:gosec // to spread, not to hide
	}
}

// attempt runs fn once, and tells whether it may be run again.
func (e *postgresEngine) attempt(fn func(DB) error, patience time.Duration) (again bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tx, err := e.conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return disconnected(err), translate(err)
	}
	if err := call(fn, DB{base: withPool(e.base, numbered{tx}), ctx: ctx, remote: true}); err != nil {
		undone := tx.Rollback()
		e.forgetDemoted(err)
		return conflicted(err) || disconnected(err) || disconnected(undone), err
	}
	if err := tx.Commit(); err != nil {
		if !decided(err) {
			return false, fmt.Errorf("%w: %w", ErrUndecided, err)
		}
		return conflicted(err), translate(err)
	}
	return false, nil
}

// forgetDemoted drops the connections to a server that takes no writes: the
// next ones find the one that does, where the URL names several, or find that
// this one does again.
func (e *postgresEngine) forgetDemoted(err error) {
	if readOnly(sqlState(err)) {
		e.pool.Reset()
	}
}

// readOnly reports whether a code says that there are no writes here:
// read_only_sql_transaction, and feature_not_supported, which is a replica's
// answer to a serializable transaction.
func readOnly(code string) bool { return code == "25006" || code == "0A000" }

// onReplica reports whether the server refused because it is a replica.
func onReplica(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "0A000" && (strings.Contains(e.Message, "hot standby") || // by where it was raised, in other languages
		e.Routine == "call_enum_check_hook" || e.Routine == "GetSerializableTransactionSnapshot")
}

func (e *postgresEngine) stats() Stats {
	return Stats{Writes: e.writes.Load(), Commits: e.commits.Load()}
}

// close waits for the writes that run.
func (e *postgresEngine) close() error {
	e.closed.Store(true)
	e.closing.Lock()
	defer e.closing.Unlock()
	err := e.conn.Close()
	e.pool.Close()
	return err
}

// sqlState gives the code of an error of the server, or "".
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// conflicted reports whether the server undid a transaction to keep it apart
// from others: serialization_failure, deadlock_detected.
func conflicted(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01"
}

// decided reports whether a commit that failed is known to have been undone: the
// server itself says so, and does not say that it cannot tell (40003), that it is
// in trouble, or, as a pooler does for it, that it is gone.
func decided(err error) bool {
	code := sqlState(err)
	if code == "" || code == "40003" {
		return false
	}
	return !slices.Contains([]string{"08", "57", "58", "XX"}, code[:2])
}

// disconnected reports whether there was no connection, or is none any more.
func disconnected(err error) bool {
	if err == nil {
		return false
	}
	switch code := sqlState(err); code {
	case "57P01", "57P02", "57P03": // the server is stopping, or starting
		return true
	case "":
		return brokenOff(err)
	default: // connection exceptions, as a pooler tells of them
		return strings.HasPrefix(code, "08")
	}
}

// brokenOff reports whether an error is of the connection itself, and not of a
// caller who did not wait.
func brokenOff(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	var network net.Error
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) {
		return true
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone, pgconn.ErrConnClosed, puddle.ErrClosedPool} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// translatePostgres sorts the server's codes (PostgreSQL, appendix A) into this
// package's errors.
func translatePostgres(err error) error {
	code := sqlState(err)
	switch {
	case code == "" && brokenOff(err), errors.Is(err, pgx.ErrTxClosed):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case code == "":
		return err
	case code == "23505":
		return fmt.Errorf("%w: %w", ErrDuplicate, err)
	case code == "23503":
		return fmt.Errorf("%w: %w", ErrReference, err)
	}
	switch code[:2] {
	case "08", // connection exceptions
		"28", "3D", // no such role or database, or a wrong password
		"53", // disk full, too many connections, out of memory
		"57", // stopping, starting, or the statement took too long
		"58", // I/O error
		"40": // undone to keep it apart from others, once too often
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case "XX":
		if code == "XX001" || code == "XX002" { // data or index corrupted
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	if onReplica(err) {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, replicaTakesNoWrites, err)
	}
	if readOnly(code) || code == "25P03" || code == "42501" { // 25P03: idle for too long, 42501: no privilege
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
