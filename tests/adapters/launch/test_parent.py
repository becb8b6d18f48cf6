"""The runners' parent from its coordinator's side: started at need, kept, ended; gone when nobody needs it."""

import asyncio
import fcntl
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hawse.adapters.launch.parent import Parent
from hawse.ports.launcher import Start
from hawse.ports.store import Order
from hawse.runner import claim, kin
from hawse.runner import parent as daemon
from hawse.wire import terminal
from hawse.wire.frame import frame

KEEP = frame(terminal.KEEP, b"")


class Rig:
    """A coordinator's view: an adapter, the processes that it made, and jobs to start."""

    def __init__(self, base: Path, eventually: Callable[..., Any]) -> None:
        self.base = base
        self.eventually = eventually
        self.count = 0
        self.jobs: list[str] = []
        for name in ("jobs", "r"):
            (base / name).mkdir()

    def parent(self, idle_s: float = 600.0) -> Parent:
        return Parent(
            socket=str(self.base / "parent.sock"), jobs=str(self.base / "jobs"), runners=str(self.base / "r"),
            log=str(self.base / "log"), environment=dict(os.environ), idle_s=idle_s,
        )  # fmt: skip

    def start(self) -> Start:
        """A job that stays."""
        self.count += 1
        self.jobs.append(f"job{self.count}")
        order = Order(
            argv=("/bin/sleep", "600"), env=(), cwd="/", umask=0o022, encoding="utf-8", secret="ab" * 32
        )
        return Start("s", self.jobs[-1], 1, f"{self.count:032x}", order, tty=False, grace_s=1)

    @property
    def pid(self) -> int | None:
        """Who listens."""
        with socket.socket(socket.AF_UNIX) as link:
            try:
                link.connect(str(self.base / "parent.sock"))
            except OSError:
                return None
            return int.from_bytes(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)

    def runner(self, job: str) -> int:
        found = claim.read(claim.attempt_dir(str(self.base / "jobs" / job), 1), claim.CLAIM)
        assert found is not None
        return int(found["runner_pid"])

    def close(self) -> None:
        """SIGTERM is an order to end the job for a runner; it would then stay a while for a coordinator."""
        for job in self.jobs:
            pid, folder = self.runner(job), self.base / "jobs" / job / "attempt-1"
            if kin.look(pid) is not None:
                self.eventually((folder / "process.json").exists)  # its handler is there by then
                os.kill(pid, signal.SIGTERM)
                self.eventually((folder / "exit.json").exists)
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def rig(places: Any, eventually: Callable[..., Any]) -> Iterator[Rig]:
    made = Rig(places.base, eventually)
    yield made
    made.close()


def run(coroutine: Awaitable[Any]) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(60):
            return await coroutine

    return asyncio.run(main())


def test_jobs_have_the_limit_on_open_files_that_the_coordinator_had_before_it_raised_its_own(rig):
    async def main():
        parent = rig.parent()
        parent.descriptors = (77, 1000)
        answer = await parent.spawn(rig.start())
        assert resource.prlimit(answer.runner_pid, resource.RLIMIT_NOFILE) == (77, 1000)
        await parent.end()

    run(main())


@pytest.mark.requirement("S0.2")
def test_it_is_started_at_need_kept_and_ended_while_runners_go_on(rig):
    async def main():
        parent = rig.parent()
        answer = await parent.spawn(rig.start())
        first = rig.pid
        for _ in range(3):
            await parent.spawn(rig.start())
        assert rig.pid == first
        await parent.end()
        assert rig.pid is None
        assert kin.look(first) is None
        assert kin.look(answer.runner_pid) is not None
        assert kin.started(answer.runner_pid) == answer.runner_started
        await parent.end()  # nobody is there: no error
        await parent.spawn(rig.start())
        assert rig.pid not in (None, first)
        await parent.end()

    run(main())


def test_who_comes_later_ends_what_a_killed_one_left(rig):
    """A coordinator that was killed says nothing; the next one keeps its parent, and ends it in order."""

    async def main():
        killed, following = rig.parent(), rig.parent()
        await killed.spawn(rig.start())
        first = rig.pid
        await following.keep()
        killed.let_go()
        await following.spawn(rig.start())
        assert rig.pid == first
        await following.end()
        assert kin.look(first) is None
        await killed.end()

    run(main())


