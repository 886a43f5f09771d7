package models

import (
	"context"
	"database/sql"
	"time"
)

const (
	// limitTimeout bounds a statement on limits, and the wait for its turn: every
	// request may depend on one.
	limitTimeout = time.Second
	// maxTidied is how many rows are removed at once.
	maxTidied = 10_000
)

// Limits are counts that the processes over one database keep together. Each
// method is one statement, atomic by itself and outside of any transaction; on
// connections of their own, so that it may run while its caller is in one. They
// fail with ErrUnavailable, or with the error of a context that ended before
// the statement began.
type Limits struct {
	engine *postgresEngine
	now    func() time.Time // nil is the database's clock: those of several machines differ
}

// Limits gives the counts, or nil where one process has the database to itself.
func (s *Store) Limits() *Limits {
	e, shared := s.engine.(*postgresEngine)
	if !shared {
		return nil
	}
	return &Limits{engine: e, now: s.clock}
}

// limitsNow is the moment of a statement, in microseconds; its parameter is a
// clock that is to be used instead of the database's.
const limitsNow = "(SELECT coalesce(?::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now)"

// clock gives the parameter of limitsNow.
func (l *Limits) clock() sql.NullInt64 {
	if l.now == nil {
		return sql.NullInt64{}
	}
	now := l.now()
	return NullMicros(&now)
}

// run runs a statement and hands the row that it returns, if any, to scan. Once
// begun it does not end with its caller: to cancel one costs more than it does.
func (l *Limits) run(ctx context.Context, scan func(row) error, query string, args ...any) error {
	e := l.engine
	if e.closed.Load() {
		return errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, limitTimeout)
	defer cancel()
	statement, cancelStatement := context.WithTimeout(context.Background(), limitTimeout)
	defer cancelStatement()
	db := DB{base: e.base, ctx: ctx, gate: e.limiting}
	for attempt := 1; ; attempt++ {
		err := db.run(statement, scan, query, args)
		e.forgetDemoted(err)
		if !conflicted(err) || attempt == maxAttempts { // where serializable is the server's default
			return err
		}
	}
}

func noRow(row) error { return nil }

// LimitRate is the rate that a key is held to: one request per spacing, of
// which Burst may come at once.
type LimitRate struct {
	Spacing time.Duration // whole microseconds
	Burst   int
}

// Allowance is what was allowed to a key.
type Allowance struct {
	Taken int
	// Due is how far ahead the moment is now at which the key's next request is
	// due.
	Due time.Duration
}

// clockStep is how far beyond its rate a moment may lie ahead because of
// statements that overtook each other. One further ahead shows that the clock
// was set back, and counts for nothing.
const clockStep = time.Minute

// Take allows up to n requests of a key, n being at most the burst; none where
// it has used up its rate.
func (l *Limits) Take(ctx context.Context, key []byte, rate LimitRate, n int) (a Allowance, err error) {
	spacing := rate.Spacing.Microseconds()
	ahead := spacing * int64(rate.Burst)
	err = l.run(ctx, func(rows row) error {
		var due int64
		err := rows.Scan(&a.Taken, &due)
		a.Due = time.Duration(due) * time.Microsecond
		return err
	}, `INSERT INTO shared_limits AS l (key, due, at, taken)
		SELECT ?::bytea, now + ?::bigint, now, ?::bigint FROM `+limitsNow+` AS clock
		ON CONFLICT (key) DO UPDATE SET (due, at, taken) = (
			SELECT base + taken * spacing, excluded.at, taken FROM (
				SELECT base, spacing, greatest(0, least(excluded.taken, (excluded.at + ahead - base) / spacing)) AS taken FROM (
					SELECT spacing, ahead, CASE WHEN l.due > excluded.at + ahead + step THEN excluded.at ELSE greatest(l.due, excluded.at) END AS base
					FROM (SELECT ?::bigint AS spacing, ?::bigint AS ahead, ?::bigint AS step) AS rate) AS based) AS allowed)
		RETURNING taken, due - at`,
		key, spacing*int64(n), n, l.clock(), spacing, ahead, clockStep.Microseconds())
	return a, err
}

// GiveBack undoes a Take of one whose request came to nothing.
func (l *Limits) GiveBack(ctx context.Context, key []byte, rate LimitRate) error {
	return l.run(ctx, noRow, "UPDATE shared_limits SET due = due - ?::bigint WHERE key = ?::bytea", rate.Spacing.Microseconds(), key)
}

