"""When a job's output was printed: moments cover the log, however it is read."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hawse.runner.log import Log
from hawse.runner.restore import restore_from
from hawse.runner.screen import Tracker
from hawse.runner.timing import ATTEMPT, GAP, OUTPUT, RESIZE, size_at, timing
from hawse.wire import segment


def every(directory, offset=0, limit=1000):
    """All moments from an offset on, read page by page."""
    found, skip = [], 0
    while True:
        page = timing(str(directory), offset, skip=skip, limit=limit)
        assert len(page.moments) <= limit
        if not page.moments:
            return found
        assert (page.next, page.skip) > (offset, skip)
        found += page.moments
        offset, skip = page.next, page.skip


def plain(moments):
    return [(m.kind, m.offset, m.length, m.value, m.cause) for m in moments]


def covered(moments, begin, end):
    """Do output and gaps follow each other from begin to end?"""
    at = begin
    for moment in moments:
        assert moment.offset == at
        assert moment.length or moment.kind in (RESIZE, ATTEMPT)
        at += moment.length
    return at == end


@pytest.mark.requirement("S3.4")
def test_output_sizes_and_attempts_have_their_times(open_log, tmp_path, monkeypatch):
    at = iter(range(1_000_000_000, 10**12, 1_000_000_000))
    monkeypatch.setattr("hawse.runner.log.time.time_ns", lambda: next(at))
    log = open_log(attempt=1)
    log.note_resize(80, 24)
    log.append(b"one", 1)
    log.index(final=True)
    log.note_resize(100, 30)
    log.append(b"two", 2)
    log.close()
    log = open_log(attempt=2)
    log.append(b"three", 1)
    log.close()
    found = every(tmp_path)
    assert plain(found) == [
        (ATTEMPT, 0, 0, 1, ""), (RESIZE, 0, 0, 80 << 16 | 24, ""), (OUTPUT, 0, 3, 1, ""),
        (RESIZE, 3, 0, 100 << 16 | 30, ""), (OUTPUT, 3, 3, 2, ""),
        (ATTEMPT, 6, 0, 2, ""), (OUTPUT, 6, 5, 1, ""),
    ]  # fmt: skip
    times = [moment.time_ns for moment in found]
    assert times == sorted(times)
    assert times[0] >= 1_000_000_000
    assert [size_at(str(tmp_path), offset) for offset in (0, 2, 3, 11)] == [(80, 24), (80, 24), (100, 30), (100, 30)]
    assert size_at(str(tmp_path / ".."), 5) == (0, 0)


def test_output_is_told_from_the_asked_offset_on(open_log, tmp_path):
    log = open_log()
    log.append(b"0123456789", 1)
    log.close()
    assert plain(every(tmp_path, 4)) == [(OUTPUT, 4, 6, 1, "")]
    assert every(tmp_path, 10) == []
    assert every(tmp_path, 99) == []


def test_bytes_without_a_record_are_output_too(open_log, tmp_path):
    log = open_log()
    log.append(b"one", 2)
    log.index(final=True)
    log.append(b"not in the index yet", 2)
    found = every(tmp_path)
    assert covered(found, 0, 23)
    assert (found[-1].kind, found[-1].value) == (OUTPUT, 2)
    changed_ns = os.stat(f"{tmp_path}/{segment.segment_name(0)}.seg").st_mtime_ns
    assert found[-1].time_ns == changed_ns
    os.unlink(f"{tmp_path}/{segment.segment_name(0)}.idx")
    assert plain(every(tmp_path)) == [(OUTPUT, 0, 23, 1, "")]


def test_what_is_gone_lost_or_was_dropped_is_a_gap(open_log, tmp_path):
    log = open_log(segment_bytes_max=1000, retain_bytes=2500)
    for _ in range(10):
        log.append(bytes(1000), 1)
        log.index(final=True)
    log.close()
    first = every(tmp_path)[0]
    assert (first.kind, first.offset, first.cause) == (GAP, 0, "removed")
    assert covered(every(tmp_path), 0, 10_000)
    last = f"{tmp_path}/{segment.segment_name(9000)}.seg"
    os.truncate(last, 400)
    end = every(tmp_path)[-1]
    assert (end.kind, end.offset, end.length, end.cause) == (GAP, 9400, 600, "missing")


def test_a_dropped_stretch_is_told_with_its_cause(open_log, tmp_path):
    log = open_log(on_full="drop")
    log.append(b"kept", 1)
    os.close(log.fd)
    log.fd = os.open("/dev/full", os.O_RDWR)
    log.append(b"lost", 1)
    assert log.retry()
    log.append(b"kept again", 1)
    log.close()
    assert plain(m for m in every(tmp_path) if m.length) == [
        (OUTPUT, 0, 4, 1, ""), (GAP, 4, 4, 0, "dropped"), (OUTPUT, 8, 10, 1, ""),
    ]  # fmt: skip


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 300), st.sampled_from([1, 2])),
        st.tuples(st.just("resize"), st.integers(1, 200), st.integers(1, 60)),
        st.tuples(st.just("index"), st.booleans(), st.none()),
        st.tuples(st.just("again"), st.none(), st.none()),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(STEPS, st.integers(1, 5), st.data())
def test_moments_cover_the_log_in_pages_of_any_size_from_any_offset(tmp_path_factory, steps, limit, data):
    folder = tmp_path_factory.mktemp("log")
    settings = {"segment_bytes_max": 512, "retain_bytes": 0, "on_full": "block", "room_bytes": 0}
    log = Log(str(folder), attempt=1, **settings)
    sizes, attempts = [], 1
    for kind, one, two in steps:
        if kind == "append":
            log.append(bytes(one), two)
        elif kind == "resize":
            log.index(final=True)
            log.note_resize(one, two)
            sizes.append(one << 16 | two)
        elif kind == "index":
            log.index(final=one)
        else:
            log.close()
            attempts += 1
            log = Log(str(folder), attempt=attempts, **settings)
    whole = every(folder)
    assert covered(whole, 0, log.end)
    assert [m.value for m in whole if m.kind == RESIZE] == sizes
    assert max(m.value for m in whole if m.kind == ATTEMPT) == attempts
    assert plain(every(folder, limit=limit)) == plain(whole)
    offset = data.draw(st.integers(0, log.end))
    assert covered(every(folder, offset, limit), offset, log.end)
    log._close_segment()


def test_the_screen_as_it_was_in_the_middle(open_log, tmp_path):
    log, tracker = open_log(segment_bytes_max=400), Tracker(0)
    log.seen, log.checkpoint = tracker.feed, tracker.dump
    for page in range(20):
        log.append(b"\x1b[H\x1b[2Jpage %02d\r\n" % page + b"x" * 100 + b"\r\n", 1)
        log.index(final=True)
    log.close()
    length = log.end // 20
    for page in (0, 7, 19):
        shown = restore_from(str(tmp_path), (page + 1) * length)
        assert shown.offset == (page + 1) * length
        assert b"page %02d" % page in shown.data
        assert shown.data.count(b"page") == 1
    assert restore_from(str(tmp_path), 10**9).offset == log.end
