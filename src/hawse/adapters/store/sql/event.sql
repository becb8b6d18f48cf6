-- The log: one numbered event per change.

-- columns: event
session, seq, time, kind, noun, object, before, after, "by", request, detail

-- name: event_number_taken
-- The next event number of a session whose row does not change itself; no row: there is no such session.
UPDATE sessions SET last_seq = last_seq + 1 WHERE id = :session

-- name: event_append
INSERT INTO events ({event}) VALUES (:session, :seq, :time, :kind, :noun, :object, :before, :after, :by, :request,
    :detail)

-- name: events_of_session
SELECT {event} FROM events WHERE session = :session AND seq > :after ORDER BY seq LIMIT :limit

-- name: event_last_seq
SELECT last_seq FROM sessions WHERE id = :session

-- name: events_remove
DELETE FROM events WHERE session = :session
