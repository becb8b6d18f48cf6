"""A log's answer as chunks."""

import pytest

from hawse.client._sync.transport import Answer
from hawse.client.log_answer import log_piece, shown_screen
from hawse.domain.errors import Broken


def answer(body: bytes, **headers: str) -> Answer:
    return Answer(200, {f"hawse-log-{name}": value for name, value in headers.items()}, body)


def told(made: Answer) -> list[tuple[int, bytes, int, bool]]:
    return [(chunk.offset, chunk.data, chunk.source, bool(chunk.problem)) for chunk in log_piece(made).chunks]


def test_plain_bytes_are_one_chunk():
    piece = log_piece(answer(b"hello", **{"from": "7", "next": "12", "end": "99"}))
    assert (piece.next, piece.end) == (12, 99)
    assert [(c.offset, c.data, c.source) for c in piece.chunks] == [(7, b"hello", 1)]


def test_spans_tell_stdout_from_stderr():
    made = answer(b"outerr", **{"from": "0", "next": "6", "end": "6", "spans": "0+3:1 3+3:2"})
    assert told(made) == [(0, b"out", 1, False), (3, b"err", 2, False)]


def test_holes_are_told_where_they_are():
    made = answer(
        b"abxy",
        **{"from": "0", "next": "14", "end": "14", "spans": "0+2:1 12+2:1", "damaged": "2+10 checksum; 14+1 no%20room"},
    )
    assert told(made) == [(0, b"ab", 1, False), (2, b"", 1, True), (12, b"xy", 1, False), (14, b"", 1, True)]
    problems = [chunk.problem for chunk in log_piece(made).chunks if chunk.problem]
    assert problems[0] == "10 bytes from offset 2 on are damaged (their checksum does not fit)"
    assert "no room" in problems[1]


def test_nothing_yet():
    assert told(answer(b"", **{"from": "0", "next": "0", "end": "0"})) == []


@pytest.mark.parametrize(
    "headers", [{}, {"from": "x", "next": "1", "end": "1"}, {"from": "0", "next": "1", "end": "1", "spans": "0"}]
)
def test_nonsense_is_broken(headers):
    with pytest.raises(Broken):
        log_piece(answer(b"a", **headers))


def test_a_screen_tells_where_to_go_on_and_how_large_it_was():
    headers = {"hawse-log-next": "41", "hawse-log-end": "99", "hawse-terminal": "100x30"}
    shown = shown_screen(Answer(200, headers, b"\x1b[H"))
    assert (shown.data, shown.next, shown.columns, shown.rows) == (b"\x1b[H", 41, 100, 30)
    del headers["hawse-terminal"]
    assert (shown_screen(Answer(200, headers, b"")).columns, shown_screen(Answer(200, headers, b"")).rows) == (0, 0)
    for broken in ({}, {"hawse-log-next": "x"}, {"hawse-log-next": "1", "hawse-terminal": "80"}):
        with pytest.raises(Broken):
            shown_screen(Answer(200, broken, b""))
