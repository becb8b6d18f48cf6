"""Attaching in a real terminal: what a person sees, types and comes back to."""

import os
import re
import shlex
import signal
import sys
import threading
from pathlib import Path

import pexpect
import pyte
import pytest
from screen import KEY, Screen

from hawse.runner.kin import children

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


def attachments(hawse, name: str = "s") -> list[dict]:
    return hawse.json("show", name)["attachments"]


@pytest.mark.requirement("S0.4", "S2.9", "S3.2", "S4.3")
def test_new_attach_detach_and_back(hawse, terminal):
    first = terminal("new", "s", "--", *SHELL)
    first.until("in$")
    first.type("echo one$((1+1))\r")
    first.until("one2")
    assert first.detach() == 0
    assert "[detached from s; return with: hawse attach s]" in first.text
    second = terminal("attach", "s")
    second.until("one2")
    second.type("exit 7\r")
    assert second.ended() == 0
    assert "[s ended: exit code 7]" in second.text


def test_without_a_command_the_login_shell(hawse, terminal):
    hawse.environ["SHELL"] = "/bin/sh"
    screen = terminal("new", "s")
    screen.until(lambda text: text.strip())
    screen.type("echo $0 $HAWSE_SESSION_NAME; exit\r")
    screen.ended()
    assert re.search(r"/bin/sh s$", screen.text, re.M)


@pytest.mark.requirement("S2.9", "S4.3")
def test_a_full_screen_program_is_there_again_and_leaves_no_trace(hawse, terminal, need, tmp_path):
    need("vim")
    (tmp_path / "text").write_text("".join(f"row {n}\n" for n in range(1, 200)))
    first = terminal("new", "s", "--", "vim", "-u", "NONE", "-N", str(tmp_path / "text"))
    first.until("row 20")
    first.type(":100\r")
    shown = first.until("row 105")
    first.detach()
    assert b"\x1b[?1049l" in first.raw.split(b"\x1b[?1049h")[-1]
    second = terminal("attach", "s")
    second.until("row 105")
    assert second.text.split("\n")[:20] == shown.split("\n")[:20]
    second.type("ihello \x1b")
    second.until("hello row 100")
    second.type(":q!\r")
    second.ended()
    assert "[s ended: exit code 0]" in second.text


def test_less_and_top_come_back(hawse, terminal, need):
    need("less")
    need("top")
    hawse.environ["LESS"] = ""
    first = terminal("new", "s", "--", "less", "/etc/services")
    shown = first.until(lambda text: len(text.splitlines()) >= 23)
    first.type(" ")
    shown = first.until(lambda text: text != shown and text.endswith("\n:"))  # its prompt is the last that it draws
    first.detach()
    second = terminal("attach", "s")
    second.until(lambda text: text.splitlines()[:20] == shown.splitlines()[:20])
    second.type("q")
    second.ended()
    third = terminal("new", "t", "--", "top", "-d", "1")
    third.until("PID")
    third.detach()
    fourth = terminal("attach", "t")
    fourth.until("PID")
    fourth.type("q")
    fourth.ended()


def test_the_size_follows_the_window(hawse, terminal):
    screen = terminal(
        "new",
        "s",
        "--",
        "sh",
        "-c",
        "trap 'stty size' WINCH; stty size; while :; do sleep 0.1; done",
        columns=70,
        rows=20,
    )
    screen.until("20 70")
    screen.resize(90, 30)
    screen.until("30 90")
    screen.detach()
    other = terminal("attach", "s", columns=50, rows=10)
    other.until("10 50")


@pytest.mark.requirement("S0.3", "S1.7")
def test_a_closed_window_ends_nothing(hawse, terminal, eventually):
    screen = terminal("new", "s", "--", *SHELL)
    screen.until("in$")
    screen.close()
    eventually(lambda: not attachments(hawse))
    assert hawse.json("show", "s")["jobs"][0]["state"] == "running"
    back = terminal("attach", "s")
    back.until("in$")


