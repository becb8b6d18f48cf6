-- Jobs and their orders.

-- columns: job
id, session, name, state, command, tty, created_at, on_lost, placement, attempt, incarnation, pid, version, started_at,
ended_at, grace_s, stop_reason, outcome, log, log_end, left_behind, on_error, retries_max, start_at

-- name: job_by_id
SELECT {job} FROM jobs WHERE id = :id

-- name: job_named
SELECT {job} FROM jobs WHERE session = :session AND name = :name

-- name: jobs_of_session
SELECT {job} FROM jobs WHERE session = :session ORDER BY id

-- name: jobs_living
SELECT {job} FROM jobs WHERE state <> 'ended' ORDER BY id

-- name: job_insert
INSERT INTO jobs ({job})
VALUES (:id, :session, :name, :state, :command, :tty, :created_at, :on_lost, :placement, :attempt, :incarnation, :pid,
    :version, :started_at, :ended_at, :grace_s, :stop_reason, :outcome, :log, :log_end, :left_behind, :on_error,
    :retries_max, :start_at)

-- name: job_update
-- A job keeps its name.
UPDATE jobs SET state = :state, command = :command, tty = :tty, on_lost = :on_lost,
    placement = :placement, attempt = :attempt, incarnation = :incarnation, pid = :pid, version = version + 1,
    started_at = :started_at, ended_at = :ended_at, grace_s = :grace_s, stop_reason = :stop_reason, outcome = :outcome,
    log = :log, log_end = :log_end, left_behind = :left_behind, on_error = :on_error,
    retries_max = :retries_max, start_at = :start_at
WHERE id = :id AND version = :version

-- name: job_remove
DELETE FROM jobs WHERE id = :id AND version = :version

-- name: jobs_remove
DELETE FROM jobs WHERE session = :session

-- name: order_of_job
SELECT body FROM orders WHERE job = :job

-- name: order_keep
-- The last one wins: an order is private, it has no version.
INSERT INTO orders (job, body) VALUES (:job, :body) ON CONFLICT (job) DO UPDATE SET body = excluded.body

-- name: order_drop
DELETE FROM orders WHERE job = :job

-- name: orders_remove
DELETE FROM orders WHERE job IN (SELECT id FROM jobs WHERE session = :session)
