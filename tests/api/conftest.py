"""A REST interface for tests: the real listener on a real socket, over a memory store and runners that only pretend.

def test_it(rest):
    async def main():
        async with rest.stage() as stage:
            answer = await rest.ask(stage.path, "GET", "/healthz")
    rest.run(main())
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

import pytest
import uvloop
from tests.other_users import connected_as

from hawse.adapters.clock import SystemClock
from hawse.api.rest.desk import Desk
from hawse.api.rest.feed import Feeds
from hawse.api.rest.listener import Listener
from hawse.domain.errors import NotFound
from hawse.domain.job import Outcome, OutcomeKind
from hawse.ports.launcher import Ended, Quiet, Report, Start, Started
from hawse.ports.log import Moment, Piece, Screen, Timing
from hawse.services.reconcile import Reconciler
from hawse.services.world import Site, World
from hawse.testing.memory_store import MemoryStore

T = TypeVar("T")
FACTS = {
    "version": "0",
    "pid": 1,
    "started_at": 0.0,
    "store": "sqlite",
    "store_version": 1,
    "engine": "python",
    "state_dir": "/s",
    "host": "h",
    "boot_id": "b",
}


class Pretender:
    """A launcher whose jobs run for as long as nobody stops them, and do nothing."""

    def __init__(self) -> None:
        self.running: dict[str, Start] = {}
        self.signals: list[tuple[str, int]] = []
        self._reports: asyncio.Queue[Report] = asyncio.Queue()

    async def start(self, start: Start) -> None:
        self.running[start.job] = start
        self._reports.put_nowait(Started(start.job, start.attempt, 4711))

    async def adopt(self, start: Start) -> None:
        self.running[start.job] = start

    async def stop(self, job: str, attempt: int, *, grace_s: float) -> None:
        if self.running.pop(job, None):
            self._reports.put_nowait(Ended(job, attempt, Outcome(OutcomeKind.SIGNALLED, signal=15), log_end=0))

    async def signal(self, job: str, signal: int) -> None:
        if job not in self.running:
            raise NotFound(f"job {job} has no runner")
        self.signals.append((job, signal))

    async def cut(self, job: str, attachment: str, *, reason: str, message: str) -> None: ...

    async def control(self, job: str, attachment: str, *, fence: int, who: str, message: str) -> None: ...

    async def activity(self, job: str) -> dict[str, Quiet]:
        return {}

    async def watch(self, job: str, *, quiet_s: float) -> None: ...

    async def forget(self, job: str, attempt: int) -> None: ...

    def address(self, job: str) -> str:
        return f"/r/{job}"

    def listener_uid(self, job: str) -> int:
        return os.getuid()

    async def reports(self) -> AsyncIterator[Report]:
        while True:
            yield await self._reports.get()

    async def remove(self, job: str) -> None: ...

    async def let_go(self) -> None: ...

    async def aclose(self) -> None: ...


@dataclass
class Logs:
    """Logs in memory, by job."""

    bytes_of: dict[str, Piece] = field(default_factory=dict)
    moments_of: dict[str, tuple[Moment, ...]] = field(default_factory=dict)

    def read(self, job: str, *, offset: int, bytes_max: int) -> Piece:
        if job not in self.bytes_of:
            raise NotFound(f"job {job} has no log")
        whole = self.bytes_of[job]
        data = whole.data[offset : offset + bytes_max]
        spans = tuple(
            (max(o, offset), min(o + n, offset + len(data)) - max(o, offset), s)
            for o, n, s in whole.spans
            if o < offset + len(data) and o + n > offset
        )
        return Piece(data, offset, offset + len(data), whole.end, whole.damaged, spans)

    def offset_at(self, job: str, time: float) -> int:
        return int(time)

    def offset_of_tail(self, job: str, lines: int) -> int:
        return max(0, self.bytes_of[job].data.rfind(b"\n", 0, -1) + 1) if lines else self.bytes_of[job].end

    def timing(self, job: str, *, offset: int, skip: int, limit: int) -> Timing:
        if job not in self.moments_of:
            raise NotFound(f"job {job} has no log")
        behind = [moment for moment in self.moments_of[job] if moment.offset >= offset][skip:]
        found, at, passed = behind[:limit], offset, skip
        for moment in found:
            passed = 0 if moment.length or moment.offset != at else passed
            at, passed = moment.offset + moment.length, passed + (not moment.length)
        return Timing(tuple(found), at, passed, self.bytes_of[job].end)

    def screen(self, job: str, *, offset: int) -> Screen:
        if job not in self.bytes_of:
            raise NotFound(f"job {job} has no log")
        return Screen(b"screen at %d" % offset, offset - 1, self.bytes_of[job].end, 100, 30)


@dataclass
class Stage:
    """What a test may look at. path: the socket."""

    path: str
    world: World
    desk: Desk
    listener: Listener
    launcher: Pretender
    logs: Logs
    lines: list[Mapping[str, object]]


@asynccontextmanager
async def stage(
    *,
    owner: int | None = None,
    connections_max: int | None = None,
    others: bool = True,
    only: str = "",
    site: Site | None = None,
) -> AsyncIterator[Stage]:
    """Serve until the block ends."""
    clock = SystemClock()
    launcher, logs = Pretender(), Logs()
    lines: list[Mapping[str, object]] = []
    world = World(store=MemoryStore(clock), launcher=launcher, clock=clock, logs=logs, owner=only, site=site)
    with socket_path() as path:
        async with asyncio.TaskGroup() as tasks:
            reconciler = tasks.create_task(Reconciler(world).run())
            desk = Desk(
                world=world,
                owner=os.getuid() if owner is None else owner,
                facts=FACTS,
                log=lines.append,
                others=others,
                feeds=Feeds(world.store, tasks),
            )
            listener = Listener(desk, connections_max=connections_max)
            bound = socket.socket(socket.AF_UNIX)
            bound.bind(path)
            bound.setblocking(False)
            await listener.start(bound)
            try:
                yield Stage(path, world, desk, listener, launcher, logs, lines)
            finally:
                await listener.aclose()
                reconciler.cancel()
        await world.store.aclose()


@contextmanager
def socket_path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="hwr", dir="/tmp") as folder:
        yield f"{folder}/s"


@dataclass
class Answer:
    """status, headers (names in lower case), body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Link:
    """One HTTP connection, with nothing between the test and the bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, path: str) -> "Link":
        return cls(*await asyncio.open_unix_connection(path, limit=1 << 24))

    @classmethod
    async def as_user(cls, path: str, uid: int) -> "Link":
        """A connection that another user of this machine made."""
        sock = await asyncio.to_thread(connected_as, uid, path)
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=1 << 24))

    async def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send one request and read its answer."""
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        await self.send(method, target, data, headers or {})
        return await self.answer()

    async def send(self, method: str, target: str, data: bytes, headers: Mapping[str, str]) -> None:
        told = {"Host": "test", **({"Content-Length": str(len(data))} if data or method != "GET" else {}), **headers}
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.writer.write(head.encode() + b"\r\n" + data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in pairs}

    async def answer(self) -> Answer:
        status, headers = await self.head()
        if "content-length" in headers:
            return Answer(status, headers, await self.reader.readexactly(int(headers["content-length"])))
        if headers.get("transfer-encoding") != "chunked":
            return Answer(status, headers, b"")
        body = b""
        while chunk := await self.chunk():
            body += chunk
        return Answer(status, headers, body)

    async def chunk(self) -> bytes:
        """The next chunk of a chunked answer; empty at its end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return data

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def link(path: str, *, uid: int | None = None) -> AsyncIterator[Link]:
    """uid: as which user; the socket's folder must be open to him."""
    made = await (Link.open(path) if uid is None else Link.as_user(path, uid))
    try:
        yield made
    finally:
        made.close()


async def ask(path: str, method: str, target: str, body: object = None, **more: Any) -> Answer:
    """One request on a connection of its own."""
    async with link(path) as one:
        return await one.ask(method, target, body, **more)


async def until(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Wait for a condition inside the loop."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - it is a state of many objects, which have no common event
            await asyncio.sleep(0.005)


def run(main: Coroutine[Any, Any, T], *, timeout_s: float = 60.0) -> T:
    """Run a test's coroutine on the loop that the coordinator uses."""

    async def bounded() -> T:
        async with asyncio.timeout(timeout_s):
            return await main

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


JOB = {"argv": ["/bin/true"], "env": {}, "cwd": "/"}


@pytest.fixture(scope="session")
def rest() -> ModuleType:
    """This module."""
    return sys.modules[__name__]
