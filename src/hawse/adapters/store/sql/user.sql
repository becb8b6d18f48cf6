-- Users, and whose a uid is.

-- columns: user
name, state, created_at, created_by, uids, "groups", project, is_admin, about, version

-- name: user_by_name
SELECT {user} FROM users WHERE name = :name

-- name: user_of_uid
SELECT {user} FROM users WHERE name = (SELECT name FROM user_uids WHERE uid = :uid)

-- name: users_all
SELECT {user} FROM users WHERE name > :after ORDER BY name LIMIT :limit

-- name: user_insert
INSERT INTO users ({user})
VALUES (:name, :state, :created_at, :created_by, :uids, :groups, :project, :is_admin, :about, :version)

-- name: user_update
UPDATE users SET state = :state, uids = :uids, "groups" = :groups, project = :project, is_admin = :is_admin,
    about = :about, version = version + 1
WHERE name = :name AND version = :version

-- name: user_uids_drop
DELETE FROM user_uids WHERE name = :name

-- name: user_uid_add
INSERT INTO user_uids (uid, name) VALUES (:uid, :name)
