-- The outbox: what must happen after the commit.

-- columns: effect
id, session, kind, body, attempts, due_at

-- name: effect_add
INSERT INTO outbox (session, kind, body, attempts, due_at) VALUES (:session, :kind, :body, 0, :due_at)

-- name: effects_due
SELECT {effect} FROM outbox WHERE due_at <= :now ORDER BY due_at, id LIMIT :limit

-- name: effect_next_at
SELECT min(due_at) FROM outbox WHERE due_at > :after

-- name: clock_checks_of_session
SELECT {effect} FROM outbox WHERE session = :session AND kind = 'check_clock' ORDER BY id

-- name: effect_done
DELETE FROM outbox WHERE id = :id

-- name: effect_failed
UPDATE outbox SET attempts = attempts + 1, due_at = :due_at WHERE id = :id
