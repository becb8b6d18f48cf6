"""`hawse share`."""

from __future__ import annotations

import os
import time

import click

from hawse.cli.options import Connection, Numbers, connected, json_option, session_argument
from hawse.cli.say import json_out, note, out
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hawse.client.api import Session
    from hawse.client.records import GrantInfo

ROLES = ("observer", "operator", "owner")
HEADS = ("WHO", "ROLE", "NARROWED TO", "UNTIL", "USED", "GIVEN BY", "ID")
USERS_SHOWN_MAX = 200


def complete_who(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Users of this machine, and with @ its groups."""
    import grp
    import pwd

    from click.shell_completion import CompletionItem

    if incomplete.startswith("@"):
        names = [f"@{one.gr_name}" for one in grp.getgrall()]
    else:
        names = [one.pw_name for one in pwd.getpwall() if one.pw_uid == 0 or one.pw_uid >= 1000]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)][:USERS_SHOWN_MAX]


@click.command()
@session_argument()
@click.argument("who", required=False, metavar="[USER|@GROUP]", shell_complete=complete_who)
@click.option("--role", type=click.Choice(ROLES), help="observer looks (default), operator works, owner may do all.")
@click.option("--can", multiple=True, metavar="CAP", help="Only this of the role: job:watch, job:control@JOB, ...")
@click.option("--until", metavar="TIME", help="How long (2h30m, 7d) or until when (17:30); default: no end.")
@click.option("--link", "as_link", is_flag=True, help="Make a link: who has it takes the role for himself.")
@click.option("--uses", type=Numbers(0, 10_000, whole=True), metavar="N", help="For how many (default 1; 0: any).")
@json_option
@connected()
def command(
    name: str,
    who: str | None,
    role: str | None,
    can: tuple[str, ...],
    until: str | None,
    as_link: bool,
    uses: int | None,
    as_json: bool,
    connection: Connection,
) -> int:
    """Give somebody a role in a session, or list who has one. Sharing again changes it.

    USER is a user of this machine, uid:N or user:NAME. `hawse policy roles` shows what each role may.

    \b
    hawse share demo ada                               ada may look
    hawse share demo ada --role operator --until 17:30
    hawse share demo @staff --can job:watch@build
    hawse share demo --link --until 2h                 a secret to hand over
    hawse share demo                                   who may do what
    """
    from hawse.cli.target import session_at

    _check(who, as_link, (role, can, until), uses)
    session = session_at(connection.open(), name)
    expires_at = None if until is None else _until(until)
    if as_link:
        return _link(session, role or "observer", can, expires_at, uses, as_json)
    if who is None:
        return _list(session, as_json)
    grant = session.share(_principal(who, connection), role or "observer", can=can, expires_at=expires_at)
    if as_json:
        json_out(grant.raw)
        return 0
    out(f"{_who(grant)} is {grant.role} of {session.name}{_narrowed(grant)}{_until_words(grant)}")
    note(f"take it back with: hawse unshare {session.name} {who}")
    return 0


def _check(who: str | None, as_link: bool, asked: tuple[object, ...], uses: int | None) -> None:
    if as_link and who is not None:
        raise Invalid("a link is for whoever has it, and not for one user", next_step="leave out --link or the user")
    if uses is not None and not as_link:
        raise Invalid("only a link has a number of uses", next_step="give --link, too")
    if who is None and not as_link and any(asked):
        raise Invalid("to whom? no user is given", next_step="hawse share NAME USER, or --link")


def _until(text: str) -> float:
    from hawse.cli import times

    now = time.time()
    at = times.moment(text, now, "--until")
    if at <= now:
        raise Invalid(f"--until {text}: that is over already")
    return at


def _principal(who: str, connection: Connection) -> str:
    """Names are this machine's; a coordinator elsewhere may have other users by the same name."""
    from hawse.client.who import principal_of

    place = connection.server or os.environ.get("HAWSE_SERVER") or "unix:"
    if ":" not in who and not place.startswith("unix:"):
        raise Invalid(
            f"{who!r} is a name of this machine, and the coordinator is elsewhere",
            next_step="give uid:N (as `id -u` says there), user:NAME or group:NAME",
        )
    return principal_of(who)


def _link(
    session: Session, role: str, can: tuple[str, ...], expires_at: float | None, uses: int | None, as_json: bool
) -> int:
    made = session.link(role, can=can, expires_at=expires_at, uses_max=1 if uses is None else uses or None)
    if as_json:
        json_out({"link": made.info.raw, "secret": made.secret})
        return 0
    out(made.secret)
    good = "for everybody who has it" if made.info.uses_max is None else f"for {made.info.uses_max}"
    note(
        f"a link to {session.name}: {made.info.role}{_narrowed(made.info)}, {good}{_until_words(made.info)};"
        " it is shown only now"
    )
    note(f"use it with: hawse redeem     take it back with: hawse unshare {session.name} {made.info.id}")
    return 0


def _list(session: Session, as_json: bool) -> int:
    from hawse.cli.table import table
    from hawse.cli.words import moment

    found = session.grants()
    if as_json:
        json_out([grant.raw for grant in found])
    elif not found:
        note(f"{session.name} is shared with nobody; hawse share {session.name} USER")
    else:
        rows = [
            (
                _who(grant),
                grant.role,
                ", ".join(grant.can) or "-",
                moment(grant.expires_at),
                _uses(grant),
                _by(grant),
                grant.id,
            )
            for grant in found
        ]
        table(HEADS, rows)
    return 0


def _who(grant: GrantInfo) -> str:
    from hawse.client.who import name_of

    return "a link" if grant.principal is None else name_of(grant.principal)


def _by(grant: GrantInfo) -> str:
    from hawse.client.who import name_of

    return name_of(grant.created_by) + (", by a link" if grant.via else "")


def _uses(grant: GrantInfo) -> str:
    return "-" if not grant.is_link else f"{grant.uses}/{grant.uses_max if grant.uses_max is not None else 'any'}"


def _narrowed(grant: GrantInfo) -> str:
    return f" (only {', '.join(grant.can)})" if grant.can else ""


def _until_words(grant: GrantInfo) -> str:
    from hawse.cli.words import moment

    return f" until {moment(grant.expires_at)}" if grant.expires_at is not None else ""
