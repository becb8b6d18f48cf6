"""Ages, sizes, outcomes and tables."""

import io

import pytest

from hawse.cli import words
from hawse.cli.table import facts, fold, printable, table, width
from hawse.client.records import JobInfo, Outcome, SessionInfo


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (7500, "2h 5m"),
        (36000, "10h"),
        (90000, "1d 1h"),
        (86400 * 12, "12d"),
        (86400 * 400, "1y 35d"),
    ],
)
def test_durations(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (34 * 1024, "34 KiB"),
        (1 << 41, "2.0 TiB"),
        (1 << 60, "1048576 TiB"),
    ],
)
def test_sizes(count, text):
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"kind": "exited", "code": 3}, "exit code 3"),
        ({"kind": "signalled", "signal": 9}, "killed by SIGKILL"),
        ({"kind": "signalled", "signal": 99}, "killed by signal 99"),
        ({"kind": "lost", "cause": "the host rebooted"}, "lost: the host rebooted"),
        ({"kind": "failed", "cause": "no such file"}, "never started: no such file"),
    ],
)
def test_outcomes(raw, text):
    assert words.outcome(Outcome(raw)) == text


def ended(kind: str, **outcome: object) -> dict[str, object]:
    return {"name": kind, "state": "ended", "outcome": {"kind": kind, **outcome}}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"state": "active", "jobs": [{"state": "running"}]}, ""),
        ({"state": "active", "jobs": [ended("exited", code=2)]}, "exited: exit code 2"),
        ({"state": "ended", "end_reason": "its last job ended", "jobs": [ended("exited", code=0)]}, "exit code 0"),
        (
            {
                "state": "ended",
                "end_reason": "asked",
                "owner": "u",
                "ended_by": "u",
                "jobs": [ended("signalled", signal=15)],
            },
            "signalled: killed by SIGTERM; ended by its owner",
        ),
        ({"state": "ended", "end_reason": "asked", "owner": "u", "ended_by": "v"}, "ended by v"),
    ],
)
def test_what_ended_and_why(raw, text):
    assert words.session_end(SessionInfo(raw)) == text


def test_what_ended_is_bounded():
    jobs = [ended("exited", code=1) for _ in range(5)]
    for state in ("active", "ended"):
        told = words.session_end(SessionInfo({"state": state, "end_reason": "its last job ended", "jobs": jobs}))
        assert told == "; ".join(["exited: exit code 1"] * 3) + "; and 2 more"


def test_a_short_id_is_a_beginning_that_commands_take():
    assert words.short_id("01a21be9-ffa0-7040-baad-2b4b6cf5220a") == "01a21be9-ffa0"


def test_the_last_column_is_bounded_in_a_pipe_too():
    out = io.StringIO()
    table(("A", "B"), [("x", "y" * 1000)], out)
    assert len(out.getvalue().splitlines()[1]) == 3 + 200
    assert out.getvalue().endswith("y…\n")


def test_a_line_is_folded_between_words():
    text = "     1  session.ended  demo  by uid:0  end_reason=its last job ended"
    assert fold(text, 100, indent=8) == text
    assert fold(text, 40, indent=8) == ("     1  session.ended  demo  by uid:0\n        end_reason=its last job ended")
    assert fold("one " + "x" * 50, 20, indent=4) == "one " + "x" * 50  # what can't be broken stays whole
    assert fold("日本 日本 日本", 10, indent=2) == "日本 日本\n  日本"


def test_job_states():
    assert words.job_state(JobInfo({"state": "running"})) == "running"
    assert words.job_state(JobInfo(ended("exited", code=0))) == "ended, exit code 0"


def test_columns_are_aligned_for_wide_letters_too():
    out = io.StringIO()
    table(("A", "B"), [("日本", "x"), ("abc", "y")], out)
    assert out.getvalue() == "A     B\n日本  x\nabc   y\n"
    assert width("e\N{COMBINING ACUTE ACCENT}日") == 3


def test_nobodys_text_may_draw_on_the_screen():
    out = io.StringIO()
    table(("A",), [("\x1b[2Jgone\n",)], out)
    facts([("name", "a\x07b")], stream=out)
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert printable("plain") == "plain"
