-- Channels, and the notices that are told over them.

-- columns: channel
id, principal, name, means, state, created_at, settings, kinds, sessions, version

-- columns: notice
id, channel, principal, kind, session, seq, state, created_at, due_at, since, subject, text, command, body, attempts,
cause, sent_at, version

-- name: channel_by_id
SELECT {channel} FROM channels WHERE id = :id

-- name: channel_named
SELECT {channel} FROM channels WHERE principal = :principal AND name = :name

-- name: channels_of_principal
SELECT {channel} FROM channels WHERE principal = :principal ORDER BY id

-- name: channels_on
SELECT {channel} FROM channels WHERE state = 'on' ORDER BY id

-- name: channel_insert
INSERT INTO channels ({channel})
VALUES (:id, :principal, :name, :means, :state, :created_at, :settings, :kinds, :sessions, :version)

-- name: channel_update
UPDATE channels SET name = :name, state = :state, settings = :settings, kinds = :kinds, sessions = :sessions,
    version = version + 1
WHERE id = :id AND version = :version

-- name: channel_remove
DELETE FROM channels WHERE id = :id AND version = :version

-- name: effect_add_if_told
-- An event is only looked at when somebody wants to be told of anything.
INSERT INTO outbox (session, kind, body, attempts, due_at)
SELECT CAST(:session AS text), 'send_notice', CAST(:body AS text), 0, CAST(:due_at AS double precision)
WHERE EXISTS (SELECT 1 FROM channels WHERE state = 'on')

-- name: notice_by_id
SELECT {notice} FROM notices WHERE id = :id

-- name: notice_of_event
SELECT 1 FROM notices WHERE channel = :channel AND session = :session AND seq = :seq AND seq > 0

-- name: notices_of_principal
-- Newest first.
SELECT {notice} FROM notices WHERE principal = :principal AND id < :before ORDER BY id DESC LIMIT :limit

-- name: notices_of_principal_in_state
SELECT {notice} FROM notices WHERE principal = :principal AND state = :state AND id < :before
ORDER BY id DESC LIMIT :limit

-- name: notices_of_channel
SELECT {notice} FROM notices WHERE channel = :channel AND id < :before ORDER BY id DESC LIMIT :limit

-- name: notices_of_channel_in_state
SELECT {notice} FROM notices WHERE channel = :channel AND state = :state AND id < :before ORDER BY id DESC LIMIT :limit

-- name: notice_counts
SELECT state, count(*) FROM notices WHERE channel = :channel GROUP BY state

-- name: notice_next_at
SELECT min(due_at) FROM notices WHERE state = 'waiting' AND due_at > :after

-- name: notice_insert
INSERT INTO notices ({notice})
VALUES (:id, :channel, :principal, :kind, :session, :seq, :state, :created_at, :due_at, :since, :subject, :text,
    :command, :body, :attempts, :cause, :sent_at, :version)

-- name: notice_update
UPDATE notices SET state = :state, due_at = :due_at, since = :since, attempts = :attempts, cause = :cause,
    sent_at = :sent_at, version = version + 1
WHERE id = :id AND version = :version

-- name: notices_forget
-- The oldest that are over, so that at most `keep` stay.
DELETE FROM notices WHERE channel = :channel AND state <> 'waiting' AND id <=
    (SELECT id FROM notices WHERE channel = :channel ORDER BY id DESC LIMIT 1 OFFSET :keep)

-- name: notices_remove
DELETE FROM notices WHERE session = :session

-- name: notices_remove_of_channel
DELETE FROM notices WHERE channel = :channel
