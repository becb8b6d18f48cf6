-- Attachments. `where` and `by` are words of SQL, so they are quoted.

-- columns: attachment
id, session, job, who, "where", mode, state, created_at, link_at, cursor, version, detached_at, reason, holds, fence,
active_at, detached_by, via

-- name: attachment_by_id
SELECT {attachment} FROM attachments WHERE id = :id

-- name: attachments_all
SELECT {attachment} FROM attachments WHERE session = :session ORDER BY id

-- name: attachments_living
SELECT {attachment} FROM attachments WHERE session = :session AND state <> 'detached' ORDER BY id

-- name: attachments_stale
-- Longest without a link first.
SELECT {attachment} FROM attachments WHERE state = 'stale' ORDER BY link_at, id LIMIT :limit

-- name: attachment_insert
INSERT INTO attachments ({attachment})
VALUES (:id, :session, :job, :who, :where, :mode, :state, :created_at, :link_at, :cursor, :version, :detached_at, :reason,
    :holds, :fence, :active_at, :detached_by, :via)

-- name: attachment_update
UPDATE attachments SET who = :who, "where" = :where, mode = :mode, state = :state, link_at = :link_at,
    cursor = :cursor, version = version + 1, detached_at = :detached_at, reason = :reason,
    holds = :holds, fence = :fence, active_at = :active_at, detached_by = :detached_by
WHERE id = :id AND version = :version

-- name: attachment_remove
DELETE FROM attachments WHERE id = :id AND version = :version

-- name: attachments_remove
DELETE FROM attachments WHERE session = :session

-- name: attachment_fence
-- The highest that was ever given out for a job.
SELECT max(fence) FROM attachments WHERE job = :job

-- name: attachments_of_job
SELECT {attachment} FROM attachments WHERE job = :job AND state <> 'detached' ORDER BY id

-- name: attachment_last_detached
-- One that was never linked does not count.
SELECT max(detached_at) FROM attachments WHERE session = :session AND state = 'detached' AND link_at > created_at

-- name: attachments_of_principal
SELECT {attachment} FROM attachments WHERE who = :who AND state <> 'detached' ORDER BY id
