"""LOOK: what a job without a runner has left, seen and signalled by a process of the same user.

A coordinator that runs as another user can neither read whose those processes are nor end them; the user's parent can
(spec 11, Jobs). One LOOK is one look; how long to wait between two is the coordinator's to say.
"""

from __future__ import annotations

import signal

from hawse.runner import kin
from hawse.wire import fields, terminal
from hawse.wire.errors import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SPARED_MAX, FOUND_MAX = 4096, 1000
NOTHING, TERM, KILL, CLEAN = "", "term", "kill", "clean"


class Look:
    """job; main, main_started, cgroup: what process.json said. do: NOTHING, TERM (and CONT, to those that were not
    asked before), KILL, CLEAN (remove the cgroup). asked: (pid, started) of those that got TERM before.
    """

    __slots__ = ("asked", "cgroup", "do", "job", "main", "main_started")

    job: str
    main: int
    main_started: int
    cgroup: str
    do: str
    asked: set[tuple[int, int]]


def message(
    job: str, *, main: int, main_started: int, cgroup: str, do: str, asked: set[tuple[int, int]] | None = None
) -> bytes:
    """LOOK."""
    told = sorted(asked or ())[:SPARED_MAX]
    return terminal.message(
        terminal.LOOK, job=job, main=main, main_started=main_started, cgroup=cgroup, do=do, asked=told
    )


def parse(body: bytes) -> Look:
    """LOOK's body. Raises Malformed."""
    value = fields.unpack(body, "LOOK")
    made = Look()
    made.job = fields.text(value, "job", "LOOK", characters_max=terminal.WORD_CHARACTERS_MAX)
    made.main = fields.integer(value, "main", "LOOK", default=0)
    made.main_started = fields.integer(value, "main_started", "LOOK", default=0)
    made.cgroup = fields.text(value, "cgroup", "LOOK", characters_max=4096, default="")
    made.do = fields.choice(value, "do", "LOOK", of=(NOTHING, TERM, KILL, CLEAN), default=NOTHING)
    asked = value.get("asked", [])
    if not made.job or not isinstance(asked, list) or len(asked) > SPARED_MAX:
        raise Malformed("LOOK: job must not be empty, asked is a list")
    try:
        made.asked = {(int(pid), int(started)) for pid, started in asked}
    except (TypeError, ValueError) as error:
        raise Malformed("LOOK: asked holds pairs of numbers") from error
    return made


def answer(asked: Look) -> bytes:
    """Do it; FOUND."""
    if asked.do == CLEAN:
        kin.remove_cgroup(asked.cgroup)
        return terminal.message(terminal.FOUND, found=[])
    if asked.do == KILL:
        kin.kill_cgroup(asked.cgroup, job=asked.job)
    found = kin.of_job(asked.job, main=asked.main, main_started=asked.main_started, cgroup=asked.cgroup)
    for one in found:
        if asked.do == KILL:
            kin.send(one, signal.SIGKILL)
        elif asked.do == TERM and (one.pid, one.started) not in asked.asked:
            kin.send(one, signal.SIGTERM)
            kin.send(one, signal.SIGCONT)
    told: list[dict[str, Any]] = [
        {"pid": one.pid, "started": one.started, "command": kin.command(one.pid)} for one in found[:FOUND_MAX]
    ]
    return terminal.message(terminal.FOUND, found=told)
