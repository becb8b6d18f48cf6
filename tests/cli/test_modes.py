"""Modes that a program set are undone; others are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.cli.attach.modes import Modes

VIM = b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[1;24r\x1b[?25l hello"


def undone(*parts: bytes) -> bytes:
    modes = Modes()
    for part in parts:
        modes.see(part)
    return modes.undo()


def test_nothing_set_moves_nothing():
    end = undone(b"plain output \x1b[31mred\x1b[m\r\n")
    assert b"1049" not in end
    assert b"[r" not in end
    assert b"\x1b[?25h" in end


@pytest.mark.parametrize("at", range(len(VIM)))
def test_a_full_screen_program_split_anywhere(at):
    end = undone(VIM[:at], VIM[at:])
    for mode in (b"\x1b[?1049l", b"\x1b[?1l", b"\x1b[?2004l"):
        assert mode in end


def test_characters_overwrite_again():
    assert b"\x1b[4;20l" in undone(b"\x1b[4h")


def test_what_was_turned_off_again_is_left_alone():
    assert b"1049" not in undone(VIM, b"\x1b[?1049l\x1b[?2004l")


def test_several_in_one_sequence():
    end = undone(b"\x1b[?1000;1006;2004h")
    assert all(b"\x1b[?%dl" % mode in end for mode in (1000, 1006, 2004))


def test_the_older_alternate_screens():
    assert b"\x1b[?47l" in undone(b"\x1b[?47h")


@given(st.lists(st.binary(max_size=100)))
def test_any_bytes_are_harmless(parts):
    modes = Modes()
    for part in parts:
        modes.see(part)
    assert modes.undo().removesuffix(b"\r\n").endswith(b"\x1b[m")
    assert len(modes._tail) <= 64


@pytest.mark.parametrize(
    ("printed", "ends"),
    [(b"", False), (b"line\r\n", False), (b"prompt$ ", True), (b"x" + VIM, False), (VIM + b"\x1b[?1049l$ ", True)],
)
def test_what_is_said_afterwards_begins_a_line(printed, ends):
    assert undone(printed).endswith(b"\r\n") == ends
