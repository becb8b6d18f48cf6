-- A site: its users, tokens and projects, the audit log, and who leads.

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'removed')),
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    uids TEXT NOT NULL,
    "groups" TEXT NOT NULL,
    project TEXT NOT NULL,
    is_admin INTEGER NOT NULL CHECK (is_admin IN (0, 1)),
    about TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1)
) WITHOUT ROWID;

-- A uid is one user's.
CREATE TABLE user_uids (
    uid INTEGER PRIMARY KEY,
    name TEXT NOT NULL REFERENCES users (name)
);

CREATE INDEX user_uids_name ON user_uids (name);

-- Their secrets' hashes stand in `secrets`, by id.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users (name),
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'revoked')),
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    expires_at REAL,
    project TEXT,
    read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),
    used_at REAL,
    version INTEGER NOT NULL CHECK (version >= 1)
) WITHOUT ROWID;

CREATE UNIQUE INDEX tokens_name_live ON tokens (user, name) WHERE state = 'live';
CREATE INDEX tokens_user ON tokens (user, id);

-- claims: raised by whoever counts against a quota, so that two cannot do so at once.
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('active', 'retired')),
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    sessions_max INTEGER CHECK (sessions_max >= 0),
    jobs_max INTEGER CHECK (jobs_max >= 0),
    lease_s REAL CHECK (lease_s > 0),
    lease_s_max REAL CHECK (lease_s_max > 0),
    policies TEXT NOT NULL,
    members TEXT NOT NULL,
    about TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    claims INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- AUTOINCREMENT: a number is never given twice, whatever was dropped meanwhile.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    noun TEXT NOT NULL,
    object TEXT NOT NULL,
    "by" TEXT NOT NULL,
    "where" TEXT NOT NULL,
    request TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE INDEX audit_time ON audit (time, seq);

-- How often the lead has changed: what only the leader may do is committed only while this is as he knows it.
CREATE TABLE leader (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    fence INTEGER NOT NULL CHECK (fence >= 0)
);

INSERT INTO leader (one, fence) VALUES (1, 0);

-- Who leads, and until when by the database's clock. A table of its own: renewing it touches nobody's transaction.
CREATE TABLE terms (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    holder TEXT NOT NULL,
    until REAL NOT NULL
);

INSERT INTO terms (one, holder, until) VALUES (1, '', 0);

CREATE INDEX attachments_who ON attachments (who, id) WHERE state <> 'detached';
