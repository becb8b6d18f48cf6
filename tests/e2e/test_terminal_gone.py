"""Terminals come and go: closed, killed, asleep, logged out. The work goes on, and the screen is there again."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pexpect
import pytest
from machine import is_alive, pids_in, stopped
from screen import KEY, Screen

from hawse.runner import kin

SHELL = ("sh", "-c", "PS1='in$ ' exec sh -i")


def cells(screen: Screen) -> list[list[tuple[str, str, str, bool, bool]]]:
    """What is drawn, with its colours."""
    drawn = screen.screen.buffer
    return [
        [
            (cell.data, cell.fg, cell.bg, cell.bold, cell.reverse)
            for cell in (drawn[row][column] for column in range(screen.screen.columns))
        ]
        for row in range(screen.screen.lines)
    ]


def settle(screen: Screen) -> None:
    """Take all that has come."""
    while screen.take(0.3):
        pass


def python_file(folder: Path) -> str:
    path = folder / "program.py"
    text = "def function_{n}(value):\n    return 'text {n}' + str(value * {n})\n\n"
    path.write_text("".join(text.format(n=n) for n in range(99)))
    return str(path)


@pytest.mark.requirement("S2.9", "S4.3")
@pytest.mark.parametrize("program", ["vim", "less", "top", "htop"])
def test_a_screen_comes_back_cell_by_cell(machine, window, need, places, program):
    """Text, colours and cursor are as the program drew them; the first client was killed, the second never saw it."""
    need(program)
    machine.start()
    path = python_file(places.base)
    machine.environ["LESS"] = ""
    commands = {
        "vim": ["vim", "-N", "-u", "NONE", "-c", "syntax on", "-c", "set number cursorline ruler", path],
        "less": ["less", "-N", path],
        "top": ["top", "-d", "600"],
        "htop": ["htop", "-d", "100"],
    }
    first = window("new", "a", "--", *commands[program], columns=90, rows=30)
    if program == "vim":
        first.until("function_0")
        first.type(":60\r:split\r/text 3\r")
        first.until("text 30")
    elif program == "less":
        first.until("function_0")
        first.type("  /function_44\r")
        first.until("function_44")
    else:
        first.until("PID")
    settle(first)
    shown, cursor = cells(first), (first.screen.cursor.x, first.screen.cursor.y)
    os.kill(first.child.pid, signal.SIGKILL)
    first.ended()
    second = window("attach", "a", columns=90, rows=30)
    second.until(lambda text: "function_" in text or "PID" in text)
    settle(second)
    if program in ("vim", "less"):
        assert cells(second) == shown, second.text
        assert (second.screen.cursor.x, second.screen.cursor.y) == cursor
    else:  # numbers move on; the picture is the same
        pictures = [
            ["".join(data if data.isalpha() else "#" for data, *_ in row[:20]) for row in found[:5]]
            for found in (shown, cells(second))
        ]
        assert sum(one == two for one, two in zip(*pictures, strict=True)) >= 3, second.text
    if program == "vim":
        second.type("Oinserted here\x1b")
        second.until("inserted here")
        second.type(":wqa\r")
        assert second.ended() == 0
        assert "inserted here" in Path(path).read_text()
    else:
        second.type("q")
        second.ended()
    assert machine.until("a")["outcome"]["code"] == 0


@pytest.mark.requirement("S0.3", "S1.7")
@pytest.mark.parametrize("how", ["closed", "SIGHUP", "SIGTERM", "SIGKILL"])
def test_unsaved_work_outlives_its_window(machine, window, need, places, eventually, how):
    need("vim")
    machine.start()
    path = places.base / "notes"
    first = window("new", "a", "--", "vim", "-N", "-u", "NONE", "-n", str(path))
    first.until("~")
    first.type("ithe only copy\x1b")
    first.until("the only copy")
    pid = machine.job("a")["pid"]
    if how == "closed":
        first.close()
    else:
        os.kill(first.child.pid, getattr(signal, how))
        first.ended()
    eventually(lambda: not [one for one in machine.session("a")["attachments"] if one["state"] == "attached"])
    assert machine.job("a")["pid"] == pid
    second = window("attach", "a")
    second.until("the only copy")
    second.type(":wq\r")
    assert second.ended() == 0
    assert path.read_text() == "the only copy\n"


@pytest.mark.requirement("S0.3")
def test_a_link_that_stays_away_is_lost_after_a_minute(machine, window, need, eventually):
    """A killed client's attachment is stale, then detached as lost. The minute passes thirty times as fast."""
    need("faketime")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("libfaketimeMT.so.1 is missing")
    machine.start(environ={"LD_PRELOAD": str(library), "FAKETIME": "+0 x30"})
    machine.new("a", *SHELL, tty={"columns": 80, "rows": 24})
    screen = window("attach", "a")
    screen.until("in$")
    (one,) = eventually(lambda: [at for at in machine.session("a")["attachments"] if at["state"] == "attached"])
    os.kill(screen.child.pid, signal.SIGKILL)
    screen.ended()
    eventually(lambda: "attachment.link_lost" in machine.kinds("a"))
    eventually(lambda: not machine.session("a")["attachments"])
    gone = next(event for event in machine.events("a") if event["kind"] == "attachment.detached")
    assert (gone["object"], gone["after"]["reason"]) == (one["id"], "lost")
    assert machine.job("a")["state"] == "running"


