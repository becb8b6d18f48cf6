"""`hawse project`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, Numbers, connected, json_option
from hawse.cli.say import json_out, note, out
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from click.shell_completion import CompletionItem

    from hawse.client.records_site import ProjectInfo

    F = TypeVar("F", bound=Callable[..., Any])

COUNT_MAX = 1_000_000
NONE = "none"


class Bound(Numbers):
    """A whole number, or "none" for no bound."""

    def __init__(self) -> None:
        super().__init__(0, COUNT_MAX, whole=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or the word."""
        return value if value == NONE else super().convert(value, param, ctx)


def complete_project(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of the projects that one may see."""
    from hawse.cli.completion import named

    return named("/v1/projects", "name", incomplete, within="project")


name_argument = click.argument("name", metavar="PROJECT", shell_complete=complete_project)


def limit_options(command: F) -> F:
    """Adds the quotas, lifetimes, policies and words; the command gets `facts`, as REST takes them."""
    from functools import wraps

    @click.option("--sessions", type=Bound(), metavar="N", help="At most N living sessions; none: no bound.")
    @click.option("--jobs", type=Bound(), metavar="N", help="At most N jobs that are not over; none: no bound.")
    @click.option("--lease", metavar="TIME", help="How long a session lives for which nobody says it: 8h; none.")
    @click.option("--lease-max", metavar="TIME", help="How long a session may live at most: 7d; none.")
    @click.option("--policy", "policies", multiple=True, metavar="KEY=VALUE",
                  help="What counts where a session sets nothing; KEY= takes it away. See hawse policy.")  # fmt: skip
    @click.option("--about", metavar="TEXT", help="What people read about it.")
    @wraps(command)
    def wrapped(
        *args: Any, sessions: Any, jobs: Any, lease: str | None, lease_max: str | None, policies: tuple[str, ...],
        about: str | None, **rest: Any,
    ) -> Any:  # fmt: skip
        from hawse.cli import times

        given = {
            "sessions_max": sessions,
            "jobs_max": jobs,
            "lease_s": lease if lease in (None, NONE) else times.duration(lease, "--lease"),
            "lease_s_max": lease_max if lease_max in (None, NONE) else times.duration(lease_max, "--lease-max"),
            "about": about,
        }
        facts = {key: None if value == NONE and key != "about" else value for key, value in given.items()
                 if value is not None}  # fmt: skip
        if policies:
            facts["policies"] = {key: value for text in policies for key, value in times.policy(text).items()}
        return command(*args, facts=facts, **rest)

    return wrapped  # type: ignore[return-value]


@click.group()
def command() -> None:
    """Say which sessions count together: members, quotas, lifetimes, policies. Changing is for admins.

    Sessions begin in your own project, in that of HAWSE_PROJECT, or in that of `hawse new --project P`.

    \b
    hawse project add ci --sessions 20 --lease-max 12h --member @staff
    hawse project ls
    hawse new --project ci
    """


@command.command()
@name_argument
@limit_options
@click.option("--member", "members", multiple=True, metavar="WHO", help="USER, @GROUP, uid:N or everyone; repeated.")
@json_option
@connected()
def add(name: str, members: tuple[str, ...], facts: dict[str, Any], as_json: bool, connection: Connection) -> int:
    """Make a project. Nobody is in it but its members.

    \b
    hawse project add ci --sessions 20 --jobs 100 --lease 2h --lease-max 12h --member build-bot --member @staff
    """
    made = connection.open().site.add_project(name, members=[member(one) for one in members], **facts)
    if as_json:
        json_out(made.raw)
        return 0
    out(f"project {made.name} is made")
    if not made.members:
        note(f"it has no members yet: hawse project set {made.name} --member USER")
    return 0


@command.command("set")
@name_argument
@limit_options
@click.option("--member", "added", multiple=True, metavar="WHO", help="Take somebody in; may be repeated.")
@click.option("--no-member", "dropped", multiple=True, metavar="WHO", help="Let somebody out; may be repeated.")
@json_option
@connected()
def set_(
    name: str, added: tuple[str, ...], dropped: tuple[str, ...], facts: dict[str, Any], as_json: bool,
    connection: Connection,
) -> int:  # fmt: skip
    """Change a project. What lives goes on; policies count at once, quotas and lifetimes from the next change on.

    \b
    hawse project set ci --sessions 30 --no-member bob
    hawse project set ci --policy on_disconnect=end:10m
    """
    if not (facts or added or dropped):
        raise Invalid("nothing to change is given", next_step=f"for example: hawse project set {name} --sessions 30")
    site = connection.open().site
    made = site.change_project(
        name, facts, members_added=list(map(member, added)), members_dropped=list(map(member, dropped))
    )
    if as_json:
        json_out(made.raw)
    else:
        _show(made)
    return 0


@command.command("ls")
@json_option
@connected()
def ls(as_json: bool, connection: Connection) -> int:
    """List projects with what is used of their quotas: yours; for admins all.

    \b
    hawse project ls
    """
    from hawse.cli.table import table

    found = connection.open().site.projects()
    if as_json:
        json_out([one.raw for one in found])
    elif not found:
        note("you are a member of no project; an admin can add you: hawse project set")
    else:
        heads = ("NAME", "STATE", "SESSIONS", "JOBS", "LEASE", "AT MOST", "MEMBERS", "ABOUT")
        table(heads, [(one.name, one.state, _of(one.sessions, one.sessions_max), _of(one.jobs, one.jobs_max),
                       _time(one.lease_s), _time(one.lease_s_max), _few(one.members), one.about)
                      for one in found])  # fmt: skip
    return 0


@command.command()
@name_argument
@json_option
@connected()
def show(name: str, as_json: bool, connection: Connection) -> int:
    """Show a project: quotas and their use, lifetimes, policies, members.

    \b
    hawse project show ci
    """
    found = connection.open().site.project(name)
    if as_json:
        json_out(found.raw)
    else:
        _show(found)
    return 0


@command.command()
@name_argument
@json_option
@connected()
def retire(name: str, as_json: bool, connection: Connection) -> int:
    """Let no session begin in a project any more; those that live go on.

    \b
    hawse project retire ci
    """
    made = connection.open().site.retire_project(name)
    if as_json:
        json_out(made.raw)
        return 0
    out(f"project {name} is retired")
    if made.sessions:
        note(f"{made.sessions} sessions live on in it: hawse ls --everyone --project {name}")
    return 0


@command.command()
@name_argument
@json_option
@connected()
def revive(name: str, as_json: bool, connection: Connection) -> int:
    """Let sessions begin in a retired project again.

    \b
    hawse project revive ci
    """
    made = connection.open().site.revive_project(name)
    if as_json:
        json_out(made.raw)
    else:
        out(f"project {name} is active")
    return 0


def member(text: str) -> str:
    """A member as the service names it: "ada" is user:ada, "@staff" group:staff; "everyone" stays."""
    if text == "everyone" or ":" in text:
        return text
    return f"group:{text[1:]}" if text.startswith("@") else f"user:{text}"


def _show(one: ProjectInfo) -> None:
    from hawse.cli.table import facts
    from hawse.cli.words import policy_value

    out(f"project {one.name}: {one.state}")
    policies = "\n".join(f"{name}: {policy_value(name, value)}" for name, value in one.policies.items())
    facts(
        [
            ("about", one.about),
            ("sessions", f"{_of(one.sessions, one.sessions_max)} living"),
            ("jobs", f"{_of(one.jobs, one.jobs_max)} not over"),
            ("lease", "by default " + _time(one.lease_s) + ", at most " + _time(one.lease_s_max)),
            ("policies", policies),
            ("members", "\n".join(one.members) or "nobody"),
        ],
        indent="  ",
    )


def _of(used: int, most: int | None) -> str:
    return f"{used}" if most is None else f"{used}/{most}"


def _time(seconds: float | None) -> str:
    from hawse.cli.words import short

    return "-" if seconds is None else short(seconds)


def _few(members: list[str]) -> str:
    more = len(members) - 3
    return ", ".join(members[:3]) + (f" and {more} more" if more > 0 else "") or "-"
