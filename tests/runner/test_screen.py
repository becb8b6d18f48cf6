"""Coming back to a screen: the tracker, the filter, and real full-screen programs against a screen that saw
everything."""

import copy
import itertools
import os
import re

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hawse.runner.restore import restore
from hawse.runner.screen import UNFINISHED, Tracker, colours_after
from hawse.wire import terminal

COLUMNS, ROWS = 100, 30


def tracked(*parts):
    tracker = Tracker(0)
    at = 0
    for part in parts:
        tracker.feed(at, part)
        at += len(part)
    return tracker


class Terminal:
    """A real terminal, as far as pyte is one: with an alternate screen, which pyte lacks."""

    def __init__(self, columns=COLUMNS, rows=ROWS):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.answers = []
        self.screen.write_process_input = self.answers.append
        self.main = None
        self.rest = b""

    def feed(self, data):
        # pyte has one screen: switch by hand, as xterm does for 1049
        data = self.rest + bytes(data)
        self.rest = UNFINISHED.search(data).group()
        for part in re.split(rb"(\x1b\[\?1049[hl])", data[: len(data) - len(self.rest)]):
            if part == b"\x1b[?1049h" and self.main is None:
                self.main = (copy.deepcopy(self.screen.buffer), copy.copy(self.screen.cursor))
                self.screen.erase_in_display(2)
            elif part == b"\x1b[?1049l" and self.main is not None:
                self.screen.buffer, self.screen.cursor = self.main
                self.main = None
            elif part not in (b"\x1b[?1049h", b"\x1b[?1049l"):
                # what pyte would print instead of ignoring
                self.stream.feed(
                    re.sub(rb"\x1b\[!p|\x1b\[[>?][0-9;]*[a-gi-km-z]|\x1b\[[0-9;]*t|\x1bP[^\x1b]*\x1b\\", b"", part)
                )

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def cursor(self):
        return self.screen.cursor.y, self.screen.cursor.x


# -- the filter --------------------------------------------------------------------------------------------------------


# -- the tracker -------------------------------------------------------------------------------------------------------

SCRIPT = (
    b"$ vi\r\n\x1b[?1049h\x1b[22;0;0t\x1b[?1h\x1b=\x1b[?2004h\x1b[1;30r\x1b[?12h\x1b[?25h\x1b[2J\x1b[H"
    b"text\x1b[?1000;1006h\x1b(0\x0e\x1b]2;a title\x07\x1b[4h\x1b[2 q\x1b[>4;2m"
)


@given(cuts=st.sets(st.integers(1, len(SCRIPT) - 1)))
def test_the_same_state_however_it_is_cut(cuts):
    edges = [0, *sorted(cuts), len(SCRIPT)]
    parts = [SCRIPT[first:last] for first, last in itertools.pairwise(edges)]
    tracker, whole = tracked(*parts), tracked(SCRIPT)
    assert tracker.dump() == whole.dump()
    assert tracker.state.is_alternate
    assert tracker.state.modes == {1: True, 2004: True, 25: True, 1000: True, 1006: True}
    assert (tracker.title, tracker.state.style, tracker.state.keys, tracker.state.shift) == (b"a title", "2", "2", True)


def test_every_split_in_two():
    for at in range(1, len(SCRIPT)):
        assert tracked(SCRIPT[:at], SCRIPT[at:]).dump() == tracked(SCRIPT).dump(), at


@pytest.mark.parametrize(
    "clear", [b"\x1b[H\x1b[2J", b"\x1b[H\x1b[J", b"\x1b[1;1H\x1b[2J", b"\x1bc", b"\x1b[2J\x1b[H", b"\x1b[H\x1b[m\x1b[J"]
)
def test_a_full_clear_is_a_place_to_begin(clear):
    tracker = tracked(b"x" * 100 + clear + b"after")
    assert (tracker.start.offset, tracker.start.is_exact) == (100, True)


@pytest.mark.parametrize("other", [b"\x1b[K", b"\x1b[H", b"\x1b[J", b"\x1b[1J", b"\x1b[5;5H\x1b[J"])
def test_other_erasing_is_not(other):
    assert tracked(b"x" * 100 + other + b"after").start.offset == 0


def test_a_finished_alternate_screen_is_skipped():
    main = b"$ vi\r\n"
    tracker = tracked(main + b"\x1b[?1049h" + b"junk" * 100_000 + b"\x1b[?1049l" + b"$ ")
    data = main + b"\x1b[?1049h" + b"junk" * 100_000 + b"\x1b[?1049l" + b"$ "
    found = restore(tracker, lambda begin, end: data[begin:end], first=0)
    assert b"junk" not in found.data
    assert len(found.data) < 1000
    assert found.is_exact


