"""HTTP/1.1 on a link to the coordinator: h11 says what goes over the link, this decides when and how often.

Every request may be sent again: reading is harmless, and a mutation carries an Idempotency-Key that is made once, so
that a retry gets the first answer. So a link that broke is never the caller's problem until the deadline is over; and
a coordinator that was killed is started again by the next request, where the endpoint says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import h11

from hawse.client._sync.way import shown, to_coordinator
from hawse.client.find import Endpoint
from hawse.client.link import LinkBroken, LinkLate
from hawse.client.link_sync import now, pause
from hawse.client.problems import problem_from
from hawse.domain.errors import Broken, TooLarge, Unavailable

if TYPE_CHECKING:
    from hawse.client.link_sync import Link

WAIT_S = 30.0  # for an answer that needs no waiting for anything
BODY_BYTES_MAX = 16 * 1024 * 1024  # of one answer: 1,000 sessions with jobs, or 4 MiB of log
REQUEST_BYTES_MAX = 4 * 1024 * 1024  # REST's own limit; told here without sending the bytes
RETRIES_MAX = 6  # 0.05 s doubling: 3 s in all, longer than a coordinator's restart
IDLE_LINKS_MAX = 4
READ_BYTES = 64 * 1024


class Answer(NamedTuple):
    """A whole answer. headers: lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value. Raises Broken."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Broken("the coordinator's answer is not JSON") from error


class _Connection:
    """One link with the state of its HTTP conversation."""

    __slots__ = ("http", "link")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.http = h11.Connection(h11.CLIENT)

    def send(self, head: h11.Request, body: bytes, deadline: float) -> None:
        parts = [self.http.send(head)]
        if body:
            parts.append(self.http.send(h11.Data(data=body)))
        parts.append(self.http.send(h11.EndOfMessage()))
        self.link.send(b"".join(part or b"" for part in parts), deadline)

    def event(self, deadline: float) -> Any:
        """The next event of the answer. Raises LinkBroken when the link ends too early, Broken when it is not HTTP."""
        while True:
            try:
                event = self.http.next_event()
            except h11.RemoteProtocolError as error:
                if self.http.their_state is h11.ERROR and "closed" in str(error):
                    raise LinkBroken(str(error)) from error
                raise Broken(f"what listens there does not speak HTTP: {error}") from error
            if event is h11.NEED_DATA:
                data = self.link.receive(READ_BYTES, deadline)
                if not data and self.http.their_state is h11.SEND_RESPONSE:
                    raise LinkBroken("the coordinator closed the connection")
                self.http.receive_data(data)
            elif isinstance(event, h11.ConnectionClosed):
                raise LinkBroken("the coordinator closed the connection")
            elif not isinstance(event, h11.InformationalResponse):
                return event

    def head(self, deadline: float) -> tuple[int, dict[str, str]]:
        response = self.event(deadline)
        return response.status_code, {k.decode("latin-1"): v.decode("latin-1") for k, v in response.headers}

    def body(self, deadline: float, bytes_max: int) -> bytes:
        parts, size = [], 0
        while isinstance(event := self.event(deadline), h11.Data):
            parts.append(bytes(event.data))
            size += len(event.data)
            if size > bytes_max:
                raise Broken(f"the coordinator's answer is larger than {bytes_max} bytes")
        return b"".join(parts)

    def reusable(self) -> bool:
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
            return True
        return False


