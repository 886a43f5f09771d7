package models

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// MoveOptions are what a move needs besides the two databases.
type MoveOptions struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Batch is how many rows are written at once; 0 means 2000.
	Batch int
	// Progress, if any, is told as a step begins and after each batch of it.
	Progress func(MoveProgress)
	// Warn, if any, is told what may cost the operator something later.
	Warn func(string)
}

// MoveStep is what a move is at.
type MoveStep string

// The steps of a move, in their order.
const (
	MoveCopying   MoveStep = "copying"
	MoveVerifying MoveStep = "verifying"
)

// MoveProgress tells how far a step is, in rows of all tables together.
type MoveProgress struct {
	Step  MoveStep
	Table string // of the last batch; empty as the step begins
	Done  int64
	Total int64
}

// MovedTable is a table as both databases have it after a move.
type MovedTable struct {
	Name   string
	Rows   int64
	SHA256 string // of all rows in the order of their keys, in hexadecimal
}

const defaultMoveBatch = 2000

// Move copies every row of one database into another, which is empty or has
// what an earlier move from the same one left, and compares the two. The first
// takes no writes meanwhile. A move that fails, or whose ctx ends, which counts
// between two batches, is continued by the next with the same two; until one
// has come to its end, the second database is good for nothing else:
// ErrUnfinishedMove. What differs at the end is ErrMoveDiffers.
func Move(ctx context.Context, from, to string, opts MoveOptions) (moved []MovedTable, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Batch = cmp.Or(opts.Batch, defaultMoveBatch)
	source, err := openMoveSource(ctx, from, opts)
	if err != nil {
		return nil, fmt.Errorf("move from %s: %w", Redacted(from), err)
	}
	defer source.close()
	target, err := openMoveTarget(ctx, source, to)
	if err != nil {
		return nil, fmt.Errorf("move to %s: %w", Redacted(to), err)
	}
	defer func() { err = errors.Join(err, target.close()) }()

	m := &move{ctx: ctx, source: source, target: target, opts: opts}
	for _, step := range []func() error{m.begin, m.copy, m.number, m.verify, m.end} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return m.moved, nil
}

// moveSource is the database that is read: a snapshot of it that nobody writes
// to meanwhile.
type moveSource struct {
	db      DB
	dialect moveDialect
	file    string // of SQLite
	// close ends the snapshot; nothing was written that could fail with it.
	close func()
}

// moveTarget is an engine, with what a move asks of it besides.
type moveTarget interface {
	engine
	moveDialect
	// writeLong runs fn once, in a transaction that may take its time.
	writeLong(ctx context.Context, fn func(DB) error) error
}

// moveDialect is what the engines say in words of their own.
type moveDialect interface {
	// dialect names the engine as its migrations are.
	dialect() string
	// insertRows adds rows to a table.
	insertRows(tx DB, t moveTable, rows [][]any) error
	// lastID gives the greatest id that a table has given out, 0 for none.
	lastID(db DB, table string) (int64, error)
	// setLastID has the next id that a table gives out be the one after.
	setLastID(tx DB, table string, id int64) error
	// settle is the last word after many rows.
	settle(tx DB) error
}

func openMoveSource(ctx context.Context, url string, opts MoveOptions) (*moveSource, error) {
	if path, ok := sqliteFile(url); ok {
		return lockSQLite(ctx, path, opts)
	}
	if isPostgres(url) {
		return lockPostgres(ctx, url, opts)
	}
	return nil, errNoEngine
}

