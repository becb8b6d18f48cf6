"""Frames: round trip, any split, limits known from the header."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.wire.errors import FrameTooLarge, WireError
from hawse.wire.frame import FrameReader, frame

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50)), max_size=8)


@given(frames=FRAMES, cuts=st.sets(st.integers(0, 400)))
def test_round_trip_at_any_split(frames, cuts):
    data = b"".join(frame(kind, body) for kind, body in frames)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    reader = FrameReader(body_bytes_max=50)
    found = [one for first, last in itertools.pairwise(edges) for one in reader.feed(data[first:last])]
    assert found == frames
    assert reader.pending_bytes == 0


def test_split_at_every_byte():
    data = frame(1, b"one") + frame(2) + frame(255, b"\0\xff")
    for at in range(len(data) + 1):
        reader = FrameReader(body_bytes_max=10)
        assert reader.feed(data[:at]) + reader.feed(data[at:]) == [(1, b"one"), (2, b""), (255, b"\0\xff")]


def test_too_large_is_known_from_the_header():
    reader = FrameReader(body_bytes_max=10)
    with pytest.raises(FrameTooLarge) as error:
        reader.feed(frame(1, b"x" * 11)[:5])
    assert (error.value.body_bytes, error.value.body_bytes_max) == (11, 10)
    with pytest.raises(FrameTooLarge):
        reader.feed(b"")


def test_good_frames_before_a_bad_one_are_not_lost():
    reader = FrameReader(body_bytes_max=10)
    assert reader.feed(frame(1, b"good") + frame(2, b"x" * 11)) == [(1, b"good")]
    assert isinstance(reader.error, FrameTooLarge)
    with pytest.raises(FrameTooLarge):
        reader.feed(b"more")


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_garbage_never_holds_more_than_a_frame(parts):
    reader = FrameReader(body_bytes_max=20)
    try:
        for part in parts:
            reader.feed(part)
            assert reader.pending_bytes < 5 + 20
    except WireError:
        pass
