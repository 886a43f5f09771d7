package models

import "context"

// wroteAgo is the column of a query on users u that tells how long ago an
// account asked for a change, in microseconds: by one clock, the primary's, for
// the processes' may differ.
const wroteAgo = `(SELECT (extract(epoch FROM clock_timestamp() - w.noted_at) * 1000000)::bigint
	FROM recent_writers w WHERE w.user_id = u.id)`

// HasReplicas reports whether ReadReplica may give anything but Read.
func (s *Store) HasReplicas() bool { return s.replicas != nil }

// ReadReplica gives a handle for queries that may miss the commits of the last
// second, for somebody: the same replica as long as it is well, or the primary.
// Where the primary does not answer nobody can tell how far a replica is behind;
// lenient takes one then that was on time before.
func (s *Store) ReadReplica(ctx context.Context, who string, lenient bool) DB {
	if s.replicas != nil {
		if r := s.replicas.pick(who, lenient); r != nil {
			db := r.handle
			db.ctx = ctx
			return db
		}
	}
	return s.Read(ctx)
}

// NoteWriter notes that an account is about to change something, for whatever
// process it reads at next. Without replicas there is nothing to note.
func (s *Store) NoteWriter(ctx context.Context, userID int64) error {
	if s.replicas == nil {
		return nil
	}
	return s.Read(ctx).exec(`INSERT INTO recent_writers (user_id, noted_at) VALUES (?, clock_timestamp())
		ON CONFLICT (user_id) DO UPDATE SET noted_at = excluded.noted_at`, userID)
}