// FailureRules say what failures cost, by their number: the first of each is
// for one failure, the last for as many and all above.
type FailureRules struct {
	Delays   []time.Duration // from the last attempt to the next
	Memories []time.Duration // until they are forgotten
}

// Attempt is an attempt that was counted, or that has to wait.
type Attempt struct {
	Wait time.Duration // 0: it may be made

	last, before int64
}

// BeginAttempt counts an attempt at a key as a failure, unless it has to wait.
func (l *Limits) BeginAttempt(ctx context.Context, key []byte, rules FailureRules) (a Attempt, err error) {
	err = l.run(ctx, func(rows row) error {
		var wait int64
		err := rows.Scan(&a.last, &a.before, &wait)
		a.Wait = time.Duration(wait) * time.Microsecond
		return err
	}, `INSERT INTO shared_failures AS f (key, n, last, before, wait)
		SELECT ?::bytea, 1, now, now, 0 FROM `+limitsNow+` AS clock
		ON CONFLICT (key) DO UPDATE SET (n, last, before, wait) = (
			SELECT CASE WHEN wait > 0 THEN f.n ELSE kept + 1 END,
				CASE WHEN wait > 0 THEN f.last ELSE excluded.last END,
				CASE WHEN wait > 0 THEN f.before WHEN kept > 0 THEN f.last ELSE excluded.last END,
				wait
			FROM (
				SELECT kept, CASE WHEN kept > 0 THEN
					greatest(0, least(f.last, excluded.last) + delays[least(kept, cardinality(delays))] - excluded.last) ELSE 0 END AS wait
				FROM (
					SELECT delays, CASE WHEN excluded.last - f.last >= memories[least(f.n, cardinality(memories))] THEN 0 ELSE f.n END AS kept
					FROM (SELECT ?::bigint[] AS delays, ?::bigint[] AS memories) AS rules) AS remembered) AS decided)
		RETURNING last, before, wait`,
		key, l.clock(), microsOf(rules.Delays), microsOf(rules.Memories))
	return a, err
}

// TakeBackAttempt undoes an attempt that came to no result.
func (l *Limits) TakeBackAttempt(ctx context.Context, key []byte, a Attempt) error {
	return l.run(ctx, noRow, `UPDATE shared_failures SET n = n - 1, last = CASE WHEN last = ?::bigint THEN ?::bigint ELSE last END
		WHERE key = ?::bytea AND n > 0`, a.last, a.before, key)
}

// ClearAttempts forgets what is held against a key.
func (l *Limits) ClearAttempts(ctx context.Context, key []byte) error {
	return l.run(ctx, noRow, "DELETE FROM shared_failures WHERE key = ?::bytea", key)
}

// Tidy removes rows that count for nothing any more, some at a time, and
// reports whether there may be others.
func (l *Limits) Tidy(ctx context.Context, rules FailureRules) (more bool, err error) {
	err = l.run(ctx, func(rows row) error { return rows.Scan(&more) }, `WITH
		clock AS MATERIALIZED `+limitsNow+`,
		limits AS (DELETE FROM shared_limits WHERE key = ANY (ARRAY (
			SELECT key FROM shared_limits WHERE due <= (SELECT now FROM clock)
			LIMIT ?::bigint FOR UPDATE SKIP LOCKED)) RETURNING 1),
		failures AS (DELETE FROM shared_failures WHERE key = ANY (ARRAY (
			SELECT key FROM shared_failures, (SELECT ?::bigint[] AS memories) AS rules
			WHERE n <= 0 OR (SELECT now FROM clock) - last >= memories[least(n, cardinality(memories))]
			LIMIT ?::bigint FOR UPDATE OF shared_failures SKIP LOCKED)) RETURNING 1)
		SELECT greatest((SELECT count(*) FROM limits), (SELECT count(*) FROM failures)) >= ?::bigint`,
		l.clock(), maxTidied, microsOf(rules.Memories), maxTidied, maxTidied)
	return more, err
}

func microsOf(durations []time.Duration) []int64 {
	micros := make([]int64, len(durations))
	for i, d := range durations {
		micros[i] = d.Microseconds()
	}
	return micros
}
