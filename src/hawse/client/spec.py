"""A job's specification as REST takes it: the caller's surroundings, in an encoding that loses nothing."""

from __future__ import annotations

import os
from binascii import b2a_base64

from hawse.domain.errors import Invalid
from hawse.domain.ids import checked_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Text = str | bytes | os.PathLike[str]


def job_spec(
    argv: Sequence[Text],
    *,
    around: Surroundings | None = None,
    env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
    cwd: Text | None = None,
    umask: int | None = None,
    tty: bool | tuple[int, int] = False,
    stdin: str = "null",
    name: str | None = None,
    on_lost: str = "report",
    grace_s: float | None = None,
    log_on_full: str = "block",
    leftovers: str = "end",
    on_error: str | None = None,
    retries_max: int = 0,
) -> dict[str, Any]:
    """The request's JobSpec.

    env, cwd, umask: None takes those of `around`, else the caller's own. tty: False (pipes), True (80x24) or (columns,
    rows). stdin: "null" | "open". Raises Invalid when the directory is gone or argv is a single string.
    """
    if isinstance(argv, str | bytes):
        raise Invalid(
            "argv is one string; give a list of words", next_step=f"for example {['sh', '-c', os.fsdecode(argv)]!r}"
        )
    words = [os.fsencode(word) for word in argv]
    given = env if env is not None else around.environ if around is not None else os.environb
    variables = {os.fsencode(k): os.fsencode(v) for k, v in given.items()}
    directory = _directory(cwd, around)
    if umask is None:
        umask = around.umask if around is not None else current_umask()
    spec: dict[str, Any] = {
        "umask": umask,
        "on_lost": on_lost,
        "log_on_full": log_on_full,
        "leftovers": leftovers,
        "stdin": "null" if tty else stdin,
        **_encoded(words, variables, directory),
    }
    if tty:
        columns, rows = (80, 24) if isinstance(tty, bool) else tty
        spec["tty"] = {"columns": columns, "rows": rows}
    if name is not None:
        spec["name"] = checked_name(name, "the job's name")
    if on_error is not None:
        spec |= {"on_error": on_error, "retries_max": retries_max}
    if grace_s is not None:
        spec["grace_s"] = grace_s
    return spec


class Surroundings:
    """Where a job's command would run if nothing were said: environment, working directory, umask."""

    __slots__ = ("cwd", "environ", "umask")

    def __init__(self, environ: Mapping[bytes, bytes], cwd: bytes, umask: int) -> None:
        self.environ = environ
        self.cwd = cwd
        self.umask = umask


def surroundings_from(data: bytes) -> Surroundings:
    """From what the far `hawse proxy --surroundings` answers, with our own terminal and language. Raises Broken."""
    import json
    from binascii import a2b_base64

    from hawse.client.ssh import passed_on
    from hawse.domain.errors import Broken

    try:
        told = json.loads(data)
        environ = {a2b_base64(name): a2b_base64(value) for name, value in told["env"].items()}
        cwd, umask = a2b_base64(told["cwd"]), int(told["umask"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Broken("what the far side tells about its environment cannot be read") from error
    return Surroundings(environ | passed_on(os.environb), cwd, umask)


def _directory(cwd: Text | None, around: Surroundings | None) -> bytes:
    """The working directory: a relative one begins where the command would run."""
    if around is None:
        return os.fsencode(os.path.abspath(cwd)) if cwd is not None else _here()
    return os.path.normpath(os.path.join(around.cwd, os.fsencode(cwd))) if cwd is not None else around.cwd


def _here() -> bytes:
    try:
        return os.getcwdb()
    except FileNotFoundError as error:
        raise Invalid("the working directory does not exist any more", next_step="cd to one that does") from error


def _encoded(argv: list[bytes], env: dict[bytes, bytes], cwd: bytes) -> dict[str, Any]:
    try:
        return {
            "encoding": "utf-8",
            "argv": [word.decode() for word in argv],
            "env": {name.decode(): value.decode() for name, value in env.items()},
            "cwd": cwd.decode(),
        }
    except UnicodeDecodeError:
        return {
            "encoding": "base64",
            "argv": [_base64(word) for word in argv],
            "env": {_base64(name): _base64(value) for name, value in env.items()},
            "cwd": _base64(cwd),
        }


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def current_umask() -> int:
    """This process's umask, read without changing it where the kernel tells. Source: proc(5), Umask since Linux 4.7."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
