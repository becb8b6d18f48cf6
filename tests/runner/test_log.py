"""The log: writing, reading, recovery, damage, retention."""

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hawse.runner.log import Log
from hawse.runner.reader import LogReader
from hawse.runner.recovery import segment_starts
from hawse.wire import segment


def everything(directory, offset=0, bytes_max=50_000):
    pieces = []
    with LogReader(str(directory)) as reader:
        while True:
            piece = reader.read(offset, bytes_max=bytes_max)
            pieces.append(piece)
            if piece.next >= piece.end:
                return b"".join(one.data for one in pieces), [hole for one in pieces for hole in one.damaged]
            assert piece.next > offset
            offset = piece.next


def unverified(directory):
    with LogReader(str(directory)) as reader:
        return reader.read(0, bytes_max=1_000_000).unverified


def numbered(count):
    return b"".join(b"%07d\n" % number for number in range(count))


def segments(directory):
    return [f"{directory}/{segment.segment_name(start)}" for start in segment_starts(str(directory))]


@pytest.mark.requirement("S3.3", "S3.4")
def test_segments_are_bounded_and_read_as_one(open_log, tmp_path):
    log = open_log()
    data = numbered(40_000)
    for at in range(0, len(data), 5000):
        assert log.append(data[at : at + 5000], 1) == len(data[at : at + 5000])
    log.close()
    assert len(segments(tmp_path)) > 4
    assert all(os.path.getsize(f"{name}.seg") <= 64 * 1024 for name in segments(tmp_path))
    assert everything(tmp_path) == (data, [])


def test_every_offset_can_be_read(open_log, tmp_path):
    log = open_log()
    data = numbered(2000)
    for at in range(0, len(data), 777):
        log.append(data[at : at + 777], 1)
        if at % 3 == 0:
            log.index(final=True)
    with LogReader(str(tmp_path)) as reader:
        for offset in range(0, len(data), 997):
            piece = reader.read(offset, bytes_max=100)
            assert piece.data == data[offset : offset + len(piece.data)]
            assert piece.next == offset + len(piece.data)
        beyond = reader.read(len(data) + 5, bytes_max=10)
        assert (beyond.data, beyond.next, beyond.end) == (b"", len(data) + 5, len(data))


def test_sources_are_kept(open_log, tmp_path):
    log = open_log()
    for source, data in ((1, b"out"), (2, b"err"), (1, b"out again")):
        log.append(data, source)
    log.close()
    with LogReader(str(tmp_path)) as reader:
        piece = reader.read(1, bytes_max=100)
    assert piece.spans == [(1, 2, 1), (3, 3, 2), (6, 9, 1)]


def test_it_is_readable_while_it_is_written(open_log, tmp_path):
    log = open_log()
    with LogReader(str(tmp_path)) as reader:
        assert reader.read(0, bytes_max=10).data == b""
        log.append(b"one", 1)
        assert reader.read(0, bytes_max=10).data == b"one"
        log.index(final=True)
        log.append(b"two", 1)
        assert reader.read(3, bytes_max=10).data == b"two"
        log.append(b"x" * 65536, 1)
        assert reader.read(6, bytes_max=10).data == b"x" * 10


def test_a_damaged_block_is_told_and_the_rest_is_read(open_log, tmp_path):
    log = open_log()
    for part in (b"a" * 1000, b"b" * 1000, b"c" * 1000):
        log.append(part, 1)
        log.index(final=True)
    log.close()
    with open(segments(tmp_path)[0] + ".seg", "r+b") as file:
        file.seek(1500)
        file.write(b"?")
    data, damaged = everything(tmp_path)
    assert data == b"a" * 1000 + b"c" * 1000
    assert damaged == [(1000, 1000, "checksum")]


def test_a_damaged_record_costs_its_checksum_only(open_log, tmp_path):
    log = open_log()
    for part in (b"a" * 1000, b"b" * 1000):
        log.append(part, 1)
        log.index(final=True)
    log.close()
    with open(segments(tmp_path)[0] + ".idx", "r+b") as file:
        file.seek(segment.RECORD_BYTES + 5)  # the first output record, after the attempt
        file.write(b"\xff")
    assert everything(tmp_path) == (b"a" * 1000 + b"b" * 1000, [])
    assert unverified(tmp_path) == [(0, 1000)]
    with LogReader(str(tmp_path)) as reader:
        assert reader.read(0, bytes_max=10).recorded == 2000, "a record follows: they are not the last moments"


