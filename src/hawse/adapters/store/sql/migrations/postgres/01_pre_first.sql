-- The first schema. State names are those of the domain's enums; a test compares them.
-- Ids are UUIDv7 in text (compared byte by byte), times Unix seconds, JSON is UTF-8 text.

CREATE TABLE sessions (
    id text COLLATE "C" PRIMARY KEY,
    project text COLLATE "C" NOT NULL,
    alias text COLLATE "C",
    owner text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('new', 'waiting', 'active', 'draining', 'ended')),
    created_at double precision NOT NULL,
    description text COLLATE "C" NOT NULL,
    labels text COLLATE "C" NOT NULL,
    policies text COLLATE "C" NOT NULL,
    lease text COLLATE "C" NOT NULL CHECK (lease IN ('never', 'jobs')),
    epoch bigint NOT NULL CHECK (epoch >= 1),
    version bigint NOT NULL CHECK (version >= 1),
    ended_at double precision,
    end_reason text COLLATE "C" NOT NULL,
    ended_by text COLLATE "C" NOT NULL,
    last_seq bigint NOT NULL CHECK (last_seq >= 1),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);

-- An alias names one living session of a project; after its end the alias is free again.
CREATE UNIQUE INDEX sessions_alias_living ON sessions (project, alias) WHERE state <> 'ended';
CREATE INDEX sessions_alias_ended ON sessions (project, alias, ended_at) WHERE state = 'ended';
CREATE INDEX sessions_living ON sessions (id) WHERE state <> 'ended';
CREATE INDEX sessions_ended_at ON sessions (ended_at) WHERE state = 'ended';

CREATE TABLE jobs (
    id text COLLATE "C" PRIMARY KEY,
    session text COLLATE "C" NOT NULL REFERENCES sessions (id),
    name text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'starting', 'running', 'stopping', 'lost', 'ended')),
    command text COLLATE "C" NOT NULL,
    tty boolean NOT NULL,
    created_at double precision NOT NULL,
    on_lost text COLLATE "C" NOT NULL CHECK (on_lost IN ('report', 'restart')),
    placement text COLLATE "C" NOT NULL,
    attempt bigint NOT NULL CHECK (attempt >= 1),
    incarnation text COLLATE "C" NOT NULL,
    pid bigint,
    version bigint NOT NULL CHECK (version >= 1),
    started_at double precision,
    ended_at double precision,
    grace_s double precision NOT NULL,
    stop_reason text COLLATE "C" NOT NULL,
    outcome text COLLATE "C",
    log text COLLATE "C" NOT NULL,
    log_end bigint,
    left_behind text COLLATE "C" NOT NULL,
    UNIQUE (session, name)
);

CREATE INDEX jobs_living ON jobs (id) WHERE state <> 'ended';

-- What a runner needs and no event may show: environment, secret. Gone when it can't be needed again.
CREATE TABLE orders (
    job text COLLATE "C" PRIMARY KEY REFERENCES jobs (id),
    body bytea NOT NULL
);

CREATE TABLE attachments (
    id text COLLATE "C" PRIMARY KEY,
    session text COLLATE "C" NOT NULL REFERENCES sessions (id),
    job text COLLATE "C" NOT NULL REFERENCES jobs (id),
    who text COLLATE "C" NOT NULL,
    "where" text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL CHECK (mode IN ('control', 'watch')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('stale', 'attached', 'detached')),
    created_at double precision NOT NULL,
    link_at double precision NOT NULL,
    cursor bigint NOT NULL,
    version bigint NOT NULL CHECK (version >= 1),
    detached_at double precision,
    reason text COLLATE "C" CHECK (reason IN ('asked', 'closed', 'stolen', 'idle', 'slow', 'lost', 'ended')),
    CHECK ((state = 'detached') = (detached_at IS NOT NULL))
);

CREATE INDEX attachments_session ON attachments (session, id);
CREATE INDEX attachments_living ON attachments (session, id) WHERE state <> 'detached';
CREATE INDEX attachments_job ON attachments (job);
CREATE INDEX attachments_stale ON attachments (link_at, id) WHERE state = 'stale';

CREATE TABLE events (
    session text COLLATE "C" NOT NULL REFERENCES sessions (id),
    seq bigint NOT NULL CHECK (seq >= 1),
    time double precision NOT NULL,
    kind text COLLATE "C" NOT NULL,
    noun text COLLATE "C" NOT NULL CHECK (noun IN ('session', 'job', 'attachment')),
    object text COLLATE "C" NOT NULL,
    before text COLLATE "C" NOT NULL,
    after text COLLATE "C" NOT NULL,
    "by" text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    PRIMARY KEY (session, seq)
);

-- No reference to sessions: an effect outlives what it was for.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL
        CHECK (kind IN ('start_job', 'stop_job', 'sweep_job', 'cut_attachment', 'forget_runner', 'remove_history')),
    body text COLLATE "C" NOT NULL,
    attempts bigint NOT NULL CHECK (attempts >= 0),
    due_at double precision NOT NULL
);

CREATE INDEX outbox_due_at ON outbox (due_at);

CREATE TABLE answers (
    principal text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    status bigint NOT NULL,
    body bytea NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (principal, request)
);

CREATE INDEX answers_at ON answers (at);
