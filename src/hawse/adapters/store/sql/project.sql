-- Projects, and how much lives in one.

-- columns: project
name, state, created_at, created_by, sessions_max, jobs_max, lease_s, lease_s_max, policies, members, about, version

-- name: project_by_name
SELECT {project} FROM projects WHERE name = :name

-- name: projects_all
SELECT {project} FROM projects WHERE name > :after ORDER BY name LIMIT :limit

-- name: project_insert
INSERT INTO projects ({project})
VALUES (:name, :state, :created_at, :created_by, :sessions_max, :jobs_max, :lease_s, :lease_s_max, :policies, :members,
    :about, :version)

-- name: project_update
UPDATE projects SET state = :state, sessions_max = :sessions_max, jobs_max = :jobs_max, lease_s = :lease_s,
    lease_s_max = :lease_s_max, policies = :policies, members = :members, about = :about, version = version + 1
WHERE name = :name AND version = :version

-- name: project_claim
-- Two units that do so at once cannot both commit as they are: the second is run again and sees what the first did.
UPDATE projects SET claims = claims + 1 WHERE name = :name

-- name: project_sessions_count
SELECT count(*) FROM sessions WHERE project = :project AND state <> 'ended'

-- name: project_jobs_count
SELECT count(*) FROM jobs
WHERE state <> 'ended' AND session IN (SELECT id FROM sessions WHERE project = :project AND state <> 'ended')
