"""`hawse describe`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, connected, json_option, session_argument
from hawse.cli.say import json_out, out
from hawse.domain.errors import Invalid


@click.command()
@session_argument(inside=True)
@click.option("--description", metavar="TEXT", help="What people read about it.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label; KEY= takes it away.")
@click.option("--rename", "alias", metavar="NAME", help="Another name.")
@json_option
@connected()
def command(
    name: str,
    description: str | None,
    labels: tuple[str, ...],
    alias: str | None,
    as_json: bool,
    connection: Connection,
) -> int:
    """Change a session's description, labels or name.

    \b
    hawse describe demo --description "the nightly build" --label team=core
    hawse describe demo --rename nightly
    """
    from hawse.cli.target import session_at

    if description is None and not labels and alias is None:
        raise Invalid("there is nothing to change", next_step="give --description, --label or --rename")
    session = session_at(connection.open(), name)
    changed = None
    if labels:
        changed = dict(session.info.labels)
        for text in labels:
            key, sign, value = text.partition("=")
            if not sign or not key:
                raise Invalid(f"--label {text!r} is not KEY=VALUE")
            changed[key] = value
            if not value:
                del changed[key]
    info = session.describe(
        description=description, labels=changed, alias=alias, version=session.info.version if labels else None
    )
    if as_json:
        json_out(info.raw)
    else:
        out(f"changed {info.name}")
    return 0
