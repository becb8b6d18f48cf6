-- The first schema. State names are those of the domain's enums; a test compares them.
-- Ids are UUIDv7 in text, times Unix seconds, JSON is UTF-8 text.
-- Rows that may be long (a job's command, an order's environment) stand in tables with a rowid.

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    alias TEXT,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('new', 'waiting', 'active', 'draining', 'ended')),
    created_at REAL NOT NULL,
    description TEXT NOT NULL,
    labels TEXT NOT NULL,
    policies TEXT NOT NULL,
    lease TEXT NOT NULL CHECK (lease IN ('never', 'jobs', 'until')),
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    version INTEGER NOT NULL CHECK (version >= 1),
    ended_at REAL,
    end_reason TEXT NOT NULL,
    ended_by TEXT NOT NULL,
    lease_until REAL,
    policies_at REAL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= 1),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK ((lease = 'until') = (lease_until IS NOT NULL))
) WITHOUT ROWID;

-- An alias names one living session of a project; after its end the alias is free again.
CREATE UNIQUE INDEX sessions_alias_living ON sessions (project, alias) WHERE state <> 'ended';
CREATE INDEX sessions_alias_ended ON sessions (project, alias, ended_at) WHERE state = 'ended';
CREATE INDEX sessions_living ON sessions (id) WHERE state <> 'ended';
CREATE INDEX sessions_ended_at ON sessions (ended_at) WHERE state = 'ended';

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (id),
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'starting', 'running', 'stopping', 'lost', 'ended')),
    command TEXT NOT NULL,
    tty INTEGER NOT NULL CHECK (tty IN (0, 1)),
    created_at REAL NOT NULL,
    on_lost TEXT NOT NULL CHECK (on_lost IN ('report', 'restart')),
    placement TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    incarnation TEXT NOT NULL,
    pid INTEGER,
    version INTEGER NOT NULL CHECK (version >= 1),
    started_at REAL,
    ended_at REAL,
    grace_s REAL NOT NULL,
    stop_reason TEXT NOT NULL,
    outcome TEXT,
    log TEXT NOT NULL,
    log_end INTEGER,
    left_behind TEXT NOT NULL,
    on_error TEXT CHECK (on_error IN ('report', 'restart', 'end')),
    retries_max INTEGER NOT NULL CHECK (retries_max >= 0),
    start_at REAL,
    UNIQUE (session, name)
);

CREATE INDEX jobs_living ON jobs (id) WHERE state <> 'ended';

-- What a runner needs and no event may show: environment, secret. Gone when it can't be needed again.
CREATE TABLE orders (
    job TEXT PRIMARY KEY REFERENCES jobs (id),
    body BLOB NOT NULL
);

CREATE TABLE attachments (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (id),
    job TEXT NOT NULL REFERENCES jobs (id),
    who TEXT NOT NULL,
    "where" TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('control', 'watch')),
    state TEXT NOT NULL CHECK (state IN ('stale', 'attached', 'detached')),
    created_at REAL NOT NULL,
    link_at REAL NOT NULL,
    cursor INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    detached_at REAL,
    reason TEXT CHECK (reason IN ('asked', 'closed', 'stolen', 'idle', 'slow', 'lost', 'ended', 'revoked')),
    holds INTEGER NOT NULL CHECK (holds IN (0, 1)),
    fence INTEGER NOT NULL CHECK (fence >= 0),
    active_at REAL,
    typed_at REAL,
    detached_by TEXT NOT NULL,
    via TEXT,
    CHECK ((state = 'detached') = (detached_at IS NOT NULL))
) WITHOUT ROWID;

CREATE INDEX attachments_session ON attachments (session, id);
CREATE INDEX attachments_living ON attachments (session, id) WHERE state <> 'detached';
CREATE INDEX attachments_job ON attachments (job, fence);
-- One attachment of a job holds control.
CREATE UNIQUE INDEX attachments_control ON attachments (job) WHERE holds = 1 AND state <> 'detached';
CREATE INDEX attachments_stale ON attachments (link_at, id) WHERE state = 'stale';

-- Who but the owner may do what. A link has no principal.
CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (id),
    principal TEXT,
    role TEXT NOT NULL CHECK (role IN ('observer', 'operator', 'owner')),
    state TEXT NOT NULL CHECK (state IN ('live', 'used', 'revoked', 'expired')),
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    can TEXT NOT NULL,
    expires_at REAL,
    uses INTEGER NOT NULL CHECK (uses >= 0),
    uses_max INTEGER CHECK (uses_max >= 1),
    via TEXT,
    version INTEGER NOT NULL CHECK (version >= 1),
    CHECK (uses_max IS NULL OR principal IS NULL)
) WITHOUT ROWID;

-- One live grant for a principal in a session: sharing again changes it.
CREATE UNIQUE INDEX grants_principal_live ON grants (session, principal)
    WHERE state = 'live' AND principal IS NOT NULL;
CREATE INDEX grants_session ON grants (session, id);
CREATE INDEX grants_live_of ON grants (principal, session) WHERE state = 'live' AND principal IS NOT NULL;

-- Keyed hashes of what people and programs show: links, tokens. Never in an event.
CREATE TABLE secrets (
    owner TEXT PRIMARY KEY,
    hash BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    session TEXT NOT NULL REFERENCES sessions (id),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    noun TEXT NOT NULL CHECK (noun IN ('session', 'job', 'attachment', 'grant')),
    object TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    "by" TEXT NOT NULL,
    request TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID;

-- No reference to sessions: an effect outlives what it was for.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ('start_job', 'stop_job', 'sweep_job', 'cut_attachment', 'forget_runner', 'remove_history',
            'set_control', 'signal_job', 'check_clock', 'send_notice')),
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    due_at REAL NOT NULL
);

CREATE INDEX outbox_due_at ON outbox (due_at, id);
CREATE INDEX outbox_clocks ON outbox (session, id) WHERE kind = 'check_clock';

CREATE TABLE answers (
    principal TEXT NOT NULL,
    request TEXT NOT NULL,
    digest TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (principal, request)
) WITHOUT ROWID;

CREATE INDEX answers_at ON answers (at);
