-- How much there is. Living rows are counted on their partial indexes, all rows on the smallest index.

-- name: census_sessions_living
SELECT state, count(*) FROM sessions WHERE state <> 'ended' GROUP BY state

-- name: census_sessions_ended
SELECT count(*) FROM sessions WHERE state = 'ended'

-- name: census_jobs_living
SELECT state, count(*) FROM jobs WHERE state <> 'ended' GROUP BY state

-- name: census_jobs_all
SELECT count(*) FROM jobs

-- name: census_attachments
SELECT mode, state, count(*) FROM attachments WHERE state <> 'detached' GROUP BY mode, state

-- name: census_leases
SELECT project, count(*), min(lease_until) FROM sessions
WHERE state <> 'ended' AND lease_until IS NOT NULL GROUP BY project

-- name: census_effects
SELECT count(*) FROM outbox

-- name: census_effects_due
SELECT kind, count(*), min(due_at) FROM outbox WHERE due_at <= :now GROUP BY kind
