from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain import job as jobs
from hawse.domain.effect import Later, StartJob, StopJob, SweepJob
from hawse.domain.errors import Invalid
from hawse.domain.ids import JobId, SessionId
from hawse.domain.job import Job, LogState, OnLost, Outcome, OutcomeKind, S

LOST = Outcome(OutcomeKind.LOST, cause="its runner was killed")
DONE = Outcome(OutcomeKind.EXITED, code=0)


def made(**changes: object) -> Job:
    fields = {
        "id": JobId("j"),
        "session": SessionId("s"),
        "name": "train",
        "command": ("train",),
        "tty": True,
        "now": 1.0,
        "incarnation": "aa",
    } | changes
    return jobs.created(**fields)[0]  # type: ignore[arg-type]


def running(**changes: object) -> Job:
    return jobs.started(made(**changes), attempt=1, pid=7, now=2.0)


def test_starts_at_once() -> None:
    job, effects = jobs.created(
        id=JobId("j"), session=SessionId("s"), name="n", command=("c",), tty=False, now=1.0, incarnation="aa"
    )
    assert (job.state, effects) == (S.STARTING, (StartJob(JobId("j"), 1),))


def test_a_second_start_report_changes_nothing() -> None:
    job = running()
    assert (job.state, job.pid, job.started_at) == (S.RUNNING, 7, 2.0)
    assert jobs.started(job, attempt=1, pid=8, now=3.0) is job
    assert jobs.started(job, attempt=2, pid=8, now=3.0) is job


def test_stopping_is_safe_to_repeat_and_can_be_hurried() -> None:
    stopping, effects = jobs.stop_asked(running(), grace_s=10, reason="asked", now=9.0)
    assert (stopping.state, effects) == (S.STOPPING, (StopJob(JobId("j"), 1, 10),))
    assert jobs.stop_asked(stopping, grace_s=10, reason="again", now=9.0) == (stopping, ())
    hurried, effects = jobs.stop_asked(stopping, grace_s=0, reason="now", now=9.0)
    assert (hurried.grace_s, hurried.stop_reason, effects) == (0, "asked", (StopJob(JobId("j"), 1, 0),))


@pytest.mark.parametrize("grace", [-1, 3601, float("nan"), float("inf")])
def test_a_grace_period_has_bounds(grace: float) -> None:
    with pytest.raises(Invalid):
        jobs.stop_asked(running(), grace_s=grace, reason="", now=9.0)


def test_a_stop_asked_during_the_start_survives_the_start_report() -> None:
    stopping, _ = jobs.stop_asked(made(), grace_s=1, reason="", now=9.0)
    seen = jobs.started(stopping, attempt=1, pid=7, now=2.0)
    assert (seen.state, seen.pid) == (S.STOPPING, 7)


def test_a_job_that_was_stopped_before_anything_of_it_was_there_is_not_lost() -> None:
    stopping, _ = jobs.stop_asked(made(), grace_s=1, reason="", now=9.0)
    ended, effects = jobs.ended(stopping, attempt=1, outcome=jobs.NEVER_STARTED, now=9.0)
    assert (ended.state, ended.outcome, effects) == (S.ENDED, jobs.STOPPED_BEFORE_START, ())
    lost, _ = jobs.ended(made(), attempt=1, outcome=jobs.NEVER_STARTED, now=9.0)
    assert lost.outcome == jobs.NEVER_STARTED


def test_exit_is_recorded_once() -> None:
    ended, effects = jobs.ended(running(), attempt=1, outcome=DONE, now=5.0, log_end=9)
    assert (ended.state, ended.outcome, ended.ended_at, ended.log_end, effects) == (S.ENDED, DONE, 5.0, 9, ())
    assert jobs.ended(ended, attempt=1, outcome=LOST, now=6.0) == (ended, ())


def test_a_job_can_end_before_its_start_was_seen() -> None:
    ended, _ = jobs.ended(made(), attempt=1, outcome=DONE, now=5.0)
    assert ended.state == S.ENDED


def test_a_job_that_never_ran_says_why() -> None:
    failed = Outcome(OutcomeKind.FAILED, code=127, cause="command not found")
    ended, _ = jobs.ended(made(), attempt=1, outcome=failed, now=5.0)
    assert (ended.state, ended.outcome) == (S.ENDED, failed)


def test_lost_is_reported_by_default() -> None:
    ended, effects = jobs.ended(running(), attempt=1, outcome=LOST, now=5.0, next_incarnation="bb")
    assert (ended.state, ended.outcome, effects) == (S.ENDED, LOST, ())


