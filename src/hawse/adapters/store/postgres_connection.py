"""Connections to PostgreSQL: address, settings, migrations, and what its errors mean.

psycopg is an optional part (`hawse[pg]`); only this module and its neighbour `postgres` import it.
"""

from __future__ import annotations

from typing import Any

from hawse.adapters.store.statements import Statement, missing, statements
from hawse.domain.errors import Broken, Clash, InternalError, Invalid, Problem, Unavailable

try:
    import psycopg
    from psycopg import errors
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:
    raise Unavailable(
        "a store in PostgreSQL needs psycopg, which is not installed",
        next_step="pip install 'hawse[pg]'",
    ) from error

__all__ = ["RETRIED", "STATEMENTS", "TAKING", "Address", "Connection", "errors", "look", "migrate", "psycopg"]

Connection = psycopg.Connection[tuple[Any, ...]]
CONNECT_S = 10
LOCK_ID = 0x68617773  # "haws": whoever migrates holds this advisory lock
SETTINGS = {
    "statement_timeout": "30s",  # no statement of ours takes a second
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",  # a unit never waits for anything but the database
    "client_min_messages": "warning",
}
OPTIONS = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
DEFAULTS = {
    "application_name": "hawse",
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
RETRIED = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation)
STATEMENTS = {name: Statement.of(text, "$") for name, text in statements("postgres").items()}
TAKING = {
    name: Statement.of(f"{statements('postgres')[name]} RETURNING last_seq", "$")
    for name in ("session_update", "session_update_indexed", "event_number_taken")
}


class Address:
    """Where the database is. Its text shows no password."""

    def __init__(self, conninfo: str) -> None:
        """Raises Invalid, without what was given: a password may be anywhere in it."""
        try:
            given = conninfo_to_dict(conninfo)
        except psycopg.Error:
            raise Invalid(
                "the address of the PostgreSQL database is not understood",
                next_step='write it as "host=... dbname=... user=..." or "postgresql://user@host/database"',
            ) from None
        options = f"{OPTIONS} {given.get('options') or ''}".strip()
        self._parameters: dict[str, Any] = {**DEFAULTS, **given, "options": options}

    def __str__(self) -> str:
        shown = {name: self._parameters[name] for name in ("host", "port", "dbname") if name in self._parameters}
        return " ".join(f"{name}={value}" for name, value in shown.items()) or "the default database"

    def connect(self) -> Connection:
        """A connection with our settings. Raises Unavailable."""
        try:
            return psycopg.connect(**self._parameters, autocommit=True)
        except psycopg.Error as error:
            raise Unavailable(f"PostgreSQL ({self}) cannot be reached: {self._safe(error)}") from None

    def _safe(self, error: BaseException) -> str:
        text = " ".join(str(error).split())
        secret = self._parameters.get("password")
        return text.replace(str(secret), "***") if secret else text

    def translated(self, error: psycopg.Error) -> Problem:
        """What the caller can do about it."""
        text = self._safe(error)
        if isinstance(error, errors.DiskFull | errors.OutOfMemory | errors.TooManyConnections):
            return Unavailable(f"PostgreSQL ({self}) cannot take it now: {text}")
        if isinstance(error, errors.QueryCanceled | errors.LockNotAvailable | errors.ReadOnlySqlTransaction):
            return Unavailable(f"PostgreSQL ({self}) did not answer in time or takes no writes: {text}")
        if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
            return Broken(f"PostgreSQL ({self}) is damaged: {text}", next_step="restore it from a backup")
        if isinstance(error, errors.UniqueViolation):
            return Clash(f"there is such an object already: {text}")
        if isinstance(error, errors.SerializationFailure | errors.DeadlockDetected):
            return Unavailable(f"others changed the same objects again and again: {text}")
        if isinstance(error, errors.IntegrityError | errors.ProgrammingError):
            return InternalError(f"PostgreSQL ({self}) refused a statement: {text}")
        if isinstance(error, errors.DataError):
            return Invalid(f"not storable: {text}")
        return Unavailable(f"the connection to PostgreSQL ({self}) was lost: {text}")


def migrate(address: Address) -> None:
    """Bring the database to this version's schema, in one transaction. Raises Unavailable, Broken, NewerStore."""
    connection = address.connect()
    try:
        connection.execute("BEGIN")
        connection.execute("SET LOCAL statement_timeout = 0")  # a step may have much to do
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_ID,))
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (number bigint PRIMARY KEY, name text NOT NULL)")
        row = connection.execute("SELECT coalesce(max(number), 0) FROM schema_version").fetchone()
        for step in missing("postgres", row[0] if row else 0, f"the PostgreSQL database ({address})"):
            connection.execute(step.text.encode())
            connection.execute("INSERT INTO schema_version VALUES (%s, %s)", (step.number, step.name))
        connection.execute("COMMIT")
    except errors.DuplicateTable as error:
        raise Broken(
            f"the PostgreSQL database ({address}) has tables of our names that something else made: {error}",
            next_step="make a database of its own: createdb hawse",
        ) from error
    except psycopg.Error as error:
        raise address.translated(error) from error
    finally:
        connection.close()


def look(address: Address) -> int:
    """The version of the store in this database; 0 when there is none yet. Changes nothing.

    Raises Unavailable, Broken, NewerStore: what `migrate` would meet.
    """
    connection = address.connect()
    try:
        row = connection.execute("SELECT to_regclass('schema_version') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return 0
        row = connection.execute("SELECT coalesce(max(number), 0) FROM schema_version").fetchone()
    except psycopg.Error as error:
        raise address.translated(error) from error
    finally:
        connection.close()
    found = int(row[0]) if row else 0
    missing("postgres", found, f"the PostgreSQL database ({address})")
    return found
