"""`hawse events`."""

from __future__ import annotations

import sys

import click

from hawse.cli.options import Connection, Numbers, connected, json_option, session_argument
from hawse.cli.say import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Session
    from hawse.client.records import EventInfo

INDENT = 8  # of a folded line: behind the number
_SHOWN = ("state", "role", "reason", "alias", "description", "attempt", "end_reason", "stop_reason")


@click.command()
@session_argument(inside=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with events to come, until the session has ended.")
@click.option("--from", "from_", type=Numbers(0, whole=True), default=1, metavar="N", help="From event N on.")
@json_option
@connected()
def command(name: str, follow: bool, from_: int, as_json: bool, connection: Connection) -> int:
    """Print a session's events: each change is one, numbered without gaps. With --json one object per line.

    \b
    hawse events demo
    hawse events demo -f --from 12
    """
    from hawse.cli.table import columns_of, fold
    from hawse.cli.target import session_at

    columns = columns_of(sys.stdout)
    session = session_at(connection.open(), name)
    if from_ > session.info.last_seq:
        note(_beyond(session, from_, follow))
    names = {job.id: job.name for job in session.info.jobs} | {session.id: session.info.alias or ""}
    try:
        for event in session.events(from_, follow=follow):
            if as_json:
                import json

                sys.stdout.write(json.dumps(event.raw, ensure_ascii=False) + "\n")
            else:
                line = _line(event, names)
                sys.stdout.write((fold(line, columns, indent=INDENT) if columns else line) + "\n")
            if follow:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    return 0


def _beyond(session: Session, from_: int, follow: bool) -> str:
    """That there is nothing to print yet. No error: `--from` the next event is how one asks whether something came."""
    count = f"{session.name} has only {session.info.last_seq} events"
    if session.info.is_over:
        return f"{count}, and has ended; none from {from_} on"
    return f"{count} so far; " + (f"waiting for {from_}" if follow else f"none from {from_} on")


def _line(event: EventInfo, names: dict[str, str]) -> str:
    from hawse.cli.table import printable
    from hawse.cli.words import moment, short_id

    for key in ("name", "alias", "principal"):
        if event.after.get(key):
            names[event.object] = str(event.after[key])
    known = (None, "", 1, event.kind.partition(".")[2])  # a state that the kind tells already
    told = [f"{key}={event.after[key]}" for key in _SHOWN if event.after.get(key) not in known]
    told += _special(event)
    name = names.get(event.object) or short_id(event.object)
    words = f"{event.seq:>6}  {moment(event.time)}  {event.kind:<20}  {name}  by {event.by}  {', '.join(told)}"
    return printable(words.rstrip())


def _special(event: EventInfo) -> list[str]:
    """The fields that are objects themselves, in words."""
    from hawse.cli.words import duration, moment, outcome
    from hawse.client.records import LogInfo, Outcome

    told = []
    if event.kind == "session.warned":
        detail = event.detail
        left = duration(float(detail.get("left_s") or 0.0))
        told.append(f"{detail.get('clock')} runs out in {left}: {detail.get('command')}")
    elif event.kind == "session.signalled":
        told.append(f"SIG{event.detail.get('signal')}: {event.detail.get('reason')}")
    if event.after.get("outcome"):
        told.append(outcome(Outcome(event.after["outcome"])))
    if event.after.get("log"):
        log = LogInfo(event.after["log"])
        if log.state != "ok" or event.kind == "job.log_changed":
            since = f" since {moment(log.since)}" if log.since else ""
            told.append(f"log {log.state}{since}{': ' if log.cause else ''}{log.cause}")
    if event.detail and event.kind not in ("session.warned", "session.signalled"):
        told.append(", ".join(f"{key}={value}" for key, value in event.detail.items() if value not in ("", 1)))
    if event.after.get("left_behind"):
        told.append(f"{len(event.after['left_behind'])} left behind")
    return told
