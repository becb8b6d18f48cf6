"""What is left of an attempt whose runner is gone: its files, its processes. Blocking; callers use a thread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from hawse.domain.ids import storable
from hawse.domain.job import NEVER_STARTED
from hawse.runner import claim, kin, look
from hawse.wire import fields
from hawse.wire.errors import WireError
from hawse.wire.frame import HEADER_BYTES

COMMANDS_MAX, COMMAND_MAX = 100, 200


def record(job_dir: str, attempt: int, name: str) -> dict[str, Any] | None:
    """claim.json, process.json or exit.json; None when it is absent, empty when it cannot be read."""
    try:
        return claim.read(claim.attempt_dir(job_dir, attempt), name)
    except (OSError, ValueError):
        return {}


def runner_lives(claimed: Mapping[str, Any]) -> bool:
    """Is the process that made this claim still there: same boot, same number, same start time?"""
    pid, started = claimed.get("runner_pid"), claimed.get("runner_started")
    if claimed.get("boot_id") != kin.boot_id() or not isinstance(pid, int):
        return False
    found = kin.look(pid)
    return found is not None and found.started == started


def cause_of_loss(claimed: Mapping[str, Any] | None) -> str:
    """Why nobody saw the end, in words."""
    if claimed is None:
        return NEVER_STARTED.cause
    if not claimed:
        return "nobody answers for it, and the record of its runner is damaged"
    if claimed.get("boot_id") != kin.boot_id():
        return "the host was rebooted"
    pid = claimed.get("runner_pid")
    return f"its runner (process {pid if isinstance(pid, int) else '?'}) was killed"


class Remains:
    """The processes that an attempt left without a runner, as they can be found now and again."""

    def __init__(self, job: str, job_dir: str, attempt: int, *, process: Mapping[str, Any] | None = None) -> None:
        """process: what process.json says, where somebody else has read it."""
        self.job = job
        main = (record(job_dir, attempt, claim.PROCESS) if process is None else process) or {}
        if main.get("boot_id") != kin.boot_id():
            main = {}  # numbers of another boot name other processes
        pid, started = main.get("pid"), main.get("started")
        self.cgroup = str(main.get("cgroup", ""))
        self.main = self.main_started = 0
        if isinstance(pid, int) and isinstance(started, int):
            self.main, self.main_started = pid, started

    def present(self) -> list[Left]:
        """Those that live. Raises OSError: it cannot be seen now."""
        return self._look(look.NOTHING)

    def ask(self, asked: set[tuple[int, int]]) -> list[Left]:
        """SIGTERM to those that live and were not asked before; they are added. Raises OSError."""
        found = self._look(look.TERM, asked)
        asked |= {(one.pid, one.started) for one in found}
        return found

    def kill(self) -> list[Left]:
        """SIGKILL to all that live. Raises OSError."""
        return self._look(look.KILL)

    def clean(self) -> None:
        """Nothing lives any more: remove what held it."""
        self._look(look.CLEAN)

    def _look(self, do: str, asked: set[tuple[int, int]] | None = None) -> list[Left]:
        asking = look.message(
            self.job, main=self.main, main_started=self.main_started, cgroup=self.cgroup, do=do, asked=asked
        )
        return found_in(self._answered(asking))

    def _answered(self, message: bytes) -> bytes:
        """FOUND's frame. Our own processes are looked at here and now."""
        return look.answer(look.parse(message[HEADER_BYTES:]))


class Left(NamedTuple):
    """One process that was left, recognised by its number and its start."""

    pid: int
    started: int
    command: str


def found_in(message: bytes) -> list[Left]:
    """What FOUND says. Raises OSError for what cannot be believed."""
    try:
        value = fields.unpack(message[HEADER_BYTES:], "FOUND")
        return [
            Left(int(one["pid"]), int(one["started"]), storable(str(one["command"]), characters_max=COMMAND_MAX))
            for one in value["found"][: look.FOUND_MAX]
        ]
    except (WireError, KeyError, TypeError, ValueError) as error:
        raise OSError(f"what is left could not be seen: {error}") from error


def told(found: list[Left]) -> tuple[dict[str, Any], ...]:
    """Processes for people."""
    return tuple({"pid": one.pid, "command": one.command} for one in found[:COMMANDS_MAX])


def remove_socket(path: str) -> None:
    """A dead runner's socket. Safe to repeat."""
    with suppress(OSError):
        os.unlink(path)


def remove(job_dir: str) -> None:
    """A job's folder with its log. Safe to repeat."""
    shutil.rmtree(job_dir, ignore_errors=True)