@pytest.mark.requirement("S0.3")
@pytest.mark.parametrize(
    "number",
    [signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGKILL],
    ids=lambda number: number.name,
)
def test_a_killed_client_ends_nothing(hawse, terminal, eventually, number):
    screen = terminal("new", "s", "--", *SHELL)
    screen.until("in$")
    os.kill(screen.child.pid, number)
    code = screen.ended()
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert code == 128 + number
        assert "[left s; return with: hawse attach s]" in screen.text
        assert b"\x1b[?25h" in screen.raw.split(b"in$")[-1]
    eventually(lambda: all(one["state"] != "attached" for one in attachments(hawse)))
    assert hawse.json("show", "s")["jobs"][0]["state"] == "running"


def test_somebody_else_detaches_and_it_is_told(hawse, terminal):
    screen = terminal("new", "s", "--", *SHELL)
    screen.until("in$")
    (one,) = attachments(hawse)
    assert one["mode"] == "control"
    assert "/dev/pts/" in one["where"]
    assert "detached" in hawse("detach", "s")
    assert screen.ended() == 1
    assert "return with: hawse attach s" in screen.text
    assert hawse("detach", "s") == "nobody is attached to s\n"


def test_a_watcher_sees_and_cannot_type(hawse, terminal):
    typist = terminal("new", "s", "--", *SHELL)
    typist.until("in$")
    watcher = terminal("attach", "s", "--watch")
    watcher.until("in$")
    watcher.type("echo nev''er\r")
    typist.type("echo bo''th\r")
    watcher.until("both")
    assert "never" not in typist.text
    assert hawse.run("detach", "s").returncode == 64
    assert watcher.detach() == 0
    assert typist.detach() == 0


def test_keys(hawse, terminal):
    screen = terminal(
        "new", "s", "--", "sh", "-c", "trap 'echo got quit' QUIT; echo ready; while :; do sleep 0.1; done"
    )
    screen.until("ready")
    screen.type(KEY + "?")
    screen.until("Ctrl-\\ d: detach")
    screen.type(KEY + KEY)
    screen.until("got quit")
    assert screen.detach() == 0


DEAF = ["sh", "-c", "stty raw -echo; echo ready; exec sleep 600"]
PASTE = "echo pasted > $HOME/pasted\r" * 40_000  # more than the runner, its socket and the kernel keep


@pytest.fixture
def outer_shell(hawse):
    """A shell with job control on a terminal; outer_shell(words) types a hawse command there."""
    shell = pexpect.spawn("bash", ["--norc", "-i"], env=hawse.environ | {"TERM": "xterm", "PS1": "out> "}, timeout=30)
    shell.delaybeforesend = None
    shell.delayafterclose = 0
    shell.expect("out> ")

    def typed(*words: str) -> pexpect.spawn:
        shell.sendline(shlex.join([sys.executable, "-m", "hawse.cli", *words]))
        return shell

    yield typed
    shell.close(force=True)


def paste(shell: pexpect.spawn) -> None:
    """As a terminal emulator does: as fast as it is taken."""
    threading.Thread(target=lambda: os.write(shell.child_fd, PASTE.encode()), daemon=True).start()


@pytest.mark.parametrize("how", ["key", "elsewhere"])
def test_a_paste_that_the_job_does_not_read_traps_nobody_and_is_not_run_afterwards(hawse, outer_shell, how):
    shell = outer_shell("new", "s", "--", *DEAF)
    shell.expect("ready\r?\n")  # not the line above it, which was typed
    if how == "key":
        written = os.write(shell.child_fd, PASTE.encode())  # blocks until it is all taken
        assert written == len(PASTE)
        shell.send(KEY + "d")
    else:
        paste(shell)
        hawse("detach", "s")
    shell.expect("detached from s")
    shell.expect("that were typed never reached s")
    shell.expect("out> ")
    shell.sendline("echo out$((1+1))")
    shell.expect("out2")
    assert not (Path(hawse.environ["HOME"]) / "pasted").exists()
    assert attachments(hawse) == []


