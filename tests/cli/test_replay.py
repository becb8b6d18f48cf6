"""`hawse replay`: paces and keys by themselves, asciicast as text, and a terminal on which it plays."""

import json
import os
import re
import signal
import time

import pytest
from screen import Screen

from hawse.cli.replay import cast, recording
from hawse.cli.replay.keys import FASTER, INTERRUPT, PAUSE, QUIT, SKIP, SLOWER, Keys
from hawse.cli.replay.pace import Pace
from hawse.cli.replay.recording import Step

pytestmark = pytest.mark.xdist_group("cli")


# -- parts ------------------------------------------------------------------------------------------------------------


def test_a_pause_is_what_passed_capped_and_never_negative():
    pace = Pace(idle_max=2.0)
    assert [pace.pause(at) for at in (100.0, 101.5, 0.0, 200.0, 150.0, 150.5)] == [0, 1.5, 0, 2.0, 0, 0.5]
    assert pace.position == 4.0
    assert [Pace().pause(at) for at in (5.0,)] == [0]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_keys_are_told_from_what_terminals_say(size):
    typed = b" x\x1b[C\x1bOC\x1b[D+=-\x1b]11;rgb:0/0/0\x07\x1b[?62;22c\x1bP1$r\x1b\\q\x03"
    keys = Keys()
    found = [meaning for at in range(0, len(typed), size) for meaning in keys.feed(typed[at : at + size])]
    assert found == [PAUSE, SKIP, SKIP, FASTER, FASTER, SLOWER, QUIT, INTERRUPT]


def output(at, offset, data):
    return Step(recording.OUTPUT, at, offset, data=data)


def written(steps, *, version="2", **more):
    header = cast.Header(title="s", command="vim notes", **more)
    return [json.loads(line) for line in cast.lines(header, steps, version=version)]


TEXT = "a line\r\n\x1b[1mbold \u2603 snowman\x1b[m\r\n".encode()
RECORDED = [
    Step(recording.ATTEMPT, 1000.25, 0, number=1),
    Step(recording.RESIZE, 1000.25, 0, columns=100, rows=30),
    output(1000.5, 0, TEXT[:19]),  # in the middle of the snowman
    output(1001.5, 19, TEXT[19:]),
    Step(recording.RESIZE, 1003.0, len(TEXT), columns=120, rows=40),
    Step(recording.GAP, 1003.0, len(TEXT), text="5 bytes are gone"),
    Step(recording.ATTEMPT, 1004.0, len(TEXT) + 5, number=2),
    output(1002.0, len(TEXT) + 5, b"\xff\xe2\x98"),  # the clock went back; this is no text
]


def test_asciicast_2_has_what_its_specification_asks_for():
    head, *events = written(RECORDED)
    assert head == {
        "version": 2, "width": 100, "height": 30, "timestamp": 1000, "command": "vim notes", "title": "s",
    }  # fmt: skip
    assert [event[:2] for event in events] == [
        [0.25, "o"], [1.25, "o"], [2.75, "r"], [2.75, "m"], [3.75, "m"], [3.75, "o"], [3.75, "o"],
    ]  # fmt: skip
    assert [event[2] for event in events if event[1] != "o"] == ["120x40", "5 bytes are gone", "attempt 2"]
    assert "".join(text for _, code, text in events if code == "o") == (TEXT + b"\xff\xe2\x98").decode(
        "utf-8", "replace"
    )


def test_asciicast_3_counts_from_the_event_before_and_tells_the_exit():
    head, *events = written(RECORDED, version="3", exit_status=7, idle_max=2.5)
    assert head["term"] == {"cols": 100, "rows": 30}
    assert head["idle_time_limit"] == 2.5
    assert [event[0] for event in events] == [0.25, 1.0, 1.5, 0.0, 1.0, 0.0, 0.0, 0.0]
    assert events[-1] == [0.0, "x", "7"]