def test_lost_is_restarted_where_so_marked() -> None:
    again, effects = jobs.ended(
        running(on_lost=OnLost.RESTART), attempt=1, outcome=LOST, now=5.0, next_incarnation="bb"
    )
    assert (again.state, again.attempt, again.incarnation, again.pid, again.outcome) == (
        S.STARTING,
        2,
        "bb",
        None,
        LOST,
    )
    assert effects == (StartJob(JobId("j"), 2),)
    late, effects = jobs.ended(again, attempt=1, outcome=LOST, now=6.0, next_incarnation="cc")
    assert (late, effects) == (again, ())


def test_a_stopped_job_is_not_restarted() -> None:
    stopping, _ = jobs.stop_asked(running(on_lost=OnLost.RESTART), grace_s=1, reason="", now=9.0)
    ended, effects = jobs.ended(stopping, attempt=1, outcome=LOST, now=5.0, next_incarnation="bb")
    assert (ended.state, effects) == (S.ENDED, ())


LEFT = ({"pid": 8, "command": "deaf"}, {"pid": 9, "command": "meek"})


def lost(**changes: object) -> Job:
    """Lost, and what it left behind is not ended yet."""
    job, effects = jobs.ended(
        running(**changes), attempt=1, outcome=LOST, now=5.0, left_behind=LEFT, is_swept=False, next_incarnation="bb"
    )
    assert effects == (SweepJob(JobId("j"), 1),)
    return job


@pytest.mark.parametrize("on_lost", list(OnLost))
def test_a_lost_job_is_told_at_once_and_over_when_what_it_left_is_ended(on_lost: OnLost) -> None:
    job = lost(on_lost=on_lost)
    assert (job.state, job.attempt, job.outcome, job.left_behind, job.ended_at) == (S.LOST, 1, LOST, LEFT, None)
    assert jobs.ended(job, attempt=1, outcome=LOST, now=6.0, is_swept=True) == (job, ())
    assert jobs.started(job, attempt=1, pid=9, now=6.0) is job
    assert jobs.log_changed(job, attempt=1, log=LogState("blocked")) is job
    after, effects = jobs.swept(job, attempt=1, now=7.0, next_incarnation="bb")
    if on_lost == OnLost.REPORT:
        assert (after.state, after.ended_at, after.left_behind, effects) == (S.ENDED, 7.0, LEFT, ())
    else:
        assert (after.state, after.attempt, after.left_behind) == (S.STARTING, 2, ())
        assert effects == (StartJob(JobId("j"), 2),)
    assert jobs.swept(after, attempt=1, now=8.0, next_incarnation="cc") == (after, ())


def test_what_could_not_be_ended_is_told_also_by_the_next_attempt() -> None:
    survived = (LEFT[0], {"pid": 10, "command": "born meanwhile"})
    marked = tuple({**one, "survived": True} for one in survived)
    after, _ = jobs.swept(lost(), attempt=1, now=7.0, survived=survived)
    assert (after.state, after.left_behind) == (S.ENDED, (*marked, LEFT[1]))
    again, _ = jobs.swept(lost(on_lost=OnLost.RESTART), attempt=1, now=7.0, survived=survived, next_incarnation="bb")
    assert (again.state, again.left_behind) == (S.STARTING, marked)


def test_a_lost_job_that_is_stopped_is_hurried_and_not_restarted() -> None:
    job = lost(on_lost=OnLost.RESTART)
    stopped, effects = jobs.stop_asked(job, grace_s=None, reason="enough", now=9.0)
    assert (stopped.state, stopped.stop_reason, effects) == (S.LOST, "enough", (StopJob(JobId("j"), 1, job.grace_s),))
    assert jobs.stop_asked(stopped, grace_s=None, reason="again", now=9.0) == (stopped, ())
    after, effects = jobs.swept(stopped, attempt=1, now=7.0, next_incarnation="bb")
    assert (after.state, effects) == (S.ENDED, ())


def test_a_sweep_is_of_its_attempt_and_of_a_lost_job_only() -> None:
    for job in (made(), running(), replace(lost(), attempt=2)):
        assert jobs.swept(job, attempt=1, now=7.0, next_incarnation="bb") == (job, ())


def test_restarts_have_a_bound() -> None:
    last = replace(running(on_lost=OnLost.RESTART), attempt=jobs.ATTEMPTS_MAX)
    ended, effects = jobs.ended(last, attempt=jobs.ATTEMPTS_MAX, outcome=LOST, now=5.0, next_incarnation="bb")
    assert (ended.state, effects) == (S.ENDED, ())


