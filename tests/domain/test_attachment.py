import pytest

from hawse.domain import attachment as attachments
from hawse.domain.attachment import STALE_S, Attachment, Mode, Reason, S
from hawse.domain.effect import CutAttachment
from hawse.domain.ids import AttachmentId, JobId, SessionId


def made() -> Attachment:
    return attachments.created(
        id=AttachmentId("a"),
        session=SessionId("s"),
        job=JobId("j"),
        who="uid:1",
        where="pts/3",
        mode=Mode.CONTROL,
        now=100.0,
    )


def test_is_stale_until_its_ticket_is_shown() -> None:
    assert made().state == S.STALE
    assert attachments.linked(made(), now=101.0).state == S.ATTACHED


def test_a_broken_link_comes_back_at_its_byte() -> None:
    stale = attachments.link_lost(attachments.linked(made(), now=101.0), cursor=500, now=110.0)
    assert (stale.state, stale.cursor, stale.link_at) == (S.STALE, 500, 110.0)
    assert attachments.linked(stale, now=111.0).state == S.ATTACHED
    assert attachments.link_lost(stale, cursor=400, now=112.0).cursor == 500


def test_is_overdue_after_a_minute_without_link() -> None:
    stale = made()
    assert not attachments.is_overdue(stale, now=100.0 + STALE_S - 0.001)
    assert attachments.is_overdue(stale, now=100.0 + STALE_S)
    assert not attachments.is_overdue(attachments.linked(stale, now=101.0), now=1e9)


def test_detaching_cuts_the_link_once() -> None:
    attached = attachments.linked(made(), now=101.0)
    gone, effects = attachments.detached(attached, reason=Reason.ASKED, now=105.0)
    assert (gone.state, gone.reason, gone.detached_at) == (S.DETACHED, Reason.ASKED, 105.0)
    assert effects == (CutAttachment(JobId("j"), AttachmentId("a"), "asked"),)
    assert attachments.detached(gone, reason=Reason.LOST, now=106.0) == (gone, ())


def test_a_lost_link_needs_no_cut() -> None:
    _, effects = attachments.detached(made(), reason=Reason.LOST, now=200.0)
    assert effects == ()


@pytest.mark.requirement("S7.2")
def test_a_ticket_on_its_way_is_cut_too() -> None:
    _, effects = attachments.detached(made(), reason=Reason.REVOKED, now=101.0)
    assert effects == (CutAttachment(JobId("j"), AttachmentId("a"), "revoked"),)


def test_the_end_of_a_job_cuts_nobody_short() -> None:
    gone, effects = attachments.detached(attachments.linked(made(), now=101.0), reason=Reason.ENDED, now=200.0)
    assert (gone.state, effects) == (S.DETACHED, ())


def test_nothing_wakes_a_detached_one() -> None:
    gone, _ = attachments.detached(made(), reason=Reason.IDLE, now=200.0)
    assert attachments.linked(gone, now=201.0) is gone
    assert attachments.link_lost(gone, cursor=9, now=201.0) is gone
