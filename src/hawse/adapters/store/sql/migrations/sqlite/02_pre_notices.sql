-- Notices: how people want to be told, and what each is to be told, once.
CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    name TEXT NOT NULL,
    means TEXT NOT NULL CHECK (means IN ('webhook', 'mail', 'command', 'desktop')),
    state TEXT NOT NULL CHECK (state IN ('on', 'off')),
    created_at REAL NOT NULL,
    settings TEXT NOT NULL,
    kinds TEXT NOT NULL,
    sessions TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    UNIQUE (principal, name)
);

CREATE INDEX channels_on ON channels (principal, id) WHERE state = 'on';

-- No reference to sessions: a notice of a session's end may outlive it for a while.
CREATE TABLE notices (
    id TEXT PRIMARY KEY,
    channel TEXT NOT NULL REFERENCES channels (id),
    principal TEXT NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ('job_started', 'job_ended', 'job_failed', 'job_lost', 'job_waits', 'lease_ends', 'connect_by',
            'taken_over', 'shared', 'refused', 'session_ended', 'test')),
    session TEXT NOT NULL,
    seq INTEGER NOT NULL CHECK (seq >= 0),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed', 'withdrawn')),
    created_at REAL NOT NULL,
    due_at REAL NOT NULL,
    since REAL NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    command TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    cause TEXT NOT NULL,
    sent_at REAL,
    version INTEGER NOT NULL CHECK (version >= 1),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);

-- One event is told once over one channel. A test (seq 0) is no event.
CREATE UNIQUE INDEX notices_once ON notices (channel, session, seq) WHERE seq > 0;
CREATE INDEX notices_due ON notices (due_at, id) WHERE state = 'waiting';
CREATE INDEX notices_channel ON notices (channel, id);
CREATE INDEX notices_principal ON notices (principal, id);
CREATE INDEX notices_session ON notices (session);
