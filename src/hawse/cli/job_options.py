"""Options that say how a job's command runs: of `hawse new` and `run`."""

from __future__ import annotations

import os

import click

from hawse.cli.options import Numbers, complete_folder
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from hawse.client.spec import Surroundings

    F = TypeVar("F", bound=Callable[..., Any])


class JobOptions:
    """How the command shall run. policies: on_lost, log_on_full, leftovers, grace_s as `job_spec` takes them."""

    def __init__(
        self, variables: tuple[str, ...], cwd: str | None, on_error: str | None, policies: dict[str, Any]
    ) -> None:
        self._variables = variables
        self._cwd = cwd
        self._on_error = on_error
        self._policies = policies

    def spec(self, argv: Sequence[Any], around: Surroundings | None, **rest: Any) -> dict[str, Any]:
        """The job's specification, as REST takes it. rest: see `job_spec`. Raises Invalid."""
        from hawse.client.spec import job_spec

        inherited = around.environ if around is not None else os.environb
        return job_spec(
            argv,
            around=around,
            env={**inherited, **dict(pair(text, "--env") for text in self._variables)},
            cwd=self._cwd,
            **self._policies,
            **error_policy(self._on_error),
            **rest,
        )


def job_options(command: F) -> F:
    """Adds --env, --cwd and what becomes of the job when things go wrong; the command gets `options`."""
    from functools import wraps

    @click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; may be repeated.")
    @click.option(
        "--cwd", metavar="DIR", shell_complete=complete_folder, help="Working directory of the job (default: this one)."
    )
    @click.option(
        "--on-lost",
        type=click.Choice(["report", "restart"]),
        default="report",
        show_default=True,
        help="What to do when the job's runner or host died.",
    )
    @click.option(
        "--log-on-full",
        type=click.Choice(["block", "drop"]),
        default="block",
        show_default=True,
        help="When the disk is full: the job waits, or its output is dropped and the gap told.",
    )
    @click.option(
        "--leftovers",
        type=click.Choice(["end", "keep"]),
        default="end",
        show_default=True,
        help="Processes that the job leaves behind.",
    )
    @click.option(
        "--grace", "grace_s", type=Numbers(0, 3600), metavar="SECONDS", help="Between SIGTERM and SIGKILL at its end."
    )
    @click.option(
        "--on-error",
        metavar="WHAT",
        help="When it fails: report, restart:3, or end (the session). Default: the session's.",
    )
    @wraps(command)
    def wrapped(
        *args: Any,
        variables: tuple[str, ...],
        cwd: str | None,
        on_error: str | None,
        on_lost: str,
        log_on_full: str,
        leftovers: str,
        grace_s: float | None,
        **rest: Any,
    ) -> Any:
        policies = {"on_lost": on_lost, "log_on_full": log_on_full, "leftovers": leftovers, "grace_s": grace_s}
        return command(*args, options=JobOptions(variables, cwd, on_error, policies), **rest)

    return wrapped  # type: ignore[return-value]


def pair(text: str, option: str) -> tuple[bytes, bytes]:
    """NAME=VALUE as two. Raises Invalid."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise Invalid(f"{option} {text!r} is not NAME=VALUE")
    return os.fsencode(key), os.fsencode(value)


def error_policy(text: str | None) -> dict[str, Any]:
    """--on-error as `job_spec` takes it. Raises Invalid."""
    if text is None:
        return {}
    from hawse.cli import times
    from hawse.domain.policy import POLICIES

    how, retries_max = times.on_error(text)
    default = POLICIES["on_error_retries"].default if how == "restart" else 0
    return {"on_error": how, "retries_max": default if retries_max is None else retries_max}
