"""Index records: round trip, damage, checkpoints over several records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.wire import segment
from hawse.wire.errors import Malformed

NUMBERS = st.integers(0, 2**64 - 1)
SMALL = st.integers(0, 2**32 - 1)
RECORDS = st.builds(
    segment.Record, st.sampled_from(sorted(segment.KINDS - {segment.MORE})), offset=NUMBERS, time_ns=NUMBERS,
    length=SMALL, crc=SMALL, source=st.integers(0, 255), flags=st.integers(0, 255),
)  # fmt: skip


@given(RECORDS)
def test_round_trip(record):
    data = segment.encode(record)
    assert len(data) == segment.RECORD_BYTES == 32
    assert segment.decode(data) == record


@given(RECORDS, st.integers(0, 31), st.integers(1, 255))
def test_any_changed_byte_is_seen(record, at, change):
    data = bytearray(segment.encode(record))
    data[at] ^= change
    with pytest.raises(Malformed):
        segment.decode(bytes(data))


@given(st.lists(RECORDS, max_size=6), st.integers(0, 31))
def test_a_torn_end_costs_the_last_record_only(records, torn):
    data = b"".join(map(segment.encode, records))
    found, bad = segment.decode_all(data + b"x" * torn)
    assert (found, bad) == (records, 0)


@given(st.lists(RECORDS, min_size=1, max_size=6), st.data())
def test_a_bad_record_costs_itself_only(records, data):
    at = data.draw(st.integers(0, len(records) - 1))
    raw = bytearray(b"".join(map(segment.encode, records)))
    raw[at * 32 + 3] ^= 1
    assert segment.decode_all(bytes(raw)) == (records[:at] + records[at + 1 :], 1)


@given(st.binary(max_size=300))
def test_garbage_is_no_record(data):
    found, bad = segment.decode_all(data)
    assert len(found) + bad == len(data) // 32


@given(st.binary(max_size=segment.CHECKPOINT_BYTES_MAX), NUMBERS)
def test_checkpoints_come_back(state, offset):
    records, bad = segment.decode_all(segment.checkpoint_records(offset, state, time_ns=5))
    assert bad == 0
    assert segment.last_checkpoint(records, before=offset) == (offset, state)
    if offset:
        assert segment.last_checkpoint(records, before=offset - 1) is None


def test_a_checkpoint_that_is_not_whole_is_passed_over():
    first = segment.checkpoint_records(10, b"a" * 100, time_ns=1)
    second = segment.checkpoint_records(20, b"b" * 100, time_ns=1)
    for cut in range(1, len(second) // 32 + 1):
        records, _ = segment.decode_all(first + second[: -32 * cut])
        assert segment.last_checkpoint(records, before=99) == (10, b"a" * 100)


def test_too_long_a_checkpoint_is_our_own_mistake():
    with pytest.raises(ValueError, match="at most"):
        segment.checkpoint_records(0, b"x" * 5000, time_ns=0)


@given(NUMBERS)
def test_names(offset):
    assert segment.segment_start(segment.segment_name(offset) + ".seg") == offset


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x.seg",
        "0.seg",
        "0000000000000000.idx",
        "000000000000000g.seg",
        "000000000000000A.seg",
        "+000000000000000.seg",
    ],
)
def test_other_names_are_no_segments(name):
    assert segment.segment_start(name) is None
