"""The configuration of a site's service: one TOML file, read whole, refused with the key and the line that are wrong.

What a key may be stands in one table, `KEYS`. Secrets are never in the file: it names the files or the variables that
hold them.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hawse.client.names import did_you_mean
from hawse.domain.errors import Invalid
from hawse.domain.places import SOCKET_PATH_BYTES_MAX, Places

FILE_BYTES_MAX = 256 * 1024
UID_MAX = 2**32 - 2
SECRET_BYTES_MAX = 4096
RUNTIME_BYTES_MAX = SOCKET_PATH_BYTES_MAX - len("/r/") - 36  # a runner's socket is named by its job's id
_TABLE = re.compile(r"\s*\[+\s*([A-Za-z0-9_-]+)\s*\]")
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
Check = Callable[[object], Any]


@dataclass(frozen=True, slots=True)
class UnixListener:
    """A socket that several users share. group: a name or a number; None: the service's own."""

    path: str
    mode: int = 0o666
    group: str | None = None


@dataclass(frozen=True, slots=True)
class HttpsListener:
    """host, port: where to listen; certificate, key: files in PEM."""

    host: str
    port: int
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """A checked configuration. helper: the socket of the helper that starts jobs as their owners; None: all jobs run as
    the service. run, job_state: the helper's folders of sockets and of logs; None: as the helper's own defaults. store:
    "sqlite" or a PostgreSQL URL, which may hold a password and is not shown.
    """

    file: str
    state: str
    runtime: str
    store: str = field(default="sqlite", repr=False)
    unix: UnixListener | None = None
    https: HttpsListener | None = None
    helper: str | None = None
    run: str | None = None
    job_state: str | None = None
    local_accounts: bool = False
    admins: frozenset[int] = frozenset({0})
    token_days_max: int | None = None
    connections_max: int | None = None
    lease_s_max: float | None = None
    log: str | None = None
    log_bytes_max: int | None = None

    @property
    def places(self) -> Places:
        return Places(state=self.state, runtime=self.runtime, config=os.path.dirname(self.file))


# -- what a value may be ----------------------------------------------------------------------------------------------


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("is an absolute path, as a text")
    return os.path.normpath(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("is a text that is not empty")
    return value


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _number(low: float, high: float) -> Check:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"is a whole number from {low:g} to {high:g}")
        return value

    return check


def _mode(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):
        raise ValueError('is a mode in octal, as a text: "0660"')
    if not int(value, 8) & 0o200:
        raise ValueError("must let the service itself write")
    return int(value, 8) & 0o666


def _address(value: object) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 <= int(found["port"]) < 65536:
        raise ValueError('is HOST:PORT, as a text: "0.0.0.0:7440", "[::]:7440"')
    return found["host"].strip("[]"), int(found["port"])


def _uids(value: object) -> frozenset[int]:
    if not isinstance(value, list) or not all(type(one) is int and 0 <= one <= UID_MAX for one in value):
        raise ValueError("is a list of numbers of users: [0, 1000]")
    return frozenset(value)


def _store(value: object) -> str:
    if value != "sqlite":
        raise ValueError('is "sqlite"; the address of a database may hold a password: put it into a file, url_file')
    return "sqlite"


KEYS: dict[str, dict[str, Check]] = {
    "": {"state_dir": _path, "runtime_dir": _path},
    "store": {"url": _store, "url_file": _path, "url_env": _text},
    "unix": {"path": _path, "mode": _mode, "group": _text},
    "https": {"address": _address, "certificate": _path, "key": _path},
    "jobs": {"helper": _path, "run_dir": _path, "state_dir": _path},
    "site": {"local_accounts": _yes_or_no, "admins": _uids, "token_days_max": _number(1, 36500)},
    "limits": {"connections_max": _number(16, 100_000), "lease_s_max": _number(60, 10 * 366 * 86400)},
    "log": {"file": _path, "bytes_max": _number(64 * 1024, 2**40)},
}
NEEDED = (("", "state_dir"), ("", "runtime_dir"))
TOGETHER = {"https": ("address", "certificate", "key"), "unix": ("path",), "jobs": ("helper",)}


# -- reading ----------------------------------------------------------------------------------------------------------


