"""The terminal that shows a job: bytes through, nothing in between."""
