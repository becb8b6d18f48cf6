"""The coordinator's end of one runner's socket: mutual proof, reports up, commands down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from hawse.domain.errors import Broken, NotFound, Unavailable
from hawse.ports.launcher import Start
from hawse.wire import fields, terminal
from hawse.wire.errors import WireError
from hawse.wire.frame import FrameReader
from hawse.wire.proof import COORDINATOR, RUNNER, is_same, proof

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
        self._frames = FrameReader(body_bytes_max=terminal.SERVER_BODY_BYTES_MAX)
        self._unread: list[tuple[int, bytes]] = []
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = 0

    @classmethod
    async def open(cls, path: str, start: Start) -> Link:
        """Connect and prove both sides.

        Raises Unavailable (nobody answers), Broken (it is not the runner of this attempt).
        If cancelled, the connection is closed.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_unix_connection(path)
                link = cls(start, reader, writer)
                try:
                    await link._prove()
                except BaseException:
                    await link.aclose()
                    raise
        except (OSError, TimeoutError, EOFError) as error:
            raise Unavailable(
                f"the runner of job {start.job} does not answer: {str(error) or 'not in time'}"
            ) from error
        except WireError as error:
            raise Broken(f"the runner of job {start.job} speaks nonsense: {error}") from error
        return link

    async def _prove(self) -> None:
        secret = bytes.fromhex(self.start.order.secret)
        nonce = os.urandom(NONCE_BYTES).hex()
        self._writer.write(
            terminal.message(terminal.CONTROL, protocol=terminal.PROTOCOL, job=self.start.job, nonce=nonce)
        )
        kind, body = await self._frame()
        if kind != terminal.CHALLENGE:
            raise Broken(f"the socket of job {self.start.job} is not its runner's")
        said = fields.unpack(body, "CHALLENGE")
        incarnation, their_nonce, their_proof = (
            fields.text(said, key, "CHALLENGE", characters_max=terminal.WORD_CHARACTERS_MAX)
            for key in ("incarnation", "nonce", "proof")
        )
        attempt = fields.integer(said, "attempt", "CHALLENGE")

        def proof_of(role: str, theirs: str, own: str) -> str:
            return proof(
                secret,
                role,
                job=self.start.job,
                attempt=attempt,
                incarnation=incarnation,
                their_nonce=theirs,
                own_nonce=own,
            )

        if not is_same(their_proof, proof_of(RUNNER, nonce, their_nonce)):
            raise Broken(f"the runner of job {self.start.job} cannot prove itself")
        if (attempt, incarnation) != (self.start.attempt, self.start.incarnation):
            raise Broken(f"the runner of job {self.start.job} is another incarnation")
        self._writer.write(terminal.message(terminal.PROOF, proof=proof_of(COORDINATOR, their_nonce, nonce)))

    async def _frame(self) -> tuple[int, bytes]:
        while not self._unread:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise EOFError("the runner closed the connection")
            self._unread = self._frames.feed(data)
        return self._unread.pop(0)

    async def run(self, handle: Handler) -> None:
        """Hand each report to `handle` (link, seq, fields) until the connection ends, for whatever reason."""
        try:
            with suppress(OSError, EOFError, WireError):
                while True:
                    kind, body = await self._frame()
                    if kind == terminal.REPORT:
                        value = fields.unpack(body, "REPORT")
                        await handle(self, fields.integer(value, "seq", "REPORT"), value)
                    elif kind == terminal.RESULT:
                        self._answered(fields.unpack(body, "RESULT"))
                    elif kind == terminal.ERROR:
                        return
        finally:
            await self.aclose()

    def _answered(self, value: dict[str, Any]) -> None:
        number = value.get("id")
        waiting = self._answers.pop(number, None) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(value)

    def acknowledge(self, seq: int) -> None:
        """The report is committed. A connection that broke meanwhile makes the runner say it again."""
        if not self._writer.is_closing():
            self._writer.write(terminal.message(terminal.REPORT_ACK, seq=seq))

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
                self._writer.write(terminal.message(terminal.COMMAND, id=number, verb=verb, **values))
                await self._writer.drain()
                value: dict[str, Any] = await answer
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"the runner of job {self.start.job} did not answer") from error
        finally:
            self._answers.pop(number, None)
        if value.get("ok") is not True:
            raise NotFound(f"the runner of job {self.start.job} refused {verb}: {str(value.get('detail', ''))[:200]}")
        return value

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
