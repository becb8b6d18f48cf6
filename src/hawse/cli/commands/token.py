"""`hawse token`."""

from __future__ import annotations

import os
import time

import click

from hawse.cli.commands.user import complete_user
from hawse.cli.options import Connection, connected, json_option
from hawse.cli.say import json_out, note, out
from hawse.domain.errors import Invalid, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hawse.client.records_site import NewToken


def complete_token(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of one's own tokens."""
    from hawse.cli.completion import named

    return named("/v1/tokens", "name", incomplete)


user_option = click.option("--user", metavar="USER", shell_complete=complete_user, help="Whose (for admins).")
out_option = click.option("--out", "path", metavar="FILE", type=click.Path(dir_okay=False),
                          help="Write it to this new file, which only you can read, and not to stdout.")  # fmt: skip


@click.group()
def command() -> None:
    """Make, list and revoke tokens: what you show to a site service from another machine.

    The client takes it from HAWSE_TOKEN_FILE, from `token` in your configuration folder, or from HAWSE_TOKEN.

    \b
    hawse token new laptop --until 90d --out ~/.config/hawse/token
    hawse token ls
    hawse token revoke laptop
    """


@command.command()
@click.argument("name", metavar="NAME")
@user_option
@click.option("--until", metavar="TIME", help="How long it is good: 90d, or until when. Default: as the site says.")
@click.option("--project", metavar="P", help="It is good in this project only.")
@click.option("--read-only", is_flag=True, help="It looks at your sessions, and changes nothing.")
@out_option
@json_option
@connected()
def new(
    name: str, user: str | None, until: str | None, project: str | None, read_only: bool, path: str | None,
    as_json: bool, connection: Connection,
) -> int:  # fmt: skip
    """Make a token. It is shown only now; the service keeps a hash of it.

    \b
    hawse token new laptop --until 90d --out ~/.config/hawse/token
    hawse token new dashboard --read-only
    """
    from hawse.cli import times

    now = time.time()
    expires_at = None if until is None else times.moment(until, now, "--until")
    if expires_at is not None and expires_at <= now:
        raise Invalid(f"--until {until}: that is over already")
    site = connection.open().site
    with _place(path) as place:
        made = site.make_token(name, user=user, expires_at=expires_at, project=project, read_only=read_only)
        return place.told(made, as_json)


@command.command()
@click.argument("name", metavar="NAME", shell_complete=complete_token)
@user_option
@out_option
@json_option
@connected()
def renew(name: str, user: str | None, path: str | None, as_json: bool, connection: Connection) -> int:
    """Give a token another secret. The present one opens nothing from now on: put the new one everywhere it is used.

    To change without a gap: make a second token, put it everywhere, then revoke the first.

    \b
    hawse token renew laptop --out token.new
    """
    site = connection.open().site
    with _place(path) as place:
        return place.told(site.renew_token(name, user=user), as_json)


@command.command("ls")
@user_option
@json_option
@connected()
def ls(user: str | None, as_json: bool, connection: Connection) -> int:
    """List tokens, without what they show.

    \b
    hawse token ls
    """
    from hawse.cli.table import table
    from hawse.cli.words import age, moment, short_id

    found = connection.open().site.tokens(user)
    if as_json:
        json_out([one.raw for one in found])
    elif not found:
        note("no tokens; hawse token new NAME makes one")
    else:
        now = time.time()
        rows = [
            (one.name, one.project or "any", "look" if one.read_only else "all", moment(one.expires_at),
             f"{age(one.used_at, now)} ago" if one.used_at is not None else "never", one.created_by, short_id(one.id))
            for one in found
        ]  # fmt: skip
        table(("NAME", "PROJECT", "MAY", "UNTIL", "USED", "MADE BY", "ID"), rows)
    return 0


@command.command()
@click.argument("name", metavar="NAME", shell_complete=complete_token)
@user_option
@json_option
@connected()
def revoke(name: str, user: str | None, as_json: bool, connection: Connection) -> int:
    """Let a token open nothing any more, by name or id.

    \b
    hawse token revoke laptop
    """
    token = connection.open().site.revoke_token(name, user=user)
    if as_json:
        json_out(token.raw)
    else:
        out(f"token {token.name} of user {token.user} opens nothing any more")
    return 0


class _place:
    """Where the secret goes: a new file of mode 0600, made before the token is, or stdout."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._descriptor = -1
        self._is_written = False

    def __enter__(self) -> _place:
        if self._path is not None:
            try:
                os.makedirs(os.path.dirname(os.path.abspath(self._path)), mode=0o700, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
                self._descriptor = os.open(self._path, flags, 0o600)
            except FileExistsError:
                raise Invalid(
                    f"{self._path} is there already; nothing was made", next_step="give another file, or remove it"
                ) from None
            except OSError as error:
                raise Unavailable(f"{self._path} can't be written: {error.strerror}; nothing was made") from error
        return self

    def told(self, made: NewToken, as_json: bool) -> int:
        """Write or print it."""
        if self._descriptor >= 0:
            try:
                os.write(self._descriptor, made.secret.encode() + b"\n")
                os.fsync(self._descriptor)
            except OSError as error:
                raise Unavailable(
                    f"{self._path} can't be written: {error.strerror}; the token was made and is lost",
                    next_step=f"hawse token revoke {made.info.name}, then make another",
                ) from error
            self._is_written = True
        if as_json:
            json_out({"token": made.info.raw, **({} if self._is_written else {"secret": made.secret})})
            return 0
        if self._is_written:
            out(f"token {made.info.name} is in {self._path}")
        else:
            out(made.secret)
        from hawse.cli.words import moment

        until = "" if made.info.expires_at is None else f", until {moment(made.info.expires_at)}"
        reach = f"{', for looking only' if made.info.read_only else ''}"
        reach += f", for project {made.info.project} only" if made.info.project else ""
        note(f"for user {made.info.user}{reach}{until}; it is shown only now")
        return 0

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            if not self._is_written and self._path is not None:
                os.unlink(self._path)
