-- A new address that waits for its confirmation, as typed; '' where there is none.
ALTER TABLE users ADD COLUMN pending_email TEXT NOT NULL DEFAULT '';

-- How the session's tokens are carried: json, one-cookie or two-cookies.
ALTER TABLE sessions ADD COLUMN mode TEXT NOT NULL DEFAULT 'json';

-- Names that were asked for together with an address that has an account. They
-- stay taken, so that asking for one again does not tell what became of it.
CREATE TABLE reserved_names (
    username_key TEXT    NOT NULL PRIMARY KEY,
    reserved_at  INTEGER NOT NULL
);

CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    key_hash     TEXT    NOT NULL UNIQUE,             -- SHA-256 in hexadecimal; the key itself is nowhere
    last_four    TEXT    NOT NULL,                    -- of the key's checksum
    permissions  TEXT    CHECK (permissions IS NULL OR json_valid(permissions)), -- NULL: all that the account may do
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
);
CREATE INDEX api_tokens_by_user ON api_tokens (user_id, id);

-- Messages: what one is about and for whom. Its text, and any link in it, is
-- made when it is sent.
CREATE TABLE outbox (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT    NOT NULL,
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    address         TEXT    NOT NULL DEFAULT '',      -- where it goes, if not to the account's address of the day
    state           TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed', 'dropped')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,                 -- while one is being sent: when it is taken for lost
    finished_at     INTEGER,
    last_error      TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX outbox_waiting ON outbox (next_attempt_at, id) WHERE state = 'waiting';
CREATE INDEX outbox_finished ON outbox (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX outbox_by_user ON outbox (user_id);

-- What happened to an account, for its owner and the staff.
CREATE TABLE security_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    event      TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    by_id      INTEGER,                               -- who did it, where somebody else did
    session_id INTEGER,
    address    TEXT    NOT NULL DEFAULT '',
    request_id TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX security_events_by_user ON security_events (user_id, id);
CREATE INDEX security_events_by_kind ON security_events (user_id, event, id);
