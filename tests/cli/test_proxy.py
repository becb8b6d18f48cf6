"""`hawse proxy` on this machine: its words, its greeting, its bridge."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from hawse.cli.proxy.bridge import bridge
from hawse.cli.proxy.run import parse
from hawse.domain.errors import Invalid

JOB = "01a208a8-d5a0-7b7e-9d38-4bb4e3f0f1c2"
ASK = b"GET /healthz HTTP/1.1\r\nHost: hawse\r\n\r\n"
pytestmark = pytest.mark.xdist_group("cli")


class Bridged:
    """A bridge in a thread. ssh: its standard input and output; peer: what it is connected to."""

    def __init__(self) -> None:
        self.ssh, self.theirs = socket.socketpair()
        self.peer, self.sock = socket.socketpair()
        for end in (self.ssh, self.peer):
            end.settimeout(20)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        bridge(self.theirs.fileno(), self.theirs.fileno(), self.sock)
        self.theirs.close()
        self.sock.close()

    def ended(self) -> None:
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.ssh.close()
        self.peer.close()


@pytest.fixture
def bridged():
    made = Bridged()
    yield made
    made.ssh.close()
    made.peer.close()
    made.thread.join(20)


def received(sock: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += sock.recv(1 << 16)
    return got


def test_bytes_go_both_ways(bridged):
    bridged.ssh.sendall(b"there")
    assert received(bridged.peer, 5) == b"there"
    bridged.peer.sendall(b"back")
    assert received(bridged.ssh, 4) == b"back"


def test_much_at_once_in_both_directions_keeps_its_order(bridged):
    data = os.urandom(3 << 20)
    senders = [threading.Thread(target=end.sendall, args=(data,)) for end in (bridged.ssh, bridged.peer)]
    got: dict[str, bytes] = {}
    readers = [
        threading.Thread(target=lambda name, end: got.setdefault(name, received(end, len(data))), args=(name, end))
        for name, end in (("peer", bridged.peer), ("ssh", bridged.ssh))
    ]
    for thread in senders + readers:
        thread.start()
    for thread in senders + readers:
        thread.join(60)
    assert got == {"peer": data, "ssh": data}


def test_a_reader_that_is_slow_slows_the_writer(bridged):
    bridged.peer.settimeout(1)
    with pytest.raises(TimeoutError):
        bridged.peer.sendall(bytes(64 << 20))  # more than all buffers on the way
    bridged.peer.settimeout(20)
    bridged.ssh.sendall(b"still typing")
    assert received(bridged.peer, 12) == b"still typing"


def test_the_last_words_are_delivered(bridged):
    data = bytes(200_000)
    bridged.ssh.sendall(data)
    bridged.ssh.close()
    assert received(bridged.peer, len(data)) == data
    assert bridged.peer.recv(10) == b""
    bridged.ended()


def test_it_ends_with_its_peer(bridged):
    bridged.peer.sendall(b"bye")
    bridged.peer.close()
    assert received(bridged.ssh, 3) == b"bye"
    assert bridged.ssh.recv(10) == b""
    bridged.ended()


@pytest.mark.parametrize(
    "words",
    [
        ["--runner"], ["--runner", "x"], ["--runner", "../../etc/passwd"], ["--runner", JOB + "/.."], ["--what"],
        ["word"], ["--start", "auto", "--runner", JOB], ["--stop", "--surroundings"], ["--stop=1"],
        ["--runner", JOB.upper()],
    ],
)  # fmt: skip
def test_words_that_are_not_possible(words):
    with pytest.raises(Invalid):
        parse(words)


def test_words():
    assert parse([]) == {}
    assert parse(["--runner", JOB]) == parse([f"--runner={JOB}"]) == {"--runner": JOB}
    assert parse(["--server=unix:/x", "--start", "never"]) == {"--server": "unix:/x", "--start": "never"}


def proxied(hawse, *words: str, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    argv = [*hawse.program, "proxy", *words]
    return subprocess.run(argv, input=said, capture_output=True, timeout=60, env=hawse.environ)


@pytest.mark.requirement("S1.1", "S1.2")
def test_it_starts_the_coordinator_and_is_then_the_connection(hawse):
    assert proxied(hawse, "--start", "never").stdout.startswith(b'HAWSE-PROXY/1 refused 0.1.0 {"code":"unavailable"')
    process = subprocess.Popen(
        [*hawse.program, "proxy"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=hawse.environ, bufsize=0
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith(b"HAWSE-PROXY/1 ready ")
        process.stdin.write(ASK)
        assert process.stdout.readline() == b"HTTP/1.1 200 OK\r\n"
        process.stdin.close()
        assert process.wait(20) == 0


def test_one_shot_verbs(hawse):
    hawse("ls")
    line, told = proxied(hawse, "--surroundings").stdout.split(b"\n", 1)
    assert line.startswith(b"HAWSE-PROXY/1 ready ")
    assert set(json.loads(told)) == {"env", "cwd", "umask"}
    line, told = proxied(hawse, "--stop").stdout.split(b"\n", 1)
    assert json.loads(told)["stopped"] > 0
    assert b" absent " in proxied(hawse, "--runner", JOB).stdout


def test_a_proxy_leads_no_further(hawse):
    hawse.environ["HAWSE_SERVER"] = "ssh://elsewhere"
    done = proxied(hawse)
    assert b"leads on to ssh://elsewhere" in done.stdout
    assert done.returncode == 64
    del hawse.environ["HAWSE_SERVER"]


def test_help_is_for_people(hawse):
    assert "Be one link over ssh" in hawse("proxy", "--help")


def test_its_start_imports_little():
    code = (
        "import sys; import hawse.cli.entry, hawse.cli.proxy.run, hawse.cli.proxy.bridge; "
        "print(' '.join(m for m in ('click','h11','asyncio','subprocess','inspect','dataclasses','json','msgspec')"
        " if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""
