"""A certification authority for a first try."""