def test_what_is_typed_to_a_slow_reader_all_comes(hawse, terminal, tmp_path):
    """Also what waited in the client."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"stty raw -echo; echo ready; read go < {gate}; head -c 300000 | wc -c"
    screen = terminal("new", "s", "--", "sh", "-c", script)
    screen.until("ready")
    sent = 0
    while sent < 300_000:
        sent += os.write(screen.child.child_fd, b"k" * min(100_000, 300_000 - sent))
    gate.write_text("go\n")
    screen.until("300000")
    assert screen.ended() == 0
    assert "dropped" not in screen.text


def test_another_key(hawse, terminal, places):
    hawse.environ["HAWSE_DETACH_KEY"] = "C-a"
    screen = terminal("new", "s", "--", *SHELL)
    screen.until("in$")
    screen.type("\x01d")
    assert screen.ended() == 0
    del hawse.environ["HAWSE_DETACH_KEY"]
    places.config.mkdir()
    (places.config / "config.toml").write_text('[attach]\ndetach_key = "C-b"\n')
    screen = terminal("attach", "s")
    screen.until("in$")
    screen.type("\x02d")
    assert screen.ended() == 0
    (places.config / "config.toml").write_text('[attach]\ndetach_key = "F1"\n')
    screen = terminal("attach", "s")
    assert screen.ended() == 64
    assert "detach key 'F1' is not valid" in screen.text


def test_the_terminal_is_as_before(hawse, eventually):
    """A shell runs hawse: after the detach it has echo and lines again."""
    program = f"{sys.executable} -m hawse.cli"
    script = f"stty -a > $HOME/before; {program} new s -- cat; stty -a > $HOME/after; echo done"
    child = pexpect.spawn("/bin/sh", ["-c", script], env=hawse.environ | {"TERM": "xterm"}, timeout=30)
    child.delaybeforesend = None
    eventually(lambda: hawse.json("ls") and attachments(hawse)[0]["state"] == "attached")
    child.send("hello")
    child.expect("hello")
    child.send(KEY + "d")
    child.expect("detached from s")
    child.expect("done")
    child.close()
    home = Path(hawse.environ["HOME"])
    assert (home / "before").read_text() == (home / "after").read_text()


def test_stopped_and_continued(hawse, eventually):
    """Under a shell with job control: kill -TSTP gives the terminal back, fg shows the screen again."""
    shell = pexpect.spawn("bash", ["--norc", "-i"], env=hawse.environ | {"TERM": "xterm", "PS1": "out> "}, timeout=30)
    shell.delaybeforesend = None
    shell.expect("out> ")
    shell.sendline(f'{sys.executable} -m hawse.cli new s -- {" ".join(SHELL[:2])} "{SHELL[2]}"')
    shell.expect("\r\n.*in\\$")  # the line above has it too, as it was typed
    eventually(lambda: attachments(hawse)[0]["state"] == "attached")
    client = children(shell.pid)
    assert len(client) == 1
    os.kill(client[0], signal.SIGTSTP)
    shell.expect("Stopped")
    shell.sendline("echo out$((1+1))")
    shell.expect("out2")
    shell.sendline("fg")
    shell.expect("in\\$")
    shell.send("echo in$((3+3))\r")
    shell.expect("in6")
    shell.send(KEY + "d")
    shell.expect("detached from s")
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()


@pytest.mark.parametrize("is_continued_before", [False, True], ids=["fg", "CONT, then fg"])
def test_stopped_without_a_chance_to_say_so(hawse, outer_shell, eventually, is_continued_before):
    """kill -STOP: the shell has changed the terminal meanwhile; fg takes it again and shows the screen."""
    shell = outer_shell("new", "s", "--", *SHELL)
    shell.expect("\r\n.*in\\$")
    eventually(lambda: attachments(hawse)[0]["state"] == "attached")
    (client,) = children(shell.pid)
    os.kill(client, signal.SIGSTOP)
    shell.expect("Stopped")
    shell.sendline("stty sane; echo out$((1+1))")
    shell.expect("out2")
    if is_continued_before:
        os.kill(client, signal.SIGCONT)
        eventually(lambda: state_of(client) == "T", what="it stops again: it may not use the terminal")
    shell.sendline("fg")
    shell.expect("in\\$")
    shell.send("echo in$((3+3))\r")
    shell.expect("in6")
    shell.send(KEY + "d")
    shell.expect("detached from s")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_detach_key_where_there_is_none_leaves(hawse, terminal):
    """Without a terminal of the job's own Ctrl-\\ is SIGQUIT, for us."""
    hawse("new", "-d", "s", "--keep", "--", "true")
    screen = terminal("run", "s", "--name", "j", "--", "sh", "-c", "echo ready; exec sleep 600")
    screen.until("ready")
    screen.type(KEY)
    assert screen.ended() == 128 + signal.SIGQUIT
    assert "[left s/j; it goes on. Follow it: hawse logs -f s/j" in screen.text
    screen = terminal("attach", "s/j")
    screen.until("ready")
    screen.type(KEY)
    assert screen.ended() == 0
    assert "[detached from s/j; return with: hawse attach s/j]" in screen.text
    assert hawse.json("show", "s/j")["state"] == "running"


