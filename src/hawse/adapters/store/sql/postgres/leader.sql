-- Who leads. All times are the database's, so that coordinators need not agree about the time.

-- name: leader_take
-- No row: somebody leads. What this updates last waits for the transactions of the leader before, and undoes later ones.
WITH taken AS (
    UPDATE terms SET holder = :holder, until = extract(epoch FROM clock_timestamp()) + CAST(:term_s AS double precision)
    WHERE one = 1 AND until <= extract(epoch FROM clock_timestamp()) RETURNING one
)
UPDATE leader SET fence = fence + 1 FROM taken WHERE leader.one = taken.one RETURNING fence

-- name: leader_renew
-- No row: it was taken over.
UPDATE terms SET until = extract(epoch FROM clock_timestamp()) + CAST(:term_s AS double precision)
WHERE one = 1 AND holder = :holder RETURNING until

-- name: leader_left
SELECT until - extract(epoch FROM clock_timestamp()) FROM terms WHERE one = 1

-- name: leader_give_up
UPDATE terms SET holder = '', until = 0 WHERE one = 1 AND holder = :holder
