-- Rows of many sessions at once; `sessions` is a JSON array of ids.

-- name: jobs_of_sessions
SELECT {job} FROM jobs
WHERE session = ANY (ARRAY(SELECT json_array_elements_text(CAST(:sessions AS json)))) ORDER BY id

-- name: attachments_of_sessions
SELECT {attachment} FROM attachments
WHERE session = ANY (ARRAY(SELECT json_array_elements_text(CAST(:sessions AS json)))) AND state <> 'detached' ORDER BY id