def test_a_missing_index_leaves_the_bytes(open_log, tmp_path):
    log = open_log()
    data = numbered(1000)
    log.append(data, 1)
    log.close()
    assert unverified(tmp_path) == []
    for damage in (b"", os.urandom(200), None):
        index = segments(tmp_path)[0] + ".idx"
        if damage is None:
            os.unlink(index)
        else:
            with open(index, "wb") as file:
                file.write(damage)
        assert everything(tmp_path) == (data, [])
        assert unverified(tmp_path) == [(0, len(data))]
    again = open_log(attempt=2)
    again.append(b"more", 1)
    again.close()
    assert everything(tmp_path) == (data + b"more", [])


def test_a_missing_segment_is_told(open_log, tmp_path):
    log = open_log()
    data = numbered(40_000)
    for at in range(0, len(data), 8000):
        log.append(data[at : at + 8000], 1)
    log.close()
    starts = segment_starts(str(tmp_path))
    os.unlink(f"{tmp_path}/{segment.segment_name(starts[1])}.seg")
    read, damaged = everything(tmp_path)
    assert damaged == [(starts[1], starts[2] - starts[1], "missing")]
    assert read == data[: starts[1]] + data[starts[2] :]


def test_a_lost_tail_is_told_and_its_offsets_are_not_used_again(open_log, tmp_path):
    log = open_log()
    log.append(b"a" * 1000, 1)
    log.close()
    os.truncate(segments(tmp_path)[0] + ".seg", 400)  # power was lost before the bytes reached the disk
    again = open_log(attempt=2)
    assert again.end == 1000
    again.append(b"b", 1)
    again.close()
    data, damaged = everything(tmp_path)
    assert data.endswith(b"b")
    assert sum(length for _, length, _ in damaged) + len(data) == 1001


@pytest.mark.parametrize("cut", range(1, 64, 7))
def test_a_torn_index_is_mended_by_the_next_attempt(open_log, tmp_path, cut):
    log = open_log()
    data = numbered(500)
    log.append(data, 1)
    log.close()
    name = segments(tmp_path)[0]
    os.truncate(f"{name}.idx", os.path.getsize(f"{name}.idx") - cut)
    again = open_log(attempt=2)
    assert again.end == len(data)
    again.append(b"more", 1)
    again.close()
    assert everything(tmp_path) == (data + b"more", [])
    assert os.path.getsize(f"{name}.idx") % segment.RECORD_BYTES == 0


def test_an_empty_segment_is_used_again(open_log, tmp_path):
    open_log().close()
    log = open_log(attempt=2)
    log.append(b"bytes", 1)
    log.close()
    assert everything(tmp_path) == (b"bytes", [])
    assert len(segments(tmp_path)) == 1


@pytest.mark.requirement("S3.3")
def test_retention_removes_the_oldest_and_tells_it(open_log, tmp_path):
    log = open_log(retain_bytes=128 * 1024)
    data = numbered(60_000)
    for at in range(0, len(data), 8000):
        log.append(data[at : at + 8000], 1)
    log.close()
    first = segment_starts(str(tmp_path))[0]
    assert len(data) - first < 128 * 1024 + 2 * 64 * 1024
    read, damaged = everything(tmp_path)
    assert damaged == [(0, first, "removed")]
    assert read == data[first:]


def test_time_finds_its_offset(open_log, tmp_path, monkeypatch):
    now = [1_000_000_000_000]
    monkeypatch.setattr("hawse.runner.log.time.time_ns", lambda: now[0])
    log = open_log()
    for second in range(10):
        now[0] = (1000 + second) * 10**9
        log.append(b"%d\n" % second, 1)
    log.close()
    with LogReader(str(tmp_path)) as reader:
        assert reader.offset_at(0) == 0
        assert reader.offset_at(1003 * 10**9) == 6
        assert reader.offset_at(1003 * 10**9 + 1) == 8
        assert reader.offset_at(2000 * 10**9) == 20


