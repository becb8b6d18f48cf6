"""The launcher of a site's service: each job runs as the user who owns its session.

Theory of operation. The coordinator is an ordinary user. For the first job of an owner it asks the privileged helper
(daemons/as_user.py) to start a runners' parent as that uid; from then on all is as on one's own machine: orders,
claims, proofs, tickets, none of which root has a hand in. An owner's jobs and sockets are in two folders of his, which
the coordinator enters by its group.

Who owns which job is the coordinator's to know, and never read from a folder that somebody else can write to: before a
job is started, a link with its id is put into the coordinator's own folders, jobs/ID and r/ID, that leads to the
owner's. So every path of a job goes through a name that only we can make. Behind it everything is the owner's, who may
put links, pipes or sockets of others there: what answers a connection is asked for its uid before a byte is sent, and
what is read is read by `hawse.runner.log_file`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from hawse.adapters.launch import remains
from hawse.adapters.launch.local import LocalLauncher
from hawse.adapters.launch.parent import Parent, peer_uid
from hawse.adapters.launch.remains import Remains
from hawse.adapters.owners import owners_folder
from hawse.domain.errors import Invalid, Unavailable
from hawse.ports.clock import Clock
from hawse.ports.launcher import Start
from hawse.runner import claim
from hawse.wire import terminal
from hawse.wire.frame import frame
from hawse.wire.order import Spawned

HELPER_S = 10.0  # a fork and an exec; the interpreter's start is waited for elsewhere
ANSWER_BYTES_MAX = 1024
LOOK_S = 10.0
FOUND_BYTES_MAX = terminal.SERVER_BODY_BYTES_MAX

UidOf = Callable[[str], Awaitable[int | None]]


class Helper:
    """The privileged helper's socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def start_parent(self, uid: int) -> None:
        """Have a runners' parent started as this user. Safe to repeat: a second one gives way to the first.

        Raises Invalid (it will not do that, with its reason), Unavailable (it does not answer).
        """
        try:
            async with asyncio.timeout(HELPER_S):
                reader, writer = await asyncio.open_unix_connection(self.path, limit=ANSWER_BYTES_MAX)
                try:
                    if peer_uid(writer) != 0:
                        raise Unavailable(
                            f"what listens on {self.path} is not root's", next_step="systemctl status hawse-as-user"
                        )
                    writer.write(json.dumps({"uid": uid}).encode() + b"\n")
                    answer = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError) as error:
            raise Unavailable(
                f"the helper that starts jobs as their owners does not answer: {str(error) or 'not in time'}",
                next_step="systemctl status hawse-as-user",
            ) from error
        if isinstance(answer, dict) and "failed" in answer:
            raise Unavailable(f"no job could be started as uid {uid}: {str(answer['failed'])[:300]}")
        if not isinstance(answer, dict) or answer.get("ok") is not True:
            raise Invalid(f"no job can run as uid {uid}: {str(answer.get('error', answer))[:300]}")


class OwnersParent(Parent):
    """The runners' parent of one user, which the helper starts."""

    def __init__(self, helper: Helper, uid: int, *, run: str, state: str) -> None:
        super().__init__(
            socket=f"{run}/{uid}/parent.sock",
            jobs=f"{state}/{uid}",
            runners=f"{run}/{uid}/r",
            log=f"{state}/{uid}/runner.log",
            uid=uid,
        )
        self._helper = helper

    async def _start(self) -> None:
        await self._helper.start_parent(self.uid)

    async def end(self) -> None:
        """Ask it to go; runners go on. Safe to repeat."""
        self.let_go()
        with suppress(OSError, TimeoutError, Unavailable):
            async with asyncio.timeout(1.0):
                _, writer = await self._open()
                writer.write(frame(terminal.LEAVE, b""))
                await writer.drain()
                writer.close()


