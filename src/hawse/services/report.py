"""What a runner tells, written into the store. Each is harmless when told twice."""

from __future__ import annotations

from dataclasses import replace

from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain.attachment import Attachment, Reason
from hawse.domain.effect import CutAttachment, Effect, ForgetRunner, Later
from hawse.domain.errors import NotFound
from hawse.domain.grant import Capability
from hawse.domain.job import Job, OnError, Outcome
from hawse.domain.session import CLOCKED
from hawse.ports.launcher import Ended, Linked, Links, LogChanged, Refused, Report, Started, Swept, Unlinked
from hawse.ports.store import Unit, View
from hawse.services.clock import policies_of, watch_others
from hawse.services.job import INCARNATION_BYTES
from hawse.services.refusal import Refusal
from hawse.services.session import drain, over, settle
from hawse.services.world import World

BY = "runner"
POLICY = "hawse"


async def take(world: World, report: Report) -> None:
    """Commit what the report says. A job or attachment that is gone is no error. Raises Unavailable (take it again)."""
    if isinstance(report, Refused):
        await _refused(world, report)
        return
    now, incarnation = world.clock.now(), world.clock.random(INCARNATION_BYTES).hex()

    def verb(unit: Unit) -> None:
        try:
            match report:
                case Started():
                    _started(unit, report, now)
                case Ended():
                    _ended(unit, report, now, incarnation)
                case Swept():
                    _swept(unit, report, now, incarnation)
                case LogChanged():
                    _log_changed(unit, report)
                case Linked():
                    _linked(unit, report.attachment, now)
                case Unlinked():
                    _unlinked(unit, report, now)
                case Links():
                    _links(unit, report, now)
            if not isinstance(report, LogChanged):
                watch_others(unit, unit.job(report.job).session, now=now)
        except NotFound:
            return  # its session's history was removed meanwhile

    await world.store.write(verb)


def plain(report: Report) -> Report:
    """The same report without what it quotes: for a store that does not take its words. The end of a job is never lost.

    What it leaves to be ended is found again by the sweep.
    """
    match report:
        case Ended():
            outcome = replace(report.outcome, cause="its cause cannot be stored; coordinator.log tells more")
            return replace(report, outcome=outcome, left_behind=())
        case Swept():
            return replace(report, survived=())
        case LogChanged():
            return replace(report, log=replace(report.log, cause="cannot be stored; coordinator.log tells more"))
        case _:
            return report


async def _refused(world: World, report: Refused) -> None:
    def query(view: View) -> Refusal:
        session = view.job(report.job).session
        uid = "" if report.uid is None else f"uid:{report.uid}"
        by, where = uid or "somebody", ""
        if report.attachment:
            try:
                known = view.attachment(report.attachment)
                by, where = uid or known.who, f"attachment of {known.who}, {known.where}"
            except NotFound:
                where = f"attachment {report.attachment}"
        verb = Capability.JOB_CONTROL if report.reason == "read_only" else Capability.JOB_WATCH
        return Refusal(session, by, verb.value, f"runner: {report.reason}", where, report.count)

    try:
        told = await world.store.read(query)
    except NotFound:
        return
    await world.refusals.record(world.store, told, now=world.clock.now())


def _when(at: float | None, now: float) -> float:
    """When it happened as its runner saw it, which may be long ago; never in the future."""
    return now if at is None else min(at, now)


def _change(
    unit: Unit,
    before: Job | Attachment,
    after: Job | Attachment,
    kind: str,
    effects: tuple[Effect | Later, ...] = (),
) -> None:
    if after != before or effects:
        unit.change(before, after, kind=kind, by=BY, effects=effects)


def _started(unit: Unit, report: Started, now: float) -> None:
    job = unit.job(report.job)
    _change(
        unit, job, jobs.started(job, attempt=report.attempt, pid=report.pid, now=_when(report.at, now)), "job.started"
    )


def _log_changed(unit: Unit, report: LogChanged) -> None:
    job = unit.job(report.job)
    log = report.log
    if log.state == "ok":
        if job.log.state == "ok":
            return  # told before
        log = replace(log, bytes_dropped=job.log.bytes_dropped + log.bytes_dropped)
    else:
        log = replace(
            log, bytes_dropped=job.log.bytes_dropped, since=job.log.since if job.log.state == log.state else log.since
        )
    _change(unit, job, jobs.log_changed(job, attempt=report.attempt, log=log), "job.log_changed")


