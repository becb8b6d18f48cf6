-- First answers to request ids.

-- columns: answer
principal, request, digest, status, body, at

-- name: answer_of_request
SELECT {answer} FROM answers WHERE principal = :principal AND request = :request

-- name: answer_keep
INSERT INTO answers ({answer}) VALUES (:principal, :request, :digest, :status, :body, :at)

-- name: answers_before
-- How many there are, counted no further than the limit.
SELECT count(*) FROM (SELECT 1 FROM answers WHERE at < :time LIMIT :limit) AS old

-- name: answers_drop_before
DELETE FROM answers WHERE at < :time
