"""Notices: their states, their back-off, and that their id is the event's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.domain import notice as notices
from hawse.domain.errors import IllegalMove, Invalid
from hawse.domain.ids import ChannelId, NoticeId, is_uuid
from hawse.domain.notice import DEFAULT, GIVE_UP_S, NOTICE, PAUSES_S, Kind, Notice, S
from hawse.domain.table import finals, reachable

NOW = 1_000_000.0


def made() -> Notice:
    return Notice(
        id=NoticeId("n"), channel=ChannelId("c"), principal="uid:1", kind=Kind.JOB_FAILED, session="s", seq=3,
        state=notices.START, created_at=NOW, due_at=NOW, since=NOW, subject="x", text="y", command="z",
    )  # fmt: skip


def test_every_state_is_reachable_and_only_sent_is_final() -> None:
    assert reachable(NOTICE, notices.START) == set(S)
    assert finals(NOTICE) == notices.FINAL == {S.SENT}
    assert set(S) - {S.WAITING} == notices.OVER


def test_a_try_is_written_down_before_it_is_made() -> None:
    tried = notices.tried(made(), now=NOW + 5)
    assert (tried.state, tried.attempts, tried.due_at) == ("waiting", 1, NOW + 6)
    assert tried.cause == notices.CUT_SHORT
    sent = notices.sent(tried, now=NOW + 5.5)
    assert (sent.state, sent.attempts, sent.cause, sent.sent_at) == ("sent", 1, "", NOW + 5.5)
    with pytest.raises(IllegalMove, match="is sent"):
        notices.asked_again(sent, now=NOW + 9)


def test_pauses_grow_to_an_hour_and_end_after_a_day() -> None:
    notice, now, dues = made(), NOW, []
    while notice.state == S.WAITING:
        now = notice.due_at
        notice = notices.failed(notices.tried(notice, now=now), cause="down", now=now)
        dues.append(notice.due_at - now)
    assert tuple(dues[: len(PAUSES_S)]) == PAUSES_S
    assert set(dues[len(PAUSES_S) :]) == {3600.0}
    assert GIVE_UP_S - 3600 < now - NOW <= GIVE_UP_S
    assert (notice.state, notice.cause) == ("failed", "down")
    again = notices.asked_again(notice, now=now + 50)
    assert (again.state, again.due_at, again.since) == ("waiting", now + 50, now + 50)
    assert notices.failed(notices.tried(again, now=now + 50), cause="x", now=now + 50).state == S.WAITING, "another day"


def test_what_can_never_work_is_given_up_at_once() -> None:
    assert notices.failed(notices.tried(made(), now=NOW), cause="410", now=NOW, forever=True).state == S.FAILED


@given(st.text(max_size=2000))
def test_a_cause_can_always_be_stored(cause: str) -> None:
    notice = notices.failed(notices.tried(made(), now=NOW), cause=cause, now=NOW)
    assert "\0" not in notice.cause
    assert len(notice.cause) <= notices.CAUSE_LENGTH_MAX
    notice.cause.encode()


def test_the_id_of_a_notice_is_its_event_s_and_channel_s() -> None:
    one = notices.notice_id("c", "s", 3, time=NOW)
    assert is_uuid(one)
    assert one == notices.notice_id("c", "s", 3, time=NOW)
    others = {notices.notice_id(*words, time=NOW) for words in (("d", "s", 3), ("c", "t", 3), ("c", "s", 4))}
    assert len(others | {one}) == 4


def test_kinds_are_names_in_order() -> None:
    assert notices.checked_kinds(None) == DEFAULT
    assert Kind.JOB_STARTED not in DEFAULT
    assert Kind.TEST not in DEFAULT
    assert notices.checked_kinds(["job-waits", "job_failed", "job_waits"]) == ("job_failed", "job_waits")
    for wrong in (["test"], ["x"], []):
        with pytest.raises(Invalid):
            notices.checked_kinds(wrong)


def test_withdrawn_ones_may_be_sent_after_all() -> None:
    gone = notices.withdrawn(made(), cause="the channel is off")
    assert notices.asked_again(gone, now=NOW).state == S.WAITING
    with pytest.raises(IllegalMove):
        notices.tried(replace(gone), now=NOW)
