-- Sessions. A statement's name is how Python asks for it; `{session}` stands for the columns below.

-- columns: session
id, project, alias, owner, state, created_at, description, labels, policies, lease, epoch, version, ended_at, end_reason,
ended_by, lease_until, policies_at

-- name: session_by_id
SELECT {session} FROM sessions WHERE id = :id

-- name: session_living_named
-- At most one: the partial unique index sees to it.
SELECT {session} FROM sessions WHERE project = :project AND alias = :alias AND state <> 'ended'

-- name: session_ended_named
-- The one that ended last.
SELECT {session} FROM sessions
WHERE project = :project AND alias = :alias AND state = 'ended'
ORDER BY ended_at DESC, id DESC LIMIT 1

-- name: sessions_all
SELECT {session} FROM sessions WHERE id > :after ORDER BY id LIMIT :limit

-- name: sessions_living
SELECT {session} FROM sessions WHERE id > :after AND state <> 'ended' ORDER BY id LIMIT :limit

-- name: sessions_ended
SELECT {session} FROM sessions WHERE id > :after AND state = 'ended' ORDER BY id LIMIT :limit

-- name: project_sessions_all
SELECT {session} FROM sessions WHERE project = :project AND id > :after ORDER BY id LIMIT :limit

-- name: project_sessions_living
SELECT {session} FROM sessions WHERE project = :project AND id > :after AND state <> 'ended' ORDER BY id LIMIT :limit

-- name: project_sessions_ended
SELECT {session} FROM sessions WHERE project = :project AND id > :after AND state = 'ended' ORDER BY id LIMIT :limit

-- name: session_ids_ended_before
-- Longest ended first.
SELECT id FROM sessions WHERE state = 'ended' AND ended_at < :time ORDER BY ended_at, id LIMIT :limit

-- name: session_insert
-- Its creation is its first event.
INSERT INTO sessions ({session}, last_seq)
VALUES (:id, :project, :alias, :owner, :state, :created_at, :description, :labels, :policies, :lease, :epoch, :version,
    :ended_at, :end_reason, :ended_by, :lease_until, :policies_at, 1)

-- name: session_update
-- Compare the version and take the next event number in one step. What an index holds stays as it is.
UPDATE sessions SET owner = :owner, description = :description, labels = :labels, policies = :policies, lease = :lease,
    epoch = :epoch, version = version + 1, end_reason = :end_reason, ended_by = :ended_by,
    lease_until = :lease_until, policies_at = :policies_at, last_seq = last_seq + 1
WHERE id = :id AND version = :version

-- name: session_update_indexed
-- The same with the rest.
UPDATE sessions SET alias = :alias, owner = :owner, state = :state, description = :description, labels = :labels,
    policies = :policies, lease = :lease, epoch = :epoch, version = version + 1, ended_at = :ended_at,
    end_reason = :end_reason, ended_by = :ended_by,
    lease_until = :lease_until, policies_at = :policies_at, last_seq = last_seq + 1
WHERE id = :id AND version = :version

-- name: session_remove
DELETE FROM sessions WHERE id = :session
