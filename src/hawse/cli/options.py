"""Options and arguments that several commands share, with their completion."""

from __future__ import annotations

import click

from hawse.client.find import STARTS, Endpoint, endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from click.shell_completion import CompletionItem

    from hawse.client.api import Server

    F = TypeVar("F", bound=Callable[..., Any])

INSIDE = "HAWSE_SESSION"  # set for each job: the id of its session


class Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A number within bounds, finite. What is wrong is said in words; help shows the metavar alone."""

    name = "number"

    def __init__(self, low: float, high: float | None = None, *, whole: bool = False) -> None:
        self.low = low
        self.high = high
        self.whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails as click's own types do."""
        try:
            number = int(value) if self.whole else float(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not a {'whole ' if self.whole else ''}number", param, ctx)
        if number != number or abs(number) == float("inf"):
            self.fail(f"{value} is not a finite number", param, ctx)
        if self.high is None and number < self.low:
            self.fail(f"{value} is less than {self.low:g}", param, ctx)
        if self.high is not None and not self.low <= number <= self.high:
            self.fail(f"{value} is not within {self.low:g} to {self.high:.0f}", param, ctx)
        return number


class _Told(Endpoint):
    """An endpoint that shows that something is going on while a coordinator starts."""

    __slots__ = ()

    def start(self, replace: bool = False) -> None:
        from hawse.cli.progress import Progress

        with Progress("starting the coordinator"):
            super().start(replace)


class Connection:
    """Where the coordinator is, as the options say; opened when it is needed."""

    def __init__(self, server: str | None, start: str) -> None:
        self.server = server
        self.start = start
        self.project: str | None = None  # what --project says, where a command has it

    @property
    def place(self) -> Endpoint:
        """What the options, or HAWSE_SERVER, name. Raises Invalid."""
        found = endpoint(self.server, start=self.start)
        found.project = self.project or found.project
        return found

    def open(self) -> Server:
        """Connect, at the first request. Raises Invalid."""
        from hawse.client._sync.server import Server

        place = self.place
        if place.where:
            told = _Told(place.path, start=self.start, where=place.where)
            told.project, told.token = place.project, place.token
            place = told
        return Server(place)


def connected(default: str = "auto") -> Callable[[F], F]:
    """Adds --server and --start; the command gets `connection`."""

    def added(command: F) -> F:
        from functools import wraps

        @click.option(
            "--server", metavar="ADDRESS", help="ssh://HOST, https://HOST or unix:PATH (default: HAWSE_SERVER)."
        )
        @click.option(
            "--start", type=click.Choice(STARTS), default=default, show_default=True,
            help="Start a coordinator where none runs; always: replace a running one, jobs go on.",
        )  # fmt: skip
        @wraps(command)
        def wrapped(*args: Any, server: str | None, start: str, **kwargs: Any) -> Any:
            return command(*args, connection=Connection(server, start), **kwargs)

        return wrapped  # type: ignore[return-value]

    return added


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def complete_session(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of sessions that begin so; silent when nobody answers soon."""
    from hawse.cli.completion import sessions

    return sessions(incomplete)


def complete_target(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of sessions, and behind a slash of their jobs."""
    from hawse.cli.completion import targets

    return targets(incomplete)


def complete_folder(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The shell itself completes folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def session_argument(
    name: str = "name", *, metavar: str = "NAME", inside: bool = False, **settings: Any
) -> Callable[[F], F]:
    """NAME. inside: in a session's own job it may be left out and means that session."""
    return click.argument(
        name, metavar=metavar, shell_complete=complete_session, envvar=INSIDE if inside else None, **settings
    )


def target_argument(name: str = "target", *, inside: bool = False, **settings: Any) -> Callable[[F], F]:
    """NAME[/JOB]. inside: see session_argument."""
    return click.argument(
        name, metavar="NAME[/JOB]", shell_complete=complete_target, envvar=INSIDE if inside else None, **settings
    )
