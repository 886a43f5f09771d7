package models

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// sqliteReads runs queries on connections of its own, past database/sql, whose
// pool and rows cost a read by key as much as SQLite does.
type sqliteReads struct {
	idle   chan queryer // those on which no query runs
	closed chan struct{}
	ended  sync.Once
}

// queryer is what the driver's connections are besides.
type queryer interface {
	driver.Conn
	driver.QueryerContext
}

func newSQLiteReads(ctx context.Context, c driver.Connector, n int) (*sqliteReads, error) {
	r := &sqliteReads{idle: make(chan queryer, n), closed: make(chan struct{})}
	for range n {
		conn, err := c.Connect(ctx)
		if err != nil {
			return nil, errors.Join(translate(err), r.close(len(r.idle)))
		}
		r.idle <- conn.(queryer)
	}
	return r, nil
}

// take waits for a connection, until the caller has gone or it is too late.
func (r *sqliteReads) take(ctx context.Context) (queryer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-r.closed:
		return nil, errClosed
	default:
	}
	select {
	case conn := <-r.idle:
		return conn, nil
	default:
	}
	timer := time.NewTimer(queryTimeout)
	defer timer.Stop()
	select {
	case conn := <-r.idle:
		return conn, nil
	case <-r.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, context.DeadlineExceeded
	}
}

// query hands each row to scan. caller is the context that is waited with for a
// connection, ctx the one that the query ends with.
func (r *sqliteReads) query(caller, ctx context.Context, scan func(row) error, query string, args []any) error {
	conn, err := r.take(caller)
	if err != nil {
		return err
	}
	defer func() { r.idle <- conn }()
	named, err := namedValues(args)
	if err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, query, named)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = rows.Close() }() // should scan panic
	buffer := getRowBuffer()
	defer buffer.put()
	values := buffer.room(len(rows.Columns()))
	for err = rows.Next(values); err == nil; err = rows.Next(values) {
		if err = scan(row{values: values, buffer: buffer}); err != nil {
			break
		}
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errEnough):
		return translate(rows.Close())
	case ctx.Err() != nil: // SQLite says that it was interrupted
		err = ctx.Err()
	}
	return errors.Join(translate(err), translate(rows.Close()))
}

// namedValues gives arguments as database/sql does: as one of the few types that
// a driver knows.
func namedValues(args []any) ([]driver.NamedValue, error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i].Ordinal = i + 1
		switch arg.(type) {
		case int64, string, bool:
			named[i].Value = arg
		default:
			value, err := driver.DefaultParameterConverter.ConvertValue(arg)
			if err != nil {
				return nil, fmt.Errorf("argument %d: %w", i+1, err)
			}
			named[i].Value = value
		}
	}
	return named, nil
}

// close ends the connections, of which there are n, each when its query is over.
func (r *sqliteReads) close(n int) (err error) {
	r.ended.Do(func() {
		close(r.closed)
		for range n {
			err = errors.Join(err, (<-r.idle).Close())
		}
	})
	return err
}
