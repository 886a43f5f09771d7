package tests

import (
	"context"
	"database/sql/driver"
	"errors"
	"regexp"
	"strings"
	"sync"
)

// statements keeps what reaches a database: every statement, and where
// transactions begin and end. Its wrap is for models.Options.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) add(statement string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, statement)
}

// take gives what was sent since the last time.
func (s *statements) take() (sent []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, s.sent = s.sent, nil
	return sent
}

func (s *statements) wrap(c driver.Connector) driver.Connector { return seenConnector{c, s} }

// statementTable finds the table that a statement is about.
var statementTable = regexp.MustCompile("(?is)\\b(?:FROM|INTO|UPDATE)\\s+[\"`]?([a-z_]+)")

// outline shortens a statement to what it does to which table.
func outline(statement string) string {
	verb, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
	if table := statementTable.FindStringSubmatch(statement); table != nil {
		return verb + " " + table[1]
	}
	return verb
}

func outlines(sent []string) (short []string) {
	for _, statement := range sent {
		short = append(short, outline(statement))
	}
	return short
}

type seenConnector struct {
	driver.Connector
	seen *statements
}

func (c seenConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return seenConn{conn, c.seen}, nil
}

// seenConn is a connection of a driver that has all of the methods with a
// context, as each of ours does.
type seenConn struct {
	driver.Conn
	seen *statements
}

func (c seenConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	if !errors.Is(err, driver.ErrSkip) { // else it is prepared next
		c.seen.add(query)
	}
	return result, err
}

func (c seenConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
	if !errors.Is(err, driver.ErrSkip) {
		c.seen.add(query)
	}
	return rows, err
}

func (c seenConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return seenStmt{stmt, query, c.seen}, nil
}

func (c seenConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	c.seen.add("BEGIN")
	return seenTx{tx, c.seen}, err
}

func (c seenConn) Ping(ctx context.Context) error { return c.Conn.(driver.Pinger).Ping(ctx) }

func (c seenConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c seenConn) IsValid() bool {
	v, ok := c.Conn.(driver.Validator)
	return !ok || v.IsValid()
}

func (c seenConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip // database/sql's own rules
}

// AutoCommit is what the store asks of SQLite's connection.
func (c seenConn) AutoCommit() bool {
	return c.Conn.(interface{ AutoCommit() bool }).AutoCommit()
}

type seenStmt struct {
	driver.Stmt
	query string
	seen  *statements
}

func (s seenStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.seen.add(s.query)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s seenStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.seen.add(s.query)
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

type seenTx struct {
	driver.Tx
	seen *statements
}

func (t seenTx) Commit() error {
	t.seen.add("COMMIT")
	return t.Tx.Commit()
}

func (t seenTx) Rollback() error {
	t.seen.add("ROLLBACK")
	return t.Tx.Rollback()
}
