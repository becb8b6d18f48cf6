"""`hawse end`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, Numbers, connected, session_argument
from hawse.cli.say import note, out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Session
    from hawse.client.records import SessionInfo

MARGIN_S = 30.0  # beyond the longest grace: for SIGKILL, the last output and the commit
GRACE_S_DEFAULT = 10.0


@click.command()
@session_argument("names", metavar="NAME...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All your living sessions.")
@click.option(
    "--grace",
    "grace_s",
    type=Numbers(0, 3600),
    metavar="SECONDS",
    help="Between SIGTERM and SIGKILL (default: each job's own, 10).",
)
@click.option("--now", is_flag=True, help="SIGTERM, and SIGKILL right after it.")
@click.option("--no-wait", is_flag=True, help="Do not wait until it has ended.")
@connected()
def command(
    names: tuple[str, ...], everything: bool, grace_s: float | None, now: bool, no_wait: bool, connection: Connection
) -> int:
    """Stop the jobs of sessions in order (SIGTERM, grace, SIGKILL) and end them. Safe to repeat.

    The history stays: show, logs and events work on ended sessions.

    \b
    hawse end demo
    hawse end old-one older-one --now
    hawse end --all
    """
    from hawse.cli.progress import Progress
    from hawse.cli.target import session_at
    from hawse.domain.errors import Invalid, Problem

    if now and grace_s is not None:
        raise Invalid("give only one of --grace and --now", next_step="--now is --grace 0")
    if bool(names) is everything:
        ctx = click.get_current_context()
        if names:
            raise Invalid("give only one of NAME... and --all", next_step="hawse ls shows what --all would end")
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    server = connection.open()
    if everything:
        names = tuple(session.id for session in server.sessions())
        if not names:
            note("no living sessions")
    code = 0
    for name in names:
        try:
            session = session_at(server, name)
            if session.info.is_over:
                out(f"{session.name} has ended already")
                continue
            with Progress(f"ending {session.name}"):
                info = _ended(session, 0.0 if now else grace_s, no_wait)
        except Problem as error:
            if len(names) == 1:
                raise
            note(f"hawse: {error.detail}")
            code = error.exit
            continue
        code = _tell(info, no_wait) or code
    return code


def _ended(session: Session, grace_s: float | None, no_wait: bool) -> SessionInfo:
    longest = max((job.grace_s for job in session.info.jobs if not job.is_over), default=0.0)
    wait_s = 0.0 if no_wait else (longest if grace_s is None else grace_s) + MARGIN_S
    return session.end(grace_s=grace_s, wait_s=wait_s)


def _tell(info: SessionInfo, no_wait: bool) -> int:
    from hawse.cli.words import left_behind

    for job in info.jobs:
        for left in job.left_behind:
            note(f"{info.name}/{job.name} left a process behind: {left_behind(left)}")
    if info.is_over:
        out(f"{info.name} has ended")
        return 0
    living = [job.name for job in info.jobs if not job.is_over]
    out(f"{info.name} is ending; still running: {', '.join(living) or 'nothing'}")
    if no_wait:
        return 0
    note(f"hawse: it takes longer than it should; look: hawse show {info.name}; hurry it: hawse end {info.name} --now")
    return 75
