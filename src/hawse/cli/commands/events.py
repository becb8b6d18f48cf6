"""`hawse events`."""

from __future__ import annotations

import sys

import click

from hawse.cli.options import Connection, connected, json_option, session_argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.records import EventInfo

_SHOWN = ("state", "outcome", "reason", "log", "alias", "description", "attempt")


@click.command()
@session_argument()
@click.option("-f", "--follow", is_flag=True, help="Go on with events to come, until the session has ended.")
@click.option("--from", "from_", type=click.IntRange(min=0), default=1, metavar="N", help="From event N on.")
@json_option
@connected()
def command(name: str, follow: bool, from_: int, as_json: bool, connection: Connection) -> int:
    """Print a session's events: each change is one, numbered without gaps. With --json one object per line.

    \b
    hawse events demo
    hawse events demo -f --from 12
    """
    from hawse.cli.target import session_at

    session = session_at(connection.open(), name)
    try:
        for event in session.events(from_, follow=follow):
            if as_json:
                import json

                sys.stdout.write(json.dumps(event.raw, ensure_ascii=False) + "\n")
            else:
                sys.stdout.write(_line(event) + "\n")
            if follow:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    return 0


def _line(event: EventInfo) -> str:
    from hawse.cli.table import printable
    from hawse.cli.words import moment

    told = [f"{key}={_value(event.after[key])}" for key in _SHOWN if event.after.get(key) not in (None, "")]
    name = event.after.get("name") or event.after.get("alias") or event.object[-12:]
    words = f"{event.seq:>6}  {moment(event.time)}  {event.kind:<22} {name}  by {event.by}  {' '.join(told)}"
    return printable(words.rstrip())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{k}:{v}" for k, v in value.items() if v not in (None, "", 0) or k == "code")
    return str(value)
