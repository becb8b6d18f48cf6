"""Reaching the runners' parent on this host: start it when it is absent, ask it for a runner, keep it, end it.

A connection with KEEP lasts as long as the coordinator; by it the parent knows that somebody counts on it. Its process
is told by the kernel, as the one that listens: no file with a number in it could name another one by mistake.
"""

from __future__ import annotations

import asyncio
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from hawse.adapters.launch.runner_log import keep_within
from hawse.domain.errors import Broken, Invalid, Unavailable
from hawse.domain.ids import storable
from hawse.ports.launcher import Start
from hawse.runner import parent as parent_daemon
from hawse.wire import fields, terminal
from hawse.wire.errors import WireError
from hawse.wire.frame import FrameReader, frame
from hawse.wire.order import Spawned, parse_spawned

SOURCE = str(Path(__file__).resolve().parents[3])  # the folder that holds `hawse`
START_S = 15.0  # an interpreter's start on a loaded machine
ANSWER_S = 20.0
GO_S = 2.0  # for a parent that was told to go; it has nothing to finish
SEGMENT_BYTES_MAX = 16 * 1024 * 1024
FLUSH_S = 5.0
DETAIL_MAX = 1000  # characters
KEPT_FROM_ENVIRONMENT = (
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_PRELOAD",
    "FAKETIME",
    "FAKETIME_SHARED",
)