def test_the_log_state_is_kept_while_it_runs() -> None:
    full = LogState(state="blocked", cause="no space left on device", since=3.0)
    assert jobs.log_changed(running(), attempt=1, log=full).log == full
    assert jobs.log_changed(made(), attempt=1, log=full).log == LogState()
    assert jobs.log_changed(running(), attempt=2, log=full).log == LogState()


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(OutcomeKind.EXITED, code=3), 3),
        (Outcome(OutcomeKind.SIGNALLED, signal=9), 137),
        (Outcome(OutcomeKind.FAILED, code=127, cause="not found"), 127),
        (Outcome(OutcomeKind.FAILED, cause="no such directory"), 126),
        (LOST, 1),
    ],
)
def test_the_exit_code_is_what_a_shell_shows(outcome: Outcome, code: int) -> None:
    assert outcome.exit_code == code


@given(
    st.lists(st.sampled_from(["start", "stop", "now", "exit", "lose", "leave", "sweep", "log", "old"]), max_size=30),
    st.sampled_from(list(OnLost)),
)
def test_any_history_ends_at_most_once_and_starts_each_attempt_once(history: list[str], on_lost: OnLost) -> None:
    job, effects = jobs.created(
        id=JobId("j"),
        session=SessionId("s"),
        name="n",
        command=("c",),
        tty=False,
        now=0.0,
        incarnation="00",
        on_lost=on_lost,
    )
    starts = [e.attempt for e in effects if isinstance(e, StartJob)]
    for now, word in enumerate(history, 1):
        was, attempt = job, job.attempt
        match word:
            case "start":
                job = jobs.started(job, attempt=attempt, pid=1, now=now)
            case "stop" | "now":
                job, effects = jobs.stop_asked(job, grace_s=0 if word == "now" else None, reason="", now=9.0)
            case "exit" | "lose" | "leave":
                job, effects = jobs.ended(
                    job,
                    attempt=attempt,
                    outcome=DONE if word == "exit" else LOST,
                    now=now,
                    is_swept=word != "leave",
                    next_incarnation=f"{now:02x}",
                )
                starts += [e.attempt for e in effects if isinstance(e, StartJob)]
            case "sweep":
                job, effects = jobs.swept(job, attempt=attempt, now=now, next_incarnation=f"{now:02x}")
                starts += [e.attempt for e in effects if isinstance(e, StartJob)]
                assert not effects or was.state == S.LOST
            case "log":
                job = jobs.log_changed(job, attempt=attempt, log=LogState("blocked"))
            case "old":
                job, effects = jobs.ended(job, attempt=attempt - 1, outcome=LOST, now=now, next_incarnation="ff")
                assert effects == ()
        if was.state == S.ENDED:
            assert job == was
    assert starts == list(range(1, job.attempt + 1))


FAILED = Outcome(OutcomeKind.EXITED, code=3)


def failed(job: Job, *, retries_max: int = 3, outcome: Outcome = FAILED, now: float = 5.0):
    return jobs.ended(
        job, attempt=job.attempt, outcome=outcome, now=now, next_incarnation="next", on_error=jobs.OnError.RESTART,
        retries_max=retries_max,
    )  # fmt: skip


@pytest.mark.requirement("L3.15")
def test_a_failed_job_is_pending_until_its_next_attempt() -> None:
    again, effects = failed(running())
    assert (again.state, again.attempt, again.incarnation, again.start_at) == (S.PENDING, 2, "next", 6.0)
    assert (again.outcome, again.pid, again.started_at) == (FAILED, None, None)
    assert effects == (Later(StartJob(again.id, 2), 6.0),)
    started = jobs.start_asked(again)
    assert (started.state, started.start_at) == (S.STARTING, None)


def test_retries_are_counted_and_their_pauses_grow() -> None:
    assert failed(running(), retries_max=0)[0].state == S.ENDED
    second = replace(running(), attempt=2)
    assert failed(second, retries_max=2)[0].start_at == 7.0
    assert failed(second, retries_max=1)[0].state == S.ENDED
    assert [jobs.retry_s(attempt) for attempt in (1, 2, 3, 9, 10, 99)] == [1, 2, 4, 256, 300, 300]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome(OutcomeKind.EXITED, code=0), S.ENDED),
        (Outcome(OutcomeKind.SIGNALLED, signal=11), S.PENDING),
        (Outcome(OutcomeKind.LOST, cause="gone"), S.ENDED),  # on_lost is for that
    ],
)
def test_what_a_failure_is(outcome: Outcome, state: S) -> None:
    assert failed(running(), outcome=outcome)[0].state == state


def test_a_job_that_was_stopped_is_not_tried_again() -> None:
    stopping, _ = jobs.stop_asked(running(), grace_s=1, reason="", now=9.0)
    assert failed(stopping)[0].state == S.ENDED


def test_a_pending_job_that_is_stopped_ends_as_its_last_attempt_did() -> None:
    again, _ = failed(running())
    over, effects = jobs.stop_asked(again, grace_s=None, reason="enough", now=5.5)
    assert (over.state, over.ended_at, over.outcome, over.start_at, effects) == (S.ENDED, 5.5, FAILED, None, ())
