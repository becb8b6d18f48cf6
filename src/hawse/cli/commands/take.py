"""`hawse take`."""

from __future__ import annotations

import os

import click

from hawse.cli.options import Connection, connected, target_argument
from hawse.cli.say import out
from hawse.domain.errors import Denied, Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job
    from hawse.client.records import AttachmentInfo, Control


@click.command()
@target_argument()
@click.option("--attachment", metavar="ID", help="Which of yours: its id or the beginning of it (hawse who).")
@connected()
def command(target: str, attachment: str | None, connection: Connection) -> int:
    """Take control of a job for your own newest attachment to it. Who had it is told by whom, and how to take it back.

    In an attached window the key does the same for that window: Ctrl-\\ t.

    \b
    hawse take demo
    hawse take demo/build --attachment 01a208a8
    """
    from hawse.cli.attach.control import people
    from hawse.cli.target import job_at, label

    server = connection.open()
    job = job_at(server, target)
    taken = _taken(job, _candidates(job, attachment))
    place = taken.attachment.where or taken.attachment.id
    if taken.before is None or taken.before.id == taken.attachment.id:
        had = "had it already" if taken.before is not None else "nobody had it"
    else:
        who = taken.before.who if server.transport.endpoint.is_remote else people(taken.before.who)
        had = f"{who} ({taken.before.where or taken.before.id}) had it"
    out(f"{place} has control of {label(job)} now; {had}")
    return 0


def _taken(job: Job, candidates: list[AttachmentInfo]) -> Control:
    """Control for the first of them that is ours."""
    for number, one in enumerate(candidates, 1):
        try:
            return job.session.take(one.id)
        except Denied:
            if number == len(candidates):
                raise
    raise AssertionError("there is no candidate")


def _candidates(job: Job, wanted: str | None) -> list[AttachmentInfo]:
    """Attachments to the job that may be ours and may control: linked ones first, the newest first; or the wanted one.

    How a coordinator of elsewhere, or of a site, calls us is not known here: there whose they are is tried.
    """
    living = [one for one in job.session.info.attachments if one.job == job.id]
    if wanted is not None:
        found = [one for one in living if one.id.startswith(wanted)]
        if len(found) != 1:
            how = "no attachment" if not found else f"{len(found)} attachments"
            name = f"{job.session.name}/{job.name}"
            raise NotFound(f"{name} has {how} {wanted}", next_step=f"hawse who {job.session.name}")
        return found
    able = [one for one in living if one.mode == "control"]
    mine = [one for one in able if one.who == f"uid:{os.getuid()}"]
    if job.session.server.transport.endpoint.is_remote or any(one.who.startswith("user:") for one in able):
        mine = able
    if not mine:
        raise Invalid(
            f"none of your windows is attached to {job.session.name}/{job.name} with control",
            next_step=f"hawse attach {job.session.name}/{job.name}, then Ctrl-\\ t",
        )
    return sorted(mine, key=lambda one: (one.state == "attached", one.id), reverse=True)
