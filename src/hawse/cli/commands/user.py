"""`hawse user`."""

from __future__ import annotations

import time

import click

from hawse.cli.options import Connection, Numbers, complete_session, connected, json_option
from hawse.cli.say import json_out, note, out
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from click.shell_completion import CompletionItem

    from hawse.client.records_site import Out, UserInfo

UID_MAX = 2**32 - 2


def complete_user(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of the site's users; silent for who is no admin."""
    from hawse.cli.completion import named

    return named("/v1/users", "name", incomplete)


name_argument = click.argument("name", metavar="USER", shell_complete=complete_user)
uid_option = click.option("--uid", "uids", multiple=True, type=Numbers(0, UID_MAX, whole=True), metavar="N",
                          help="An account of the service's host, as which he may come; may be repeated.")  # fmt: skip
group_option = click.option("--group", "groups", multiple=True, metavar="GROUP", help="A group; may be repeated.")
project_option = click.option("--project", metavar="P", help="Where his sessions are unless he says otherwise.")
about_option = click.option("--about", metavar="TEXT", help="What people read about him.")


@click.group()
def command() -> None:
    """Say who may come in at a site service, and as whom. For admins.

    \b
    hawse user add ada --uid 1001 --group staff
    hawse user ls
    hawse user disable ada
    """


@command.command()
@name_argument
@uid_option
@group_option
@project_option
@click.option("--admin", is_flag=True, help="He may do what admins may.")
@about_option
@json_option
@connected()
def add(
    name: str, uids: tuple[int, ...], groups: tuple[str, ...], project: str | None, admin: bool, about: str | None,
    as_json: bool, connection: Connection,
) -> int:  # fmt: skip
    """Let somebody in: over the service's socket as one of his accounts, from elsewhere with a token.

    \b
    hawse user add ada --uid 1001
    hawse user add build-bot --project ci
    """
    facts: dict[str, Any] = {"uids": list(uids), "groups": [_group(one) for one in groups], "is_admin": admin}
    facts |= {key: value for key, value in (("project", project), ("about", about)) if value is not None}
    user = connection.open().site.add_user(name, **facts)
    if as_json:
        json_out(user.raw)
        return 0
    out(f"user {user.name} is let in{' as uid ' + ', '.join(map(str, user.uids)) if user.uids else ''}")
    note(f"a token for other machines: hawse token new NAME --user {user.name}")
    return 0


@command.command("set")
@name_argument
@uid_option
@click.option("--no-uids", is_flag=True, help="None of the host's accounts.")
@group_option
@click.option("--no-groups", is_flag=True, help="No groups of the site's list.")
@project_option
@click.option("--admin/--no-admin", default=None, help="He may do what admins may, or no longer.")
@about_option
@json_option
@connected()
def set_(
    name: str, uids: tuple[int, ...], no_uids: bool, groups: tuple[str, ...], no_groups: bool, project: str | None,
    admin: bool | None, about: str | None, as_json: bool, connection: Connection,
) -> int:  # fmt: skip
    """Change what is known of a user. --uid and --group replace all that he had.

    \b
    hawse user set ada --uid 1001 --uid 1002
    hawse user set ada --admin
    """
    facts: dict[str, Any] = {}
    if uids or no_uids:
        facts["uids"] = list(uids)
    if groups or no_groups:
        facts["groups"] = [_group(one) for one in groups]
    given = (("project", project), ("is_admin", admin), ("about", about))
    facts |= {key: value for key, value in given if value is not None}
    if not facts:
        raise Invalid("nothing to change is given", next_step=f"for example: hawse user set {name} --uid 1001")
    user = connection.open().site.change_user(name, **facts)
    if as_json:
        json_out(user.raw)
    else:
        _show(user)
    return 0


@command.command("ls")
@click.option("-a", "--all", "everybody", is_flag=True, help="Removed ones, too.")
@json_option
@connected()
def ls(everybody: bool, as_json: bool, connection: Connection) -> int:
    """List the site's users.

    \b
    hawse user ls --all
    """
    from hawse.cli.table import table

    found = [one for one in connection.open().site.users() if everybody or one.state != "removed"]
    if as_json:
        json_out([one.raw for one in found])
    elif not found:
        note("no users; hawse user add NAME --uid N lets somebody in")
    else:
        heads = ("NAME", "STATE", "UIDS", "GROUPS", "PROJECT", "ADMIN", "ABOUT")
        table(heads, [(one.name, one.state, _list(one.uids), _list(one.groups), one.project,
                       "yes" if one.is_admin else "-", one.about) for one in found])  # fmt: skip
    return 0


@command.command()
@click.argument("name", metavar="[USER]", required=False, shell_complete=complete_user)
@json_option
@connected()
def show(name: str | None, as_json: bool, connection: Connection) -> int:
    """Show a user; without a name, who you are here.

    \b
    hawse user show
    hawse user show ada
    """
    from hawse.cli.table import facts

    site = connection.open().site
    if name is not None:
        user = site.user(name)
        if as_json:
            json_out(user.raw)
        else:
            _show(user)
        return 0
    me = site.me()
    if as_json:
        json_out(me.raw)
        return 0
    token = ", ".join(
        part for part in ("for looking only" if me.read_only else "",
                          f"for project {me.only_project} only" if me.only_project else "") if part
    )  # fmt: skip
    out(f"you are {me.principal} here" + (", an admin" if me.is_admin else ""))
    facts(
        [("groups", _list(me.groups)), ("project", me.project), ("token", token),
         ("service", "a site's" if me.is_site else "one user's own coordinator")],
        indent="  ",
    )  # fmt: skip
    return 0


@command.command()
@name_argument
@json_option
@connected()
def disable(name: str, as_json: bool, connection: Connection) -> int:
    """Shut a user out, until he is enabled again. His tokens open nothing; who is attached is cut off at once.

    \b
    hawse user disable ada
    """
    return _told(connection.open().site.disable_user(name), "is shut out", as_json)


@command.command()
@name_argument
@json_option
@connected()
def enable(name: str, as_json: bool, connection: Connection) -> int:
    """Let a disabled user in again. His tokens are good again.

    \b
    hawse user enable ada
    """
    user = connection.open().site.enable_user(name)
    if as_json:
        json_out(user.raw)
    else:
        out(f"user {user.name} is let in again")
    return 0


@command.command()
@name_argument
@json_option
@connected()
def rm(name: str, as_json: bool, connection: Connection) -> int:
    """Shut a user out for good: his tokens are revoked, who is attached is cut off at once. His name stays taken.

    His sessions stay, with their jobs, until they end or are given to somebody else.

    \b
    hawse user rm ada
    hawse user give SESSION bob
    """
    return _told(connection.open().site.remove_user(name), "is removed", as_json)


@command.command()
@click.argument("session", shell_complete=complete_session)
@name_argument
@json_option
@connected()
def give(session: str, name: str, as_json: bool, connection: Connection) -> int:
    """Give a session to another user, when its owner has gone. Its jobs go on. SESSION: its id, or its name with
    HAWSE_PROJECT.

    \b
    hawse user give demo bob
    """
    info = connection.open().site.give(session, name)
    if as_json:
        json_out(info.raw)
    else:
        out(f"session {info.name} is user {name}'s now")
    return 0


def _told(made: Out, what: str, as_json: bool) -> int:
    if as_json:
        json_out(made.raw)
        return 0
    out(f"user {made.user.name} {what}")
    for one in made.attachments:
        out(f"cut off {one.where or one.id}")
    if made.sessions:
        count = f"{len(made.sessions)} session{'s' if len(made.sessions) > 1 else ''} of his"
        note(f"{count} stay{'s' if len(made.sessions) == 1 else ''}, with the jobs:")
        for session in made.sessions[:20]:
            note(f"  {session.id}  {session.name}")
        note("give one to somebody: hawse user give ID USER     end one: hawse end ID")
    return 0


def _show(user: UserInfo) -> None:
    from hawse.cli.table import facts
    from hawse.cli.words import duration

    out(f"user {user.name}: {user.state}")
    facts(
        [
            ("about", user.about),
            ("uids", _list(user.uids)),
            ("groups", _list(user.groups)),
            ("project", user.project),
            ("admin", "yes" if user.is_admin else "no"),
            ("let in", f"{duration(time.time() - user.created_at)} ago by {user.created_by}"),
        ],
        indent="  ",
    )


def _group(text: str) -> str:
    """ "staff", "@staff" and "group:staff" are the same."""
    return text if text.startswith("group:") else f"group:{text.removeprefix('@')}"


def _list(values: list[Any]) -> str:
    return ", ".join(map(str, values)) or "-"
