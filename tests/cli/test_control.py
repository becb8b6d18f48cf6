"""Two people at one terminal: what each sees, types and is told, in two real terminals."""

import json
import os
import re

import pytest
from screen import KEY, Screen

pytestmark = pytest.mark.xdist_group("cli")

SHELL = ["sh", "-c", "PS1='in$ ' exec sh -i"]


@pytest.fixture
def terminal(hawse):
    """terminal("attach", "x") opens a window that runs hawse; all are closed afterwards."""
    opened = []

    def open_one(*words: str, **settings: int) -> Screen:
        opened.append(Screen(list(words), hawse.environ, **settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.kill()


@pytest.fixture
def begun(hawse, terminal):
    """A session with one window that has control."""
    first = terminal("new", "s", "--", *SHELL, columns=100)
    first.until("in$")
    return first


def who(hawse) -> list[dict]:
    return hawse.json("who", "s")


def joined(text: str) -> str:
    """The screen's text as one line, as far as words were broken at the edge."""
    return re.sub(r"\s+", " ", text)


def says(screen: Screen, text: str) -> None:
    screen.until(lambda shown: text in joined(shown))


@pytest.mark.requirement("S5.1", "S5.4", "S8.1")
def test_share_the_second_looks_on_and_takes_control_by_key(hawse, terminal, begun):
    first = begun
    first.type("echo on''e\r")
    first.until("one")
    second = terminal("attach", "s", columns=100)
    second.until("one")
    says(second, "has control and you look on; take it: Ctrl-\\ t, or hawse take s]")
    second.type("echo ev''il\r")
    says(second, "has control; what you type goes nowhere; take control: Ctrl-\\ t, or hawse take s]")
    first.type("echo tw''o\r")
    first.until("two")
    second.until("two")
    assert "evil" not in first.text
    second.type(KEY + "t")
    says(second, "[you have control]")
    says(first, "took control; take it back: Ctrl-\\ t, or hawse take s]")
    second.type("echo thr''ee\r")
    first.until("three")
    first.type("echo ev''il\r")
    says(first, "what you type goes nowhere")
    first.type(KEY + "t")
    says(first, "[you have control]")
    first.type("echo fo''ur\r")
    second.until("four")
    assert "evil" not in second.text + first.text
    assert second.detach() == 0
    assert first.detach() == 0


@pytest.mark.requirement("S5.2")
def test_reject_the_second_is_told_who_holds_it_and_since_when(hawse, terminal, begun):
    hawse("policy", "set", "s", "attach=reject")
    second = terminal("attach", "s", columns=150)
    assert second.ended() == 75
    shown = joined(second.text)
    assert re.search(r"hawse: s/sh is attached by \S+ \(/dev/pts/\d+\) since \d+ s, and takes one at a time", shown)
    assert "to look: hawse attach s/sh --watch; to take its place: hawse attach s/sh --steal" in shown
    assert begun.text.strip() == "in$", "the first sees nothing of it"
    watcher = terminal("attach", "s", "--watch")
    watcher.until("in$")
    begun.type("echo on''e\r")
    watcher.until("one")
    third = terminal("attach", "s", "--share")
    third.until("in$")
    says(third, "you look on")


@pytest.mark.requirement("S5.3")
def test_steal_the_first_is_detached_and_told_by_whom_and_how_to_return(hawse, terminal, begun):
    begun.type("echo on''e\r")
    begun.until("one")
    second = terminal("attach", "s", "--steal")
    second.until("one")
    assert begun.ended() == 1
    shown = joined(begun.text)
    assert re.search(r"\[detached from s: \S+ \(/dev/pts/\d+\) took your place; return with: hawse attach s\]", shown)
    second.type("echo tw''o\r")
    second.until("two")
    (one,) = who(hawse)
    assert one["holds"]
    told = [json.loads(line) for line in hawse("events", "s", "--json").splitlines()]
    gone = [event for event in told if event["kind"] == "attachment.detached"]
    assert (gone[0]["after"]["reason"], gone[0]["after"]["detached_by"]) == ("stolen", f"uid:{os.getuid()}")


@pytest.mark.requirement("S5.3")
def test_the_policy_steal_counts_for_everybody_and_reject_for_one(hawse, terminal, begun):
    hawse("policy", "set", "s", "attach=steal")
    polite = terminal("attach", "s", "--reject")
    assert polite.ended() == 75
    second = terminal("attach", "s")
    second.until("in$")
    assert begun.ended() == 1


@pytest.mark.requirement("S5.4")
def test_take_by_command_and_who(hawse, terminal, begun):
    second = terminal("attach", "s", columns=100)
    second.until("in$")
    watcher = terminal("attach", "s", "--watch")
    watcher.until("in$")
    listed = hawse("who", "s").splitlines()
    assert re.match(r"WHO +JOB +MODE +CONTROL +SINCE +ACTIVE +TYPED +ID +FROM$", listed[0])
    assert [re.split(r"\s{2,}", line)[2:4] for line in listed[1:]] == [
        ["control", "has"], ["control", "may"], ["watch", "-"],
    ]  # fmt: skip
    told = hawse("take", "s")
    assert re.fullmatch(r"/dev/pts/\d+ has control of s now; \S+ \(/dev/pts/\d+\) had it\n", told)
    says(second, "[you have control]")
    says(begun, "took control")
    second.type("echo on''e\r")
    begun.until("one")
    assert "had it already" in hawse("take", "s")
    first_id = next(one["id"] for one in who(hawse) if not one["holds"] and one["mode"] == "control")
    hawse("take", "s/sh", "--attachment", first_id[:18])
    says(begun, "[you have control]")
    watching = next(one["id"] for one in who(hawse) if one["mode"] == "watch")
    assert hawse.run("take", "s", "--attachment", watching).returncode == 1
    assert "only watches" in hawse.run("take", "s", "--attachment", watching).stderr
    watcher.type(KEY + "t")
    says(watcher, "this window only looks; to type: hawse attach s")
    assert "has control" in hawse("show", "s")


def test_take_with_no_window_says_what_to_do(hawse, terminal, begun):
    begun.detach()
    done = hawse.run("take", "s")
    assert done.returncode == 64
    assert "none of your windows is attached to s/sh with control" in done.stderr
    assert "nobody is attached to s; attach with: hawse attach s" in hawse.run("who", "s").stderr


@pytest.mark.requirement("S5.4")
def test_control_passes_to_who_stays(hawse, terminal, begun):
    second = terminal("attach", "s", columns=100)
    says(second, "you look on")
    assert begun.detach() == 0
    says(second, "[you have control]")
    second.type("echo on''e\r")
    second.until("one")


@pytest.mark.requirement("S5.4")
def test_the_window_has_the_size_of_who_has_control(hawse, terminal):
    first = terminal(
        "new", "s", "--", "sh", "-c", "trap 'stty size' WINCH; stty size; while :; do sleep 0.1; done",
        columns=70, rows=20,
    )  # fmt: skip
    first.until("20 70")
    second = terminal("attach", "s", columns=90, rows=30)
    second.until("20 70")
    second.type(KEY + "t")
    second.until("30 90")
    first.until("30 90")


@pytest.mark.requirement("S5.4")
def test_in_a_full_screen_it_is_told_below_and_the_rest_stays(hawse, terminal, need, tmp_path):
    need("vim")
    (tmp_path / "text").write_text("".join(f"row {n}\n" for n in range(1, 200)))
    first = terminal("new", "s", "--", "vim", "-u", "NONE", "-N", str(tmp_path / "text"))
    first.until("row 20")
    second = terminal("attach", "s")
    second.until("row 20")
    says(second, "you look on")
    assert second.text.splitlines()[:20] == first.text.splitlines()[:20]
    second.type("dd")
    says(second, "what you type goes nowhere")
    second.type(KEY + "t")
    says(first, "took control")
    second.type("50G")
    second.until("row 50")
    first.until("row 50")
    assert first.text.splitlines()[:20] == second.text.splitlines()[:20]
    assert "row 1\n" in (tmp_path / "text").read_text()


@pytest.mark.requirement("S5.4")
def test_a_silent_one_really_loses_control(hawse, terminal, begun):
    hawse("policy", "set", "s", "control_idle_s=2s")
    second = terminal("attach", "s", columns=100)
    says(second, "you look on")
    says(second, "[you have control]")
    says(begun, "[nothing was typed here for 2 s; take it back: Ctrl-\\ t, or hawse take s]")
    second.type("echo on''e\r")
    begun.until("one")


@pytest.mark.requirement("S5.5", "L4.16")
def test_an_idle_one_is_really_detached_and_told_how_to_return(hawse, terminal, begun):
    hawse("policy", "set", "s", "idle_s=2s")
    assert begun.ended() == 1
    shown = joined(begun.text)
    assert "nothing was typed or shown for 2 s; the work goes on; return with: hawse attach s]" in shown
    assert hawse.json("show", "s")["jobs"][0]["state"] == "running"
    hawse("policy", "set", "s", "idle_s=0")
    back = terminal("attach", "s")
    back.until("in$")


def test_policies_are_shown_with_where_they_were_set(hawse, terminal, begun):
    hawse("policy", "set", "s", "attach=steal")
    shown = hawse("show", "s")
    assert re.search(r"attach: +steal \(session\)", shown)
    assert re.search(r"control_idle_s: +10m \(default\)", shown)
    assert re.search(r"idle_s: +12h \(default\)", shown)
    assert "attach" in hawse("policy", "show", "s")


def test_watch_and_a_policy_together_are_refused(hawse, terminal, begun):
    done = terminal("attach", "s", "--watch", "--steal")
    assert done.ended() == 64
    assert "give only one of --watch and --steal" in joined(done.text)
