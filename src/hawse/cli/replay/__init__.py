"""Playing a job's log again, with its timing; and writing it down for other players."""