@pytest.mark.requirement("S3.3")
def test_a_suspended_terminal_holds_nobody_up(machine, window, eventually, places):
    """The laptop sleeps while megabytes are printed: the job goes on at once; on waking the end is shown."""
    machine.start()
    gate, progress = places.base / "gate", places.base / "progress"
    wait = f"while [ ! -e {gate} ]; do sleep 0.02; done"
    script = f"echo ready; {wait}; seq 1 400000; echo printed > {progress}; echo all printed; read end; exit 3"
    screen = window("new", "a", "--", "sh", "-c", script)
    screen.until("ready")
    with stopped(screen.child.pid):
        gate.touch()
        eventually(progress.exists, what="the job prints on")
        assert machine.job("a")["state"] == "running"
    screen.child.expect_exact("all printed")  # without pyte: megabytes would take it long
    screen.type("\r")
    screen.child.expect_exact("exit code 3")
    assert screen.ended() == 0
    assert machine.log("a").count(b"\n") == 400_003


@pytest.mark.requirement("S4.3")
def test_two_windows_of_one_user_see_the_same(machine, window, need, places):
    need("vim")
    machine.start()
    size = ["-c", "set laststatus=2 statusline=%{&columns}x%{&lines}"]
    first = window("new", "a", "--", "vim", "-N", "-u", "NONE", *size, python_file(places.base), columns=80, rows=24)
    first.until("function_0")
    second = window("attach", "a", columns=80, rows=24)
    second.until("function_0")
    for number, typist in enumerate([first, second, first], 1):
        if number > 1:
            typist.type(KEY + "t")
            typist.until("[you have control]")
        typist.type(f"\x0cOlook {number}\x1b")  # ^L: vim draws over what hawse said on the last rows
        for reader in (first, second):
            reader.until(f"look {number}")
    first.type("\x0c")
    for one in (first, second):
        one.until(lambda text: "control" not in text)
    settle(first)
    settle(second)
    assert cells(first) == cells(second)
    third = window("attach", "a", columns=60, rows=15)
    third.until("you look on")
    third.type(KEY + "t")  # who has control has the size
    third.until("60x15")
    third.until("look 1")
    first.type(KEY + "t")
    first.until("80x24")
    third.type(KEY + "t")
    third.until("60x15")
    for one in (first, second, third):
        one.type(KEY + "d")
        assert one.ended() == 0


@pytest.mark.requirement("S4.1", "S4.2", "S4.3")
def test_sessions_are_left_and_joined_in_any_order(machine, window):
    machine.start()
    for name in ("one", "two", "three"):
        screen = window("new", name, "--", *SHELL)
        screen.until("in$")
        screen.type(f"here={name}\r")
        screen.detach()
    for name in ("two", "three", "one", "two"):
        screen = window("attach", name)
        screen.type(f"echo $here-$(({len(name)}*2))\r")
        screen.until(f"{name}-{len(name) * 2}")
        screen.detach()
    assert {one["alias"] for one in machine.get("/v1/sessions")["items"]} == {"one", "two", "three"}


