from dataclasses import replace

import pytest

from hawse.domain import attachment as attachments
from hawse.domain import clock as clocks
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.attachment import Attachment, Mode, Reason
from hawse.domain.clock import Facts, Name, Then
from hawse.domain.ids import AttachmentId, JobId, SessionId
from hawse.domain.policy import Source, effective
from hawse.domain.session import Lease, Session

ID, JOB, WHO = SessionId("s"), JobId("j"), AttachmentId("a")
NOW = 10_000.0


def session(**changes: object) -> Session:
    fields = {"id": ID, "project": "default", "alias": "train", "owner": "uid:1", "now": NOW} | changes
    return sessions.created(**fields)  # type: ignore[arg-type]


def running(started_at: float = NOW + 1) -> jobs.Job:
    job, _ = jobs.created(id=JOB, session=ID, name="work", command=("work",), tty=True, now=NOW, incarnation="i")
    return jobs.started(job, attempt=1, pid=7, now=started_at)


def linked(at: float = NOW + 2) -> Attachment:
    made = attachments.created(id=WHO, session=ID, job=JOB, who="uid:1", where="pts/3", mode=Mode.CONTROL, now=at - 1)
    return attachments.linked(made, now=at)


def facts(of: Session, *, attached: tuple[Attachment, ...] = (), detached_at: float | None = None, **rest: object):
    their_jobs = rest.get("jobs", (running(),))
    return Facts(of, their_jobs, attached, detached_at, effective(session=of.policies))  # type: ignore[arg-type]


@pytest.mark.requirement("L4.15")
def test_there_are_all_clocks_and_by_default_none_runs_out() -> None:
    found = clocks.clocks(facts(session(), attached=(linked(),)))
    assert [clock.name for clock in found] == list(Name)
    runs_out = {clock.name: clock.deadline for clock in found if clock.deadline is not None}
    assert runs_out == {Name.IDLE: NOW + 2 + 43200.0}, "but who is quiet for half a day is detached"
    assert (found[0].holders, found[1].holders) == (("pts/3",), ())


def test_a_lease_runs_until_its_time_and_warns_before() -> None:
    clock = clocks.lease(facts(session(lease=Lease.UNTIL, lease_until=NOW + 2000)))
    assert clock.milestones == (NOW + 200, NOW + 1400, NOW + 1880, NOW + 2000)
    assert (clock.then, clock.source) == (Then.END, Source.SESSION)
    assert clocks.next_milestone(clock, after=NOW + 200) == NOW + 1400
    assert clocks.next_milestone(clock, after=NOW + 5000) == NOW + 2000  # passed, and still due
    assert not clocks.is_over(clock, now=NOW + 1999.9)
    assert clocks.is_over(clock, now=NOW + 2000)


def test_a_lease_that_is_shorter_than_a_warning_does_not_warn_before_it_began() -> None:
    clock = clocks.lease(facts(session(lease=Lease.UNTIL, lease_until=NOW + 300)))
    assert clock.milestones == (NOW + 180, NOW + 300)


@pytest.mark.requirement("S2.8")
def test_connect_by_runs_from_a_start_until_somebody_attaches() -> None:
    mine = session(policies={"connect_by_s": 300})
    clock = clocks.connect_by(facts(mine))
    assert (clock.since, clock.deadline, clock.then, clock.of) == (NOW + 1, NOW + 301, Then.END, ("work",))
    assert clock.warnings == (NOW + 181,)
    assert clocks.connect_by(facts(mine, attached=(linked(),))).deadline is None
    assert clocks.connect_by(facts(mine, detached_at=NOW + 2)).deadline is None
    assert clocks.connect_by(facts(mine, detached_at=NOW)).deadline == NOW + 301  # left before the job began
    assert clocks.connect_by(facts(mine, jobs=())).deadline is None


def test_a_ticket_that_nobody_used_is_no_connection() -> None:
    unused = attachments.created(id=WHO, session=ID, job=JOB, who="x", where="", mode=Mode.WATCH, now=NOW + 2)
    clock = clocks.connect_by(facts(session(policies={"connect_by_s": 300}), attached=(unused,)))
    assert clock.deadline == NOW + 301


@pytest.mark.requirement("S1.7")
@pytest.mark.parametrize(("policy", "then"), [("end", Then.END), ("signal", Then.SIGNAL)])
def test_deserted_runs_when_the_last_one_is_gone_for_good(policy: str, then: Then) -> None:
    mine = session(policies={"on_disconnect": policy, "on_disconnect_s": 600})
    clock = clocks.deserted(facts(mine, detached_at=NOW + 50))
    assert (clock.deadline, clock.then) == (NOW + 650, then)
    assert clocks.deserted(facts(mine)).deadline is None  # nobody was ever there
    away = attachments.link_lost(linked(), cursor=0, now=NOW + 60)
    assert clocks.deserted(facts(mine, attached=(away,), detached_at=NOW + 50)).deadline is None  # it may come back


def test_losing_a_link_starts_no_clock_by_default() -> None:
    gone, _ = attachments.detached(linked(), reason=Reason.LOST, now=NOW + 70)
    assert clocks.deserted(facts(session(), detached_at=gone.detached_at)).deadline is None


def test_a_policy_that_is_set_later_counts_no_time_from_before() -> None:
    mine = sessions.governed(session(), {"on_disconnect": "end", "on_disconnect_s": 60}, now=NOW + 9000)
    assert clocks.deserted(facts(mine, detached_at=NOW + 50)).deadline == NOW + 9060
    other = sessions.governed(mine, {"on_error": "end"}, now=NOW + 9030)
    assert clocks.deserted(facts(other, detached_at=NOW + 50)).deadline == NOW + 9060


def test_the_clocks_of_a_session_that_ends_stop() -> None:
    mine = session(lease=Lease.UNTIL, lease_until=NOW + 9, policies={"connect_by_s": 5, "on_disconnect": "end"})
    ending = replace(sessions.end_asked(mine, by="uid:1", reason="asked"))
    assert all(clock.deadline is None for clock in clocks.clocks(facts(ending, detached_at=NOW)))
