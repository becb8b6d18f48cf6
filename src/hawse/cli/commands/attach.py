"""`hawse attach`."""

from __future__ import annotations

import os
import sys

import click

from hawse.cli.options import Connection, connected, target_argument
from hawse.cli.say import is_terminal, note
from hawse.domain.errors import Invalid, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job

NESTED_MAX = 20  # nobody sees more terminals in each other


@click.command()
@target_argument()
@click.option("--watch", is_flag=True, help="Only look; what is typed goes nowhere.")
@connected()
def command(target: str, watch: bool, connection: Connection) -> int:
    """Show a job on this terminal and type into it. Ctrl-\\ d detaches; the work goes on.

    With a session's name: its newest living job that has a terminal. HAWSE_DETACH_KEY (or detach_key in the [attach]
    table of config.toml) changes the key: C-a.

    \b
    hawse attach demo
    hawse attach demo/build --watch
    """
    from hawse.cli.target import job_at

    server = connection.open()
    server.transport.endpoint.go_ahead()
    return attach_to(job_at(server, target), mode="watch" if watch else "control")


def attach_to(job: Job, *, mode: str) -> int:
    """Show the job until it ends or the user leaves; the exit code. Raises Problem."""
    from hawse.cli.attach.config import detach_keys
    from hawse.cli.attach.keys import Keys
    from hawse.cli.attach.outcome import attached_end
    from hawse.cli.attach.view import DETACHED, LEFT, View
    from hawse.cli.target import label

    name = label(job)
    if not is_terminal(sys.stdout) or not is_terminal(sys.stdin):
        raise Invalid(
            "attach needs a terminal, and this is none", next_step=f"to read what it prints: hawse logs -f {name}"
        )
    if job.id in _around_us(job):
        raise Invalid(
            f"this terminal is inside {name}: attaching it here would show it in itself",
            next_step=f"if it is not (HAWSE_JOB came from elsewhere): env -u HAWSE_JOB hawse attach {name}",
        )
    raw = job.info.tty
    view = View(
        job,
        mode=mode,
        raw=raw,
        keys=detach_keys() if raw else Keys(None),
        start="screen",
        takes_input=mode == "control",
        name=name,
        passes_interrupts=False,
    )
    if not raw and not job.info.is_over:
        note(f"[{name} has no terminal: what you type is sent line by line; Ctrl-C leaves, it goes on]")
    how = view.run()
    return attached_end(view, DETACHED if how == LEFT and not raw else how)


def _around_us(job: Job) -> set[str]:
    """The ids of the jobs on whose terminals ours is shown: the one that we are in, those that show that one, and so
    on. The coordinator knows who shows whom, since clients tell it where they are.
    """
    from hawse.cli.attach.where import place_in

    found: set[str] = set()
    unseen = [(os.environ.get("HAWSE_SESSION", ""), os.environ.get("HAWSE_JOB", ""))]
    while unseen and len(found) < NESTED_MAX:
        session, inside = unseen.pop()
        if not inside or inside in found:
            continue
        found.add(inside)
        try:
            attachments = job.session.server.session(session).info.attachments if session else []
        except Problem:
            continue  # another coordinator's
        places = [place_in(one.where) for one in attachments if one.job == inside]
        unseen += [place for place in places if place is not None]
    return found
