"""Spawn orders: what one attempt of a job needs, from the coordinator to the runner's parent.

Strings that the operating system gave (argv, env, cwd) may not be UTF-8; then `encoding` is "base64" and each of them
is the base64 of its bytes. Source: spec 04, section 3.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from hawse.wire import fields
from hawse.wire.errors import Malformed
from hawse.wire.frame import frame
from hawse.wire.terminal import CELLS_MAX, SPAWN, SPAWNED, WORD_CHARACTERS_MAX, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WHAT = "SPAWN"
ARGUMENTS_MAX = 65536
ARGUMENT_BYTES_MAX = 128 * 1024  # MAX_ARG_STRLEN of Linux
PATH_BYTES_MAX = 4096  # PATH_MAX of Linux
SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux, less its final zero
GRACE_S_MAX = 3600.0
SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX, SEGMENT_BYTES_DEFAULT = 64 * 1024, 1 << 30, 16 << 20
FLUSH_S_DEFAULT = 5.0
COLUMNS_DEFAULT, ROWS_DEFAULT = 80, 24


class Order:
    """A checked spawn order. tty is (columns, rows) or None for pipes; limits are overrides for tests and sites.

    holder: the attachment that has control, "" for none; fence: of the last change of control.
    """

    __slots__ = (
        "argv", "attempt", "cwd", "env", "fence", "flush_s", "grace_s", "holder", "incarnation", "job", "job_dir",
        "leftovers", "limits", "on_full", "retain_bytes", "secret", "segment_bytes_max", "session", "socket", "stdin",
        "tty", "umask",
    )  # fmt: skip

    job: str
    session: str
    attempt: int
    incarnation: str
    argv: list[bytes]
    env: dict[bytes, bytes]
    cwd: bytes
    umask: int
    tty: tuple[int, int] | None
    stdin: str
    secret: bytes
    job_dir: str
    socket: str
    grace_s: float
    leftovers: str
    holder: str
    fence: int
    segment_bytes_max: int
    retain_bytes: int
    on_full: str
    flush_s: float
    limits: dict[str, float]


def spawn(*, argv: list[bytes], env: dict[bytes, bytes], cwd: bytes, **rest: Any) -> bytes:
    """SPAWN. rest: the other fields of an order, as they stand in the JSON."""
    try:
        plain: dict[str, Any] = {
            "encoding": "utf-8",
            "argv": [part.decode("utf-8") for part in argv],
            "env": {key.decode("utf-8"): value.decode("utf-8") for key, value in env.items()},
            "cwd": cwd.decode("utf-8"),
        }
    except UnicodeDecodeError:
        plain = {
            "encoding": "base64",
            "argv": [_to_base64(part) for part in argv],
            "env": {_to_base64(key): _to_base64(value) for key, value in env.items()},
            "cwd": _to_base64(cwd),
        }
    return frame(SPAWN, fields.pack(**plain, **rest))


def _to_base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def parse_spawn(body: bytes) -> Order:
    """SPAWN's body. Unknown fields are left alone: a newer coordinator may say more. Raises Malformed."""
    value = fields.unpack(body, WHAT)
    order = Order()
    order.job = _word(value, "job")
    order.session = _word(value, "session")
    order.attempt = fields.integer(value, "attempt", WHAT, low=1, high=10**6)
    order.incarnation = fields.digits(value, "incarnation", WHAT, bytes_max=64).hex()
    order.secret = fields.digits(value, "secret", WHAT, bytes_max=64)
    if not order.incarnation or len(order.secret) < 16:
        raise Malformed(f"{WHAT}: incarnation must not be empty, secret must have 16 bytes or more")
    _parse_command(value, order)
    _parse_places(value, order)
    _parse_log(value.get("log", {}), order)
    order.tty = parse_size(value.get("tty"))
    order.stdin = fields.choice(value, "stdin", WHAT, of=("null", "open"), default="null")
    order.grace_s = fields.number(value, "grace_s", WHAT, low=0, high=GRACE_S_MAX, default=10.0)
    order.leftovers = fields.choice(value, "leftovers", WHAT, of=("end", "keep"), default="end")
    limits, control = value.get("limits", {}), value.get("control", {})
    if not isinstance(limits, dict) or not isinstance(control, dict):
        raise Malformed(f"{WHAT}: limits and control must be objects")
    order.holder = fields.text(control, "attachment", WHAT, characters_max=WORD_CHARACTERS_MAX, default="")
    order.fence = fields.integer(control, "fence", WHAT, default=0)
    order.limits = {key: fields.number(limits, key, WHAT, low=0, high=2**40) for key in limits}
    return order


def _word(value: dict[str, Any], key: str) -> str:
    """A name that is safe as one part of a path."""
    word = fields.text(value, key, WHAT, characters_max=WORD_CHARACTERS_MAX)
    if not word or not word.isascii() or not word.isprintable() or "/" in word or word.startswith("."):
        raise Malformed(f"{WHAT}: {key} must be a plain ASCII name")
    return word


