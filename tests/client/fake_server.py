"""A scripted HTTP server on a Unix socket, for what a real coordinator cannot be made to do: break in the middle."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import h11

CLOSE = b"<then close>"


class FakeServer:
    """Each request is answered by the next function of `script`; the last one answers all that follow.

    A function gets (request, body) and returns the bytes to send; None closes the connection without a word.
    """

    def __init__(self, path: Path, script: list[Callable[[h11.Request, bytes], bytes | None]]) -> None:
        self.path = str(path)
        self.requests: list[tuple[h11.Request, bytes]] = []
        self.connections = 0
        self._script = list(script)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._open: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> "FakeServer":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        http = h11.Connection(h11.SERVER)
        body = b""
        request: h11.Request | None = None
        with sock:
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    try:
                        http.receive_data(sock.recv(65536))
                    except OSError:
                        return
                elif isinstance(event, h11.Request):
                    request, body = event, b""
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    assert request is not None
                    self.requests.append((request, body))
                    answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                    data = answer(request, body)
                    if data is None:
                        return
                    try:
                        sock.sendall(data.removesuffix(CLOSE))
                    except OSError:
                        return
                    if data.endswith(CLOSE):
                        return
                    http = h11.Connection(h11.SERVER)
                else:
                    return


def header(request: h11.Request, name: str) -> str:
    """A header's value, or nothing."""
    return dict(request.headers).get(name.lower().encode(), b"").decode()


def answers(status: int, value: object, kind: str = "application/json") -> Callable[[h11.Request, bytes], bytes]:
    """A whole answer with a JSON body."""
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return lambda request, _: head + body


def sends(data: bytes | None) -> Callable[[h11.Request, bytes], bytes | None]:
    """Exactly these bytes."""
    return lambda request, _: data


def breaks(data: bytes | None) -> Callable[[h11.Request, bytes], bytes | None]:
    """These bytes, and then the link breaks."""
    return sends(None if data is None else data + CLOSE)
