"""`hawse take`."""

from __future__ import annotations

import os

import click

from hawse.cli.options import Connection, connected, target_argument
from hawse.cli.say import out
from hawse.domain.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job
    from hawse.client.records import AttachmentInfo


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
    chosen = _chosen(job, attachment)
    taken = job.session.take(chosen.id)
    place = taken.attachment.where or taken.attachment.id
    if taken.before is None or taken.before.id == chosen.id:
        had = "had it already" if taken.before is not None else "nobody had it"
    else:
        who = taken.before.who if server.transport.endpoint.is_remote else people(taken.before.who)
        had = f"{who} ({taken.before.where or taken.before.id}) had it"
    out(f"{place} has control of {label(job)} now; {had}")
    return 0


def _chosen(job: Job, wanted: str | None) -> AttachmentInfo:
    """The caller's newest attachment to the job that may control, linked ones first; or the wanted one."""
    me = _me(job)
    living = [one for one in job.session.info.attachments if one.job == job.id]
    if wanted is not None:
        found = [one for one in living if one.id.startswith(wanted)]
        if len(found) != 1:
            how = "no attachment" if not found else f"{len(found)} attachments"
            name = f"{job.session.name}/{job.name}"
            raise NotFound(f"{name} has {how} {wanted}", next_step=f"hawse who {job.session.name}")
        return found[0]
    mine = [one for one in living if one.mode == "control" and (me is None or one.who == me)]
    if not mine:
        raise Invalid(
            f"none of your windows is attached to {job.session.name}/{job.name} with control",
            next_step=f"hawse attach {job.session.name}/{job.name}, then Ctrl-\\ t",
        )
    return max(mine, key=lambda one: (one.state == "attached", one.id))


def _me(job: Job) -> str | None:
    """How the coordinator of this machine calls us; one of elsewhere may call us otherwise, and decides by itself."""
    return None if job.session.server.transport.endpoint.is_remote else f"uid:{os.getuid()}"