def test_a_checkpoint_is_the_same_tracker():
    tracker = tracked(SCRIPT)
    assert Tracker.load(tracker.dump()).dump() == tracker.dump()
    assert len(tracker.dump()) < 4096


@given(st.binary(max_size=400))
def test_any_bytes_are_survived(data):
    tracker = tracked(data[:100], data[100:])
    assert tracker.boundary <= tracker.end == len(data)
    found = restore(tracker, lambda begin, end: data[begin:end], first=0)
    assert found.offset <= len(data)


_PIECES = st.sampled_from(
    [b"\x1b[", b"\x1b", b"?1049h", b"?1049l", b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[H", b"\x1b[2J", b"\x1bc", b"2J",
    b"text\r\n",
     b"\x1b]2;t", b"\x07", b"\x1b\\", b"\x1b[1;5r", b";", b"r", b"\x0e", b"\x0f", b"\xc3", b"\xa9", b"\x1b[31m",
     b"\x1b[m"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=30))
def test_cutting_never_matters(pieces):
    joined = b"".join(pieces)
    assert tracked(*pieces).dump() == tracked(joined).dump() == tracked(*(bytes([byte]) for byte in joined)).dump()


def test_colours_in_force():
    assert colours_after(b"\x1b[31mred\x1b[0m\x1b[1m\x1b[44mx") == b"\x1b[1m\x1b[44m"
    assert colours_after(b"\x1b[31m\x1b[m") == b""


def test_a_character_is_not_cut_in_two():
    data = b"\x1b[Hcaf\xc3"
    assert restore(tracked(data), lambda begin, end: data[begin:end], first=0).offset == len(data) - 1


# -- real programs -----------------------------------------------------------------------------------------------------


def begin(rig, *argv, **values):
    """A program on a terminal, and a reference terminal that sees everything from the start."""
    values.setdefault("env", {"TERM": "xterm-256color"})
    attempt = rig.spawn(*argv, tty=(COLUMNS, ROWS), **values)
    link = attempt.attach("control", start=0, columns=COLUMNS, rows=ROWS)
    reference = Terminal()
    link.fed = 0

    def refresh():
        link.read_once(0.05)
        reference.feed(link.shown[link.fed :])
        link.fed = len(link.shown)
        return reference

    link.refresh = refresh
    return attempt, link, reference


def shows(rig, link, text):
    rig.eventually(lambda: any(text in line for line in link.refresh().lines), what=f"{text!r} on the screen")


def _everything(lines):
    return lines


def settled(rig, link, fresh, newcomer, same=_everything):
    """Both screens, when they agree; the last difference otherwise."""

    def agree():
        link.refresh()
        newcomer.read_once(0.05)
        fresh.feed(newcomer.shown[newcomer.fed :])
        newcomer.fed = len(newcomer.shown)
        seen = link.refresh()
        return same(fresh.lines) == same(seen.lines) and (same is not _everything or fresh.cursor == seen.cursor)

    try:
        rig.eventually(agree, 10, what="the same screen")
    except pytest.fail.Exception as error:
        ours, theirs = [*same(fresh.lines), fresh.cursor], [*same(link.refresh().lines), link.refresh().cursor]
        difference = [(row, a, b) for row, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
        raise AssertionError(f"(row, restored, reference): {difference}") from error


def come_back(attempt, **size):
    newcomer = attempt.attach("control", start="screen", **(size or {"columns": COLUMNS, "rows": ROWS}))
    newcomer.fed = 0
    assert newcomer.welcome
    return newcomer, Terminal()


@pytest.fixture
def text_file(places):
    path = places.base / "text"
    path.write_text("".join(f"line {number} of the file\n" for number in range(1, 500)))
    return str(path)


@pytest.mark.requirement("S2.9", "S3.2")
def test_vim(rig, need, text_file):
    attempt, link, _ = begin(rig, need("vim"), "-u", "NONE", "-N", text_file)
    shows(rig, link, "line 1 of the file")
    link.type(b"100Gihello \x1b")
    shows(rig, link, "hello line 100 of the file")
    newcomer, fresh = come_back(attempt)
    settled(rig, link, fresh, newcomer)
    newcomer.type(b"0")
    settled(rig, link, fresh, newcomer)
    newcomer.type(b":q!\n")
    assert newcomer.outcome == {"kind": "exited", "code": 0}


@pytest.mark.requirement("S2.9")
def test_less(rig, need, text_file):
    attempt, link, _ = begin(rig, need("less"), text_file)
    shows(rig, link, "line 1 of the file")
    link.type(b"  ")
    shows(rig, link, "line 80 of the file")
    newcomer, fresh = come_back(attempt)
    settled(rig, link, fresh, newcomer)
    newcomer.type(b"G")
    shows(rig, link, "line 499 of the file")
    settled(rig, link, fresh, newcomer)
    newcomer.type(b"q")
    assert newcomer.outcome["code"] == 0


def _without_figures(lines):
    """What of top's screen does not change every second."""
    return [line for line in lines if "PID" in line and "COMMAND" in line.upper()]


@pytest.mark.requirement("S2.9")
@pytest.mark.parametrize("program", ["top", "htop"])
def test_top(rig, need, program):
    attempt, link, _ = begin(rig, need(program))
    rig.eventually(lambda: _without_figures(link.refresh().lines), what="a header")
    newcomer, fresh = come_back(attempt)
    settled(rig, link, fresh, newcomer, same=_without_figures)
    newcomer.type(b"q")
    newcomer.until(lambda: newcomer.of(terminal.EXIT))


@pytest.mark.requirement("S2.9")
def test_bash_after_vim(rig, need, text_file):
    attempt, link, _ = begin(rig, "bash", "--norc", "-i", env={"TERM": "xterm-256color", "PS1": "ready> "})
    shows(rig, link, "ready>")
    link.type(b"echo before\n")
    shows(rig, link, "before")
    link.type(b"vim -u NONE -N " + text_file.encode() + b"\n")
    shows(rig, link, "line 1 of the file")
    link.type(b":q\n")
    rig.eventually(lambda: link.refresh().lines.count("before") == 1)
    link.type(b"echo after\n")
    shows(rig, link, "after")
    newcomer, fresh = come_back(attempt)
    settled(rig, link, fresh, newcomer)
    newcomer.type(b"exit\n")
    newcomer.until(lambda: newcomer.of(terminal.EXIT))


@pytest.mark.requirement("S2.9")
def test_leaving_vim_shows_the_shell_again(rig, need, text_file):
    attempt, link, _ = begin(rig, "bash", "--norc", "-i", env={"TERM": "xterm-256color", "PS1": "ready> "})
    shows(rig, link, "ready>")
    link.type(b"echo below\nvim -u NONE -N " + text_file.encode() + b"\n")
    shows(rig, link, "line 1 of the file")
    newcomer, fresh = come_back(attempt)
    settled(rig, link, fresh, newcomer)
    newcomer.type(b":q\n")
    shows(rig, link, "below")
    settled(rig, link, fresh, newcomer)
    assert "below" in fresh.lines
    newcomer.type(b"exit\n")
    newcomer.until(lambda: newcomer.of(terminal.EXIT))


def test_a_late_attacher_gets_no_megabytes(rig):
    attempt, link, _ = begin(rig, "sh", "-c", "seq 1 1000000; echo ready; read x")
    link.until(lambda: b"ready" in link.output[-100:], 60)
    link.fed = len(link.shown) - 5000
    newcomer, fresh = come_back(attempt)
    settled(rig, link, fresh, newcomer)
    assert len(newcomer.shown) < 300 * 1024
    assert fresh.lines[ROWS - 2] == "ready"


def test_a_lone_question_is_not_asked_again(rig):
    attempt, link, _ = begin(rig, "sh", "-c", r"printf '\033[6n\033[c\007ready\n'; read x")
    shows(rig, link, "ready")
    newcomer, fresh = come_back(attempt)
    settled(rig, link, fresh, newcomer)
    assert b"\x1b[6n" not in newcomer.shown
    assert b"\x07" not in newcomer.shown
    assert not fresh.answers


def test_another_size_makes_the_program_draw_again(rig, need, text_file):
    attempt, link, _ = begin(rig, need("vim"), "-u", "NONE", "-N", text_file)
    shows(rig, link, "line 29 of the file")
    newcomer = attempt.attach("control", start="screen", columns=60, rows=12)
    fresh = Terminal(60, 12)
    newcomer.fed = 0

    def is_redrawn():
        newcomer.read_once(0.05)
        fresh.feed(newcomer.shown[newcomer.fed :])
        newcomer.fed = len(newcomer.shown)
        return fresh.lines[10] == "line 11 of the file" and "line" not in fresh.lines[11]

    rig.eventually(is_redrawn)
    newcomer.type(b":q!\n")
    newcomer.until(lambda: newcomer.of(terminal.EXIT))


def test_a_screen_can_be_restored_after_the_end(rig, text_file, need):
    from hawse.runner import claim
    from hawse.runner.restore import restore_from

    attempt, link, _reference = begin(rig, "sh", "-c", r"printf '\033[H\033[2J\033[5;5Hhere\033[?25l'; exit 0")
    assert link.outcome["code"] == 0
    attempt.ended()
    found = restore_from(claim.log_dir(os.fspath(attempt.job_dir)))
    fresh = Terminal()
    fresh.feed(found.data)
    assert fresh.lines == link.refresh().lines
    assert fresh.lines[4] == "    here"
    assert b"\x1b[?25l" in found.data
