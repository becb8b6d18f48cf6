"""`hawse extend`."""

from __future__ import annotations

import time

import click

from hawse.cli.options import Connection, connected, json_option, session_argument
from hawse.cli.say import json_out, out
from hawse.domain.errors import Invalid


@click.command()
@session_argument()
@click.argument("by", required=False, metavar="[TIME]")
@click.option("--until", metavar="WHEN", help="Let it end then: 17:30, '2026-03-04 17:30', 8h.")
@click.option("--never", is_flag=True, help="Let only `hawse end` end it.")
@click.option("--jobs", is_flag=True, help="Let it end with its last job.")
@json_option
@connected()
def command(
    name: str, by: str | None, until: str | None, never: bool, jobs: bool, as_json: bool, connection: Connection
) -> int:
    """Let a session end later: by a time, at a time, or never.

    \b
    hawse extend demo 2h
    hawse extend demo --until 17:30
    """
    from hawse.cli import times
    from hawse.cli.target import session_at
    from hawse.cli.words import clock_left

    if sum((by is not None, until is not None, never, jobs)) != 1:
        raise Invalid("give one of TIME, --until, --never and --jobs", next_step=f"for example: hawse extend {name} 2h")
    by_s = None if by is None else times.duration(by)
    at = None if until is None else times.moment(until, time.time(), "--until")
    session = session_at(connection.open(), name)
    if by_s is not None:
        info = session.extend(by_s)
    else:
        info = session.set_lease("never" if never else "jobs" if jobs else "until", at)
    if as_json:
        json_out(info.raw)
    else:
        out(f"{info.name} {clock_left(info, time.time())}")
    return 0
