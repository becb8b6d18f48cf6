"""The warm fork server: one instance, private, deaf to hangups, bounded, without zombies."""

import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from hawse.runner import kin, parent
from hawse.wire import terminal
from hawse.wire.frame import frame


def test_the_command_is_pure_and_isolated():
    argv = parent.command("/usr/bin/python3", "/src", "/run/p.sock")
    assert argv[:4] == ["/usr/bin/python3", "-I", "-S", "-c"]
    assert argv[5:7] == ["/src", "/run/p.sock"]


def test_a_second_parent_leaves_at_once(rig):
    second = subprocess.run(
        parent.command(sys.executable, parent.__file__.rpartition("/hawse/")[0], str(rig.path)), timeout=20
    )
    assert second.returncode == 0
    assert rig.parent.poll() is None


def test_its_socket_is_private(rig):
    assert stat.S_IMODE(os.stat(rig.path).st_mode) == 0o600


def test_a_killed_parent_is_replaced(rig):
    rig.parent.kill()
    rig.parent.wait()
    rig.start_parent()
    assert rig.spawn("true").ended()["outcome"] == {"kind": "exited", "code": 0}


def test_hangup_and_interrupt_are_ignored(rig):
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        os.kill(rig.parent.pid, number)
    assert rig.spawn("true").ended()


def test_it_has_a_session_of_its_own_and_runners_have_theirs(rig):
    attempt = rig.spawn("sleep", "60")
    sessions = {
        os.getsid(0),
        os.getsid(rig.parent.pid),
        os.getsid(attempt.runner_pid),
        os.getsid(attempt.process["pid"]),
    }
    assert len(sessions) == 4


def test_no_zombies_stay(rig):
    for _ in range(5):
        rig.spawn("true", limits={"linger_s": 0}).gone()
    rig.eventually(lambda: not kin.children(rig.parent.pid))


def test_a_runner_inherits_nothing(rig):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(rig.path))  # a connection that the parent holds while it forks
    attempt = rig.spawn("sleep", "60")
    links = [os.readlink(f"/proc/{attempt.runner_pid}/fd/{fd}") for fd in os.listdir(f"/proc/{attempt.runner_pid}/fd")]
    assert sum("socket" in link for link in links) == 1, "its own door only"
    assert not any(str(rig.path) in link for link in links)
    sock.close()


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.0\r\n\r\n", frame(terminal.SPAWN, b"{}"), frame(terminal.HELLO, b"{}"), b"\xff" * 64]
)
def test_garbage_is_answered(rig, data):
    ((kind, body),) = rig.ask(data)
    assert kind == terminal.ERROR
    assert b"nothing was started" in body
    assert rig.spawn("true").ended()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"job": "../evil"}, "job"), ({"job": ""}, "job"), ({"attempt": 0}, "attempt"), ({"umask": 0o1000}, "umask"),
        ({"secret": "abcd"}, "secret"), ({"socket": "relative"}, "absolute"), ({"socket": "/" + "x" * 120}, "107"),
        ({"grace_s": -1}, "grace_s"), ({"log": {"segment_bytes_max": 1}}, "segment_bytes_max"),
        ({"log": {"on_full": "explode"}}, "on_full"), ({"leftovers": "?"}, "leftovers"), ({"tty": 5}, "tty"),
        ({"log": {"flush_s": -1}}, "flush_s"), ({"limits": {"entry_s": "x"}}, "entry_s"),
    ],
)  # fmt: skip
def test_a_bad_order_is_refused_by_name(rig, change, word):
    _, spawn = rig.order(["true"], **change)
    ((kind, body),) = rig.ask(spawn)
    assert kind == terminal.ERROR
    assert word.encode() in body


def test_an_order_that_is_too_large_is_refused_at_its_size(rig):
    ((kind, body),) = rig.ask(terminal.HEADER.pack(terminal.ORDER_BODY_BYTES_MAX + 1, terminal.SPAWN))
    assert kind == terminal.ERROR
    assert b"frame_too_large" in body


def test_a_megabyte_of_environment_arrives(rig):
    env = {f"V{number}": "x" * 100_000 for number in range(10)}
    attempt = rig.spawn("sh", "-c", "echo ${#V7}", env=env)
    assert attempt.ended()["outcome"] == {"kind": "exited", "code": 0}
    assert attempt.read_log()[0] == b"100000\n"


def test_too_long_an_environment_is_told(rig):
    env = {f"V{number}": "x" * 120_000 for number in range(19)}
    outcome = rig.spawn("true", env=env).ended()["outcome"]
    assert outcome["kind"] == "failed"
    assert "too long" in outcome["cause"]


def test_silent_connections_do_not_stop_it(rig):
    silent = []
    for _ in range(200):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(rig.path))
        silent.append(sock)
    assert rig.spawn("true").ended()
    assert len(os.listdir(f"/proc/{rig.parent.pid}/fd")) < 64 + 20
    for sock in silent:
        sock.close()


def test_who_asked_may_leave_before_the_answer(rig):
    values, spawn = rig.order(["true"])
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(rig.path))
    sock.sendall(spawn)
    sock.close()
    rig.eventually(lambda: os.path.exists(f"{values['job_dir']}/attempt-1/exit.json"))


def test_it_imports_little():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import hawse.runner.parent\n"
        "heavy = {'asyncio', 'typing', 'dataclasses', 'subprocess', 'logging', 'threading', 'ctypes', 'traceback'}\n"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('hawse.')} - {'_core'}\n"
        "print(sorted(heavy & set(sys.modules)), sorted(ours))"
    )
    source = parent.__file__.rpartition("/hawse/")[0]
    argv = [sys.executable, "-I", "-S", "-c", program, source]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.stdout == "[] ['runner', 'wire']\n", done.stderr


def test_many_at_once(rig):
    attempts = [rig.spawn("sh", "-c", "echo $HAWSE_JOB") for _ in range(30)]
    for attempt in attempts:
        attempt.ended()
        assert attempt.read_log()[0] == attempt.job.encode() + b"\n"


def test_an_idle_parent_sleeps(rig):
    import select

    def switches():
        with open(f"/proc/{rig.parent.pid}/status") as file:
            return [line for line in file if "ctxt_switches" in line]

    def is_quiet():
        before = switches()
        select.select([], [], [], 0.5)
        return switches() == before

    rig.eventually(is_quiet)
