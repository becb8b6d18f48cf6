"""One HTTP connection: uvicorn's parser and cycle, with our limits around them.

Theory of operation. uvicorn's own server wakes ten times a second, sets a timer per answer and bounds neither heads nor
silence. Here a connection only notes until when it may stay as it is (`deadline`); one sweep for all of them, every few
seconds and only while there are any, ends those whose time is over. So a connection costs no timer and an idle
coordinator does not wake.

    silent (SILENT_S) -> head (SILENT_S) -> body (BODY_S) -> busy (none: the handler has its own) -> idle (IDLE_S)

A client that leaves a full buffer unread for STALL_S is cut, whatever it is being sent; it comes back with its cursor.

A connection may be switched to a stream (spec 11, Links): from then on it is no HTTP, none of these times count,
and every byte belongs to the stream.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hawse.api.rest.caller import peer_of
from hawse.api.rest.limits import BODY_S, HEAD_BYTES_MAX, IDLE_S, LINGER_S, SILENT_S, STALL_S
from hawse.api.rest.problem import MEDIA_TYPE, document
from hawse.domain.errors import Invalid, LimitReached, Problem

if TYPE_CHECKING:
    from hawse.api.rest.listener import Listener

NEVER = math.inf


class Stream(Protocol):
    """What a connection carries once it has been switched: told of bytes, of how fast they go, and of the end."""

    def received(self, data: bytes) -> None: ...
    def hold(self) -> None:
        """The client does not take what was sent: send no more for now."""

    def go_on(self) -> None:
        """It takes again."""

    def gone(self) -> None:
        """The client is gone. Called once."""


class OneWrite:
    """What an answer is written to: its head waits for the first part of its body.

    uvicorn writes them one after the other, which costs a second system call and a second wake-up of the client.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None  # not told yet; b"": sent

    def write(self, data: bytes) -> None:
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif self._head is None and not data.startswith(b"HTTP/1.1 100 "):
            self._head = data
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._head:
            self.write(b"")
        self._transport.close()


class Connection(HttpToolsProtocol):
    """See uvicorn's HttpToolsProtocol for what is not here."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener.config, listener.state, {}, listener.loop)
        self._listener = listener
        self._clock = listener.loop.time
        self._head_bytes = 0
        self._in_body = False
        self._is_refused = False
        self._is_admitted = False
        self.deadline = NEVER
        self.stalled_at = NEVER
        self._stream: Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.deadline = self._clock() + SILENT_S
        try:
            self.app_state = {"peer": peer_of(transport.get_extra_info("socket")), "switch": self.switch}
        except OSError:
            self.transport.abort()
            return
        self._is_admitted = True
        self._listener.waits(self)
        if not self._listener.admit(self):
            self.refuse(LimitReached(f"{self._listener.connections_max} connections are open and all are busy"), 503)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._listener.lost(self, was_admitted=self._is_admitted)
        if self._stream is not None:
            self._stream.gone()

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.received(data)
            return
        if self._is_refused or self.transport.is_closing():
            return
        if not self._in_body:
            if self._head_bytes == 0 and self.is_waiting:
                self.deadline = self._clock() + SILENT_S
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and b"\r\n\r\n" not in data[: HEAD_BYTES_MAX + 4]:
                self.refuse(Invalid(f"the headers have more than {HEAD_BYTES_MAX} bytes", limit=HEAD_BYTES_MAX), 431)
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self.deadline = self._clock() + BODY_S
        self._listener.busy(self)
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose answers are heads alone
            self.cycle.transport = cast(asyncio.Transport, OneWrite(self.transport))

    def on_message_complete(self) -> None:
        self._in_body = False
        self._head_bytes = 0
        self.deadline = self._clock() + IDLE_S if self.cycle.response_complete else NEVER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, without its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.deadline = self._clock() + STALL_S
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self.deadline = NEVER
            self._start_asgi_task(cycle, app)
        else:
            self._listener.waits(self)
            self.deadline = self._clock() + (BODY_S if self._in_body else IDLE_S)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stream is not None:
            self._stream.hold()
        else:
            self.stalled_at = self._clock()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stalled_at = NEVER
        if self._stream is not None:
            self._stream.go_on()

    def switch(self, headers: Iterable[tuple[bytes, bytes]], stream: Stream) -> asyncio.Transport:
        """Answer 101 and be the stream's from now on; the transport to write to. For a request that is being answered.

        How long it is silent, and how slow, is the stream's own business. Raises ConnectionError when it is gone.
        """
        if self.transport.is_closing() or self._stream is not None:
            raise ConnectionResetError("the client has gone")
        self._stream = stream
        self.cycle.response_started = self.cycle.response_complete = True  # uvicorn has nothing more to say here
        self.deadline = self.stalled_at = NEVER
        lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
        self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n")
        return self.transport

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        self.refuse(Invalid("this is not an HTTP/1.1 request"), 400)

    @property
    def is_waiting(self) -> bool:
        """Is nothing being done for it?"""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def refuse(self, problem: Problem, status: int) -> None:
        """Say why and hang up. What still comes is thrown away for a while: closing at once could destroy the answer.

        Source: RFC 9112, 9.6 (lingering close).
        """
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        self.deadline = self._clock() + LINGER_S
        body = document(problem, status=status, request="")
        head = f"HTTP/1.1 {status} \r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close"
        self.transport.write(head.encode() + b"\r\n\r\n" + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:  # TLS ends both ways at once
            self.transport.close()

    def sweep(self, now: float) -> None:
        """End it when its time is over."""
        if now - self.stalled_at > STALL_S:
            self.transport.abort()
        elif now > self.deadline:
            if self._is_refused or self.transport.is_closing():
                self.transport.abort()
            elif self._in_body or self._head_bytes:
                self.refuse(Invalid("the request did not come in time"), 408)
            else:
                self.transport.close()

    def shutdown(self) -> None:
        """Close it, at once or after the answer that is on its way."""
        if self._stream is not None:
            self.transport.close()
            return
        self.deadline = self._clock() + STALL_S
        super().shutdown()
