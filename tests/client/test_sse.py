"""Server-sent events, split at every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.client.sse import EventStream
from hawse.domain.errors import Broken

FEED = (
    b': still here\n\nid: 1\nevent: session.created\ndata: {"a": 1}\n\n'
    b"id:2\r\ndata: x\r\ndata: y\r\n\r\nevent: end\ndata: {}\n\n"
)
MESSAGES = [("1", "session.created", '{"a": 1}'), ("2", "", "x\ny"), ("2", "end", "{}")]


@pytest.mark.parametrize("at", range(len(FEED) + 1))
def test_split_anywhere(at):
    stream = EventStream(message_bytes_max=1000)
    assert stream.feed(FEED[:at]) + stream.feed(FEED[at:]) == MESSAGES


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_harmless(parts):
    stream = EventStream(message_bytes_max=10_000)
    for part in parts:
        for _, _, data in stream.feed(part):
            assert isinstance(data, str)


@pytest.mark.parametrize("data", [b"data: " + b"x" * 200, b"data: xxxxxxxxx\n" * 20], ids=["one line", "many lines"])
def test_a_message_without_end_is_cut(data):
    with pytest.raises(Broken, match="more than 100"):
        EventStream(message_bytes_max=100).feed(data)
