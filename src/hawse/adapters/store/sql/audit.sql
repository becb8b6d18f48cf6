-- The audit log. `by` and `where` are words of SQL, so they are quoted.

-- columns: audit
seq, time, kind, noun, object, "by", "where", request, detail

-- name: audit_append
INSERT INTO audit ({audit}) VALUES (:seq, :time, :kind, :noun, :object, :by, :where, :request, :detail)

-- name: audit_page
SELECT {audit} FROM audit WHERE seq > :after ORDER BY seq LIMIT :limit

-- name: audit_last
SELECT max(seq) FROM audit

-- name: audit_drop_before
DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE time < :time ORDER BY time, seq LIMIT :limit)
