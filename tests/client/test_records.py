"""Records: tolerant of what a newer coordinator says, complete for what this one says."""

import dataclasses

import pytest

from hawse.client import records
from hawse.client.records import AttachmentInfo, EventInfo, JobInfo, Outcome, SessionInfo
from hawse.domain.attachment import Attachment
from hawse.domain.event import Event
from hawse.domain.job import Job, LogState, OutcomeKind
from hawse.domain.job import Outcome as DomainOutcome
from hawse.domain.session import Session


@pytest.mark.parametrize(
    ("record", "domain"),
    [(SessionInfo, Session), (JobInfo, Job), (AttachmentInfo, Attachment), (EventInfo, Event), (Outcome, DomainOutcome),
     (records.LogInfo, LogState)],
)  # fmt: skip
def test_a_record_has_every_field_of_its_domain_object(record, domain):
    empty = record({})
    for field in dataclasses.fields(domain):
        assert hasattr(empty, field.name), field.name


def test_unknown_fields_are_kept_and_harmless():
    info = SessionInfo({"id": "s", "alias": "demo", "moon": "full", "jobs": [{"id": "j", "phase": 3}]})
    assert (info.name, info.jobs[0].id) == ("demo", "j")
    assert info.raw["moon"] == "full"


def test_missing_and_null_fields_have_defaults():
    info = JobInfo({"id": "j", "outcome": None, "log": None, "command": None})
    assert (info.outcome, info.log.state, info.command, info.attempt) == (None, "ok", [], 1)
    assert not info.is_over


def test_defaults_are_not_shared():
    first = SessionInfo({})
    first.labels["a"] = "b"  # type: ignore[index]
    assert SessionInfo({}).labels == {}


@pytest.mark.parametrize(
    "value",
    [
        DomainOutcome(OutcomeKind.EXITED, code=0), DomainOutcome(OutcomeKind.EXITED, code=3),
        DomainOutcome(OutcomeKind.SIGNALLED, signal=9), DomainOutcome(OutcomeKind.LOST, cause="x"),
        DomainOutcome(OutcomeKind.FAILED, cause="x"), DomainOutcome(OutcomeKind.FAILED, code=127, cause="x"),
    ],
)  # fmt: skip
def test_exit_codes_are_those_of_the_domain(value):
    assert Outcome(dataclasses.asdict(value)).exit_code == value.exit_code


def test_a_session_without_alias_is_called_by_its_id():
    assert SessionInfo({"id": "s", "alias": None}).name == "s"
