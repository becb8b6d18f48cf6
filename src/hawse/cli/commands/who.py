"""`hawse who`."""

from __future__ import annotations

import time

import click

from hawse.cli.options import Connection, connected, json_option, session_argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.records import AttachmentInfo

HEADS = ("WHO", "JOB", "MODE", "CONTROL", "SINCE", "ACTIVE", "TYPED", "ID", "FROM")


@click.command()
@session_argument(inside=True)
@json_option
@connected()
def command(name: str, as_json: bool, connection: Connection) -> int:
    """Show who is attached to a session: from where, since when, who has control, and when each was last active.

    Active is who types, or whose terminal takes what is printed; the runners are asked. CONTROL: has (what this one
    types reaches the job), may (it can take control), - (it only watches). Take it with `hawse take`.

    \b
    hawse who demo
    hawse who demo --json
    """
    from hawse.cli.say import json_out, note
    from hawse.cli.table import table
    from hawse.cli.target import session_at

    server = connection.open()
    session = session_at(server, name)
    found = session.who()
    if as_json:
        json_out([one.raw for one in found])
        return 0
    if not found:
        note(f"nobody is attached to {session.name}; attach with: hawse attach {session.name}")
        return 0
    now, is_far = time.time(), server.transport.endpoint.is_remote
    jobs = {job.id: job.name for job in session.info.jobs}
    table(HEADS, [_row(one, jobs.get(one.job, one.job), now, is_far=is_far) for one in found])
    return 0


def _row(one: AttachmentInfo, job: str, now: float, *, is_far: bool) -> tuple[str, ...]:
    from hawse.cli.words import age, control, duration, short_id
    from hawse.client.who import name_of

    away = f" (its link is away since {duration(now - one.link_at)})" if one.state == "stale" else ""
    return (
        one.who if is_far else name_of(one.who),
        job,
        one.mode,
        control(one),
        age(one.created_at, now),
        age(one.active_at, now),
        age(one.typed_at, now),
        short_id(one.id),
        f"{one.where or '-'}{away}",
    )
