"""`hawse run`."""

from __future__ import annotations

import os
import sys

import click

from hawse.cli.clock_options import error_policy, on_error_option
from hawse.cli.command_line import WithCommandLine, command_line
from hawse.cli.options import Connection, Numbers, complete_folder, connected, json_option, session_argument
from hawse.cli.say import is_terminal, json_out, out
from hawse.domain.errors import Invalid


@click.command(cls=WithCommandLine)
@session_argument(inside=True)
@click.option("-t", "--tty", is_flag=True, help="Give it a terminal of its own, shown on this one.")
@click.option("-d", "--detached", is_flag=True, help="Do not wait; tell its name.")
@click.option("-i", "--stdin", "forwards", is_flag=True, help="Forward standard input, even from a terminal.")
@click.option("-n", "--no-stdin", is_flag=True, help="Do not read standard input.")
@click.option("--name", "job_name", metavar="NAME", help="The job's name (default: from the command).")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; may be repeated.")
@click.option("--cwd", metavar="DIR", shell_complete=complete_folder, help="Working directory (default: this one).")
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
@on_error_option
@json_option
@connected()
def command(
    name: str,
    tty: bool,
    detached: bool,
    forwards: bool,
    no_stdin: bool,
    job_name: str | None,
    variables: tuple[str, ...],
    cwd: str | None,
    on_lost: str,
    log_on_full: str,
    leftovers: str,
    grace_s: float | None,
    on_error: str | None,
    as_json: bool,
    connection: Connection,
) -> int:
    """Run a further COMMAND in a session, show its output and exit with its code.

    Standard input is forwarded when it is not a terminal. Ctrl-C interrupts the command; a second one leaves it
    running, as Ctrl-\\ d does with -t: 130, since nobody knows yet how it ends.

    With -d it waits only until COMMAND runs: 127 when there is none, 126 when it cannot be run. --json needs -d.

    \b
    hawse run demo -- make test
    hawse run demo -- sort < names.txt
    """
    from hawse.cli.attach.tty import size
    from hawse.cli.commands.new import pair, start_code
    from hawse.cli.target import session_at
    from hawse.client.spec import job_spec

    argv = command_line()
    if as_json and not detached:
        raise Invalid(
            "--json tells about a job that goes on; without -d its own output is shown, and its code is ours",
            next_step=f"add -d, and read the output with: hawse logs -f {name}",
        )
    if not argv:
        raise Invalid("the command is missing", next_step=f"give a command after --: hawse run {name} -- COMMAND")
    forwards = not detached and not no_stdin and not tty and (forwards or not is_terminal(sys.stdin))
    server = connection.open()
    around = server.surroundings()
    spec = job_spec(
        argv,
        around=around,
        env={**(around.environ if around else os.environb), **dict(pair(text, "--env") for text in variables)},
        cwd=cwd,
        tty=size(1) if tty else False,
        stdin="open" if forwards else "null",
        name=job_name,
        on_lost=on_lost,
        log_on_full=log_on_full,
        leftovers=leftovers,
        grace_s=grace_s,
        **error_policy(on_error),
    )
    session = session_at(server, name)
    job = session.add(spec)
    label = f"{session.name}/{job.name}"
    if detached:
        code = start_code(job)
        if as_json:
            json_out(job.info.raw)
        elif code == 0:
            out(f"{label}  {job.id}")
            out(f"follow it with: hawse logs -f {label}")
        return code
    from hawse.cli.attach.config import detach_keys
    from hawse.cli.attach.keys import Keys
    from hawse.cli.attach.outcome import run_end
    from hawse.cli.attach.view import View

    raw = tty and is_terminal(sys.stdin) and is_terminal(sys.stdout)
    view = View(
        job,
        mode="control",
        raw=raw,
        keys=detach_keys() if raw else Keys(None),
        start=0,
        takes_input=raw or forwards,
        name=label,
    )
    return run_end(view, view.run())
