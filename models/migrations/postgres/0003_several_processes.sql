-- When an account last asked for a change, while there are replicas: until they
-- have it for sure, it reads from the primary. Unlogged: after a crash or a
-- failover nobody misses it, and to note it waits for no disk.
CREATE UNLOGGED TABLE recent_writers (
    user_id  BIGINT PRIMARY KEY,
    noted_at TIMESTAMPTZ NOT NULL
);

-- What the secrets of this database's servers are known by. A server whose own
-- are not among them would refuse the others' tokens.
CREATE TABLE secret_fingerprints (
    fingerprint TEXT COLLATE "C" PRIMARY KEY,
    since       BIGINT NOT NULL
);
