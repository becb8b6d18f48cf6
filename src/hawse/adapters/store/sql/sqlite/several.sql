-- Rows of many sessions at once; `sessions` is a JSON array of ids.

-- name: jobs_of_sessions
SELECT {job} FROM jobs WHERE session IN (SELECT value FROM json_each(:sessions)) ORDER BY id

-- name: attachments_of_sessions
SELECT {attachment} FROM attachments
WHERE session IN (SELECT value FROM json_each(:sessions)) AND state <> 'detached' ORDER BY id