class Transport:
    """Requests to one coordinator over a few kept links. Several tasks (threads) may use it at once, and so may a fork
    of this process, which gets links of its own: on a shared one the answers to one would reach the other.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._idle: list[_Connection] = []
        self._process = os.getpid()  # whose the kept links are

    def connect(self) -> None:
        """Open a link now, so that what is wrong is told now. Raises Unavailable, Denied."""
        self._leave_inherited()
        try:
            self._idle.append(_Connection(to_coordinator(self.endpoint, now() + WAIT_S)))
        except LinkBroken as error:
            raise Unavailable(f"{self.endpoint.told} cannot be reached: {error}", next_step="hawse doctor") from error

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        version: int | None = None,
        wait_s: float = WAIT_S,
    ) -> Answer:
        """Send a request and take its answer; again after a broken link, at most until wait_s is over.

        query: None values are left out. version: sent as If-Match. Raises the coordinator's own Problem; Unavailable
        when there is no answer in time; TooLarge, Broken. If cancelled: a mutation may or may not have happened.
        """
        payload = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        if len(payload) > REQUEST_BYTES_MAX:
            raise TooLarge(f"the request has {len(payload)} bytes; at most {REQUEST_BYTES_MAX} are allowed")
        head = _head(self.endpoint, method, path, query, payload, version, shown(self.endpoint))
        deadline = now() + wait_s
        delay = 0.0
        for attempt in range(RETRIES_MAX + 1):
            try:
                answer = self._exchange(head, payload, deadline, wait_s)
                break
            except LinkLate as error:
                raise Unavailable(
                    f"{self.endpoint.told} did not answer in {wait_s:g} s", next_step="hawse doctor"
                ) from error
            except LinkBroken as error:
                if attempt == RETRIES_MAX or now() + delay > deadline:
                    raise Unavailable(
                        f"the link to {self.endpoint.told} broke: {error}", next_step="hawse doctor"
                    ) from error
                pause(delay)
                delay = max(0.05, delay * 2)
        if answer.status >= 400:
            raise problem_from(
                answer.status, answer.json() if "json" in answer.headers.get("content-type", "") else None
            )
        return answer

    def _exchange(self, head: h11.Request, payload: bytes, deadline: float, wait_s: float) -> Answer:
        connection = self._kept()
        if connection is None:
            connection = _Connection(to_coordinator(self.endpoint, deadline))
            if self.endpoint.by_ssh:
                deadline = max(deadline, now() + wait_s)  # logging in is not the coordinator's time
        kept = False
        try:
            connection.send(head, payload, deadline)
            status, headers = connection.head(deadline)
            answer = Answer(status, headers, connection.body(deadline, BODY_BYTES_MAX))
            if connection.reusable() and len(self._idle) < IDLE_LINKS_MAX:
                self._idle.append(connection)
                kept = True
            return answer
        finally:
            if not kept:
                connection.link.close()

    def _kept(self) -> _Connection | None:
        self._leave_inherited()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _leave_inherited(self) -> None:
        """In a fork: let go of our parent's links. Closed without a word, since what is said there is said for it."""
        if self._process != os.getpid():
            inherited, self._idle, self._process = self._idle, [], os.getpid()
            for connection in inherited:
                connection.link.socket.close()

    def stream(
        self, path: str, *, query: dict[str, Any], headers: dict[str, str], silence_s: float
    ) -> Generator[bytes, None, None]:
        """The body of one answer as it comes, over a link of its own. Not retried: the caller knows where to go on.

        Raises LinkBroken when the link broke or was silent for silence_s; the coordinator's own Problem.
        """
        connection = _Connection(to_coordinator(self.endpoint, now() + WAIT_S))
        try:
            connection.send(
                _head(self.endpoint, "GET", path, query, b"", None, headers | shown(self.endpoint)), b"", now() + WAIT_S
            )
            status, answered = connection.head(now() + WAIT_S)
            if status >= 400:
                body = connection.body(now() + WAIT_S, BODY_BYTES_MAX)
                is_json = "json" in answered.get("content-type", "")
                raise problem_from(status, Answer(status, answered, body).json() if is_json else None)
            while isinstance(event := connection.event(now() + silence_s), h11.Data):
                yield bytes(event.data)
        finally:
            connection.link.close()

    def close(self) -> None:
        """Close the kept links. Safe to call twice; a request after it opens a new link."""
        while connection := self._kept():
            connection.link.close()


def _head(
    endpoint: Endpoint,
    method: str,
    path: str,
    query: dict[str, Any] | None,
    payload: bytes,
    version: int | None,
    more: dict[str, str] | None = None,
) -> h11.Request:
    pairs = [f"{quote(k)}={quote(str(v), safe='')}" for k, v in (query or {}).items() if v is not None]
    target = f"{path}?{'&'.join(pairs)}" if pairs else path
    headers = [("Host", endpoint.host), *(more or {}).items()]
    if method != "GET":
        headers.append(("Idempotency-Key", os.urandom(16).hex()))
        headers.append(("Content-Length", str(len(payload))))
    if payload:
        headers.append(("Content-Type", "application/json"))
    if version is not None:
        headers.append(("If-Match", f'"{version}"'))
    return h11.Request(method=method, target=target, headers=headers)
# Generated from _async/transport.py by tools/twins.py; edit that file, not this one.
