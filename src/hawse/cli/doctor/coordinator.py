"""The coordinator: does one run, is it this version, which store."""

from __future__ import annotations

from hawse.cli.doctor.finding import BAD, GOOD, NOTE, Finding
from hawse.domain.errors import Problem

CHECK_S = 30.0  # a database that does not answer is given up after 10

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.cli.options import Connection
    from hawse.client.records import SessionInfo, Status


def findings(connection: Connection) -> tuple[list[Finding], dict[str, int]]:
    """Ask it; nothing is started. Also which processes shall last: the coordinator's under an empty name, and one of
    each living job.
    """
    from hawse import __version__
    from hawse.domain.errors import Unavailable

    try:
        server = connection.open()
        status = server.status()
        sessions = [session.info for session in server.sessions("living")]
    except Unavailable as error:
        text = "no coordinator is running; the next command that needs one starts it"
        if "nobody listens" not in error.detail:
            advice = error.next_step if connection.place.is_remote else "hawse down; then any command starts a new one"
            return [Finding("coordinator", BAD, error.detail, advice=advice)], {}
        found = [Finding("coordinator", GOOD, text, running=False)]
        return found if connection.place.is_remote else [*found, stored()], {}
    except Problem as error:
        return [Finding("coordinator", BAD, error.detail, advice=error.next_step)], {}
    text = f"running: process {status.pid}, version {status.version}, engine {status.engine}"
    found = [Finding("coordinator", GOOD, text, running=True, pid=status.pid, version=status.version)]
    if status.version != __version__:
        found[0].level = NOTE
        found[0].advice = f"this command line is version {__version__}; hawse down, jobs go on, then use hawse again"
    found += _certificate(status)
    found.append(_store(status))
    found += [finding for session in sessions for finding in _session(session)]
    processes = {"": status.pid}
    for one in sessions:
        processes |= {f"{one.name}/{job.name}": job.pid for job in one.jobs if job.pid and not job.is_over}
    return found, processes


def stored() -> Finding:
    """The store as it is, without a coordinator: would one be able to use it? The coordinator's own module looks."""
    import json
    import subprocess

    from hawse.client.start import command

    try:
        words = [*command(), "--check"]
        done = subprocess.run(words, capture_output=True, check=False, text=True, errors="replace", timeout=CHECK_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("store", NOTE, f"could not be looked at: {error}")
    if done.returncode != 0:
        said, _, advice = done.stderr.strip().partition("\n")
        text = said.removeprefix("hawse coordinator: ")
        return Finding("store", BAD, text or f"could not be looked at: code {done.returncode}", advice=advice.strip())
    found = json.loads(done.stdout)
    version = f", version {found['version']}" if found["version"] else "; it is made when needed"
    return Finding("store", GOOD, f"{found['store']}{version}", store=found["store"])


def _certificate(status: Status) -> list[Finding]:
    """Of a site's service, when its certificate is over."""
    import time

    until = status.raw.get("certificate_expires_at")
    if not isinstance(until, float | int):
        return []
    left = until - time.time()
    advice = "hawse ca issue NAME --out DIR, then: systemctl reload hawse" if left < 14 * 86400 else ""
    if left <= 0:
        return [Finding("certificate", BAD, "the service's certificate has expired: clients refuse it", advice=advice)]
    level = NOTE if advice else GOOD
    text = f"the service's certificate is good for {left / 86400:.0f} days"
    return [Finding("certificate", level, text, advice=advice, expires_at=until)]


def _store(status: Status) -> Finding:
    if status.trouble is None:
        return Finding("store", GOOD, f"{status.store}, version {status.store_version}", store=status.store)
    from hawse.cli.words import moment

    text = f"{status.store} takes no changes since {moment(status.trouble.since)}: {status.trouble.cause}"
    return Finding("store", BAD, text, advice="mend that; all goes on by itself then", store=status.store)


def _session(session: SessionInfo) -> list[Finding]:
    """Jobs that need somebody."""
    found = []
    for job in session.jobs:
        name = f"{session.name}/{job.name}"
        if job.log.state != "ok":
            advice = "make room on the disk; the job goes on by itself"
            found.append(Finding("job", BAD, f"{name}: its log is {job.log.state}: {job.log.cause}", advice=advice))
        if job.is_over and job.outcome is not None and job.outcome.kind == "lost":
            text = f"{name} was lost: {job.outcome.cause}"
            found.append(Finding("job", NOTE, text, advice=f"hawse show {name}; hawse logs {name}"))
    return found