def test_a_job_without_a_terminal_gets_line_ends_and_a_usual_size():
    head, event = written([output(5.0, 0, b"one\ntwo\n")], has_tty=False)
    assert (head["width"], head["height"]) == (80, 24)
    assert event == [0.0, "o", "one\r\ntwo\r\n"]


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(hawse):
    """terminal("replay", "x") opens a window that runs hawse; all are closed afterwards."""
    opened = []

    def open_one(*words, **settings):
        opened.append(Screen(list(words), hawse.environ, **settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.kill()


def recorded(hawse, script, name="s", *options):
    """A session whose job, on a terminal, has ended."""
    hawse("new", "-d", "--keep", *options, name, "--", "sh", "-c", script)
    hawse.run("wait", f"{name}/sh")


def modes(screen):
    import termios

    return termios.tcgetattr(screen.child.fileno())[:4]


@pytest.mark.requirement("S3.4")
def test_a_pipe_gets_the_very_bytes_at_once(hawse):
    recorded(hawse, "echo one; sleep 3; printf '\\033[cwhat\\a'; echo two")
    began = time.monotonic()
    logged = hawse("logs", "s")
    assert hawse("replay", "s") == logged
    assert hawse("replay", "s", "--from", "5") == logged[4:]  # a line end is two bytes
    assert hawse("replay", "s", "--idle-max", "0") == logged
    assert hawse("replay", "s", "--speed", "1000") == logged
    assert hawse("replay", "s", "--since", "@4000000000") == ""
    assert hawse.run("replay", "s", "--from", "1", "--since", "2").returncode == 64
    assert time.monotonic() - began < 60


def test_a_pipe_that_asks_for_the_pace_gets_it(hawse):
    recorded(hawse, "echo one; sleep 2; echo two")
    began = time.monotonic()
    assert hawse("replay", "s", "--speed", "1") == hawse("logs", "s")
    assert time.monotonic() - began > 1.5


@pytest.mark.requirement("S3.4")
def test_asciicast_holds_the_log(hawse, tmp_path):
    script = "printf 'sn\\342'; sleep 0.5; printf '\\230\\203wman \\377\\n'; seq -f line%g 3000"
    recorded(hawse, script)
    file = tmp_path / "demo.cast"
    hawse("replay", "s", "--asciicast", str(file))
    head, *events = [json.loads(line) for line in file.read_text().splitlines()]
    assert head["version"] == 2
    assert (head["width"], head["height"]) == (80, 24)
    assert abs(head["timestamp"] - time.time()) < 600
    times = [event[0] for event in events]
    assert times == sorted(times)
    assert times[-1] >= 0.4
    (job,) = hawse.places.state.glob("jobs/*/log")
    log = b"".join(path.read_bytes() for path in sorted(job.glob("*.seg")))
    assert "".join(event[2] for event in events if event[1] == "o") == log.decode("utf-8", "replace")
    again = hawse.run("replay", "s", "--asciicast", str(file))
    assert again.returncode == 64
    assert "is there already" in again.stderr
    last = hawse("replay", "s", "--asciicast", "-", "--asciicast-version", "3").splitlines()[-1]
    assert json.loads(last)[1:] == ["x", "0"]


def test_damage_is_told_in_every_form(hawse, tmp_path):
    recorded(hawse, "echo good; sleep 0.5; echo bad; sleep 0.5; echo fine")
    (segment,) = hawse.places.state.glob("jobs/*/log/*.seg")
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"bad", b"bud"))
    piped = hawse.run("replay", "s", "--speed", "1000")
    assert piped.returncode == 1
    assert piped.stdout == "good\nfine\n"
    assert "checksum does not fit" in piped.stderr
    made = hawse.run("replay", "s", "--asciicast", "-")
    assert made.returncode == 1
    (marker,) = [event for event in map(json.loads, made.stdout.splitlines()[1:]) if event[1] == "m"]
    assert "checksum does not fit" in marker[2]


@pytest.mark.requirement("S3.4")
def test_a_full_screen_program_plays_and_the_terminal_is_as_before(hawse, terminal, need, tmp_path):
    need("vim")
    (tmp_path / "text").write_text("".join(f"row {n}\n" for n in range(1, 200)))
    first = terminal("new", "--keep", "s", "--", "vim", "-u", "NONE", "-N", str(tmp_path / "text"))
    first.until("row 20")
    first.type(":100\r")
    first.until("row 105")
    first.type(":q!\r")
    first.ended()
    player = terminal("replay", "s", "--idle-max", "1")
    player.until("space pauses")
    player.until("row 105")
    player.until("[end of the replay; s: ended, exit code 0]")
    assert player.ended() == 0
    assert b"\x1b[?1049l" in player.raw.rpartition(b"row 105")[2]
    assert b"\x1b[c" not in player.raw  # no question: its answer would be typed into the shell


def first_modes(hawse):
    """What a fresh terminal has."""
    fresh = Screen(["--version"], hawse.environ)
    try:
        return modes(fresh)
    finally:
        fresh.ended()


LONG = "echo begin; sleep 1; for n in $(seq 1 60); do echo tick $n; sleep 0.1; done; echo the end"