def read_site(path: str, environ: dict[str, str] | None = None) -> SiteConfig:
    """The configuration in this file. Raises Invalid: each says the file, the line and the key."""
    text = _text_of(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{path} is not TOML: {error}", next_step="see docs/how-to/site-service.md") from error
    found = _Checked(path, text, raw)
    store = _store_url(found, os.environ if environ is None else environ)
    if found.get("unix", "path") is None and found.get("https", "address") is None:
        raise Invalid(
            f"{path}: nothing is listened on", next_step="write a table [https] or [unix], or both: hawse serve --help"
        )
    made = SiteConfig(
        file=os.path.abspath(path),
        state=found.get("", "state_dir"),
        runtime=found.get("", "runtime_dir"),
        store=store,
        unix=_unix(found),
        https=_https(found),
        helper=found.get("jobs", "helper"),
        run=found.get("jobs", "run_dir"),
        job_state=found.get("jobs", "state_dir"),
        local_accounts=found.get("site", "local_accounts", False),
        admins=found.get("site", "admins", frozenset({0})),
        token_days_max=found.get("site", "token_days_max"),
        connections_max=found.get("limits", "connections_max"),
        lease_s_max=found.get("limits", "lease_s_max"),
        log=found.get("log", "file"),
        log_bytes_max=found.get("log", "bytes_max"),
    )
    if len(os.fsencode(made.runtime)) > RUNTIME_BYTES_MAX:
        raise found.wrong("", "runtime_dir", f"has more than {RUNTIME_BYTES_MAX} bytes: sockets have longer paths")
    if made.unix is not None and os.path.dirname(made.unix.path) == made.runtime:
        raise found.wrong("unix", "path", "is not in runtime_dir, where nobody else can come: use another folder")
    return made


class _Checked:
    """The values, each checked when it is made."""

    def __init__(self, path: str, text: str, raw: dict[str, Any]) -> None:
        self.path = path
        self._lines = text.splitlines()
        self._values: dict[tuple[str, str], Any] = {}
        for name, value in raw.items():
            if isinstance(value, dict) and name in KEYS and name:
                for key, item in value.items():
                    self._check(name, key, item)
            elif isinstance(value, dict) or name in KEYS:
                tables = [table for table in KEYS if table]
                why = f"is a table: [{name}]" if name in tables else f"is no table of ours{did_you_mean(name, tables)}"
                raise self.wrong("", name, why)
            else:
                self._check("", name, value)
        for table, name in NEEDED:
            if (table, name) not in self._values:
                raise Invalid(f"{path}: {name} is missing", next_step=f'add a line at the top: {name} = "/..."')
        for table, names in TOGETHER.items():
            missing = [name for name in names if (table, name) not in self._values]
            if table in raw and missing:
                raise Invalid(f"{path}, line {self._line(table, '')}: [{table}] needs {', '.join(missing)}")

    def _check(self, table: str, name: str, value: object) -> None:
        check = KEYS[table].get(name)
        if check is None:
            raise self.wrong(table, name, f"is not known{did_you_mean(name, KEYS[table])}")
        try:
            self._values[table, name] = check(value)
        except ValueError as error:
            raise self.wrong(table, name, str(error)) from None

    def get(self, table: str, name: str, default: Any = None) -> Any:
        return self._values.get((table, name), default)

    def wrong(self, table: str, name: str, why: str) -> Invalid:
        """An error at this key's line."""
        where = f"[{table}] {name}" if table else name
        return Invalid(f"{self.path}, line {self._line(table, name)}: {where} {why}", table=table, key=name)

    def _line(self, table: str, name: str) -> int:
        """The number of a key's line, or of a table's; 1 when it is written in some rarer way."""
        here = ""
        key = re.compile(rf"\s*\"?{re.escape(name)}\"?\s*[.=]")
        for number, line in enumerate(self._lines, 1):
            header = _TABLE.match(line)
            if header is not None:
                here = header[1]
                if here in (table, name) and (not name or here == name):
                    return number
            elif here == table and name and key.match(line):
                return number
        return 1


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}", next_step="hawse serve --config FILE") from error
    if len(data) > FILE_BYTES_MAX:
        raise Invalid(f"{path} has more than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Invalid(f"{path}, line {line}: this is not UTF-8") from error


def _unix(found: _Checked) -> UnixListener | None:
    path = found.get("unix", "path")
    if path is None:
        return None
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise found.wrong(
            "unix", "path", f"has more than {SOCKET_PATH_BYTES_MAX} bytes, which no socket's path may have"
        )
    return UnixListener(path, found.get("unix", "mode", 0o666), found.get("unix", "group"))


def _https(found: _Checked) -> HttpsListener | None:
    address = found.get("https", "address")
    if address is None:
        return None
    key = found.get("https", "key")
    try:
        if os.stat(key).st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise found.wrong("https", "key", f"can be read by everybody: chmod 600 {key}")
    except OSError as error:
        raise found.wrong("https", "key", f"names {key}: {error.strerror}") from error
    return HttpsListener(address[0], address[1], found.get("https", "certificate"), key)


def _store_url(found: _Checked, environ: Any) -> str:
    chosen = [name for name in ("url", "url_file", "url_env") if found.get("store", name) is not None]
    if len(chosen) > 1:
        raise found.wrong("store", chosen[1], f"and {chosen[0]} are two stores; give one")
    if not chosen or chosen == ["url"]:
        return "sqlite"
    if chosen == ["url_env"]:
        name = found.get("store", "url_env")
        url = str(environ.get(name, "")).strip()
        if not url:
            raise found.wrong("store", "url_env", f"names the variable {name}, which is not set")
    else:
        url = _secret(found, found.get("store", "url_file"))
    if not url.startswith(("postgresql://", "postgres://")):
        raise found.wrong("store", chosen[0], "must lead to a text that begins with postgresql://")
    return url


def _secret(found: _Checked, path: str) -> str:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IRWXO:
                raise found.wrong("store", "url_file", f"can be read by everybody: chmod 600 {path}")
            return file.read(SECRET_BYTES_MAX).decode("utf-8", "replace").strip()
    except OSError as error:
        raise found.wrong("store", "url_file", f"names {path}: {error.strerror}") from error