def test_a_killed_runner_is_told_with_its_cause(hawse, terminal, places):
    screen = terminal("new", "s", "--keep", "--", *SHELL)
    screen.until("in$")
    shell = hawse.json("show", "s")["jobs"][0]["pid"]
    runner = int(re.search(r"\nPPid:\s+(\d+)", Path(f"/proc/{shell}/status").read_text())[1])
    os.kill(runner, signal.SIGKILL)
    assert screen.ended() == 1
    assert re.search(r"\[s ended: lost: .+; more: hawse show s\]", screen.text.replace("\n", ""))
    assert "lost: " in hawse("show", "s")
    assert "lost: " in hawse("ls")


def test_a_killed_coordinator_is_not_noticed(hawse, terminal):
    screen = terminal("new", "s", "--", *SHELL)
    screen.until("in$")
    os.kill(hawse.coordinator(), signal.SIGKILL)
    screen.type("echo still$((1+1))\r")
    screen.until("still2")
    assert screen.detach() == 0
    back = terminal("attach", "s")
    back.until("still2")


def test_insert_mode_and_title_do_not_stay(hawse, terminal):
    """The title is kept on the terminal's stack and taken from there again, once each."""
    script = r"printf '\033[4h\033]2;theirs\007ready'; exec sleep 600"
    screen = terminal("new", "s", "--", "sh", "-c", script)
    screen.until("ready")
    assert pyte.modes.IRM in screen.screen.mode
    assert screen.detach() == 0
    assert pyte.modes.IRM not in screen.screen.mode
    assert screen.raw.count(b"\x1b[22;2t") == screen.raw.count(b"\x1b[23;2t") == 1
    assert screen.raw.index(b"\x1b[22;2t") < screen.raw.index(b"theirs") < screen.raw.index(b"\x1b[23;2t")


def test_what_cannot_be_attached(hawse, terminal):
    hawse("new", "-d", "s", "--keep", "--", "sh", "-c", "exit 3")
    hawse("wait", "s", code=3)
    done = hawse.run("attach", "s")
    assert (done.returncode, "needs a terminal" in done.stderr) == (64, True)
    screen = terminal("attach", "s")
    assert screen.ended() == 0
    assert "[s ended: exit code 3; what it printed: hawse logs s]" in screen.text
    screen = terminal("attach", "nope")
    assert screen.ended() == 1
    assert "there is no session 'nope'" in screen.text


@pytest.mark.parametrize(("command", "code"), [("/nowhere", 127), ("/etc/passwd", 126)])
def test_a_command_that_never_ran_is_told(hawse, terminal, command, code):
    for words in (["new", "s"], ["new", "k", "--keep"], ["run", "-t", "k"]):
        screen = terminal(*words, "--", command)
        assert screen.ended() == code
        assert "never started: " in screen.text


def test_a_detach_from_run_is_not_the_jobs_success(hawse, terminal):
    """`hawse run -t s -- make && deploy` must not deploy."""
    hawse("new", "-d", "s", "--keep", "--", "true")
    screen = terminal("run", "-t", "s", "--", *SHELL)
    screen.until("in$")
    assert screen.detach() == 130
    assert "it goes on. Return with: hawse attach s/sh" in screen.text


