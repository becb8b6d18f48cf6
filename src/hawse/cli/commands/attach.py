"""`hawse attach`."""

from __future__ import annotations

import os
import sys

import click

from hawse.cli.options import Connection, connected, target_argument
from hawse.cli.say import is_terminal, note
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job


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

    return attach_to(job_at(connection.open(), target), mode="watch" if watch else "control")


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
    if job.id == os.environ.get("HAWSE_JOB"):
        raise Invalid(f"this terminal is {name}: attaching it to itself would show it in itself")
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
