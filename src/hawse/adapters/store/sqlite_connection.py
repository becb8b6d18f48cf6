"""Connections to a SQLite file: opening, settings, migrations, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from hawse.adapters.store.statements import missing
from hawse.domain.errors import Broken, Clash, InternalError, Problem, Unavailable

BUSY_S = 10.0  # how long a unit waits for another process that writes
CACHE_KIB = 8192
WAL_BYTES_MAX = 64 << 20  # what a log file that grew behind a slow reader is cut to afterwards

_FULL = {sqlite3.SQLITE_FULL: "the disk is full", sqlite3.SQLITE_IOERR: "the disk reports an error"}
_NOT_NOW = {
    sqlite3.SQLITE_BUSY: "another process is writing to it",
    sqlite3.SQLITE_LOCKED: "another process is writing to it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_PERM: "permission is denied",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_PROTOCOL: "its locks do not work here",
}


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code. Source: sqlite.org/rescode.html."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: sqlite3.Error, path: str) -> Problem:
    """What the caller can do about it."""
    code = code_of(error)
    if code in _FULL:
        return Unavailable(
            f"the store {path} cannot be written now: {_FULL[code]} ({error})",
            next_step="make room on its disk; hawse goes on by itself when there is some",
        )
    if code in _NOT_NOW:
        return Unavailable(f"the store {path} cannot be used now: {_NOT_NOW[code]} ({error})")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Broken(
            f"the store {path} is damaged: {error}",
            next_step="stop hawse, keep a copy of the file, and put a backup in its place; the logs are unharmed",
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        extended = getattr(error, "sqlite_errorcode", 0)
        if extended in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
            return Clash(f"there is such an object already: {error}")
    return InternalError(f"the store {path} refused a statement: {error}")


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with our settings. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=128
    )
    try:
        execute = connection.execute
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA synchronous = FULL")  # every commit reaches the disk
        execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        execute("PRAGMA temp_store = MEMORY")
        execute("PRAGMA cell_size_check = ON")  # notice a damaged page as early as can be
        execute("PRAGMA trusted_schema = OFF")
        execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        if read_only:
            execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(path: str) -> sqlite3.Connection:
    """Make the file where there is none, bring it to this version's schema, return the connection that writes.

    Raises Unavailable, Broken, NewerStore.
    """
    _make_private(path)
    try:
        connection = connect(path)
        try:
            _write_ahead(connection, path)
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return connection


def look(path: str) -> int:
    """The version of the store in this file; 0 when there is none yet. Changes nothing, and makes no side file.

    Raises Unavailable, Broken, NewerStore: what `prepare` would meet.
    """
    folder = os.path.dirname(path)
    for place in (folder, path):
        if os.path.exists(place) and not os.access(place, os.R_OK | os.W_OK):
            raise Unavailable(f"the store {path} cannot be used: {place} cannot be written")
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return 0
    kind = "mode=ro" if os.path.exists(f"{path}-wal") else "immutable=1"
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?{kind}", uri=True, timeout=BUSY_S)) as connection:
            found = _version(connection, path)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    missing("sqlite", found or 0, f"the store {path}")
    return found or 0


def _version(connection: sqlite3.Connection, path: str) -> int | None:
    """The schema's version; None when the file is empty. Raises Broken: it is something else; sqlite3.Error."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "schema_version" in tables:
        found: int | None = connection.execute("SELECT max(number) FROM schema_version").fetchone()[0]
        return found or 0
    if tables:
        raise Broken(
            f"{path} is a SQLite database, but not a store of hawse",
            next_step="name another file, or another HAWSE_STATE_DIR",
        )
    return None


def _make_private(path: str) -> None:
    """Mode 0600; SQLite gives its side files the same."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            found = os.fstat(descriptor)
            if found.st_mode & 0o077 and stat.S_ISREG(found.st_mode):
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(
            f"the store {path} cannot be opened: {error.strerror}",
            next_step=f"check that {Path(path).parent} exists, is yours, and has room",
        ) from error


def _write_ahead(connection: sqlite3.Connection, path: str) -> None:
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:  # SQLite does not wait here, since two that wait would wait for ever
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise Unavailable(
            f"the store {path} cannot be kept here: its file system has no shared memory (journal mode {mode})",
            next_step="put HAWSE_STATE_DIR on a local disk, not on a network file system",
        )


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    """Steps forward, all in one transaction: a store is never half of two versions."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection, path)
        if found is None:
            connection.execute("CREATE TABLE schema_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        for step in missing("sqlite", found or 0, f"the store {path}"):
            for statement in split(step.text):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version VALUES (?, ?)", (step.number, step.name))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def split(script: str) -> list[str]:
    """The statements of a script, one by one: `executescript` would commit first."""
    found, statement = [], ""
    for line in script.splitlines():
        if line.lstrip().startswith("--"):
            continue
        statement += line + "\n"
        if statement.strip() and sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found
