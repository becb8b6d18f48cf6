"""`hawse detach`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, connected, session_argument
from hawse.cli.say import out
from hawse.domain.errors import Invalid, NotFound


@click.command()
@session_argument(inside=True)
@click.argument("attachment", required=False, metavar="[ATTACHMENT]")
@click.option("--all", "everybody", is_flag=True, help="Detach everybody.")
@connected()
def command(name: str, attachment: str | None, everybody: bool, connection: Connection) -> int:
    """Detach somebody from a session. The work goes on; each is told how to return.

    Without ATTACHMENT: the only one there is. `hawse show NAME` lists them.

    \b
    hawse detach demo --all
    """
    from hawse.cli.target import session_at

    session = session_at(connection.open(), name)
    living = session.info.attachments
    if everybody:
        chosen = living
    elif attachment is not None:
        chosen = [a for a in living if a.id.startswith(attachment)]
        if len(chosen) != 1:
            how = "no attachment" if not chosen else f"{len(chosen)} attachments"
            raise NotFound(f"session {session.name} has {how} {attachment}", next_step=f"hawse show {session.name}")
    elif len(living) > 1:
        raise Invalid(
            f"session {session.name} has {len(living)} attachments; which one?",
            next_step=f"hawse detach {session.name} ATTACHMENT, or --all; hawse show {session.name} lists them",
        )
    else:
        chosen = living
    for one in chosen:
        session.detach(one.id)
        out(f"detached {one.id} ({one.where or one.who})")
    if not chosen:
        out(f"nobody is attached to {session.name}")
    return 0