@pytest.mark.requirement("S0.2", "S0.3")
def test_logging_out_ends_nothing(machine, places, window, eventually):
    """A login shell starts hawse, detaches and is left open elsewhere; then all of the login is hung up and killed."""
    pids = places.base / "pids"
    login = pexpect.spawn("/bin/sh", ["-i"], env={**machine.environ, "PS1": "login$ "}, echo=False, timeout=30)
    login.delaybeforesend = None
    login.delayafterclose = 0
    theirs = os.readlink(f"/proc/{login.pid}/fd/0")
    hawse = f"{sys.executable} -m hawse.cli"
    login.expect_exact("login$ ")
    script = f"echo $$ >> {pids}; echo printed here; while read l; do echo got $l; done"
    login.sendline(f"{hawse} new a -d -- sh -c '{script}'")
    login.expect_exact("attach with")
    login.sendline(f"{hawse} run a -d --name pipes -- sh -c 'echo $$ >> {pids}; exec sleep 600'")
    eventually(lambda: len(pids_in(pids)) == 2)
    login.sendline(f"{hawse} attach a/sh")
    login.expect_exact("printed here")
    coordinator, parent = machine.pid, machine.parent_pid
    runners = [machine.claimed(one["id"])["runner_pid"] for one in machine.session("a")["jobs"]]
    theirs = [one.pid for one in kin.everybody().values() if one.session == os.getsid(login.pid)]
    assert len(theirs) >= 2, "the shell and its attached client"
    ours = [coordinator, parent, *runners, *pids_in(pids)]
    assert not set(ours) & set(theirs), "nothing that must last is in the login's session"
    for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGKILL):
        for pid in theirs:
            with suppress(OSError):
                os.kill(pid, number)
    login.close()
    eventually(lambda: not any(map(is_alive, theirs)))
    assert all(map(is_alive, ours))
    assert machine.pid == coordinator
    terminals = [os.readlink(f"/proc/{pid}/fd/{fd}") for pid in ours[:4] for fd in os.listdir(f"/proc/{pid}/fd")]
    own = os.readlink(f"/proc/{pids_in(pids)[0]}/fd/0")  # its runner holds the job's own one
    assert not [one for one in terminals if one.startswith("/dev/pts/") and not one.endswith("ptmx") and one != own]
    assert own != theirs
    screen = window("attach", "a/sh")
    screen.until("printed here")
    screen.type("again\r")
    screen.until("got again")
    screen.detach()


@pytest.mark.requirement("S0.2")
def test_a_coordinator_started_inside_a_job_is_not_tied_to_it(machine, places, eventually):
    """A session's shell starts hawse for another state; the session ends; that coordinator and its job live on."""
    machine.start()
    inner_state, inner_runtime = places.base / "inner", places.base / "i"
    pids = places.base / "pids"
    inner = f"HAWSE_STATE_DIR={inner_state} HAWSE_RUNTIME_DIR={inner_runtime}"
    hawse = f"{sys.executable} -m hawse.cli"
    script = f"{inner} {hawse} new b -d -- sh -c 'echo $$ >> {pids}; exec sleep 600'; echo $? started; exec sleep 600"
    machine.new("a", "sh", "-c", script, env={"HOME": str(places.home)})
    try:
        eventually(lambda: b"0 started" in machine.log("a"))
        (work,) = eventually(lambda: pids_in(pids))
        inside = int((inner_runtime / "coordinator.lock").read_text())
        outer = machine.job("a")["pid"]
        assert machine.end("a")["state"] == "ended"
        assert not is_alive(outer)
        assert machine.job("a")["left_behind"] == []
        assert is_alive(inside), "the inner coordinator lives"
        assert is_alive(work), "and what it runs"
        environ = {**machine.environ, "HAWSE_STATE_DIR": str(inner_state), "HAWSE_RUNTIME_DIR": str(inner_runtime)}
        assert "active" in machine.out("ls", env=environ)
    finally:
        environ = {**machine.environ, "HAWSE_STATE_DIR": str(inner_state), "HAWSE_RUNTIME_DIR": str(inner_runtime)}
        for words in (["end", "b", "--now"], ["down"]):
            subprocess.run([sys.executable, "-m", "hawse.cli", *words], env=environ, timeout=60, check=False)
