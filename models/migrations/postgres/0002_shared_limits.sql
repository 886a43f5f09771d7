-- What the processes over this database count together: how often who asks for
-- what, and failed comparisons of passwords. Keys are keyed hashes: neither an
-- address nor a name can be had from them. Not logged, for it is written often
-- and may be lost: a server that crashed, or a replica that took over, begins
-- to count anew, as a process that was started again does on SQLite.

CREATE UNLOGGED TABLE shared_limits (
    key   BYTEA  NOT NULL PRIMARY KEY,
    due   BIGINT NOT NULL,                   -- when the next request would be due if those so far had come evenly spaced
    at    BIGINT NOT NULL,                   -- when somebody last asked
    taken BIGINT NOT NULL                    -- how many requests were allowed to them
) WITH (fillfactor = 50);                    -- room for the next version of a row beside it

CREATE UNLOGGED TABLE shared_failures (
    key    BYTEA  NOT NULL PRIMARY KEY,
    n      BIGINT NOT NULL,                  -- attempts that failed, or have begun and may fail
    last   BIGINT NOT NULL,                  -- when the last of them began
    before BIGINT NOT NULL,                  -- when the one before it did
    wait   BIGINT NOT NULL                   -- how long who last asked has to wait; 0: they may begin
) WITH (fillfactor = 50);
