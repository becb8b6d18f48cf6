"""`hawse ls`."""

from __future__ import annotations

import os
import time

import click

from hawse.cli.options import Connection, connected, json_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.records import SessionInfo

HEADS = ("NAME", "STATE", "JOBS", "ATTACHED", "AGE", "WHAT HAPPENED")
LEFT_AT = 5  # where the column stands that is there when a lease runs


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Ended sessions, too.")
@click.option("--ended", is_flag=True, help="Only ended sessions.")
@click.option("--mine", "whose", flag_value="mine", help="Only your own.")
@click.option("--shared", "whose", flag_value="shared", help="Only what others share with you.")
@click.option("--everyone", "whose", flag_value="everyone", help="Everybody's (for admins of a site).")
@click.option("--project", metavar="P", help="Only of this project.")
@json_option
@connected()
def command(
    everything: bool, ended: bool, whose: str | None, project: str | None, as_json: bool, connection: Connection
) -> int:
    """List sessions: state, jobs (running/all), who is attached, age, and what ended and why.

    Those of others that are shared with you are listed, too, with their owner.

    \b
    hawse ls
    hawse ls --shared
    hawse ls --all --json
    """
    return listed("all" if everything else "ended" if ended else "living", as_json, connection, whose or "all", project)


def listed(
    state: str, as_json: bool, connection: Connection, whose: str = "all", project: str | None = None
) -> int:
    """Print the sessions in this state ("living", "ended", "all")."""
    from hawse.cli.say import json_out, note

    server = connection.open()
    sessions = [session.info for session in server.sessions(state, whose=whose, project=project)]
    if as_json:
        json_out([info.raw for info in sessions])
        return 0
    now = time.time()
    troubled = next((info.trouble for info in sessions if info.trouble is not None), None)
    if troubled is not None:
        from hawse.cli.words import trouble

        note(trouble(troubled))
    if sessions:
        _table(sessions, now, is_remote=server.transport.endpoint.is_remote)
    elif state == "ended":
        note("no ended sessions")
    elif whose == "shared":
        note("no sessions; nobody shares one with you")
    elif state == "living" and server.sessions("ended", limit=1):
        note("no living sessions; hawse new starts one; hawse history lists those that ended")
    else:
        note("no sessions; hawse new starts one")
    return 0


def _table(sessions: list[SessionInfo], now: float, *, is_remote: bool) -> None:
    from hawse.cli.table import table
    from hawse.cli.words import duration

    left = ["" if one.is_over or one.lease_until is None else duration(one.lease_until - now) for one in sessions]
    heads, rows = list(HEADS), [list(_row(info, now)) for info in sessions]
    if any(left):
        heads.insert(LEFT_AT, "ENDS IN")
        for row, text in zip(rows, left, strict=True):
            row.insert(LEFT_AT, text or "-")
    if len({info.project for info in sessions}) > 1:
        heads.insert(0, "PROJECT")
        for row, info in zip(rows, sessions, strict=True):
            row.insert(0, info.project)
    owners = {info.owner for info in sessions}
    if len(owners) > 1 or not (is_remote or owners <= {f"uid:{os.getuid()}"}):
        from hawse.client.who import name_of

        heads.insert(0, "OWNER")
        for row, info in zip(rows, sessions, strict=True):
            row.insert(0, info.owner if is_remote else name_of(info.owner))  # a far machine has users of its own
    table(heads, rows)


def _row(info: SessionInfo, now: float) -> tuple[str, ...]:
    from hawse.cli.words import age, session_end

    living = sum(not job.is_over for job in info.jobs)
    attached = sum(one.state == "attached" for one in info.attachments)
    then = info.ended_at if info.is_over else info.created_at
    return (
        info.name,
        info.state,
        f"{living}/{len(info.jobs)}",
        str(attached) if attached else "-",
        age(then, now),
        session_end(info) or info.description,
    )
