"""A web server in a thread that receives notices: it counts ids, and may hang, fail or redirect."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEADLINE_S = 60.0


class Receiver:
    """got: the notices in the order in which they came. answer: what it does before it answers; the status to give."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda told: 204
        self.came = threading.Condition()
        self.url = ""

    def take(self, headers: dict[str, str], body: bytes) -> int:
        told = json.loads(body)
        with self.came:
            self.got.append(told)
            self.headers.append(headers)
            self.came.notify_all()
        return self.answer(told)

    def until(self, condition: Callable[[list[dict[str, Any]]], object], what: str = "") -> Any:
        """Wait until condition(all that came) is true; what it gave."""
        with self.came:
            assert self.came.wait_for(lambda: condition(self.got), DEADLINE_S), f"{what}; came: {self.kinds}"
            return condition(self.got)

    @property
    def ids(self) -> list[str]:
        return [told["id"] for told in self.got]

    @property
    def kinds(self) -> list[str]:
        return [told["kind"] for told in self.got]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [told for told in self.got if told["kind"] == kind]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """One on a loopback port of the kernel's choice."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = made.take({name.lower(): value for name, value in self.headers.items()}, body)
            try:
                self.send_response(status)
                self.end_headers()
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was killed meanwhile

        def log_message(self, *words: object) -> None: ...

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionResetError:
                pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