@pytest.mark.requirement("S0.1")
def test_without_anybody_it_goes_by_itself(rig, eventually):
    """Kept, it stays much longer than it would alone; when the one who kept it is killed, it goes."""

    parent = rig.parent(idle_s=0.2)
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "s.sendall(bytes.fromhex(sys.argv[2])); print('kept', flush=True); s.recv(1)"
    )

    async def main():
        await parent.spawn(rig.start())
        first = rig.pid
        words = [sys.executable, "-c", program, parent.socket, KEEP.hex()]
        keeper = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert await keeper.stdout.readline() == b"kept\n"
        parent.let_go()
        began = time.monotonic()
        while time.monotonic() < began + 1:  # five times as long as it would stay alone
            await parent.spawn(rig.start())
            parent.let_go()
            assert rig.pid == first
        keeper.kill()
        await keeper.wait()
        return first

    first = run(main())
    eventually(lambda: kin.look(first) is None, what="it goes when nobody needs it")
    assert not (rig.base / "parent.sock").exists()
    assert all(kin.look(rig.runner(job)) is not None for job in rig.jobs)

    async def again():
        await parent.spawn(rig.start())
        await parent.end()

    run(again())


def test_kept_it_has_no_timer(places):
    """Idle and kept, the parent waits without a time-out; unkept, for one time-out only."""
    path = str(places.base / "p.sock")
    parent = daemon.Parent(path, lambda option, value: 0, idle_s=600)
    try:
        assert 599 < parent.loop._timeout_s() <= 600
        with socket.socket(socket.AF_UNIX) as keeper:
            keeper.connect(path)
            keeper.sendall(KEEP)
            turn_until(parent, lambda: parent._keepers)
            assert parent.loop._timeout_s() == -1
            with socket.socket(socket.AF_UNIX) as second:  # a word too many ends only its own connection
                second.connect(path)
                second.sendall(KEEP + KEEP)
                assert b"one KEEP" in heard(parent, second)
            assert len(parent._keepers) == 1
            assert parent.loop._timeout_s() == -1
        turn_until(parent, lambda: not parent._keepers)
        assert 599 < parent.loop._timeout_s() <= 600
    finally:
        parent.sock.close()
        parent.loop.close()


def test_keepers_are_bounded(places):
    path = str(places.base / "p.sock")
    parent = daemon.Parent(path, lambda option, value: 0, idle_s=600)
    links = []
    try:
        for _ in range(daemon.KEEPERS_MAX + 3):
            links.append(socket.socket(socket.AF_UNIX))
            links[-1].connect(path)
            links[-1].sendall(KEEP)
            turn_until(parent, lambda: parent._connections)
            turn_until(parent, lambda: not parent._connections)
        assert len(parent._keepers) == daemon.KEEPERS_MAX
        assert b"busy" in heard(parent, links[0])
    finally:
        for link in links:
            link.close()
        for connection in list(parent._keepers):
            connection.close()
        parent.sock.close()
        parent.loop.close()


def turn_until(parent: daemon.Parent, condition: Callable[[], object]) -> None:
    """Let the parent's loop turn; a timer of our own wakes it, and is gone afterwards."""
    for _ in range(1000):
        if condition():
            return
        timer = parent.loop.after(0.01, lambda: None)
        parent.loop.turn()
        timer.cancel()
    raise AssertionError("it did not come about")


def heard(parent: daemon.Parent, link: socket.socket) -> bytes:
    """What the parent says to this connection."""
    link.setblocking(False)
    said: list[bytes] = []

    def has_come() -> bool:
        with suppress(BlockingIOError):
            said.append(link.recv(4096))
        return bool(said)

    turn_until(parent, has_come)
    return said[0]


def test_one_that_is_just_going_is_waited_for(rig):
    """It holds the lock and listens no more: whoever was started beside it left at once; the next start works."""
    lock = os.open(rig.base / "parent.sock.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)

    async def main():
        parent = rig.parent()
        spawning = asyncio.create_task(parent.spawn(rig.start()))
        await rig.eventually.wait(lambda: parent._children)
        await asyncio.to_thread(parent._children[0].wait, 20)
        os.close(lock)
        answer = await spawning
        assert kin.look(answer.runner_pid) is not None
        await parent.end()

    run(main())


def test_one_that_stands_still_holds_nobody_up(rig):
    async def main():
        parent = rig.parent()
        await parent.spawn(rig.start())
        pid = rig.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                await parent.end()
        finally:
            with suppress(ProcessLookupError):  # SIGTERM may end a stopped process, too
                os.kill(pid, signal.SIGCONT)
        return pid

    pid = run(main())
    rig.eventually(lambda: kin.look(pid) is None)
