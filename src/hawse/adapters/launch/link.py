"""The coordinator's end of one runner's socket: `CoordinatorHalf` on a real connection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from hawse.adapters.launch.parent import peer_uid
from hawse.domain.errors import Broken, NotFound, Unavailable
from hawse.ports.launcher import Start
from hawse.wire.coordinator import CoordinatorHalf
from hawse.wire.errors import WireError

CONNECT_S = 5.0  # a runner on the same host answers in a millisecond, also on a loaded machine
COMMAND_S = 10.0
NONCE_BYTES = 16
READ_BYTES = 256 * 1024

Handler = Callable[["Link", int, dict[str, Any]], Awaitable[None]]


class Link:
    """A proven connection to the runner of one attempt. Made by `open`."""

    def __init__(self, start: Start, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.start = start
        self._reader = reader
        self._writer = writer
        self._half = CoordinatorHalf(
            job=start.job,
            attempt=start.attempt,
            secret=bytes.fromhex(start.order.secret),
            nonce=os.urandom(NONCE_BYTES).hex(),
            incarnation=start.incarnation,
        )
        self._heard: list[tuple[str, Any]] = []
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = 0

    @classmethod
    async def open(cls, path: str, start: Start, *, uid: int) -> Link:
        """Connect and prove both sides. uid: who must be listening there.

        Raises Unavailable (nobody answers), Broken (it is not the runner of this attempt).
        If cancelled, the connection is closed.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                link = cls(start, *await asyncio.open_unix_connection(path))
                try:
                    link.check_uid(uid)
                    await link._prove()
                except BaseException:
                    await link.aclose()
                    raise
        except (OSError, TimeoutError, EOFError) as error:
            raise Unavailable(
                f"the runner of job {start.job} does not answer: {str(error) or 'not in time'}"
            ) from error
        except WireError as error:
            raise Broken(f"the runner of job {start.job} cannot be believed: {error}") from error
        return link

    def check_uid(self, uid: int) -> None:
        """Raises WireError."""
        listener = peer_uid(self._writer)
        if listener != uid:
            raise WireError(f"uid {listener} listens there, not {uid}")

    async def _prove(self) -> None:
        self._writer.write(self._half.control())
        while not self._half.is_proven:
            await self._listen()
            if any(kind == "error" for kind, _ in self._heard):
                raise EOFError("it refused")

    async def _listen(self) -> None:
        data = await self._reader.read(READ_BYTES)
        if not data:
            raise EOFError("the runner closed the connection")
        self._heard += self._half.feed(data)
        if answer := self._half.to_send():
            self._writer.write(answer)

    async def run(self, handle: Handler) -> None:
        """Hand each report to `handle` (link, seq, fields) until the connection ends, for whatever reason."""
        try:
            with suppress(OSError, EOFError, WireError):
                while True:
                    for kind, value in self._taken():
                        if kind == "report":
                            await handle(self, value["seq"], value)
                        elif kind == "result":
                            self._answered(value)
                        elif kind == "error":
                            return
                    await self._listen()
        finally:
            await self.aclose()

    def _taken(self) -> list[tuple[str, Any]]:
        heard, self._heard = self._heard, []
        return heard

    def _answered(self, value: dict[str, Any]) -> None:
        number = value.get("id")
        waiting = self._answers.pop(number, None) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(value)

    def acknowledge(self, seq: int) -> None:
        """The report is committed. A connection that broke meanwhile makes the runner say it again."""
        if not self._writer.is_closing():
            self._writer.write(self._half.acknowledge(seq))

    async def command(self, verb: str, **values: Any) -> dict[str, Any]:
        """Ask the runner for something and return what it answers.

        Raises Unavailable (the link broke or there was no answer in time: it may or may not have been done), NotFound
        (refused).
        """
        self._numbers += 1
        number, answer = self._numbers, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            async with asyncio.timeout(COMMAND_S):
                self._writer.write(self._half.command(number, verb, **values))
                await self._writer.drain()
                value: dict[str, Any] = await answer
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"the runner of job {self.start.job} did not answer") from error
        finally:
            self._answers.pop(number, None)
        if value.get("ok") is not True:
            raise NotFound(f"the runner of job {self.start.job} refused {verb}: {str(value.get('detail', ''))[:200]}")
        return value

    def tell(self, verb: str, **values: Any) -> None:
        """Ask the runner for something and do not wait for its answer; it may not know the verb."""
        self._numbers += 1
        if not self._writer.is_closing():
            self._writer.write(self._half.command(self._numbers, verb, **values))

    async def aclose(self) -> None:
        """Close; who waits for an answer is told. Safe to call twice."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the link was closed"))
        self._answers.clear()
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
