-- Times are microseconds since 1970-01-01T00:00:00Z: they sort as integers and
-- need no parsing on the way out. Ids are AUTOINCREMENT so that a deleted id
-- never comes back to mean somebody else.

-- "Duet": the file is ours, and not another program's.
PRAGMA application_id = 1148544372;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT    NOT NULL,
    username_key  TEXT    NOT NULL UNIQUE,            -- lower-case form: names differ by more than case
    email         TEXT    NOT NULL,                   -- as typed: mail goes here
    email_key     TEXT    NOT NULL UNIQUE,            -- canonical form
    password_hash TEXT    NOT NULL,
    is_staff      BOOLEAN NOT NULL DEFAULT FALSE,
    permissions   TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(permissions)),
    time_zone     TEXT    NOT NULL DEFAULT 'UTC',
    date_joined   INTEGER NOT NULL,
    activated_at  INTEGER,                            -- NULL: never confirmed
    disabled_at   INTEGER,                            -- set by an operator, undone by an operator only
    last_login    INTEGER,
    password_changed_at INTEGER NOT NULL,             -- not moved by hashing the same password anew
    version       INTEGER NOT NULL DEFAULT 1
);

CREATE INDEX users_by_joined ON users (date_joined, id);

CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation   INTEGER NOT NULL,                    -- the only refresh token that is live carries this number
    created_at   INTEGER NOT NULL,
    rotated_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    user_agent   TEXT    NOT NULL DEFAULT '',
    address      TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX sessions_by_user ON sessions (user_id, last_used_at);

CREATE TABLE tasks (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    title       TEXT    NOT NULL CHECK (length(title) BETWEEN 1 AND 100),
    description TEXT    NOT NULL DEFAULT '',
    due_to      INTEGER,
    done        BOOLEAN NOT NULL DEFAULT FALSE,
    done_at     INTEGER,
    priority    INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 4),
    tags        TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(tags)),
    private     BOOLEAN NOT NULL DEFAULT FALSE,
    person_id   INTEGER REFERENCES users (id) ON DELETE SET NULL,
    created_by  INTEGER REFERENCES users (id) ON DELETE SET NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL DEFAULT 1
);

-- One index per sort key. Ties go by ascending id in both directions: where a
-- key has few values, and so many ties, the descending order has an index of
-- its own. A missing due date sorts last both ways, hence the two expressions,
-- which the queries repeat to the letter.
CREATE INDEX tasks_by_due         ON tasks (coalesce(due_to, 9223372036854775807), id);
CREATE INDEX tasks_by_due_desc    ON tasks (coalesce(due_to, -9223372036854775808) DESC, id);
CREATE INDEX tasks_by_priority    ON tasks (priority, id);
CREATE INDEX tasks_by_priority_desc ON tasks (priority DESC, id);
CREATE INDEX tasks_by_title       ON tasks (title, id);
CREATE INDEX tasks_by_created     ON tasks (created_at, id);
CREATE INDEX tasks_by_updated     ON tasks (updated_at, id);
-- A person's open tasks by due date; its prefix serves the filter by person.
CREATE INDEX tasks_by_person      ON tasks (person_id, done, coalesce(due_to, 9223372036854775807), id);
-- The newest visible ids and the count of each account in a list of users.
CREATE INDEX tasks_of_person      ON tasks (person_id, id, private, created_by);
CREATE INDEX tasks_by_creator     ON tasks (created_by, id);

-- The row that a readiness check writes.
CREATE TABLE store_probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
);
INSERT INTO store_probe (id, at) VALUES (1, 0);
