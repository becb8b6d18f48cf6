"""What is told of an event: each kind, to whom, with the command to type; and nothing of what nobody needs to hear."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain import attachment as attachments
from hawse.domain import grant as grants
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.attachment import Attachment, Mode, Reason
from hawse.domain.event import Event
from hawse.domain.grant import Grant, Role
from hawse.domain.ids import AttachmentId, GrantId, JobId, SessionId
from hawse.domain.job import Job, Outcome, OutcomeKind
from hawse.domain.notice import Kind
from hawse.domain.notice_words import SIGNALS, TOLD, Facts, Words, words_of

SESSION = sessions.created(id=SessionId("s"), project="p", alias="train", owner="uid:1", now=1.0)


def job(outcome: Outcome | None = None, **fields: Any) -> Job:
    made, _ = jobs.created(
        id=JobId("j"), session=SESSION.id, name="main", command=("make", "-j8"), tty=True, now=1.0, incarnation="i"
    )
    return replace(made, outcome=outcome, **fields)


def event(kind: str, before: Any = None, after: Any = None, by: str = "runner", **detail: Any) -> Event:
    return Event(SESSION.id, 7, 5.0, kind, kind.partition(".")[0], "x", before or {}, after or {}, by, "", detail)


def told(kind: str, before: Any = None, after: Any = None, by: str = "runner", *, detail: Any = None, **facts: Any):
    return words_of(Facts(event(kind, before, after, by, **(detail or {})), **{"session": SESSION, **facts}))


def exited(code: int) -> Outcome:
    return Outcome(OutcomeKind.EXITED, code=code)


@pytest.mark.requirement("S2.7")
def test_the_start_of_a_job_names_how_to_come() -> None:
    words = told("job.started", job=job(pid=4711))
    assert (words.kind, words.subject, words.command) == (
        Kind.JOB_STARTED, "train/main has started", "hawse attach train/main",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "fields", "kind", "subject"),
    [
        (exited(0), {}, Kind.JOB_ENDED, "train/main has ended: exit code 0"),
        (exited(3), {}, Kind.JOB_FAILED, "train/main failed: exit code 3"),
        (exited(3), {"stop_reason": "asked"}, Kind.JOB_ENDED, "train/main has ended: exit code 3"),
        (Outcome(OutcomeKind.SIGNALLED, signal=9), {}, Kind.JOB_FAILED, "train/main failed: killed by SIGKILL"),
        (Outcome(OutcomeKind.LOST, cause="the host was restarted"), {}, Kind.JOB_LOST,
         "train/main was lost: the host was restarted"),
        (Outcome(OutcomeKind.FAILED, code=127, cause="command not found: mak"), {}, Kind.JOB_FAILED,
         "train/main failed: command not found: mak"),
    ],
)  # fmt: skip
def test_the_end_of_a_job(outcome: Outcome, fields: dict[str, Any], kind: Kind, subject: str) -> None:
    words = told("job.ended", {"state": "running"}, job=job(outcome, **fields))
    assert (words.kind, words.subject, words.command) == (kind, subject, "hawse logs train/main")
    assert words.job == "main"
    assert words.detail["exit_code"] == outcome.exit_code


def test_signals_have_their_names() -> None:
    import signal

    assert all(signal.Signals(number).name == name for number, name in SIGNALS.items())


def test_a_loss_is_told_once() -> None:
    lost = job(Outcome(OutcomeKind.LOST, cause="its runner was killed"))
    assert told("job.lost", {"state": "running"}, job=lost).kind == Kind.JOB_LOST
    assert told("job.ended", {"state": "lost"}, job=lost) is None
    assert told("job.restarted", {"state": "lost"}, job=lost) is None
    restarted = told("job.restarted", {"state": "running"}, job=replace(lost, attempt=2))
    assert (restarted.kind, "attempt 2" in restarted.text) == (Kind.JOB_LOST, True)
    retried = told("job.retried", {"state": "running"}, job=job(exited(1), attempt=2))
    assert retried.kind == Kind.JOB_FAILED


def test_waiting_names_the_program_and_how_to_come() -> None:
    words = told("job.waits", job=job(), detail={"pid": 9, "command": "read x", "at": 1.0})
    assert (words.kind, words.subject, words.command) == (
        Kind.JOB_WAITS, "train/main waits for you", "hawse attach train/main",
    )  # fmt: skip
    assert "read x" in words.text


def test_warnings_carry_their_own_command() -> None:
    detail = {"clock": "lease", "deadline": 3600.0, "left_s": 1800.0, "then": "end", "command": "hawse extend train 1h"}
    words = told("session.warned", detail=detail)
    assert (words.kind, words.subject, words.command) == (
        Kind.LEASE_ENDS, "train ends in 30 min", "hawse extend train 1h",
    )  # fmt: skip
    words = told("session.warned", detail=detail | {"clock": "connect_by", "left_s": 60, "command": "hawse attach a"})
    assert (words.kind, words.subject) == (Kind.CONNECT_BY, "train ends in 1 min unless you attach")
    assert told("session.warned", detail=detail | {"clock": "moon"}) is None


def test_the_end_of_a_session_tells_why() -> None:
    over = replace(SESSION, end_reason="its lease ended", ended_by="hawse")
    words = told("session.ended", session=over)
    assert words.subject == "train has ended: its lease ended"
    assert words.command == "hawse show s"
    assert "uid:7 ended it" in told("session.ended", session=replace(over, ended_by="uid:7")).text


@pytest.mark.requirement("S7.2")
def test_a_refused_attempt_is_told_to_the_owner_alone() -> None:
    detail = {"capability": "job:control", "what": "POST /v1/x", "where": "pid 7", "count": 5}
    words = told("session.refused", by="uid:1001", detail=detail)
    assert (words.kind, words.whom) == (Kind.REFUSED, "uid:1")
    assert words.subject == "uid:1001 was refused job:control in train, 5 times"
    assert "POST /v1/x" in words.text


# -- people -----------------------------------------------------------------------------------------------------------


def attachment(who: str = "uid:2", **fields: Any) -> Attachment:
    made = attachments.created(
        id=AttachmentId("a"), session=SESSION.id, job=JobId("j"), who=who, where="laptop", mode=Mode.CONTROL, now=1.0
    )
    return replace(made, **fields)


def test_who_lost_his_place_is_told_by_whom() -> None:
    gone = attachment(detached_by="uid:3")
    words = told("attachment.detached", None, {"reason": "stolen"}, job=job(), attachment=gone)
    assert (words.kind, words.whom, words.command) == (Kind.TAKEN_OVER, "uid:2", "hawse attach train/main")
    assert words.subject == "uid:3 took over train/main"
    for reason in set(Reason) - {Reason.STOLEN}:
        assert told("attachment.detached", None, {"reason": reason.value}, job=job(), attachment=gone) is None


def test_who_lost_control_to_another_is_told() -> None:
    taker = attachment("uid:3", holds=True)
    detail = {"from": "a", "from_who": "uid:2"}
    words = told("attachment.control_taken", by="uid:3", job=job(), attachment=taker, detail=detail)
    assert (words.whom, words.subject) == ("uid:2", "uid:3 took control of train/main")
    assert words.command == "hawse take train/main"
    assert told("attachment.control_taken", by="uid:2", job=job(), attachment=taker, detail=detail) is None, "his own"
    assert told("attachment.control_taken", by="uid:3", job=job(), attachment=taker) is None, "nobody had it"


def grant(principal: str | None = "uid:2", **fields: Any) -> Grant:
    return grants.created(
        id=GrantId("g"), session=SESSION.id, principal=principal, role=Role.OPERATOR, by="uid:1", now=1.0, **fields
    )


def test_who_was_given_a_role_is_told() -> None:
    words = told("grant.created", by="uid:1", grant=grant(can=("job:watch@main",), expires_at=3600.0))
    assert (words.kind, words.whom, words.command) == (Kind.SHARED, "uid:2", "hawse show s")
    assert "operator of session train (only job:watch@main) until 1970-01-01 01:00:00 UTC" in words.text
    assert told("grant.created", by="uid:1", grant=grant(None)) is None, "a link is handed over by hand"
    assert told("grant.created", by="uid:2", grant=grant()) is None, "who redeemed one knows"
    assert told("grant.changed", by="uid:1", grant=grants.revoked(grant())) is None


def test_groups_are_told_as_such() -> None:
    assert told("grant.created", by="uid:1", grant=grant("group:staff")).whom == "group:staff"


# -- whatever comes ---------------------------------------------------------------------------------------------------


def test_other_events_tell_nothing() -> None:
    assert told("job.created", job=job()) is None
    assert told("moon.full") is None


@pytest.mark.parametrize("kind", TOLD)
def test_what_an_event_is_about_may_be_gone(kind: str) -> None:
    words = told(kind)
    assert words is None or isinstance(words, Words)


@given(st.sampled_from(sorted(TOLD)), st.text(), st.text(), st.lists(st.text(), min_size=1, max_size=3))
def test_words_fit_one_line_of_any_store_mail_or_terminal(kind: str, by: str, text: str, command: list[str]) -> None:
    detail = {"capability": text, "what": text, "where": text, "command": text, "clock": "lease", "count": 1}
    ended = job(Outcome(OutcomeKind.LOST, cause=text), command=tuple(command), stop_reason=text)
    over = replace(SESSION, end_reason=text, ended_by=text)
    for before in ({}, {"state": "running"}):
        words = told(
            kind, before, {"reason": "stolen"}, by, detail=detail, session=over, job=ended, grant=grant(),
            attachment=attachment(detached_by=text),
        )  # fmt: skip
        if words is not None:
            for line in (words.subject, words.text, words.command):
                assert line.isprintable()
                line.encode()
            assert len(words.subject) <= 200
            assert words.command.isprintable()
