"""Stores: SQLite for a user, PostgreSQL for a site."""