def test_run_on_a_terminal(hawse, terminal):
    hawse("new", "-d", "s", "--keep", "--", "true")
    screen = terminal("run", "-t", "s", "--", "sh", "-c", "tty; read x; echo got $x; exit 4")
    screen.until("/dev/pts")
    screen.type("hello\r")
    assert screen.ended() == 4
    assert "got hello" in screen.text
    screen = terminal("run", "s", "--", "sh", "-c", "trap 'exit 6' INT; echo ready; while :; do sleep 0.1; done")
    screen.until("ready")
    screen.type("\x03")
    assert screen.ended() == 6


def test_a_job_without_a_terminal(hawse, terminal):
    hawse("new", "-d", "s", "--keep", "--", "true")
    hawse("run", "-d", "s", "--name", "j", "--", "sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.1; done")
    screen = terminal("attach", "s/j")
    screen.until("ready")
    assert "has no terminal" in screen.text
    screen.type("\x03")
    assert screen.ended() == 0
    assert "[detached from s/j; return with: hawse attach s/j]" in screen.text
    assert hawse.json("show", "s/j")["state"] == "running"


def test_a_session_of_its_own_inside_itself_is_refused(hawse, terminal):
    screen = terminal("new", "s", "--", *SHELL)
    screen.until("in$")
    screen.type(f"{sys.executable} -m hawse.cli attach s\r")
    screen.until("would show it in itself")
    assert screen.detach() == 0


def test_sessions_that_would_show_each_other_are_refused(hawse, terminal):
    """b shows a, c shows b: a may not show c."""
    hawse_here = f"{sys.executable} -m hawse.cli"
    screens = {}
    for name in "abc":
        screens[name] = terminal("new", name, "--", "sh", "-c", f"PS1='in-{name}$ ' exec sh -i")
        screens[name].until(f"in-{name}$")
    screens["b"].type(f"{hawse_here} attach a\r")
    screens["b"].until("in-a$")
    screens["c"].type(f"{hawse_here} attach b\r")
    screens["c"].until("in-a$")
    for name in "bc":
        screens["a"].type(f"clear; {hawse_here} attach {name}\r")
        screens["a"].until(f"this terminal is inside {name}: attaching it here would show it in itself")
    screens["d"] = terminal("new", "d", "--", "sh", "-c", "PS1='in-d$ ' exec sh -i")
    screens["d"].until("in-d$")
    screens["a"].type(f"clear; {hawse_here} attach d\r")
    screens["a"].until("in-d$")


def test_a_list_on_a_terminal_has_a_bold_head_and_fits(hawse, terminal):
    hawse("new", "-d", "s", "--description", "d" * 200, "--", "sleep", "600")
    screen = terminal("ls", columns=60)
    assert screen.ended() == 0
    assert b"\x1b[1mNAME" in screen.raw
    assert len(screen.text.splitlines()) == 2
    assert screen.text.endswith("…")


def test_many_bytes_all_come(hawse, terminal):
    hawse("new", "-d", "s", "--keep", "--", "true")
    screen = terminal("run", "-t", "s", "--", "seq", "1", "20000")
    assert screen.ended() == 0
    assert [int(n) for n in re.findall(rb"(\d+)\r\n", screen.raw)] == list(range(1, 20001))


FULL_SCREEN = ["sh", "-c", r"printf '\033[?1049h\033[Hfull'; read x; printf '\033[?1049l'"]


@pytest.mark.parametrize("words", [SHELL, FULL_SCREEN], ids=["lines", "full screen"])
def test_what_was_on_the_terminal_before_is_above_in_its_scrollback(hawse, terminal, words):
    """Once, without a gap: it is neither wiped nor buried below blank lines."""
    hawse("new", "-d", "s", "--", *words)
    screen = terminal("attach", "s")
    screen.show("".join(f"before {number}\r\n" for number in range(1, 6)))
    screen.until(lambda text: "in$" in text or "full" in text)
    assert screen.above == [f"before {number}" for number in range(1, 6)]
    assert "before" not in screen.text
    assert screen.detach() == 0
    assert screen.above == [f"before {number}" for number in range(1, 6)]
    assert "[detached from s; return with: hawse attach s]" in screen.text
