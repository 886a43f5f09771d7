package models

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// maxReplicaLag is how far a replica may be behind.
const maxReplicaLag = time.Second

// progress is how far a server of a database is.
type progress struct {
	recovering bool // it replays what another one wrote
	// history names what the positions count in: the cluster, its timeline, and
	// the database in it.
	history  string
	position int64 // in the log
	err      error // there was no answer
}

// progressOf asks a server. The timeline of a replica is that of its last
// checkpoint, or of a later page that was flushed: after a failover it is known
// only some time later, and the replica left out until then.
func progressOf(ctx context.Context, pool *pgxpool.Pool) (p progress) {
	ctx, cancel := context.WithTimeout(ctx, replicaPatience)
	defer cancel()
	p.err = pool.QueryRow(ctx, `SELECT pg_is_in_recovery(),
		coalesce((CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0')::bigint, 0),
		concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
			CASE WHEN pg_is_in_recovery()
				THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()))
				ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
			current_database(), current_schema())`).Scan(&p.recovering, &p.position, &p.history)
	return p
}

// freshness is what is known of how far a replica is behind. It goes by
// positions in the log: times would call an idle replica late, and one that has
// lost its connection on time.
type freshness struct {
	// asOf is a moment all of whose commits the replica has, in nanoseconds.
	asOf atomic.Int64
	// alone is whether the primary does not answer, and the replica was fresh when
	// it last did.
	alone atomic.Bool

	// What follows is for judge alone.
	history string
	marks   []mark // where the primary was, the latest last
	sound   bool   // when the primary last answered
}

// mark says where the primary was at a moment, or later.
type mark struct {
	at       time.Duration
	position int64
}

// maxMarks are somewhat more than are made within maxReplicaLag.
const maxMarks = 8

// judge takes what primary and replica answered, who were asked in this order
// at a moment or later.
func (f *freshness) judge(at time.Duration, primary, replica progress) {
	well := replica.err == nil && replica.recovering
	if primary.err != nil || primary.recovering {
		f.alone.Store(well && f.sound && replica.history == f.history)
		return
	}
	f.alone.Store(false)
	if !well || replica.history != primary.history {
		f.sound = false
		f.marks = f.marks[:0]
		f.leaveOut()
		return
	}
	if f.history != primary.history {
		f.history = primary.history
		f.marks = f.marks[:0]
	}
	if len(f.marks) == maxMarks {
		f.marks = append(f.marks[:0], f.marks[1:]...)
	}
	f.marks = append(f.marks, mark{at, primary.position})
	for i := len(f.marks) - 1; i >= 0; i-- {
		if f.marks[i].position <= replica.position {
			f.asOf.Store(int64(f.marks[i].at))
			break
		}
	}
	f.sound = f.usable(at, false)
}

// usable reports whether the replica is fresh enough at a moment. lenient takes
// one too of which nobody can tell, because the primary does not answer.
func (f *freshness) usable(now time.Duration, lenient bool) bool {
	return int64(now-maxReplicaLag) <= f.asOf.Load() || (lenient && f.alone.Load())
}

// leaveOut has nobody read from the replica until it is judged again.
func (f *freshness) leaveOut() {
	f.asOf.Store(math.MinInt64)
	f.alone.Store(false)
}
