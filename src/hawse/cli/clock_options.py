"""Options that say when a session ends by itself, and what follows what: of `hawse new` and `extend`."""

from __future__ import annotations

import click

from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])


class Ends:
    """When a session shall end by itself, as the options say."""

    def __init__(self, lease: str | None, time: str | None, until: str | None) -> None:
        self._lease = lease
        self._time = time
        self._until = until

    def chosen(self, now: float, *, keep: bool = False) -> dict[str, Any]:
        """The lease as `Server.create` takes it. keep: --keep was given. Raises Invalid."""
        from hawse.cli import times

        given = [self._lease, self._time, self._until, "never" if keep else None]
        if sum(one is not None for one in given) > 1:
            raise Invalid("give only one of --lease, --time, --until and --keep")
        if self._time is not None:
            return {"lease": "until", "lease_s": times.duration(self._time, "--time")}
        if self._until is not None:
            return {"lease": "until", "lease_until": times.moment(self._until, now, "--until")}
        if self._lease is None and not keep:
            return {"lease_else": "jobs"}  # unless its project has a lifetime of its own
        return {"lease": self._lease or "never"}


def lease_options(command: F) -> F:
    """Adds --lease, --time and --until; the command gets `ends`."""
    from functools import wraps

    @click.option("--time", "lease_time", metavar="TIME", help="End it after this time: 8h, 1h30m.")
    @click.option("--until", "lease_until", metavar="WHEN", help="End it then: 17:30, '2026-03-04 17:30', 8h.")
    @click.option(
        "--lease",
        type=click.Choice(["never", "jobs"]),
        help="never: only `hawse end` ends it; jobs: its last job does.",
    )
    @wraps(command)
    def wrapped(*args: Any, lease: str | None, lease_time: str | None, lease_until: str | None, **rest: Any) -> Any:
        return command(*args, ends=Ends(lease, lease_time, lease_until), **rest)

    return wrapped  # type: ignore[return-value]


def policy_options(command: F) -> F:
    """Adds --connect-by and --on-disconnect; the command gets `policies`, as REST takes them."""
    from functools import wraps

    @click.option("--connect-by", metavar="TIME", help="End it when nobody attaches so soon after a job's start: 5m.")
    @click.option(
        "--on-disconnect", metavar="WHAT",
        help="When nobody is attached any more: keep, end:10m, or signal:HUP:10m to its jobs.",
    )  # fmt: skip
    @wraps(command)
    def wrapped(*args: Any, connect_by: str | None, on_disconnect: str | None, **rest: Any) -> Any:
        from hawse.cli import times

        policies: dict[str, Any] = {}
        if connect_by is not None:
            policies["connect_by_s"] = times.duration(connect_by, "--connect-by")
        if on_disconnect is not None:
            policies |= times.on_disconnect(on_disconnect)
        return command(*args, policies=policies, **rest)

    return wrapped  # type: ignore[return-value]
