package models

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Server is what a server of PostgreSQL tells of itself.
type Server struct {
	Version, Encoding, SynchronousCommit string
	Checksums                            bool
	// Replica is whether it follows another one, and Replayed when what it has
	// last taken over was committed there; zero for never.
	Replica  bool
	Replayed time.Time
	// Followers are the replicas that are connected to it.
	Followers []Follower
}

// Follower is a connection to a replica. What a role may not see is empty.
type Follower struct {
	Name, State string
	Behind      sql.NullInt64 // in bytes of the log
}

// examineServer asks for what decides whether it keeps what it acknowledges.
func examineServer(ctx context.Context, conn *sql.Conn, found *Examination) error {
	var s Server
	var fsync, fullPages bool
	var replayed sql.NullTime
	err := conn.QueryRowContext(ctx, `SELECT current_setting('server_version'), current_setting('server_encoding'), current_setting('synchronous_commit'),
		current_setting('data_checksums')::bool, current_setting('fsync')::bool, current_setting('full_page_writes')::bool,
		pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END, pg_database_size(current_database())`).
		Scan(&s.Version, &s.Encoding, &s.SynchronousCommit, &s.Checksums, &fsync, &fullPages, &s.Replica, &replayed, &found.Size)
	if err != nil {
		return translate(err)
	}
	s.Replayed = replayed.Time
	add := func(harmless bool, problem string) {
		found.Faults = append(found.Faults, Fault{AreaServer, harmless, problem})
	}
	if s.Encoding != "UTF8" {
		add(false, fmt.Sprintf("The encoding of the database is %s: create it with ENCODING 'UTF8'.", s.Encoding))
	}
	if s.SynchronousCommit == "off" {
		add(false, "synchronous_commit is off: a crash loses what was acknowledged. Set it to on.")
	}
	if !fsync {
		add(false, "fsync is off: a crash of the machine may damage the database and lose what was acknowledged. Set it to on.")
	}
	if !fullPages {
		add(true, "full_page_writes is off: unless the file system never writes half of a page, a crash of the machine may damage the database.")
	}
	rights, err := rightsOf(ctx, conn, len(found.Pending) > 0)
	if err != nil {
		return err
	}
	// Harmless: to examine it, a role that may read is enough.
	switch {
	case s.Replica:
		add(true, "It is a replica, which takes no writes: Dueto serves on the primary.")
	case rights.ReadOnly != "":
		add(true, "It takes no writes, so that no server could be run on it: "+rights.ReadOnly+".")
	}
	for _, lacking := range rights.Lacking {
		add(true, fmt.Sprintf("No server could be run as the role %s: it lacks %s.", rights.Role, lacking.What))
	}
	s.Followers, err = followers(ctx, conn)
	found.Server = &s
	return err
}

func followers(ctx context.Context, conn *sql.Conn) (list []Follower, err error) {
	err = eachOn(ctx, conn, func(rows row) error {
		var f Follower
		err := rows.Scan(&f.Name, &f.State, &f.Behind)
		f.Behind.Int64 = max(0, f.Behind.Int64) // it moved on while it was asked
		list = append(list, f)
		return err
	}, `SELECT coalesce(nullif(application_name, ''), 'a replica') || coalesce(' at ' || host(client_addr), ''), coalesce(state, ''),
			pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, replay_lsn)::bigint
		FROM pg_stat_replication ORDER BY 1`)
	return list, err
}
