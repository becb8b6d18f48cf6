"""wire/replay.py: what a terminal may be shown twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.wire.replay import UNFINISHED_BYTES_MAX, Replayable, replayable


@pytest.mark.parametrize(
    "question",
    [
        b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[>0c", b"\x1b[=c", b"\x1bZ", b"\x1b[6n", b"\x1b[5n", b"\x1b[?6n",
        b"\x1b[?2004$p",
        b"\x1b[4$p", b"\x1b[>q", b"\x1b[>0q", b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\", b"\x1b]11;?\x07",
        b"\x1b]10;?\x1b\\",
        b"\x1b]4;1;?\x07", b"\x1b]52;c;aGVsbG8=\x07", b"\x1b]52;c;?\x1b\\", b"\x1b]9;done\x07", b"\x07", b"\x05",
        b"\x1b[18t",
        b"\x1b[8;50;100t", b"\x1b[?u", b"\x1b_Gi=1,a=q;AAAA\x1b\\", b"\x1b[5i",
    ],
)  # fmt: skip
def test_what_must_not_happen_twice_is_left_out(question):
    assert replayable(b"before" + question + b"after") == b"beforeafter"


@pytest.mark.parametrize(
    "kept",
    [
        b"\x1b[1;31mred\x1b[m", b"\x1b]0;what? a title\x07", b"\x1b]2;title\x1b\\",
        b"\x1b]8;;http://x\x07link\x1b]8;;\x07",
        b"\x1b[?25l", b"\x1b[2 q", b"\x1b[22;0;0t", b"\x1b[>4;2m", b"\x1b[10;20H", b"caf\xc3\xa9",
        b"\x1b]4;1;rgb:ff/00/00\x07",
        b"\x1b[?2004h", b"\x1b[3g", b"\x1b[1;24r", b"\x1b(0lqk\x1b(B",
    ],
)  # fmt: skip
def test_everything_else_is_kept(kept):
    assert replayable(kept) == kept


PARTS = st.lists(
    st.sampled_from(
        [
            b"\x1b[c", b"\x1b]11;?\x07", b"\x1b]0;a title\x1b\\", b"\x1b[1;31m", b"text", b"caf\xc3\xa9", b"\x07",
            b"\x1bPq\x1b\\", b"\x1b[6n", b"\x1b(B", b"\r\n",
        ]
    ),
    max_size=8,
)  # fmt: skip


@given(PARTS, st.integers(1, 7))
def test_a_stream_is_filtered_however_it_is_split(parts, size):
    whole = b"".join(parts)
    stream = Replayable()
    shown = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + stream.flush()
    assert shown == replayable(whole)


def test_a_sequence_without_an_end_is_not_kept_for_ever():
    stream = Replayable()
    assert stream.feed(b"\x1b]0;never") == b""
    assert stream.feed(b"x" * UNFINISHED_BYTES_MAX) != b""