def _parse_command(value: dict[str, Any], order: Order) -> None:
    decode = _decoder(fields.choice(value, "encoding", WHAT, of=("utf-8", "base64"), default="utf-8"))
    argv, env = value.get("argv"), fields.mapping(value, "env", WHAT)
    if not isinstance(argv, list) or not 0 < len(argv) <= ARGUMENTS_MAX:
        raise Malformed(f"{WHAT}: argv must be a list of 1 to {ARGUMENTS_MAX} strings")
    order.argv = [decode(part) for part in argv]
    order.env = {decode(key): decode(part) for key, part in env.items()}
    order.cwd = decode(value.get("cwd"))
    order.umask = fields.integer(value, "umask", WHAT, high=0o777)
    if any(b"=" in key or not key for key in order.env):
        raise Malformed(f"{WHAT}: a name in env is empty or holds '='")
    if not order.argv[0]:
        raise Malformed(f"{WHAT}: argv[0] is empty")


def _decoder(encoding: str) -> Any:
    def decode(part: object) -> bytes:
        if not isinstance(part, str):
            raise Malformed(f"{WHAT}: argv, env and cwd hold strings only")
        try:
            data = part.encode("utf-8") if encoding == "utf-8" else a2b_base64(part.encode("ascii"))
        except (UnicodeEncodeError, Base64Error) as error:
            raise Malformed(f"{WHAT}: a string in argv, env or cwd is not {encoding}") from error
        if b"\0" in data or len(data) > ARGUMENT_BYTES_MAX:
            raise Malformed(f"{WHAT}: a string in argv, env or cwd holds a zero byte or is too long")
        return data

    return decode


def _parse_places(value: dict[str, Any], order: Order) -> None:
    order.job_dir = fields.text(value, "job_dir", WHAT, characters_max=PATH_BYTES_MAX)
    order.socket = fields.text(value, "socket", WHAT, characters_max=PATH_BYTES_MAX)
    for path in (order.job_dir, order.socket):
        if not path.startswith("/") or "\0" in path:
            raise Malformed(f"{WHAT}: job_dir and socket must be absolute paths")
    if len(order.socket.encode("utf-8", "surrogateescape")) > SOCKET_PATH_BYTES_MAX:
        raise Malformed(f"{WHAT}: the path of the socket is longer than {SOCKET_PATH_BYTES_MAX} bytes")


def _parse_log(log: object, order: Order) -> None:
    if not isinstance(log, dict):
        raise Malformed(f"{WHAT}: log must be an object")
    order.segment_bytes_max = fields.integer(
        log, "segment_bytes_max", WHAT, low=SEGMENT_BYTES_MIN, high=SEGMENT_BYTES_MAX, default=SEGMENT_BYTES_DEFAULT
    )
    order.retain_bytes = fields.integer(log, "retain_bytes", WHAT, default=0)
    order.on_full = fields.choice(log, "on_full", WHAT, of=("block", "drop"), default="block")
    order.flush_s = fields.number(log, "flush_s", WHAT, low=0.01, high=3600.0, default=FLUSH_S_DEFAULT)


def parse_size(value: object) -> tuple[int, int] | None:
    """`{columns, rows}` or null. A size of 0 in any dimension is no size: 80x24."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Malformed(f"{WHAT}: tty must be an object or null")
    columns = fields.integer(value, "columns", WHAT, high=65535, default=0)
    rows = fields.integer(value, "rows", WHAT, high=65535, default=0)
    if columns == 0 or rows == 0:
        return COLUMNS_DEFAULT, ROWS_DEFAULT
    return min(columns, CELLS_MAX), min(rows, CELLS_MAX)


class Spawned:
    """The parent's answer. again: the attempt had been claimed before; the rest is what its claim says."""

    __slots__ = ("again", "incarnation", "runner_pid", "runner_started")

    def __init__(self, *, incarnation: str, runner_pid: int, runner_started: int, again: bool) -> None:
        self.incarnation = incarnation
        self.runner_pid = runner_pid
        self.runner_started = runner_started
        self.again = again


def spawned(value: Spawned) -> bytes:
    """SPAWNED."""
    return message(SPAWNED, **{name: getattr(value, name) for name in Spawned.__slots__})


def parse_spawned(body: bytes) -> Spawned:
    """SPAWNED's body. Raises Malformed."""
    value = fields.unpack(body, "SPAWNED")
    return Spawned(
        incarnation=fields.digits(value, "incarnation", "SPAWNED", bytes_max=64).hex(),
        runner_pid=fields.integer(value, "runner_pid", "SPAWNED", low=1),
        runner_started=fields.integer(value, "runner_started", "SPAWNED"),
        again=value.get("again") is True,
    )
