"""What a runner tells, in the port's words: every text can be stored, every number is one that a store keeps."""

from typing import Any

import pytest

from hawse.adapters.launch import said
from hawse.domain.job import OutcomeKind
from hawse.ports.launcher import Ended, LogChanged, Start
from hawse.ports.store import Order

START = Start("s", "j", 1, "0" * 32, Order((), (), "/", 0, "utf-8", ""), tty=False, grace_s=1)


def end(**value: Any) -> Ended:
    (report,) = said.reports(START, {"kind": "exited", **value}, now=1.0)
    assert isinstance(report, Ended)
    return report


@pytest.mark.parametrize("text", ["pr\udce9sent", "a\0b", "\ud83d alone", "x" * 100_000])
def test_what_a_runner_quotes_can_be_stored(text: str):
    report = end(
        outcome={"kind": "failed", "code": 127, "cause": text}, left_behind=[{"pid": 1, "command": text}], end=3
    )
    log = said.reports(START, {"kind": "log", "state": "blocked", "cause": text}, now=1.0)[0]
    assert isinstance(log, LogChanged)
    for told in (report.outcome.cause, report.left_behind[0]["command"], log.log.cause):
        assert told.encode().replace(b"\0", b"") == told.encode()
        assert 0 < len(told) <= said.CAUSE_LENGTH_MAX
    assert (report.outcome.code, report.log_end) == (127, 3)


def test_a_number_that_no_store_keeps_is_none():
    report = end(outcome={"kind": "exited", "code": 2**70}, end=-(2**64), ended_at=1e300)
    assert report.outcome.kind == OutcomeKind.EXITED
    assert (report.outcome.code, report.log_end, report.at) == (None, None, None)


def test_an_end_that_cannot_be_read_is_told_as_it_is():
    report = end(outcome="\udce9")
    assert (report.outcome.kind, report.outcome.cause) == (OutcomeKind.LOST, "its recorded end cannot be read: \ufffd")
