package models

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// DB is a handle that queries run on: a pool, or the transaction of a Write.
type DB struct {
	base *gorm.DB
	ctx  context.Context
	gate gate // nil inside a transaction, and where direct is
	// slow is the gate before queries that may take their time; others always find
	// a connection that none of those has.
	slow gate
	// direct runs the queries of this package, where it is not nil.
	direct *sqliteReads
	// remote is whether the database is another machine's, or could be: an
	// answer may never come.
	remote bool
	// replicated is whether the handle is that of a primary with replicas.
	replicated bool
	replica    *replica        // whose handle it is, or nil
	primary    *postgresEngine // of the replica
}

// gate lets in as many readers at once as there are connections. Those who wait
// before it leave with their request, which those who wait for a connection
// without a cancellable context would not.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
	if err := ctx.Err(); g == nil || err != nil {
		return err
	}
	select {
	case g <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(queryTimeout)
	defer timer.Stop()
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return context.DeadlineExceeded
	}
}

func (g gate) leave() {
	if g != nil {
		<-g
	}
}

// gorm gives the handle as gorm's, for all but the hottest queries.
func (db DB) gorm() *gorm.DB { return db.base.WithContext(db.ctx) }

func (db DB) exec(query string, args ...any) error {
	_, err := db.execCount(query, args...)
	return err
}

// execCount runs a statement and returns how many rows it changed.
func (db DB) execCount(query string, args ...any) (int64, error) {
	res, err := db.base.Statement.ConnPool.ExecContext(db.ctx, query, args...)
	if err != nil {
		return 0, translate(err)
	}
	return res.RowsAffected()
}

// takeTime lets the statements of a transaction that follow take longer than
// others may: they change as many rows as an account has.
func (db DB) takeTime() error {
	if !db.remote {
		return nil
	}
	return db.exec("SET LOCAL statement_timeout = '25s'")
}

// queryTimeout bounds a query, and the wait for its turn.
const queryTimeout = 10 * time.Second

// scalar reads one integer that is found by a key, or fails with ErrNotFound.
func scalar(db DB, query string, args ...any) (n int64, err error) {
	return integerBy(few, db, query, args)
}

// countOf is scalar for a query that may look at many rows.
func countOf(db DB, query string, args ...any) (n int64, err error) {
	return integerBy(each, db, query, args)
}

func integerBy(read func(DB, func(row) error, string, ...any) error, db DB, query string, args []any) (n int64, err error) {
	found := false
	err = read(db, func(rows row) error {
		found = true
		return rows.Scan(&n)
	}, query, args...)
	if err == nil && !found {
		return 0, ErrNotFound
	}
	return n, err
}

// errEnough ends a query that has given what it was asked for.
var errEnough = errors.New("enough rows")

// first hands the row that a key finds to scan, or fails with ErrNotFound. That
// there is no other row is not asked.
func first(db DB, scan func(row) error, query string, args ...any) error {
	found := false
	err := few(db, func(rows row) error {
		found = true
		return cmp.Or(scan(rows), errEnough)
	}, query, args...)
	if err == nil && !found {
		return ErrNotFound
	}
	return err
}

// each hands every row of any query to scan. The query ends with its request,
// or when its time is up.
func each(db DB, scan func(row) error, query string, args ...any) error {
	if err := db.slow.enter(db.ctx); err != nil {
		return err
	}
	defer db.slow.leave()
	ctx, cancel := context.WithTimeout(db.ctx, queryTimeout)
	defer cancel()
	return db.run(ctx, scan, query, args)
}

// few is each for a query that an index keeps to a few rows: it is over sooner
// than anybody could end it, and always finds a connection. It is not begun for
// a request that is over.
func few(db DB, scan func(row) error, query string, args ...any) error {
	ctx := context.Background()
	if db.remote {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, queryTimeout)
		defer cancel()
	}
	return db.run(ctx, scan, query, args)
}

func (db DB) run(ctx context.Context, scan func(row) error, query string, args []any) error {
	if db.replica != nil {
		return db.runAtReplica(ctx, scan, query, args)
	}
	if db.direct != nil {
		return db.direct.query(db.ctx, ctx, scan, query, args)
	}
	if err := db.gate.enter(db.ctx); err != nil {
		return err
	}
	defer db.gate.leave()
	// Past gorm, whose reflection costs more than the database does here.
	return eachOn(ctx, db.base.Statement.ConnPool, scan, query, args...)
}

// eachOn hands every row of a query on a pool, a transaction or a connection to
// scan; it ends with ctx alone, and takes parameters as the driver does. It
// closes the rows before it returns, so that no caller asks a pool for a second
// connection while it holds a first.
func eachOn(ctx context.Context, conn gorm.ConnPool, scan func(row) error, query string, args ...any) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(row{rows: rows}); errors.Is(err, errEnough) {
			return translate(rows.Close())
		} else if err != nil {
			return fmt.Errorf("scan row: %w", err)
		}
	}
	return translate(rows.Err())
}

// textsOn reads a column of texts, as eachOn does.
func textsOn(ctx context.Context, conn gorm.ConnPool, query string, args ...any) (list []string, err error) {
	err = eachOn(ctx, conn, func(rows row) error {
		var text string
		err := rows.Scan(&text)
		if err == nil {
			list = append(list, text)
		}
		return err
	}, query, args...)
	return list, err
}

// integerOn reads one number, as eachOn does.
func integerOn(ctx context.Context, conn gorm.ConnPool, query string, args ...any) (n int64, err error) {
	return n, translate(conn.QueryRowContext(ctx, query, args...).Scan(&n))
}
