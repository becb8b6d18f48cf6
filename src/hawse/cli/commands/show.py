"""`hawse show`."""

from __future__ import annotations

import sys
import time

import click

from hawse.cli.options import Connection, connected, json_option, target_argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job
    from hawse.client.records import AttachmentInfo, ClockInfo, JobInfo, PolicyInfo, SessionInfo


@click.command()
@target_argument(inside=True)
@json_option
@connected()
def command(target: str, as_json: bool, connection: Connection) -> int:
    """Show everything about a session or a job: clocks, policies, jobs, attachments, what was lost and why.

    \b
    hawse show demo
    hawse show demo/build --json
    """
    from hawse.cli.say import json_out, out
    from hawse.cli.target import job_at, split
    from hawse.client.api import Job

    server = connection.open()
    name, job_name = split(target)
    if job_name is not None:
        job = job_at(server, target)
        if as_json:
            json_out(job.info.raw)
        else:
            _tell_trouble(job.session.info)
            job_facts(job.info, job.session.info, time.time(), _printed(job))
        return 0
    found = server.session(name)
    session = found.info
    if as_json:
        json_out(session.raw)
        return 0
    now = time.time()
    _tell_trouble(session)
    session_facts(session, found.policies(), now)
    for info in session.jobs:
        out()
        job_facts(info, session, now, _printed(Job(found, info)))
    for attachment in session.attachments:
        out()
        attachment_facts(attachment, session, now)
    return 0


def _printed(job: Job) -> str:
    """How much it printed; of a running one, its log's end as of now."""
    from hawse.cli.words import size

    if job.info.log_end is not None:
        return size(job.info.log_end)
    return f"{size(job.read(limit=1).end)} so far" if job.info.started_at is not None else ""


def _tell_trouble(session: SessionInfo) -> None:
    if session.trouble is not None:
        from hawse.cli.say import note
        from hawse.cli.words import trouble

        note(trouble(session.trouble))


def session_facts(session: SessionInfo, policies: list[PolicyInfo], now: float) -> None:
    """The session's own part."""
    from hawse.cli.say import BOLD, out, paint
    from hawse.cli.table import facts
    from hawse.cli.words import duration, moment, policy_value

    out(paint(f"session {session.name}", BOLD, sys.stdout))
    ended = f"{moment(session.ended_at)}, {duration(now - session.ended_at)} ago" if session.ended_at else ""
    living = next((job for job in session.jobs if not job.is_over), None)
    facts(
        [
            ("id", session.id),
            ("state", session.state),
            ("description", session.description),
            ("labels", ", ".join(f"{key}={value}" for key, value in session.labels.items())),
            ("owner", session.owner),
            ("project", session.project),
            ("created", f"{moment(session.created_at)}, {duration(now - session.created_at)} ago"),
            ("ended", ended),
            ("why", f"{session.end_reason} (by {session.ended_by})" if session.end_reason else ""),
            ("events", str(session.last_seq)),
        ],
        indent="  ",
    )
    if not session.is_over:
        out("  clocks:")
        facts(_clocks(session, now), indent="    ")
    out("  policies:")
    facts([(one.name, f"{policy_value(one.name, one.value)} ({one.source})") for one in policies], indent="    ")
    if not session.is_over:
        back = f"hawse attach {session.name}" if living else f"hawse run {session.name} -- COMMAND"
        facts([("return with", back)], indent="  ")
    else:
        facts([("read it", f"hawse logs {session.name}; hawse events {session.name}")], indent="  ")


def _clocks(session: SessionInfo, now: float) -> list[tuple[str, str]]:
    """The clocks of a session, each on its own, as the coordinator derives them."""
    from hawse.cli.words import clock_left, duration

    away = [one for one in session.attachments if one.state == "stale"]
    told = []
    for clock in session.clocks:
        match clock.name:
            case "link":
                text = f"{len(clock.holders)} attached" if clock.holders else "nobody is attached; the work goes on"
                if away:
                    text += f"; {len(away)} away since {duration(now - min(one.link_at for one in away))}"
            case "control":
                text = ", ".join(clock.holders) or "nobody types"
            case "lease":
                text = clock_left(session, now)
            case "connect_by":
                text = _running(clock, now, "somebody must attach, or it ends") or "nobody must attach"
            case "deserted":
                then = "it ends" if clock.then == "end" else "its jobs get a signal"
                text = _running(clock, now, f"nobody is attached; {then}") or "does not run"
            case "allocation":
                text = "none: this machine, no limit"
            case _:
                text = _running(clock, now, clock.then) or "does not run"
        told.append(({"lease": "session lease"}.get(clock.name, clock.name.replace("_", "-")), text))
    return told


