"""`hawse wait`."""

from __future__ import annotations

import time

import click

from hawse.cli.options import Connection, Numbers, connected, target_argument

EXIT_AGAIN = 75  # EX_TEMPFAIL of sysexits(3)
SHOWN_MAX = 3  # jobs that ended well and are told one by one


@click.command()
@target_argument()
@click.option("--timeout", type=Numbers(0), metavar="SECONDS", help="Wait no longer; then exit with 75.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
@connected()
def command(target: str, timeout: float | None, quiet: bool, connection: Connection) -> int:
    """Wait until a job has ended and exit with its code.

    With a session's name: until all its jobs have ended; exits with the code of the first one that failed, else 0.

    \b
    hawse wait demo/build && echo built
    """
    from hawse.cli.progress import Progress
    from hawse.cli.say import note
    from hawse.cli.target import job_at, split
    from hawse.cli.words import outcome
    from hawse.client.api import Job

    server = connection.open()
    name, job_name = split(target)
    if job_name is not None:
        jobs = [job_at(server, target)]
    else:
        session = server.session(name)
        jobs = [Job(session, info) for info in session.info.jobs]
        if not jobs and not quiet:
            note(f"session {session.name} has no job yet")
    deadline = None if timeout is None else time.monotonic() + timeout
    code = 0
    with Progress(f"waiting for {target}"):
        for job in jobs:
            if not job.info.is_over:
                job.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    well = [job for job in jobs if job.outcome is not None and job.outcome.exit_code == 0]
    grouped = frozenset(job.id for job in well) if len(well) > SHOWN_MAX else frozenset()
    for job in jobs:
        label = f"{job.session.name}/{job.name}"
        if not job.info.is_over:
            if not quiet:
                note(f"{label} has not ended within {timeout:g} s; it goes on")
            return EXIT_AGAIN
        code = code or (job.outcome.exit_code if job.outcome else 1)
        if not quiet and job.id not in grouped:
            note(f"{label}: {outcome(job.outcome)}")
    if grouped and not quiet:
        note(f"{name}: {len(grouped)} jobs ended with exit code 0")
    return code
