-- Rows of many sessions at once; `sessions` is a JSON array of ids.

-- name: jobs_of_sessions
SELECT {job} FROM jobs WHERE session IN (SELECT value FROM json_each(:sessions)) ORDER BY id

-- name: attachments_of_sessions
SELECT {attachment} FROM attachments
WHERE session IN (SELECT value FROM json_each(:sessions)) AND state <> 'detached' ORDER BY id

-- name: sessions_of_all
-- One's own, and what is shared with oneself; of one project, or of any (''). `principals` is a JSON array.
SELECT {session} FROM sessions
WHERE id > :after AND (:project = '' OR project = :project) AND (
    (:own AND owner = :owner)
    OR (:shared AND owner <> :owner AND id IN (
        SELECT session FROM grants
        WHERE state = 'live' AND principal IN (SELECT value FROM json_each(:principals))
            AND (expires_at IS NULL OR expires_at > :now)))
)
ORDER BY id LIMIT :limit

-- name: sessions_of_living
-- One's own, and what is shared with oneself; of one project, or of any (''). `principals` is a JSON array.
SELECT {session} FROM sessions
WHERE id > :after AND state <> 'ended' AND (:project = '' OR project = :project) AND (
    (:own AND owner = :owner)
    OR (:shared AND owner <> :owner AND id IN (
        SELECT session FROM grants
        WHERE state = 'live' AND principal IN (SELECT value FROM json_each(:principals))
            AND (expires_at IS NULL OR expires_at > :now)))
)
ORDER BY id LIMIT :limit

-- name: sessions_of_ended
-- One's own, and what is shared with oneself; of one project, or of any (''). `principals` is a JSON array.
SELECT {session} FROM sessions
WHERE id > :after AND state = 'ended' AND (:project = '' OR project = :project) AND (
    (:own AND owner = :owner)
    OR (:shared AND owner <> :owner AND id IN (
        SELECT session FROM grants
        WHERE state = 'live' AND principal IN (SELECT value FROM json_each(:principals))
            AND (expires_at IS NULL OR expires_at > :now)))
)
ORDER BY id LIMIT :limit

-- name: audit_lock
-- Nobody else writes while a unit does.
SELECT 1

-- name: audit_next
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0) + 1

-- name: leader_fence
SELECT fence FROM leader WHERE one = 1

-- name: leader_fence_held
SELECT fence FROM leader WHERE one = 1