def test_keys_pause_skip_and_leave(hawse, terminal):
    recorded(hawse, LONG)
    player = terminal("replay", "s", "--speed", "0.1")
    player.type("x")  # enough of the hint
    player.until("begin")
    player.type(" ")
    player.until(lambda _: b"paused: space goes on" in player.raw)
    shown = player.text
    player.type("\x1b[C")  # while it is paused, too
    stepped = player.until(lambda text: "tick 20" in text)
    assert "the end" not in stepped
    assert shown != stepped
    player.type("+" * 20 + " ")
    player.until("the end")
    player.until("[end of the replay; s: ended, exit code 0]")
    assert player.ended() == 0


def test_leaving_tells_how_to_go_on(hawse, terminal):
    recorded(hawse, LONG)
    player = terminal("replay", "s", "--speed", "0.05")
    player.type("x")
    player.until("begin")
    player.type("q")
    told = player.until("go on with: hawse replay s --from ")
    assert player.ended() == 0
    offset = re.search(r"--from (\d+)", told)[1]
    assert 0 < int(offset) < 30
    rest = terminal("replay", "s", "--from", offset, "--speed", "1000")
    text = rest.until("[end of the replay")
    assert "the end" in text


@pytest.mark.parametrize("how", ["key", signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_it_the_terminal_is_given_back(hawse, terminal, how):
    recorded(hawse, "printf '\\033[?1049h\\033[?25l'; echo begin; sleep 2; echo end")
    fresh = first_modes(hawse)
    player = terminal("replay", "s", "--speed", "0.01")
    player.until("space pauses")
    player.type("x")
    player.until("begin")
    assert modes(player) != fresh
    if how == "key":
        player.type("\x03")
    else:
        os.kill(player.child.pid, how)
    player.until(lambda _: b"\x1b[?25h" in player.raw.rpartition(b"begin")[2])
    assert b"\x1b[?1049l" in player.raw.rpartition(b"begin")[2]
    assert player.ended() == (130 if how in ("key", signal.SIGINT) else 128 + how)


def test_a_smaller_terminal_is_told(hawse, terminal):
    recorded(hawse, "echo on 80 by 24")
    player = terminal("replay", "s", columns=60, rows=20)
    player.until(lambda _: b"recorded on a terminal of 80x24" in player.raw)
    player.until("[end of the replay")
    player.ended()
    assert b"part of it" not in player.raw


def test_a_terminal_that_was_made_larger_while_it_was_recorded_is_told_too(hawse, terminal):
    first = terminal("new", "--keep", "s", "--", "sh", "-c", "echo small; read x; echo large")
    first.until("small")
    first.resize(130, 50)
    first.type("\r")
    first.until("large")
    first.ended()
    player = terminal("replay", "s", "--idle-max", "0.1")
    player.until("part of it was recorded on a terminal of 130x5")
    player.ended()


def test_while_it_runs_it_plays_up_to_now(hawse, terminal, eventually):
    hawse("new", "-d", "s", "--", "sh", "-c", "echo so far; sleep 1000")
    eventually(lambda: "so far" in hawse("logs", "s"))
    player = terminal("replay", "s", "--speed", "1000")
    player.until("s goes on: hawse attach s")
    assert "so far" in player.text
    player.ended()


@pytest.mark.requirement("S3.4")
def test_attempts_are_told_apart(hawse, terminal, tmp_path, eventually):
    mark = tmp_path / "second"
    script = f"printf '\\033[?1049h'; echo attempt; test -e {mark} && exit 3; touch {mark}; sleep 1000"
    hawse("new", "-d", "--keep", "--on-lost", "restart", "s", "--", "sh", "-c", script)
    eventually(mark.exists)
    eventually(lambda: "attempt" in hawse("logs", "s"))
    (claimed,) = hawse.places.state.glob("jobs/*/attempt-1/claim.json")
    os.kill(json.loads(claimed.read_text())["runner_pid"], signal.SIGKILL)
    eventually(lambda: hawse.json("show", "s/sh")["attempt"] == 2)
    hawse.run("wait", "s/sh")
    player = terminal("replay", "s", "--idle-max", "0.5")
    player.until("[attempt 2]")
    player.until("exit code 3")
    player.ended()
    events = [json.loads(line) for line in hawse("replay", "s", "--asciicast", "-").splitlines()[1:]]
    assert [event[2] for event in events if event[1] == "m"] == ["attempt 2"]


def test_nothing_printed_is_said(hawse, terminal):
    recorded(hawse, "true")
    player = terminal("replay", "s")
    player.until("has printed nothing there")
    assert player.ended() == 0
