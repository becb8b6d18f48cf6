"""`hawse signal`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, connected, target_argument
from hawse.cli.say import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_signal(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of signals that begin so."""
    from hawse.cli.completion import signals

    return signals(incomplete)


@click.command()
@target_argument()
@click.argument("signal", metavar="SIGNAL", shell_complete=complete_signal)
@connected()
def command(target: str, signal: str, connection: Connection) -> int:
    """Send a signal to a job's process group: a name (INT, SIGUSR1) or a number.

    \b
    hawse signal demo/build INT
    """
    from hawse.cli.target import job_at

    job = job_at(connection.open(), target)
    job.signal(signal)
    out(f"sent {signal.upper()} to {job.session.name}/{job.name}")
    return 0