class Parent:
    """The warm process that runners are forked from. It outlives the coordinator.

    descriptors: the limit (soft, hard) on open files that jobs shall have; None: as our own. uid: as whom it runs;
    None: as ourselves. Whoever else listens in its place is told nothing.
    """

    def __init__(
        self,
        *,
        socket: str,
        jobs: str,
        runners: str,
        log: str,
        environment: dict[str, str] | None = None,
        idle_s: float = parent_daemon.IDLE_S,
        descriptors: tuple[int, int] | None = None,
        uid: int | None = None,
    ) -> None:
        self.descriptors = descriptors
        self.uid = os.getuid() if uid is None else uid
        self.socket = socket
        self.idle_s = idle_s
        self.jobs = jobs
        self.runners = runners
        self.log = log
        self._environment = environment or {}
        self._starting = asyncio.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._keeper: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def spawn(self, start: Start) -> Spawned:
        """A runner for this attempt: a new one, or who claimed it before.

        Raises Unavailable (asking again is harmless), Invalid (the order can't be carried out).
        """
        if self.uid == os.getuid():
            keep_within(self.log)
        reader, writer = await self._connected()
        await self.keep()
        try:
            async with asyncio.timeout(ANSWER_S):
                writer.write(frame(terminal.SPAWN, fields.pack(**self._order(start))))
                await writer.drain()
                kind, body = await _one_frame(reader)
        except (OSError, EOFError, TimeoutError) as error:
            raise Unavailable(f"the runners' parent did not answer for job {start.job}: {error}") from error
        except WireError as error:
            raise Broken(f"the runners' parent speaks nonsense: {error}") from error
        finally:
            writer.close()
        if kind == terminal.ERROR:
            value = fields.unpack(body, "ERROR")
            detail = storable(f"job {start.job} was not started: {value.get('detail', '')}", characters_max=DETAIL_MAX)
            raise Invalid(detail) if value.get("code") == "malformed" else Unavailable(detail)
        return parse_spawned(body)

    def _order(self, start: Start) -> dict[str, Any]:
        order = start.order
        return {
            "job": start.job,
            "session": start.session,
            "attempt": start.attempt,
            "incarnation": start.incarnation,
            "argv": order.argv,
            "env": dict(order.env),
            "cwd": order.cwd,
            "umask": order.umask,
            "encoding": order.encoding,
            "tty": {"columns": order.columns, "rows": order.rows} if start.tty else None,
            "stdin": order.stdin,
            "secret": order.secret,
            "job_dir": f"{self.jobs}/{start.job}",
            "socket": f"{self.runners}/{start.job}",
            "grace_s": start.grace_s,
            "leftovers": order.leftovers,
            "control": {"attachment": start.holder, "fence": start.fence},
            "log": {
                "segment_bytes_max": SEGMENT_BYTES_MAX,
                "on_full": order.log_on_full,
                "flush_s": FLUSH_S,
                "retain_bytes": order.log_bytes_max,
            },
        }

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await self._open()
        except OSError:
            pass
        async with self._starting:
            try:
                return await self._open()  # somebody else was quicker
            except OSError:
                await self._start()
            deadline = asyncio.get_running_loop().time() + START_S
            while True:
                try:
                    return await self._open()
                except OSError as error:
                    if asyncio.get_running_loop().time() > deadline:
                        raise Unavailable(f"the runners' parent does not start; its log is {self.log}") from error
                    await asyncio.sleep(0.01)
                if self._children and self._children[-1].poll() is not None:  # it gave way to one that was just going
                    await asyncio.sleep(0.1)
                    await self._start()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to it. Raises OSError; Unavailable: somebody else listens there."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        found = peer_uid(writer)
        if found != self.uid:
            writer.close()
            raise Unavailable(f"what listens on {self.socket} belongs to uid {found}, not to {self.uid}")
        return reader, writer

    async def ensure(self) -> None:
        """See that it runs. Raises Unavailable, and what starting it raises."""
        _, writer = await self._connected()
        writer.close()

    async def _start(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]
        argv = parent_daemon.command(sys.executable, SOURCE, self.socket, idle_s=self.idle_s)
        environment = {name: os.environ[name] for name in KEPT_FROM_ENVIRONMENT if name in os.environ}
        environment |= {"HAWSE_DAEMON": "parent", "PATH": os.environ.get("PATH", os.defpath), **self._environment}
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            child = subprocess.Popen(  # noqa: ASYNC220 - forks at once; nothing is waited for
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(log)
        self._children.append(child)
        if self.descriptors is not None:
            with suppress(ProcessLookupError):
                resource.prlimit(child.pid, resource.RLIMIT_NOFILE, self.descriptors)

    # -- keeping and ending -------------------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Keep the parent that is there, if one is. Safe to repeat: costs nothing while it is kept."""
        if self._keeper is not None and not self._keeper[0].at_eof() and not self._keeper[1].is_closing():
            return
        self.let_go()
        with suppress(OSError, Unavailable):
            keeper = await self._open()
            keeper[1].write(frame(terminal.KEEP, b""))
            if self._keeper is not None:  # another call was quicker
                keeper[1].close()
                return
            self._keeper = keeper

    def let_go(self) -> None:
        """Keep it no more; it goes by itself after a while. Safe to repeat."""
        if self._keeper is not None:
            self._keeper[1].close()
            self._keeper = None

    async def end(self) -> None:
        """End the parent that serves our socket, whoever started it. Runners go on. Safe to repeat."""
        self.let_go()
        await asyncio.to_thread(_end, self.socket)
        for child in self._children:
            child.returncode = child.poll() if child.poll() is not None else 0  # not ours to wait for any longer
        self._children.clear()


def peer_uid(writer: asyncio.StreamWriter) -> int:
    """Who is at the other end, as the kernel tells it. Source: unix(7), SO_PEERCRED."""
    told = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", told)[1])


def _end(path: str) -> None:
    """SIGTERM to our user's process that listens at this path; wait a moment until it has gone. Blocking."""
    with socket.socket(socket.AF_UNIX) as link, suppress(OSError):
        link.settimeout(GO_S)
        link.connect(path)
        pid, uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        handle = os.pidfd_open(pid)
        try:
            # The number is the listener's. It has been its own all the time, and so is the handle, if it lives now: the
            # end of a listener ends the connections that nobody took.
            if uid == os.getuid() and not _is_ready(link.fileno(), 0):
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                _is_ready(handle, GO_S)
        finally:
            os.close(handle)


def _is_ready(descriptor: int, seconds: float) -> bool:
    """Can it be read, or has its other end gone? poll, not select: a coordinator has thousands of descriptors."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


async def _one_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    frames = FrameReader(body_bytes_max=terminal.SERVER_BODY_BYTES_MAX)
    while True:
        data = await reader.read(65536)
        if not data:
            raise EOFError("the connection was closed")
        found = frames.feed(data)
        if found:
            return found[0]
