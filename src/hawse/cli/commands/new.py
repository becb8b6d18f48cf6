"""`hawse new`."""

from __future__ import annotations

import os
import sys
import time

import click

from hawse.cli.clock_options import Ends, lease_options, policy_options
from hawse.cli.command_line import WithCommandLine, command_line
from hawse.cli.job_options import JobOptions, job_options, pair
from hawse.cli.options import Connection, connected, json_option
from hawse.cli.say import is_terminal, json_out, note, out
from hawse.domain.errors import Clash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hawse.client.api import Job, Server, Session

NAMES_TRIED_MAX = 5
START_S = 2.0  # a job starts within milliseconds; a machine that needs longer is busy, not broken


@click.command(cls=WithCommandLine)
@click.argument("name", required=False, metavar="[NAME]")
@click.option("-d", "--detached", is_flag=True, help="Do not attach; tell how to.")
@click.option("--keep", is_flag=True, help="Keep the session when its last job has ended.")
@click.option("--job-name", metavar="NAME", help="Name of its first job (default: from the command).")
@click.option("--description", default="", metavar="TEXT", help="What people read about it.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may be repeated.")
@click.option("--project", metavar="P", help="In this project (default: HAWSE_PROJECT, your own).")
@job_options
@lease_options
@policy_options
@json_option
@connected()
def command(
    name: str | None,
    detached: bool,
    keep: bool,
    job_name: str | None,
    description: str,
    labels: tuple[str, ...],
    project: str | None,
    options: JobOptions,
    ends: Ends,
    policies: dict[str, Any],
    as_json: bool,
    connection: Connection,
) -> int:
    """Start a session around COMMAND (default: your login shell) on a terminal of its own, and attach to it.

    Without NAME it gets a friendly one. The session ends with its last job, unless --keep, --time, --until or its
    project says otherwise. With -d, with --json (which does not attach either) or without a terminal it waits until
    COMMAND runs: 127 when there is none, 126 when it cannot be run.

    \b
    hawse new demo -- vim notes.txt
    hawse new -d build -- make -j8
    """
    from hawse.cli.attach.tty import SIZE_DEFAULT, size

    attach = not (detached or as_json) and is_terminal(sys.stdout) and is_terminal(sys.stdin)
    connection.project = project
    server = connection.open()
    around = server.surroundings()
    spec = options.spec(
        command_line() or (login_shell() if around is None else [around.environ.get(b"SHELL", b"/bin/sh"), "-l"]),
        around,
        tty=size(1) if is_terminal(sys.stdout) else SIZE_DEFAULT,
        name=job_name,
    )
    lease = ends.chosen(time.time(), keep=keep)
    told = {os.fsdecode(key): os.fsdecode(value) for key, value in (pair(text, "--label") for text in labels)}
    session = _created(server, name, job=spec, policies=policies, description=description, labels=told, **lease)
    from hawse.client.api import Job

    job = Job(session, session.info.jobs[0])
    if attach:
        from hawse.cli.commands.attach import attach_to

        return attach_to(job, mode="control")
    code = start_code(job)
    if as_json:
        json_out((session.info if code == 0 else session.refresh()).raw)
    elif code == 0:
        out(f"{session.name}  {session.id}")
        out(f"attach with: hawse attach {session.name}")
    return code


def start_code(job: Job) -> int:
    """Wait until the job has started, at most START_S.

    126 or 127 for one that can't run, whose cause is told; 0 for all others.
    """
    from hawse.cli.words import outcome
    from hawse.domain.errors import Problem

    try:
        info = job.wait(START_S, until="started")
    except Problem:
        return 0  # it was made; how it goes can be asked later
    name = f"{job.session.name}/{job.name}"
    if info.is_over and info.outcome is not None and info.outcome.kind == "failed":
        note(f"hawse: {name}: {outcome(info.outcome)}")
        return info.outcome.exit_code
    if info.pid is None and not info.is_over:
        note(f"{name} has not started within {START_S:g} s; it goes on: hawse show {job.session.name}")
    return 0


def _created(server: Server, name: str | None, **rest: object) -> Session:
    from hawse.client.names import friendly_name

    for _ in range(NAMES_TRIED_MAX):
        try:
            return server.create(friendly_name() if name is None else name, **rest)  # type: ignore[arg-type]
        except Clash as error:
            if name is not None:
                error.next_step = f"attach to it: hawse attach {name}; or choose another name"
                raise
    raise Clash("every name that was tried is taken", next_step="give a name: hawse new NAME")


def login_shell() -> list[str]:
    """The user's login shell. Source: SHELL; passwd(5)."""
    shell = os.environ.get("SHELL")
    if not shell:
        import pwd

        try:
            shell = pwd.getpwuid(os.getuid()).pw_shell
        except KeyError:
            shell = ""
    return [shell or "/bin/sh", "-l"]
