"""The private order of a job: from what the caller sent, with hawse's own variables added."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from hawse.domain.errors import Invalid, TooLarge
from hawse.domain.ids import NAME_LENGTH_MAX
from hawse.domain.job import GRACE_S_DEFAULT, OnError, OnLost
from hawse.ports.store import Order
from hawse.wire.order import ARGUMENT_BYTES_MAX

ORDER_BYTES_MAX = 2 * 1024 * 1024  # Linux: argv and environment together, with the default 8 MiB stack: execve(2)
SIZE_MAX = 10_000  # columns or rows; more is a mistake, not a terminal
COMMAND_LENGTH_MAX = 4096  # of what is shown; the whole command is kept in the order


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a caller asks for. See the REST reference for each field."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    umask: int
    encoding: str = "utf-8"
    name: str | None = None
    columns: int = 0
    rows: int = 0
    tty: bool = False
    stdin: str = "null"
    on_lost: OnLost = OnLost.REPORT
    grace_s: float = GRACE_S_DEFAULT
    log_on_full: str = "block"
    log_bytes_max: int = 0
    leftovers: str = "end"
    on_error: OnError | None = None
    retries_max: int = 0


def checked(spec: JobSpec) -> JobSpec:
    """The spec, if a job can be started from it. Raises Invalid, TooLarge."""
    if not spec.argv or not spec.argv[0]:
        raise Invalid("the command is empty", next_step="give a command after --")
    if spec.encoding not in ("utf-8", "base64"):
        raise Invalid(f"encoding {spec.encoding!r} is neither utf-8 nor base64")
    texts = [*spec.argv, *spec.env, *spec.env.values(), spec.cwd]
    size = sum(len(text) for text in texts)
    if size > ORDER_BYTES_MAX:
        raise TooLarge(f"command and environment have {size} bytes; at most {ORDER_BYTES_MAX} are allowed")
    named = [(f"argument {number}", word) for number, word in enumerate(spec.argv)]
    for name, value in spec.env.items():
        named.append((f"variable {raw(name, spec.encoding)[:60].decode('utf-8', 'replace')}", value))
    for what, value in named:
        size = len(raw(value, spec.encoding))
        if size > ARGUMENT_BYTES_MAX:
            raise TooLarge(f"{what} has {size} bytes; at most {ARGUMENT_BYTES_MAX} are possible on Linux")
    if any(b"\0" in raw(text, spec.encoding) for text in texts):
        raise Invalid("a NUL character cannot be part of a command, a variable or a directory")
    if any(not name or b"=" in raw(name, spec.encoding) for name in spec.env):
        raise Invalid("a variable's name is empty or has '=' in it")
    if not raw(spec.cwd, spec.encoding).startswith(b"/"):
        raise Invalid(f"the working directory {spec.cwd!r} is not absolute")
    if not 0 <= spec.umask <= 0o777:
        raise Invalid(f"umask {spec.umask:o} is not within 0 to 777 (octal)")
    if spec.tty and not (0 <= spec.columns <= SIZE_MAX and 0 <= spec.rows <= SIZE_MAX):
        raise Invalid(f"a terminal of {spec.columns}x{spec.rows} is not possible: 0 to {SIZE_MAX} each (0: 80x24)")
    if (
        spec.stdin not in ("null", "open")
        or spec.log_on_full not in ("block", "drop")
        or spec.leftovers not in ("end", "keep")
    ):
        raise Invalid("stdin is null or open; log_on_full is block or drop; leftovers is end or keep")
    if spec.log_bytes_max < 0:
        raise Invalid("log_bytes_max is negative; 0 means no bound")
    return spec


def raw(text: str, encoding: str) -> bytes:
    """The bytes that the text stands for. Raises Invalid."""
    if encoding == "utf-8":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(f"not valid base64: {text[:40]!r}") from error


def coded(data: str, encoding: str) -> str:
    """One of our own (ASCII) strings as the order holds it."""
    return data if encoding == "utf-8" else base64.b64encode(data.encode()).decode()


def shown(spec: JobSpec) -> tuple[str, ...]:
    """The command as people read it, cut at a length; what is not UTF-8 is replaced."""
    words, room = [], COMMAND_LENGTH_MAX
    for word in spec.argv:
        text = raw(word, spec.encoding).decode("utf-8", "replace")
        if len(text) > room:
            words.append(text[:room] + "...")
            break
        words.append(text)
        room -= len(text)
    return tuple(words)


def base_name(spec: JobSpec) -> str:
    """A job's name from its command: the program's file name, made to fit the rule for names."""
    program = shown(spec)[0].rsplit("/", 1)[-1].lstrip("-")
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._+-") else "-" for c in program).lstrip("._+-")
    return name[: NAME_LENGTH_MAX - 8] or "job"


def made(spec: JobSpec, *, session: str, session_name: str, job: str, secret: str) -> Order:
    """The order with HAWSE_SESSION (id), HAWSE_SESSION_NAME and HAWSE_JOB (id) in its environment."""
    own = {"HAWSE_SESSION": session, "HAWSE_SESSION_NAME": session_name, "HAWSE_JOB": job}
    env = dict(spec.env)
    for name, value in own.items():
        env[coded(name, spec.encoding)] = coded(value, spec.encoding)
    return Order(
        argv=spec.argv,
        env=tuple(env.items()),
        cwd=spec.cwd,
        umask=spec.umask,
        encoding=spec.encoding,
        secret=secret,
        columns=spec.columns if spec.tty else 0,
        rows=spec.rows if spec.tty else 0,
        stdin=spec.stdin,
        log_on_full=spec.log_on_full,
        log_bytes_max=spec.log_bytes_max,
        leftovers=spec.leftovers,
    )
