"""`hawse unshare`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, connected, json_option, session_argument
from hawse.cli.say import json_out, note, out
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hawse.client.api import Session
    from hawse.client.records import GrantInfo

ID_LENGTH, PREFIX_LENGTH_MIN = 36, 8


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from hawse.cli.commands.share import complete_who

    return complete_who(ctx, param, incomplete)


@click.command()
@session_argument()
@click.argument("who", required=False, metavar="USER|@GROUP|ID", shell_complete=_complete)
@click.option("--all", "everybody", is_flag=True, help="Take back every grant and link.")
@json_option
@connected()
def command(name: str, who: str | None, everybody: bool, as_json: bool, connection: Connection) -> int:
    """Take back what somebody may do in a session. Who is attached by it is cut off at once.

    ID: a grant's or a link's, as `hawse share NAME` lists them; a link takes with it everything that was made from it.

    \b
    hawse unshare demo ada
    hawse unshare demo --all
    """
    from hawse.cli.target import session_at

    if everybody == (who is not None):
        raise Invalid("give USER, @GROUP or ID, or else --all", next_step=f"hawse share {name} lists them")
    session = session_at(connection.open(), name)
    taken = [
        session.unshare(whom) for whom in (_everybody(session) if who is None else [_whom(session, who, connection)])
    ]
    if as_json:
        json_out(
            [{"grants": [g.raw for g in one.grants], "attachments": [a.raw for a in one.attachments]} for one in taken]
        )
        return 0
    for one in taken:
        for grant in one.grants:
            out(f"taken back: {_words(grant)}")
        for attachment in one.attachments:
            out(f"cut off {attachment.who} ({attachment.where or attachment.id})")
    if not taken:
        note(f"{session.name} is shared with nobody")
    return 0


def _everybody(session: Session) -> list[str]:
    """Links last: what is made from them is then gone with them."""
    found = session.grants()
    links = {grant.id for grant in found if grant.is_link}
    return [grant.id for grant in found if grant.is_link or grant.via not in links]


def _whom(session: Session, who: str, connection: Connection) -> str:
    """An id, the unique beginning of one, or a principal. Of a whole link its id is enough."""
    id, dot, _ = who.partition(".")
    if dot and len(id) == ID_LENGTH:
        who = id
    if len(who) >= PREFIX_LENGTH_MIN and not who.strip("0123456789abcdef-"):
        if len(who) == ID_LENGTH:
            return who
        found = [grant.id for grant in session.grants() if grant.id.startswith(who)]
        if len(found) == 1:
            return found[0]
    from hawse.cli.commands.share import _principal

    return _principal(who, connection)


def _words(grant: GrantInfo) -> str:
    from hawse.client.who import name_of

    return f"{name_of(grant.principal)} was {grant.role}" if grant.principal else f"link {grant.id} ({grant.role})"
