"""`hawse policy`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, connected, json_option
from hawse.cli.say import BOLD, json_out, out, paint


@click.group()
def command() -> None:
    """Show what is permitted.

    \b
    hawse policy roles     each verb, and which role may
    """


@command.command()
@json_option
@connected()
def roles(as_json: bool, connection: Connection) -> int:
    """Show the authorization table: each verb, what it needs, and which role may.

    The owner of a session may do everything in it; who has no role, nothing. A grant can be narrowed to capabilities
    (`hawse share NAME USER --can job:watch`), those of jobs to one job (`--can job:watch@build`).
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
            "yes" if verb["needs"] is None else "-",
            verb["note"],
        )
        for verb in found["verbs"]
    ]
    table(("VERB", "NEEDS", *(name.upper() for name in names), "NO ROLE", "NOTE"), rows)
    out()
    out(paint("capabilities", BOLD, sys.stdout))
    for name in names:
        out(f"  {name}: {', '.join(found['roles'][name])}")
    return 0
