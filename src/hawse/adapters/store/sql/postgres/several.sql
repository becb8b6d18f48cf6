-- Rows of many sessions at once; `sessions` is a JSON array of ids.

-- name: jobs_of_sessions
SELECT {job} FROM jobs
WHERE session = ANY (ARRAY(SELECT json_array_elements_text(CAST(:sessions AS json)))) ORDER BY id

-- name: attachments_of_sessions
SELECT {attachment} FROM attachments
WHERE session = ANY (ARRAY(SELECT json_array_elements_text(CAST(:sessions AS json)))) AND state <> 'detached' ORDER BY id

-- name: sessions_of_all
-- One's own, and what is shared with oneself; of one project, or of any (''). `principals` is a JSON array.
SELECT {session} FROM sessions
WHERE id > :after AND (:project = '' OR project = :project) AND (
    (:own AND owner = :owner)
    OR (:shared AND owner <> :owner AND id IN (
        SELECT session FROM grants
        WHERE state = 'live' AND principal IN (SELECT json_array_elements_text(CAST(:principals AS json)))
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
        WHERE state = 'live' AND principal IN (SELECT json_array_elements_text(CAST(:principals AS json)))
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
        WHERE state = 'live' AND principal IN (SELECT json_array_elements_text(CAST(:principals AS json)))
            AND (expires_at IS NULL OR expires_at > :now)))
)
ORDER BY id LIMIT :limit

-- name: audit_lock
-- Held to the end of the transaction, so that numbers rise in the order of commits. 0x68617775
SELECT pg_advisory_xact_lock(1751218037)

-- name: audit_next
SELECT nextval('audit_seq')

-- name: leader_fence
SELECT fence FROM leader WHERE one = 1

-- name: leader_fence_held
-- Whoever takes the lead waits for this transaction; one that began before the lead was taken fails and is run again.
-- A leader that hangs within one does not keep the next from it: the database ends such a transaction.
SELECT fence, set_config('idle_in_transaction_session_timeout', '5s', true) FROM leader WHERE one = 1 FOR SHARE