// openMoveTarget opens a database to move to, unless it is the source.
func openMoveTarget(ctx context.Context, source *moveSource, url string) (moveTarget, error) {
	opts := Options{Now: time.Now}
	if path, ok := sqliteFile(url); ok {
		if sameFile(source.file, path) {
			return nil, errSameDatabase
		}
		return openSQLite(ctx, path, opts)
	}
	if !isPostgres(url) {
		return nil, errNoEngine
	}
	e, err := openPostgres(ctx, patient(url), opts)
	if err != nil {
		return nil, err
	}
	if err := e.apart(ctx, source); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

var errSameDatabase = errors.New("it is the same database")

// move is one run, from begin to end.
type move struct {
	ctx    context.Context
	source *moveSource
	target moveTarget
	opts   MoveOptions

	tables []moveTable
	total  int64 // rows of the source
	done   int64
	moved  []MovedTable
}

// written gives the target's rows. What has begun is not cancelled.
func (m *move) written() DB { return m.target.read(context.WithoutCancel(m.ctx)) }

func (m *move) write(fn func(DB) error) error {
	return m.target.writeLong(context.WithoutCancel(m.ctx), fn)
}

func (m *move) report(step MoveStep, table string) {
	if m.opts.Progress != nil {
		m.opts.Progress(MoveProgress{Step: step, Table: table, Done: m.done, Total: m.total})
	}
}

// begin marks the target, or finds it marked, and looks at the tables.
func (m *move) begin() error {
	began, err := m.mark()
	if err != nil {
		return err
	}
	for _, t := range moveTables {
		if t.columns, err = columnsOf(m.source.db, t.name); err != nil {
			return err
		}
		columns, err := columnsOf(m.written(), t.name)
		if err != nil {
			return err
		}
		if !slices.Equal(t.columns, columns) {
			return fmt.Errorf("the columns of %s differ: %v, %v", t.name, t.columns, columns)
		}
		rows, err := scalarSlow(m.source.db, "SELECT count(*) FROM "+t.name)
		if err != nil {
			return err
		}
		m.total += rows
		m.tables = append(m.tables, t)
	}
	m.done = began
	m.report(MoveCopying, "")
	return nil
}

// copy takes the tables over, each from where an earlier run left it.
func (m *move) copy() error {
	for _, t := range m.tables {
		last, err := lastCopied(m.written(), t)
		for err == nil {
			if err = m.ctx.Err(); err != nil {
				break
			}
			var rows [][]any
			if rows, err = t.read(m.source.db, last, m.opts.Batch); err != nil || len(rows) == 0 {
				break
			}
			if err = m.put(t, last, rows); err == nil {
				last = t.keyOf(rows[len(rows)-1])
				m.done += int64(len(rows))
				m.report(MoveCopying, t.name)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes a batch together with how far it goes.
func (m *move) put(t moveTable, last any, rows [][]any) error {
	err := m.write(func(tx DB) error {
		if err := advance(tx, t, last, t.keyOf(rows[len(rows)-1]), len(rows)); err != nil {
			return err
		}
		return m.target.insertRows(tx, t, rows)
	})
	if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, errOtherMove) {
		return err
	}
	if row := m.culprit(t, rows); row != nil {
		return fmt.Errorf("%s: the row with the %s %v cannot be stored: %w", t.name, t.key, t.keyOf(row), err)
	}
	return fmt.Errorf("%s: %w", t.name, err)
}

// culprit finds a row that the target refuses, if it is one row's fault.
func (m *move) culprit(t moveTable, rows [][]any) []any {
	undo := errors.New("undo")
	refused := func(rows [][]any) bool {
		return !errors.Is(m.write(func(tx DB) error {
			if err := m.target.insertRows(tx, t, rows); err != nil {
				return err
			}
			return undo
		}), undo)
	}
	if !refused(rows) {
		return nil
	}
	for len(rows) > 1 {
		half := len(rows) / 2
		if refused(rows[:half]) {
			rows = rows[:half]
		} else {
			rows = rows[half:]
		}
	}
	return rows[0]
}

// number has the target give out the ids that the source would have given out
// next: one that was deleted does not come back.
func (m *move) number() error {
	for _, t := range m.tables {
		if !t.numbered {
			continue
		}
		id, err := m.source.dialect.lastID(m.source.db, t.name)
		if err == nil {
			err = m.write(func(tx DB) error { return m.target.setLastID(tx, t.name, id) })
		}
		if err != nil {
			return fmt.Errorf("carry over the last id of %s: %w", t.name, err)
		}
	}
	return nil
}

// verify reads both sides of each table in the order of its key.
func (m *move) verify() error {
	m.done = 0
	m.report(MoveVerifying, "")
	var differ []error
	for _, t := range m.tables {
		here, there := newTally(), newTally()
		for !here.over || !there.over {
			if err := m.ctx.Err(); err != nil {
				return err
			}
			before := here.rows
			if err := atOnce(
				func() error { return here.add(m.source.db, t, m.opts.Batch) },
				func() error { return there.add(m.written(), t, m.opts.Batch) },
			); err != nil {
				return err
			}
			m.done += here.rows - before
			m.report(MoveVerifying, t.name)
		}
		switch {
		case here.rows != there.rows:
			differ = append(differ, fmt.Errorf("%s: %d rows to move, %d have arrived", t.name, here.rows, there.rows))
		case here.sum() != there.sum():
			differ = append(differ, fmt.Errorf("%s: %d rows, but not the same on both sides", t.name, here.rows))
		}
		m.moved = append(m.moved, MovedTable{Name: t.name, Rows: here.rows, SHA256: here.sum()})
	}
	if len(differ) > 0 {
		return fmt.Errorf("%w:\n%w", ErrMoveDiffers, errors.Join(differ...))
	}
	return nil
}

// atOnce runs functions at the same time.
func atOnce(fns ...func() error) error {
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { errs[i] = fn() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// end takes the mark away.
func (m *move) end() error {
	return m.write(func(tx DB) error {
		if err := m.target.settle(tx); err != nil {
			return err
		}
		return tx.exec("DROP TABLE move_progress")
	})
}
