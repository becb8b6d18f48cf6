"""What is left of an attempt whose runner is gone: its files, its processes. Blocking; callers use a thread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hawse.domain.job import NEVER_STARTED
from hawse.runner import claim, kin

COMMANDS_MAX = 100


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
    return f"its runner (process {claimed.get('runner_pid')}) was killed"


class Remains:
    """The processes that an attempt left without a runner, as they can be found now and again."""

    def __init__(self, job: str, job_dir: str, attempt: int) -> None:
        self.job = job
        main = record(job_dir, attempt, claim.PROCESS) or {}
        if main.get("boot_id") != kin.boot_id():
            main = {}  # numbers of another boot name other processes
        pid, started = main.get("pid"), main.get("started")
        self.cgroup = str(main.get("cgroup", ""))
        self._main = {"main": pid, "main_started": started} if isinstance(pid, int) and isinstance(started, int) else {}

    def present(self) -> list[kin.Kin]:
        """Those that live."""
        return kin.of_job(self.job, cgroup=self.cgroup, **self._main)


def told(found: list[kin.Kin]) -> tuple[dict[str, Any], ...]:
    """Processes for people."""
    return tuple({"pid": one.pid, "command": kin.command(one.pid)} for one in found[:COMMANDS_MAX])


def remove_socket(path: str) -> None:
    """A dead runner's socket. Safe to repeat."""
    with suppress(OSError):
        os.unlink(path)


def remove(job_dir: str) -> None:
    """A job's folder with its log. Safe to repeat."""
    shutil.rmtree(job_dir, ignore_errors=True)