class AsUserLauncher(LocalLauncher):
    """The port `Launcher`, with one parent for each owner.

    links_jobs, links_runners: our own folders of links. run, state: the helper's, with a folder for each user.
    uid_of: as whom a principal's jobs run; None: nobody here.
    """

    def __init__(
        self, helper: Helper, clock: Clock, *, links_jobs: str, links_runners: str, run: str, state: str, uid_of: UidOf
    ) -> None:
        super().__init__(_Owners(self, jobs=links_jobs, runners=links_runners), clock)
        self._loop = asyncio.get_running_loop()
        self.run = run
        self.state = state
        self._helper = helper
        self._links_jobs = links_jobs
        self._links_runners = links_runners
        self._uid_of = uid_of
        self._parents: dict[int, OwnersParent] = {}

    def parent_of(self, uid: int) -> OwnersParent:
        """The parent of this user's runners, whether or not it runs."""
        if uid not in self._parents:
            self._parents[uid] = OwnersParent(self._helper, uid, run=self.run, state=self.state)
        return self._parents[uid]

    @property
    def parents(self) -> list[OwnersParent]:
        """Those that were needed so far."""
        return list(self._parents.values())

    # -- who owns what ------------------------------------------------------------------------------------------------

    async def place(self, start: Start) -> OwnersParent:
        """The owner's parent; the job's links are there. Raises Invalid: the owner has no account here."""
        with suppress(Unavailable):
            return self.parent_of(await asyncio.to_thread(self.listener_uid, start.job))
        uid = await self._uid_of(start.owner)
        if uid is None:
            raise Invalid(f"{start.owner or 'the owner'} has no account on this machine, so no job can run for it")
        await asyncio.to_thread(self._link, start.job, uid)
        return self.parent_of(uid)

    def _link(self, job: str, uid: int) -> None:
        for folder, target in ((self._links_runners, f"{self.run}/{uid}/r"), (self._links_jobs, f"{self.state}/{uid}")):
            with suppress(FileExistsError):
                os.symlink(f"{target}/{job}", f"{folder}/{job}")
        claim.sync_dir(self._links_jobs)

    def listener_uid(self, job: str) -> int:
        """As the link says that we made. Raises Unavailable: there is none (yet)."""
        try:
            return int(os.readlink(f"{self._links_jobs}/{job}").split("/")[-2])
        except (OSError, ValueError, IndexError) as error:
            raise Unavailable(f"job {job} has not been started yet") from error

    async def adopt(self, start: Start) -> None:
        with suppress(Invalid):  # without an account it never ran, and is found lost
            parent = await self.place(start)
            await asyncio.to_thread(self._link, start.job, parent.uid)  # the sockets' folder is new after each boot
            await parent.keep()
        await super().adopt(start)

    async def _record(self, start: Start, name: str) -> dict[str, Any] | None:
        return await asyncio.to_thread(self._read, start.job, start.attempt, name)

    def _read(self, job: str, attempt: int, name: str) -> dict[str, Any] | None:
        """claim.json, process.json or exit.json; None when it is absent, empty when it can't be read. Blocking."""
        try:
            with owners_folder(self._links_jobs, job, f"attempt-{attempt}") as folder:
                return claim.read(folder, name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}

    # -- what only the owner's own processes can do -------------------------------------------------------------------

    def _remains(self, job: str, attempt: int) -> Remains:
        try:
            uid = self.listener_uid(job)
        except Unavailable:
            return Remains(job, "", attempt, process={})  # nothing of it ever ran
        process = self._read(job, attempt, claim.PROCESS) or {}
        return OwnersRemains(job, attempt, process, parent=self.parent_of(uid), loop=self._loop)

    async def remove(self, job: str) -> None:
        def gone() -> None:
            for folder in (self._links_jobs, self._links_runners):
                with suppress(OSError):
                    target = os.readlink(f"{folder}/{job}")
                    if folder == self._links_jobs:
                        remains.remove(target)
                    else:
                        remains.remove_socket(target)
                    os.unlink(f"{folder}/{job}")

        await asyncio.to_thread(gone)


class _Owners:
    """All parents, in the place of the one that a launcher has."""

    def __init__(self, launcher: AsUserLauncher, *, jobs: str, runners: str) -> None:
        self.jobs = jobs
        self.runners = runners
        self._launcher = launcher

    async def spawn(self, start: Start) -> Spawned:
        return await (await self._launcher.place(start)).spawn(start)

    async def keep(self) -> None:
        for parent in self._launcher.parents:
            await parent.keep()

    def let_go(self) -> None:
        for parent in self._launcher.parents:
            parent.let_go()

    async def end(self) -> None:
        await asyncio.gather(*(parent.end() for parent in self._launcher.parents))


class OwnersRemains(Remains):
    """What is left of a job of another user: his parent looks, and signals."""

    def __init__(
        self,
        job: str,
        attempt: int,
        process: dict[str, Any],
        *,
        parent: OwnersParent,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(job, "", attempt, process=process)
        self._parent = parent
        self._loop = loop

    def _answered(self, message: bytes) -> bytes:
        """FOUND's frame. Blocking. Raises OSError: nobody answers, or what is said is too long."""
        try:
            asyncio.run_coroutine_threadsafe(self._parent.ensure(), self._loop).result(HELPER_S * 3)
        except (Unavailable, Invalid, TimeoutError) as error:
            raise OSError(str(error)) from error
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(LOOK_S)
            link.connect(self._parent.socket)
            if struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1] != self._parent.uid:
                raise OSError("somebody else listens in the parent's place")
            link.sendall(message)
            data = b""
            while part := link.recv(65536):
                data += part
                if len(data) > FOUND_BYTES_MAX:
                    raise OSError("the answer is too long")
        if len(data) < 5 or data[4] != terminal.FOUND:
            raise OSError("the owner's parent did not look")
        return data
