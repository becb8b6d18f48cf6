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
    lease text COLLATE "C" NOT NULL CHECK (lease IN ('never', 'jobs', 'until')),
    epoch bigint NOT NULL CHECK (epoch >= 1),
    version bigint NOT NULL CHECK (version >= 1),
    ended_at double precision,
    end_reason text COLLATE "C" NOT NULL,
    ended_by text COLLATE "C" NOT NULL,
    lease_until double precision,
    policies_at double precision,
    last_seq bigint NOT NULL CHECK (last_seq >= 1),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK ((lease = 'until') = (lease_until IS NOT NULL))
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
    on_error text COLLATE "C" CHECK (on_error IN ('report', 'restart', 'end')),
    retries_max bigint NOT NULL CHECK (retries_max >= 0),
    start_at double precision,
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
    reason text COLLATE "C" CHECK (reason IN ('asked', 'closed', 'stolen', 'idle', 'slow', 'lost', 'ended', 'revoked')),
    holds boolean NOT NULL,
    fence bigint NOT NULL CHECK (fence >= 0),
    active_at double precision,
    typed_at double precision,
    detached_by text COLLATE "C" NOT NULL,
    via text COLLATE "C",
    CHECK ((state = 'detached') = (detached_at IS NOT NULL))
);

CREATE INDEX attachments_session ON attachments (session, id);
CREATE INDEX attachments_living ON attachments (session, id) WHERE state <> 'detached';
CREATE INDEX attachments_job ON attachments (job, fence);
-- One attachment of a job holds control.
CREATE UNIQUE INDEX attachments_control ON attachments (job) WHERE holds AND state <> 'detached';
CREATE INDEX attachments_stale ON attachments (link_at, id) WHERE state = 'stale';

-- Who but the owner may do what. A link has no principal.
CREATE TABLE grants (
    id text COLLATE "C" PRIMARY KEY,
    session text COLLATE "C" NOT NULL REFERENCES sessions (id),
    principal text COLLATE "C",
    role text COLLATE "C" NOT NULL CHECK (role IN ('observer', 'operator', 'owner')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('live', 'used', 'revoked', 'expired')),
    created_at double precision NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    can text COLLATE "C" NOT NULL,
    expires_at double precision,
    uses bigint NOT NULL CHECK (uses >= 0),
    uses_max bigint CHECK (uses_max >= 1),
    via text COLLATE "C",
    version bigint NOT NULL CHECK (version >= 1),
    CHECK (uses_max IS NULL OR principal IS NULL)
);

-- One live grant for a principal in a session: sharing again changes it.
CREATE UNIQUE INDEX grants_principal_live ON grants (session, principal)
    WHERE state = 'live' AND principal IS NOT NULL;
CREATE INDEX grants_session ON grants (session, id);
CREATE INDEX grants_live_of ON grants (principal, session) WHERE state = 'live' AND principal IS NOT NULL;

-- Keyed hashes of what people and programs show: links, tokens. Never in an event.
CREATE TABLE secrets (
    owner text COLLATE "C" PRIMARY KEY,
    hash bytea NOT NULL
);

CREATE TABLE events (
    session text COLLATE "C" NOT NULL REFERENCES sessions (id),
    seq bigint NOT NULL CHECK (seq >= 1),
    time double precision NOT NULL,
    kind text COLLATE "C" NOT NULL,
    noun text COLLATE "C" NOT NULL CHECK (noun IN ('session', 'job', 'attachment', 'grant')),
    object text COLLATE "C" NOT NULL,
    before text COLLATE "C" NOT NULL,
    after text COLLATE "C" NOT NULL,
    "by" text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    detail text COLLATE "C" NOT NULL,
    PRIMARY KEY (session, seq)
);

-- No reference to sessions: an effect outlives what it was for.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL
        CHECK (kind IN ('start_job', 'stop_job', 'sweep_job', 'cut_attachment', 'forget_runner', 'remove_history',
            'set_control', 'signal_job', 'check_clock', 'send_notice')),
    body text COLLATE "C" NOT NULL,
    attempts bigint NOT NULL CHECK (attempts >= 0),
    due_at double precision NOT NULL
);

CREATE INDEX outbox_due_at ON outbox (due_at, id);
CREATE INDEX outbox_clocks ON outbox (session, id) WHERE kind = 'check_clock';

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
