-- Grants, and the keyed hashes of secrets.

-- columns: grant
id, session, principal, role, state, created_at, created_by, can, version, expires_at, uses, uses_max, via

-- name: grant_by_id
SELECT {grant} FROM grants WHERE id = :id

-- name: grants_live
SELECT {grant} FROM grants WHERE session = :session AND state = 'live' ORDER BY id

-- name: grants_all
SELECT {grant} FROM grants WHERE session = :session ORDER BY id

-- name: grant_insert
INSERT INTO grants ({grant})
VALUES (:id, :session, :principal, :role, :state, :created_at, :created_by, :can, :version, :expires_at, :uses,
    :uses_max, :via)

-- name: grant_update
UPDATE grants SET role = :role, state = :state, can = :can, expires_at = :expires_at, uses = :uses,
    uses_max = :uses_max, version = version + 1
WHERE id = :id AND version = :version

-- name: grant_remove
DELETE FROM grants WHERE id = :id AND version = :version

-- name: grants_remove
DELETE FROM grants WHERE session = :session

-- name: secret_of
SELECT hash FROM secrets WHERE owner = :owner

-- name: secret_keep
INSERT INTO secrets (owner, hash) VALUES (:owner, :hash)

-- name: secret_drop
DELETE FROM secrets WHERE owner = :owner

-- name: secrets_remove
DELETE FROM secrets WHERE owner IN (SELECT id FROM grants WHERE session = :session)
