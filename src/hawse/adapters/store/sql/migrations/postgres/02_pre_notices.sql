-- Notices: how people want to be told, and what each is to be told, once.
CREATE TABLE channels (
    id text COLLATE "C" PRIMARY KEY,
    principal text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    means text COLLATE "C" NOT NULL CHECK (means IN ('webhook', 'mail', 'command', 'desktop')),
    state text COLLATE "C" NOT NULL CHECK (state IN ('on', 'off')),
    created_at double precision NOT NULL,
    settings text COLLATE "C" NOT NULL,
    kinds text COLLATE "C" NOT NULL,
    sessions text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version >= 1),
    UNIQUE (principal, name)
);

CREATE INDEX channels_on ON channels (principal, id) WHERE state = 'on';

-- No reference to sessions: a notice of a session's end may outlive it for a while.
CREATE TABLE notices (
    id text COLLATE "C" PRIMARY KEY,
    channel text COLLATE "C" NOT NULL REFERENCES channels (id),
    principal text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL
        CHECK (kind IN ('job_started', 'job_ended', 'job_failed', 'job_lost', 'job_waits', 'lease_ends', 'connect_by',
            'taken_over', 'shared', 'refused', 'session_ended', 'test')),
    session text COLLATE "C" NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 0),
    state text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'sent', 'failed', 'withdrawn')),
    created_at double precision NOT NULL,
    due_at double precision NOT NULL,
    since double precision NOT NULL,
    subject text COLLATE "C" NOT NULL,
    text text COLLATE "C" NOT NULL,
    command text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    attempts bigint NOT NULL CHECK (attempts >= 0),
    cause text COLLATE "C" NOT NULL,
    sent_at double precision,
    version bigint NOT NULL CHECK (version >= 1),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);

-- One event is told once over one channel. A test (seq 0) is no event.
CREATE UNIQUE INDEX notices_once ON notices (channel, session, seq) WHERE seq > 0;
CREATE INDEX notices_due ON notices (due_at, id) WHERE state = 'waiting';
CREATE INDEX notices_channel ON notices (channel, id);
CREATE INDEX notices_principal ON notices (principal, id);
CREATE INDEX notices_session ON notices (session);
