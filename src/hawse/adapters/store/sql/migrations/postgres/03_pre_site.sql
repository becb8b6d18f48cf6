-- A site: its users, tokens and projects, the audit log, and who leads.

CREATE TABLE users (
    name text COLLATE "C" PRIMARY KEY,
    state text COLLATE "C" NOT NULL CHECK (state IN ('active', 'disabled', 'removed')),
    created_at double precision NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    uids text COLLATE "C" NOT NULL,
    "groups" text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    is_admin boolean NOT NULL,
    about text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version >= 1)
);

-- A uid is one user's.
CREATE TABLE user_uids (
    uid bigint PRIMARY KEY,
    name text COLLATE "C" NOT NULL REFERENCES users (name)
);

CREATE INDEX user_uids_name ON user_uids (name);

-- Their secrets' hashes stand in `secrets`, by id.
CREATE TABLE tokens (
    id text COLLATE "C" PRIMARY KEY,
    "user" text COLLATE "C" NOT NULL REFERENCES users (name),
    name text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('live', 'revoked')),
    created_at double precision NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    expires_at double precision,
    project text COLLATE "C",
    read_only boolean NOT NULL,
    used_at double precision,
    version bigint NOT NULL CHECK (version >= 1)
);

CREATE UNIQUE INDEX tokens_name_live ON tokens ("user", name) WHERE state = 'live';
CREATE INDEX tokens_user ON tokens ("user", id);

-- claims: raised by whoever counts against a quota, so that two cannot do so at once.
CREATE TABLE projects (
    name text COLLATE "C" PRIMARY KEY,
    state text COLLATE "C" NOT NULL CHECK (state IN ('active', 'retired')),
    created_at double precision NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    sessions_max bigint CHECK (sessions_max >= 0),
    jobs_max bigint CHECK (jobs_max >= 0),
    lease_s double precision CHECK (lease_s > 0),
    lease_s_max double precision CHECK (lease_s_max > 0),
    policies text COLLATE "C" NOT NULL,
    members text COLLATE "C" NOT NULL,
    about text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version >= 1),
    claims bigint NOT NULL DEFAULT 0
);

-- Numbers come from a sequence, taken under a lock that lasts to the end of the transaction: they rise with the commits.
CREATE SEQUENCE audit_seq;

CREATE TABLE audit (
    seq bigint PRIMARY KEY,
    time double precision NOT NULL,
    kind text COLLATE "C" NOT NULL,
    noun text COLLATE "C" NOT NULL,
    object text COLLATE "C" NOT NULL,
    "by" text COLLATE "C" NOT NULL,
    "where" text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    detail text COLLATE "C" NOT NULL
);

CREATE INDEX audit_time ON audit (time, seq);

-- How often the lead has changed: what only the leader may do is committed only while this is as he knows it.
CREATE TABLE leader (
    one bigint PRIMARY KEY CHECK (one = 1),
    fence bigint NOT NULL CHECK (fence >= 0)
);

INSERT INTO leader (one, fence) VALUES (1, 0);

-- Who leads, and until when by the database's clock. A table of its own: renewing it touches nobody's transaction.
CREATE TABLE terms (
    one bigint PRIMARY KEY CHECK (one = 1),
    holder text COLLATE "C" NOT NULL,
    until double precision NOT NULL
);

INSERT INTO terms (one, holder, until) VALUES (1, '', 0);

CREATE INDEX attachments_who ON attachments (who, id) WHERE state <> 'detached';
