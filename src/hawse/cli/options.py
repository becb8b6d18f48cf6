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

COMPLETION_S = 1.0  # a shell that waits longer for its Tab key feels broken


class Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A number within bounds, finite. What is wrong is said in words; help shows the metavar alone."""

    name = "number"

    def __init__(self, low: float, high: float | None = None, *, whole: bool = False) -> None:
        self.low = low
        self.high = high
        self.whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails as click's own types do."""
        bounds = f"{self.low:g} or more" if self.high is None else f"{self.low:g} to {self.high:g}"
        try:
            number = int(value) if self.whole else float(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not a {'whole ' if self.whole else ''}number", param, ctx)
        if not self.low <= number <= (float("inf") if self.high is None else self.high) or number == float("inf"):
            self.fail(f"{value} is not within {bounds}", param, ctx)
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

    def open(self) -> Server:
        """Connect, at the first request. Raises Invalid."""
        from hawse.client._sync.server import Server

        place = endpoint(self.server, start=self.start)
        return Server(_Told(place.path, start=self.start, where=place.where) if place.where else place)


def connected(default: str = "auto") -> Callable[[F], F]:
    """Adds --server and --start; the command gets `connection`."""

    def added(command: F) -> F:
        from functools import wraps

        @click.option(
            "--server", metavar="ADDRESS", help="unix:PATH of a coordinator (default: HAWSE_SERVER, your own)."
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


def complete_session(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of sessions that begin so; silent when nobody answers soon."""
    return _complete(incomplete, jobs=False)


def complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of sessions, and behind a slash of their jobs."""
    return _complete(incomplete, jobs=True)


def _complete(incomplete: str, *, jobs: bool) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from hawse.cli.words import job_state
    from hawse.client._sync.server import Server
    from hawse.client.records import SessionInfo
    from hawse.domain.errors import Problem

    try:
        server = Server(endpoint(start="never"))
        query = {"state": "all" if "/" in incomplete else "living", "limit": 200}
        page = server.transport.request("GET", "/v1/sessions", query=query, wait_s=COMPLETION_S).json()
        sessions = [SessionInfo(item) for item in page["items"]]
    except (Problem, OSError, KeyError):
        return []
    name, slash, _ = incomplete.partition("/")
    if slash and jobs:
        found = [(f"{s.name}/{j.name}", job_state(j)) for s in sessions if s.name == name for j in s.jobs]
    else:
        found = [(s.name, s.description or s.state) for s in sessions]
    return [CompletionItem(text, help=told) for text, told in found if text.startswith(incomplete)]


def session_argument(name: str = "name", **settings: Any) -> Callable[[F], F]:
    """NAME."""
    return click.argument(name, metavar="NAME", shell_complete=complete_session, **settings)


def target_argument(name: str = "target", **settings: Any) -> Callable[[F], F]:
    """NAME[/JOB]."""
    return click.argument(name, metavar="NAME[/JOB]", shell_complete=complete_target, **settings)
