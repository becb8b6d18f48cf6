"""`hawse history`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, Numbers, connected, json_option


@click.command()
@click.option(
    "-n", "--limit", type=Numbers(1, 100_000, whole=True), default=100, show_default=True, help="The newest so many."
)
@json_option
@connected()
def command(limit: int, as_json: bool, connection: Connection) -> int:
    """List ended sessions: when they ran, how long, how they ended. `show`, `logs` and `events` still work on them.

    \b
    hawse history
    """
    from hawse.cli.say import json_out, note
    from hawse.cli.table import table
    from hawse.cli.words import duration, moment, session_end, short_id

    sessions = [session.info for session in connection.open().sessions("ended")][-limit:]
    if as_json:
        json_out([info.raw for info in sessions])
        return 0
    rows = [
        (
            info.name,
            short_id(info.id),
            moment(info.created_at),
            duration((info.ended_at or info.created_at) - info.created_at),
            str(len(info.jobs)),
            session_end(info),
        )
        for info in sessions
    ]
    if rows:
        table(("NAME", "ID", "STARTED", "RAN", "JOBS", "HOW IT ENDED"), rows)
    else:
        note("no ended sessions")
    return 0
