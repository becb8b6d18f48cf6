"""What is left of an attempt whose runner is gone: its files, its processes. Blocking; callers use a thread."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Mapping
from typing import Any

from hawse.runner import claim, kin

SWEEP_GRACE_S = 5.0  # SIGHUP came with the pty's end already; this is the second word
SWEEP_STEP_S = 0.05
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
        return "it was never started"
    if not claimed:
        return "nobody answers for it, and the record of its runner is damaged"
    if claimed.get("boot_id") != kin.boot_id():
        return "the host was rebooted"
    return f"its runner (process {claimed.get('runner_pid')}) was killed"


def sweep(job: str, job_dir: str, attempt: int, *, keep: bool) -> list[dict[str, Any]]:
    """The processes that an attempt left without a runner;

    they are ended (TERM, grace, KILL) unless they are to be kept.
    """
    main = record(job_dir, attempt, claim.PROCESS) or {}
    if main.get("boot_id") != kin.boot_id():
        main = {}  # numbers of another boot name other processes
    pid, started = main.get("pid"), main.get("started")
    known = {"main": pid, "main_started": started} if isinstance(pid, int) and isinstance(started, int) else {}

    def present() -> list[kin.Kin]:
        return kin.of_job(job, cgroup=str(main.get("cgroup", "")), **known)

    found = present()
    told = [{"pid": one.pid, "command": kin.command(one.pid)} for one in found[:COMMANDS_MAX]]
    if keep:
        return told
    deadline, number = time.monotonic() + SWEEP_GRACE_S, signal.SIGTERM
    while found and time.monotonic() < deadline + SWEEP_GRACE_S:
        for one in found:
            kin.send(one, number)
            kin.send(one, signal.SIGCONT)
        time.sleep(SWEEP_STEP_S)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        found = present()
    if not found:
        kin.remove_cgroup(str(main.get("cgroup", "")))
    return told


def remove(job_dir: str) -> None:
    """A job's folder with its log. Safe to repeat."""
    shutil.rmtree(job_dir, ignore_errors=True)