@pytest.mark.parametrize(
    ("data", "lines", "tail"),
    [
        (b"a\nb\nc\n", 1, b"c\n"), (b"a\nb\nc", 1, b"c"), (b"a\nb\nc\n", 2, b"b\nc\n"), (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"), (b"a\nb\n", 0, b""), (b"", 3, b""), (b"\n\n\n", 1, b"\n"),
    ],
)  # fmt: skip
def test_the_tail_in_lines(open_log, tmp_path, data, lines, tail):
    log = open_log()
    log.append(data, 1) if data else None
    log.close()
    with LogReader(str(tmp_path)) as reader:
        assert data[reader.offset_of_tail(lines) :] == tail


def test_a_tail_that_is_damaged_begins_where_the_damage_does(open_log, tmp_path):
    """So that who reads from there is told; and what lies behind a hole is counted once."""
    log = open_log()
    for data in (b"a\n" * 500, b"b\n" * 500, b"c\n" * 500):
        log.append(data, 1)
        log.index(final=True)
    log.close()
    segment = segments(tmp_path)[0] + ".seg"
    os.truncate(segment, 2500)
    with LogReader(str(tmp_path)) as reader:
        assert reader.offset_of_tail(1) == 2000
        assert reader.offset_of_tail(2) == 1998
        assert reader.read(2000, bytes_max=10).damaged == [(2000, 500, "checksum"), (2500, 500, "missing")]


@pytest.mark.parametrize("lines", [1, 7, 5000, 9000])
def test_a_tail_counts_each_line_once_around_a_hole(open_log, tmp_path, lines):
    log = open_log(segment_bytes_max=1 << 20)
    for at in range(0, 200_000, 20_000):
        log.append(numbered(25_000)[at : at + 20_000], 1)
        log.index(final=True)
    log.close()
    with open(segments(tmp_path)[0] + ".seg", "r+b") as file:
        file.seek(165_000)
        file.write(b"?")  # the block from 160,000 on is withheld
    with LogReader(str(tmp_path)) as reader:
        count = reader.read_all(reader.offset_of_tail(lines), 200_000).count(b"\n")
    assert count == lines


def test_a_long_tail_over_segments(open_log, tmp_path):
    log = open_log()
    data = numbered(40_000)
    for at in range(0, len(data), 8000):
        log.append(data[at : at + 8000], 1)
    with LogReader(str(tmp_path)) as reader:
        assert reader.offset_of_tail(30_000) == 8 * 10_000


# -- a full disk, by a writer that fails ------------------------------------------------------------------------------


@pytest.fixture
def full(monkeypatch):
    """Switch the disk to full: os.write fails, or takes a part first."""
    state = {"room": None}
    real = os.write

    def write(fd, data):
        if state["room"] is None:
            return real(fd, data)
        if state["room"] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, bytes(data)[: state["room"]])
        state["room"] -= done
        return done

    monkeypatch.setattr("hawse.runner.log.os.write", write)
    return state


def test_block_takes_what_fits_and_goes_on_later(open_log, tmp_path, full):
    log = open_log()
    full["room"] = 3
    assert log.append(b"abcdef", 1) == 3
    assert log.fault == errno.ENOSPC
    assert log.append(b"def", 1) == 0
    full["room"] = None
    assert log.retry()
    assert log.append(b"def", 1) == 3
    assert log.fault == 0
    log.close()
    assert everything(tmp_path) == (b"abcdef", [])


def test_drop_counts_what_it_lost_and_tells_it(open_log, tmp_path, full):
    log = open_log(on_full="drop")
    log.append(b"kept", 1)
    full["room"] = 2
    assert log.append(b"abcdef", 1) == 6
    assert log.append(b"ghi", 1) == 3
    assert (log.end, log.bytes_dropped) == (13, 7)
    assert not log.retry(), "still no room"
    full["room"] = None
    assert log.retry()
    assert log.append(b"again", 1) == 5
    log.close()
    assert everything(tmp_path) == (b"keptabagain", [(6, 7, "dropped")])


@settings(max_examples=60)
@given(
    writes=st.lists(
        st.tuples(st.binary(min_size=1, max_size=3000), st.sampled_from([1, 2]), st.booleans()), max_size=20
    ),
    attempts=st.integers(1, 3),
    offset=st.integers(0, 10_000),
    bytes_max=st.integers(1, 5000),
)
def test_what_was_written_is_read(tmp_path_factory, writes, attempts, offset, bytes_max):
    directory = tmp_path_factory.mktemp("log")
    said, sources = bytearray(), []
    for attempt in range(1, attempts + 1):
        log = Log(
            str(directory), attempt=attempt, segment_bytes_max=4096, retain_bytes=0, on_full="block", room_bytes=0
        )
        for data, source, pause in writes:
            assert log.append(data, source) == len(data)
            said += data
            sources += [source] * len(data)
            if pause:
                log.index()
        if attempt == attempts:
            log.close()
        else:
            log._close_segment()  # killed: the last records were never written
    data, damaged = everything(directory, min(offset, len(said)), bytes_max)
    assert (data, damaged) == (bytes(said[min(offset, len(said)) :]), [])
