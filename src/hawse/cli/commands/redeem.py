"""`hawse redeem`."""

from __future__ import annotations

import sys

import click

from hawse.cli.options import Connection, connected, json_option
from hawse.cli.say import is_terminal, json_out, note, out
from hawse.domain.errors import Invalid

LINE_LENGTH_MAX = 1000


@click.command()
@click.argument("words", nargs=-1, metavar="")
@json_option
@connected()
def command(words: tuple[str, ...], as_json: bool, connection: Connection) -> int:
    """Take the role that a link gives, for yourself. The link is read from the terminal, or from standard input.

    It is not given as a word: everybody on this machine can read the words of a command.

    \b
    hawse redeem
    hawse redeem < link.txt
    """
    if words:
        raise Invalid(
            "a link is a secret, and the words of a command can be read by others",
            next_step="hawse redeem, then paste it; and ask for a new link, since this one was seen",
        )
    server = connection.open()
    grant = server.redeem(_secret())
    session = server.session(grant.session).info
    if as_json:
        json_out(grant.raw)
        return 0
    out(f"you are {grant.role} of {session.name}, which belongs to {session.owner}")
    note(f"look: hawse show {session.id}     watch: hawse attach {session.id} --watch")
    return 0


def _secret() -> str:
    if is_terminal(sys.stdin):
        from getpass import getpass

        text = getpass("link: ")
    else:
        text = sys.stdin.readline(LINE_LENGTH_MAX)
    if not text.strip():
        raise Invalid("no link was given", next_step="paste what hawse share --link printed")
    return text.strip()
