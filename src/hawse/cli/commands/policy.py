"""`hawse policy`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, connected, json_option, session_argument
from hawse.cli.say import BOLD, json_out, out, paint


@click.group()
def command() -> None:
    """Show and set what follows what in a session, and show what each role may.

    \b
    hawse policy show demo
    hawse policy set demo on_disconnect=end:10m
    hawse policy roles
    """


@command.command()
@session_argument(inside=True)
@json_option
@connected()
def show(name: str, as_json: bool, connection: Connection) -> int:
    """Show each policy of a session: its value, and where it was set (default, project, session, command).

    \b
    hawse policy show demo
    """
    from hawse.cli.table import table
    from hawse.cli.target import session_at
    from hawse.cli.words import policy_value

    found = session_at(connection.open(), name).policies()
    if as_json:
        json_out([one.raw for one in found])
        return 0
    rows = [(one.name, policy_value(one.name, one.value), one.source, one.what) for one in found]
    table(("POLICY", "VALUE", "SET IN", "WHAT IT SAYS"), rows)
    return 0


@command.command("set")
@session_argument()
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
@json_option
@connected()
def set_(name: str, settings: tuple[str, ...], as_json: bool, connection: Connection) -> int:
    """Set policies of a session. KEY= takes one away, so that the project's or the default counts again.

    Times are durations. on_disconnect=end:10m, on_disconnect=signal:HUP:10m and on_error=restart:3 set several at once.

    \b
    hawse policy set demo connect_by_s=5m on_error=restart:3
    """
    from hawse.cli import times
    from hawse.cli.target import session_at
    from hawse.cli.words import policy_value

    wanted = {key: value for text in settings for key, value in times.policy(text).items()}
    session = session_at(connection.open(), name)
    info = session.set_policies(wanted)
    if as_json:
        json_out(info.raw)
        return 0
    for one in session.policies():
        if one.name in wanted:
            out(f"{one.name}: {policy_value(one.name, one.value)} ({one.source})")
    return 0


@command.command()
@json_option
@connected()
def roles(as_json: bool, connection: Connection) -> int:
    """Show the authorization table: each verb, what it needs, and which role may.

    The owner of a session may do everything in it; who has no role, nothing; an admin of a site what ADMIN says. A
    grant can be narrowed to capabilities (`hawse share NAME USER --can job:watch`), those of jobs to one job
    (`--can job:watch@build`).
    """
    import sys

    from hawse.cli.table import table

    found = connection.open().roles()
    if as_json:
        json_out(found)
        return 0
    names = list(found["roles"])
    rows = [
        (
            verb["command"] or verb["name"],
            verb["needs"] or "-",
            *("yes" if name in verb["roles"] else "-" for name in names),
            "yes" if verb.get("anybody", verb["needs"] is None) else "-",
            "yes" if verb.get("admins") else "-",
            verb["note"],
        )
        for verb in found["verbs"]
    ]
    table(("VERB", "NEEDS", *(name.upper() for name in names), "NO ROLE", "ADMIN", "NOTE"), rows)
    out()
    out(paint("capabilities", BOLD, sys.stdout))
    for name in names:
        out(f"  {name}: {', '.join(found['roles'][name])}")
    return 0