def _running(clock: ClockInfo, now: float, what: str) -> str:
    """What happens when, and where that was set; "" for a clock that does not run."""
    from hawse.cli.words import duration, moment

    if clock.deadline is None:
        return ""
    left_s = clock.deadline - now
    left = f"in {duration(left_s)}" if left_s >= 0 else f"{duration(-left_s)} ago"
    of = f", for {', '.join(clock.of)}" if clock.of and clock.name == "connect_by" else ""
    return f"{what}: {moment(clock.deadline)}, {left}{of} ({clock.source})"


def _on_error(job: JobInfo) -> str:
    if job.on_error is None:
        return "on-error as the session"
    return f"on-error {job.on_error}{f':{job.retries_max}' if job.on_error == 'restart' else ''} (command)"


def job_facts(job: JobInfo, session: SessionInfo, now: float, printed: str) -> None:
    """A job's part."""
    from hawse.cli.say import BOLD, out, paint
    from hawse.cli.table import facts
    from hawse.cli.words import command as command_words
    from hawse.cli.words import duration, job_state, left_behind, moment, outcome

    out(paint(f"job {session.name}/{job.name}", BOLD, sys.stdout))
    again = f"attempt {job.attempt}" if job.attempt > 1 else ""
    if again and job.outcome is not None and not job.is_over and job.state != "lost":
        again += f"; the one before: {outcome(job.outcome)}"
    end = (job.ended_at or now) - job.started_at if job.started_at else 0.0
    left = "\n".join(map(left_behind, job.left_behind))
    facts(
        [
            ("id", job.id),
            ("state", job_state(job)),
            ("command", command_words(job.command)),
            ("on", f"{job.placement}, {'a terminal' if job.tty else 'pipes'}"),
            ("process", str(job.pid) if job.pid and not job.is_over else ""),
            ("attempt", again),
            ("created", moment(job.created_at)),
            (
                "started",
                f"{moment(job.started_at)}, {'ran' if job.is_over else 'runs for'} {duration(end)}"
                if job.started_at
                else "",
            ),
            ("ended", moment(job.ended_at) if job.ended_at else ""),
            ("stopped", job.stop_reason),
            ("left behind", left),
            ("log", _log_words(job)),
            ("printed", printed),
            ("policies", _job_policies(job)),
        ],
        indent="  ",
    )


def _job_policies(job: JobInfo) -> str:
    """Each with where it was set; a grace given with the end has replaced the job's own."""
    if job.stop_reason:
        return f"on-lost {job.on_lost} (command), grace {job.grace_s:g} s (when it was stopped), {_on_error(job)}"
    return f"on-lost {job.on_lost}, grace {job.grace_s:g} s (command), {_on_error(job)}"


def _log_words(job: JobInfo) -> str:
    from hawse.cli.words import moment, size

    log = job.log
    lost = f"; {size(log.bytes_dropped)} were dropped so far" if log.bytes_dropped else ""
    since = f" since {moment(log.since)}" if log.since else ""
    if log.state == "blocked":
        return f"blocked{since}: {log.cause}; the job waits until there is room{lost}"
    if log.state == "dropping":
        return f"dropping output{since}: {log.cause}{lost}"
    return f"has gaps{lost}" if lost else "nothing was dropped"


def attachment_facts(one: AttachmentInfo, session: SessionInfo, now: float) -> None:
    """An attachment's part."""
    from hawse.cli.say import BOLD, out, paint
    from hawse.cli.table import facts
    from hawse.cli.words import duration

    job = next((job.name for job in session.jobs if job.id == one.job), one.job)
    state = "attached" if one.state == "attached" else f"its link is away since {duration(now - one.link_at)}"
    out(paint(f"attachment {one.id}", BOLD, sys.stdout))
    facts(
        [
            ("job", job),
            ("who", one.who),
            ("where", one.where),
            ("mode", one.mode),
            ("state", state),
            ("since", f"{duration(now - one.created_at)} ago"),
            ("detach with", f"hawse detach {session.name} {one.id}"),
        ],
        indent="  ",
    )
