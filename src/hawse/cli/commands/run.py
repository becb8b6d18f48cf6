"""`hawse run`."""

from __future__ import annotations

import sys

import click

from hawse.cli.command_line import WithCommandLine, command_line
from hawse.cli.job_options import JobOptions, job_options
from hawse.cli.options import Connection, connected, json_option, session_argument
from hawse.cli.say import is_terminal, json_out, note, out
from hawse.domain.errors import Invalid

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell tells it

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job


@click.command(cls=WithCommandLine)
@session_argument(inside=True)
@click.option("-t", "--tty", is_flag=True, help="Give it a terminal of its own, shown on this one.")
@click.option("-d", "--detached", is_flag=True, help="Do not wait; tell its name.")
@click.option("-i", "--stdin", "forwards", is_flag=True, help="Forward standard input, even from a terminal.")
@click.option("-n", "--no-stdin", is_flag=True, help="Do not read standard input.")
@click.option("--name", "job_name", metavar="NAME", help="The job's name (default: from the command).")
@job_options
@json_option
@connected()
def command(
    name: str,
    tty: bool,
    detached: bool,
    forwards: bool,
    no_stdin: bool,
    job_name: str | None,
    options: JobOptions,
    as_json: bool,
    connection: Connection,
) -> int:
    """Run a further COMMAND in a session, show its output and exit with its code.

    Standard input is forwarded when it is not a terminal. Ctrl-C interrupts the command; a second one leaves it
    running, as Ctrl-\\ d does with -t: 130, since nobody knows yet how it ends. With --on-error restart:N each attempt
    is shown; the code is the last one's.

    With -d it waits only until COMMAND runs: 127 when there is none, 126 when it cannot be run. --json needs -d.

    \b
    hawse run demo -- make test
    hawse run demo -- sort < names.txt
    """
    from hawse.cli.attach.tty import size
    from hawse.cli.target import session_at

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
    spec = options.spec(
        argv,
        server.surroundings(),
        tty=size(1) if tty else False,
        stdin="open" if forwards else "null",
        name=job_name,
    )
    job = session_at(server, name).add(spec)
    return _told(job, as_json=as_json) if detached else _shown(job, tty=tty, forwards=forwards)


def _told(job: Job, *, as_json: bool) -> int:
    from hawse.cli.commands.new import start_code

    code, label = start_code(job), f"{job.session.name}/{job.name}"
    if as_json:
        json_out(job.info.raw)
    elif code == 0:
        out(f"{label}  {job.id}")
        out(f"follow it with: hawse logs -f {label}")
    return code


def _shown(job: Job, *, tty: bool, forwards: bool) -> int:
    """Attempt after attempt, as its error policy says; the exit code of the last."""
    from hawse.cli.attach.again import next_attempt
    from hawse.cli.attach.config import detach_keys
    from hawse.cli.attach.keys import Keys
    from hawse.cli.attach.outcome import run_end
    from hawse.cli.attach.view import ENDED, View
    from hawse.cli.words import outcome

    label, start = f"{job.session.name}/{job.name}", 0
    raw = tty and is_terminal(sys.stdin) and is_terminal(sys.stdout)
    while True:
        view = View(
            job,
            mode="control",
            raw=raw,
            keys=detach_keys() if raw else Keys(None),
            start=start,
            takes_input=raw or forwards,
            name=label,
        )
        how = view.run()
        again = next_attempt(view) if how == ENDED else ""
        if not again:
            return run_end(view, how)
        try:
            note(f"[{label} failed: {outcome(view.outcome)}; {again}; Ctrl-C leaves it, it goes on]")
            job.wait(until="started")  # or until there is news that there is none
        except KeyboardInterrupt:
            note(f"[left {label}; it goes on. Follow it: hawse logs -f {label}; return: hawse attach {label}]")
            return EXIT_INTERRUPTED
        start = view.offset
