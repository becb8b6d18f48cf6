-- Tokens. Their hashes are in `secrets`.

-- columns: token
id, "user", name, state, created_at, created_by, expires_at, project, read_only, used_at, version

-- name: token_by_id
SELECT {token} FROM tokens WHERE id = :id

-- name: tokens_of_user
SELECT {token} FROM tokens WHERE "user" = :user ORDER BY id

-- name: token_insert
INSERT INTO tokens ({token})
VALUES (:id, :user, :name, :state, :created_at, :created_by, :expires_at, :project, :read_only, :used_at, :version)

-- name: token_update
UPDATE tokens SET name = :name, state = :state, expires_at = :expires_at, version = version + 1
WHERE id = :id AND version = :version

-- name: token_used
UPDATE tokens SET used_at = :at WHERE id = :id