def _ended(unit: Unit, report: Ended, now: float, incarnation: str) -> None:
    job = unit.job(report.job)
    on_error, retries_max = _error_policy(unit, job)
    after, effects = jobs.ended(
        job,
        attempt=report.attempt,
        outcome=report.outcome,
        now=_when(report.at, now),
        log_end=report.log_end,
        left_behind=report.left_behind,
        is_swept=report.is_swept,
        next_incarnation=incarnation,
        on_error=on_error,
        retries_max=retries_max,
    )
    _over(unit, job, after, (ForgetRunner(job.id, report.attempt), *effects), now)
    if on_error == OnError.END and after.state == jobs.S.ENDED and after is not job and jobs.is_failure(report.outcome):
        _end_session(unit, after, report.outcome, now)


def _error_policy(unit: Unit, job: Job) -> tuple[OnError, int]:
    """What its command asked for, else what counts for its session now."""
    if job.on_error is not None:
        return job.on_error, job.retries_max
    policies = policies_of(unit, unit.session(job.session))
    return OnError(policies["on_error"].value), policies["on_error_retries"].value


def _end_session(unit: Unit, job: Job, outcome: Outcome, now: float) -> None:
    session = unit.session(job.session)
    if session.state in CLOCKED and not job.stop_reason:
        how = outcome.cause or f"exit code {outcome.exit_code}"
        drain(unit, session, by=POLICY, reason=f"job {job.name} failed: {how} (policy on_error)", grace_s=None, now=now)


def _swept(unit: Unit, report: Swept, now: float, incarnation: str) -> None:
    job = unit.job(report.job)
    after, effects = jobs.swept(
        job, attempt=report.attempt, now=now, survived=report.survived, next_incarnation=incarnation
    )
    _over(unit, job, after, effects, now)


OVER = {
    jobs.S.LOST: "job.lost", jobs.S.STARTING: "job.restarted", jobs.S.PENDING: "job.retried", jobs.S.ENDED: "job.ended",
}  # fmt: skip


def _over(unit: Unit, job: Job, after: Job, effects: tuple[Effect | Later, ...], now: float) -> None:
    """An attempt is over, or lost with processes of its own left: what goes with that in the same commit."""
    if after is job:
        return  # told before
    _change(unit, job, after, OVER[after.state], effects)
    if after.state in (jobs.S.LOST, jobs.S.PENDING):
        _links(unit, Links(job.id), now)  # its runner is gone: nobody is linked to it any more
    if after.state != jobs.S.ENDED:
        return
    over(unit, after, now=now)
    settle(unit, unit.session(job.session), now=now)


def _linked(unit: Unit, id: str, now: float) -> None:
    attachment = unit.attachment(id)
    if attachment.state == attachments.S.DETACHED:  # its ticket was faster than its cut, or the runner forgot that
        _cut_again(unit, attachment)
    elif attachment.state != attachments.S.ATTACHED:
        _change(unit, attachment, attachments.linked(attachment, now=now), "attachment.linked")


def _cut_again(unit: Unit, attachment: Attachment) -> None:
    reason = attachment.reason or Reason.LOST
    if reason not in attachments.LEAVES_BY_ITSELF:
        unit.add_effects(attachment.session, (CutAttachment(attachment.job, attachment.id, reason.value),))


def _unlinked(unit: Unit, report: Unlinked, now: float) -> None:
    attachment = unit.attachment(report.attachment)
    reason = Reason(report.reason) if report.reason in set(Reason) else Reason.LOST
    if reason == Reason.LOST:
        if attachment.state == attachments.S.ATTACHED:
            _change(
                unit,
                attachment,
                attachments.link_lost(attachment, cursor=report.cursor, now=now),
                "attachment.link_lost",
            )
        return
    gone, _ = attachments.detached(attachment, reason=reason, now=now, cursor=report.cursor)
    _change(unit, attachment, gone, "attachment.detached")


def _links(unit: Unit, report: Links, now: float) -> None:
    job = unit.job(report.job)
    living = {one.id for one in unit.attachments(job.session)}
    for id in report.attachments:
        if id not in living:
            try:
                _cut_again(unit, unit.attachment(id))
            except NotFound:
                continue  # a reader of the owner's: it is not recorded
    for attachment in unit.attachments(job.session):
        if attachment.job != report.job:
            continue
        if attachment.id in report.attachments:
            _linked(unit, attachment.id, now)
        elif attachment.state == attachments.S.ATTACHED:
            _change(
                unit,
                attachment,
                attachments.link_lost(attachment, cursor=attachment.cursor, now=now),
                "attachment.link_lost",
            )
