"""Reaching the runners' parent on this host: start it when it is absent, ask it for a runner."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hawse
from hawse.domain.errors import Broken, Invalid, Unavailable
from hawse.ports.launcher import Start
from hawse.runner import parent as parent_daemon
from hawse.wire import fields, terminal
from hawse.wire.errors import WireError
from hawse.wire.frame import FrameReader, frame
from hawse.wire.order import Spawned, parse_spawned

START_S = 15.0  # an interpreter's start on a loaded machine
ANSWER_S = 20.0
SEGMENT_BYTES_MAX = 16 * 1024 * 1024
FLUSH_S = 5.0
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
    """The warm process that runners are forked from. It outlives the coordinator."""

    def __init__(
        self, *, socket: str, jobs: str, runners: str, log: str, environment: dict[str, str] | None = None
    ) -> None:
        self.socket = socket
        self.jobs = jobs
        self.runners = runners
        self.log = log
        self._environment = environment or {}
        self._starting = asyncio.Lock()
        self._children: list[subprocess.Popen[bytes]] = []

    async def spawn(self, start: Start) -> Spawned:
        """A runner for this attempt: a new one, or who claimed it before.

        Raises Unavailable (asking again is harmless), Invalid (the order can't be carried out).
        """
        reader, writer = await self._connected()
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
            detail = f"job {start.job} was not started: {value.get('detail', '')}"
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
            "log": {
                "segment_bytes_max": SEGMENT_BYTES_MAX,
                "on_full": order.log_on_full,
                "flush_s": FLUSH_S,
                "retain_bytes": order.log_bytes_max,
            },
        }

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(self.socket)
        except OSError:
            pass
        async with self._starting:
            try:
                return await asyncio.open_unix_connection(self.socket)  # somebody else was quicker
            except OSError:
                await self._start()
            deadline = asyncio.get_running_loop().time() + START_S
            while True:
                try:
                    return await asyncio.open_unix_connection(self.socket)
                except OSError as error:
                    if asyncio.get_running_loop().time() > deadline:
                        raise Unavailable(f"the runners' parent does not start; its log is {self.log}") from error
                    await asyncio.sleep(0.01)

    async def _start(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]
        source = str(Path(hawse.__file__).parent.parent)
        argv = parent_daemon.command(sys.executable, source, self.socket)
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

    def let_go(self) -> None:
        """Forget our children without waiting for them: they outlive us."""
        for child in self._children:
            child.returncode = child.poll() if child.poll() is not None else 0
        self._children.clear()


async def _one_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    frames = FrameReader(body_bytes_max=terminal.SERVER_BODY_BYTES_MAX)
    while True:
        data = await reader.read(65536)
        if not data:
            raise EOFError("the connection was closed")
        found = frames.feed(data)
        if found:
            return found[0]
