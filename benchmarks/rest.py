"""REST: durable changes a second over 32 connections, alone and with 100 followers, beside a bare uvicorn.

Three processes of their own: the coordinator (SQLite, synchronous FULL), the load, the followers. A change is a PATCH
of a session's description on a kept connection, each connection its own session. The bare uvicorn decodes a body,
answers, and keeps nothing. Lag: from an event's time to its arrival at a follower.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from figures import Figure, add_ratios, end_in_order, note, parser, percentile, show

CONNECTIONS, FOLLOWERS = 32, 100
SECTION, CHANGES = "REST", "changes a second, 32 connections"
_TIME = re.compile(rb'"time":([0-9.]+)')


# --- the load: one process -------------------------------------------------------------------------------------------


class Load(asyncio.Protocol):
    """Sends the next request when the answer to the one before is there."""

    def __init__(self, target: str, until: float, times: list[float]) -> None:
        body = b'{"description":"step %010d"}'
        self.head = f"PATCH {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body % 0)}\r\n\r\n".encode()
        self.body, self.until, self.times = body, until, times
        self.count, self.data, self.began = 0, b"", 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.go()

    def go(self) -> None:
        self.count += 1
        self.began = time.perf_counter()
        self.transport.write(self.head + self.body % self.count)

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length: ") + 16
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.data.decode()))
            self.transport.close()
            return
        self.data = b""
        now = time.perf_counter()
        self.times.append(now - self.began)
        if now < self.until:
            self.go()
        else:
            self.transport.close()
            self.done.set_result(None)


async def load(path: str, targets: list[str], seconds: float) -> None:
    loop, times = asyncio.get_running_loop(), []
    began = time.perf_counter()
    made = [await loop.create_unix_connection(lambda t=t: Load(t, began + seconds, times), path) for t in targets]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    took = time.perf_counter() - began
    print(json.dumps([len(times) / took, percentile(times, 0.5) * 1000, percentile(times, 0.99) * 1000]))


# --- the followers: one process --------------------------------------------------------------------------------------


class Follower(asyncio.Protocol):
    """Reads a feed: counts events, notes how old the newest of each part is."""

    def __init__(self, target: str, lags: list[float]) -> None:
        self.target, self.lags, self.count = target, lags, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(
            f"GET {self.target} HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.count += data.count(b"\nevent: ")
        at = data.rfind(b'"time":')
        if at >= 0 and (found := _TIME.match(data, at)):
            self.lags.append(time.time() - float(found[1]))


async def follow(path: str, targets: list[str]) -> None:
    loop, lags = asyncio.get_running_loop(), []
    made = [await loop.create_unix_connection(lambda t=t: Follower(t, lags), path) for t in targets]
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    await asyncio.sleep(1)
    counts = [protocol.count for _, protocol in made]
    told = [percentile(lags, 0.5) * 1000, percentile(lags, 0.99) * 1000] if lags else [0, 0]
    print(json.dumps([sum(counts), *told, counts]), flush=True)


# --- what is measured ------------------------------------------------------------------------------------------------


def ask(path: str, method: str, target: str, body: object = None) -> dict[str, object]:
    """One request on a connection of its own."""
    data = b"" if body is None else json.dumps(body).encode()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        head = f"{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        link.sendall(head.encode() + data)
        answer = b""
        while part := link.recv(65536):
            answer += part
    told: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return told


def wait_for(path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(path)
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the server did not start")


def own(*words: str, **more: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, *words], text=True, stdout=subprocess.PIPE, **more)  # type: ignore[call-overload,no-any-return]


def loaded(path: str, targets: list[str], seconds: float) -> list[float]:
    with own("--load", path, str(seconds), *targets) as process:
        assert process.stdout is not None
        told: list[float] = json.loads(process.stdout.read())
        return told


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(base: Path, seconds: float) -> list[Figure]:
    figures: list[Figure] = []

    def told(what: str, who: str, value: float, unit: str, goal: str = "", met: bool | None = None) -> None:
        figures.append(Figure(SECTION, what, who, value, unit, goal=goal, met=met))

    echo = str(base / "echo.sock")
    with subprocess.Popen([sys.executable, __file__, "--echo", echo]) as server:
        wait_for(echo, server)  # type: ignore[arg-type]
        before, began = cpu_s(server.pid), time.monotonic()
        rate, half, most = loaded(echo, ["/x"] * CONNECTIONS, seconds)
        cpu = (cpu_s(server.pid) - before) / (time.monotonic() - began)
        server.terminate()
    note("bare uvicorn done")
    told(CHANGES, "uvicorn echo", rate, "/s")
    told("answer p50", "uvicorn echo", half, "ms")
    told("answer p99", "uvicorn echo", most, "ms")
    told("CPU of a change", "uvicorn echo", cpu / rate * 1e6, "us")

    where = {
        "HAWSE_STATE_DIR": str(base / "state"),
        "HAWSE_RUNTIME_DIR": str(base / "r"),
        "HAWSE_CONFIG_DIR": str(base),
    }
    path = str(base / "r" / "coordinator.sock")
    words = [sys.executable, "-m", "hawse.daemons.coordinator"]
    with subprocess.Popen(words, env=os.environ | where, cwd="/") as server:
        wait_for(path, server)  # type: ignore[arg-type]
        made = [ask(path, "POST", "/v1/sessions", {"alias": f"bench{n}"}) for n in range(CONNECTIONS)]
        targets = [f"/v1/sessions/{session['id']}" for session in made]
        loaded(path, targets, 0.5)
        for who, followed in (
            ("hawse", []),
            ("hawse, 100 followers", [targets[n % CONNECTIONS] for n in range(FOLLOWERS)]),
            ("hawse, 100 followers of one session", [targets[0]] * FOLLOWERS),
        ):
            seen = {target: ask(path, "GET", target)["last_seq"] for target in targets}
            feeds = [f"{target}/events?from={int(str(seen[target])) + 1}" for target in followed]
            readers = own("--follow", path, *feeds, stdin=subprocess.PIPE)
            assert readers.stdout is not None
            readers.stdout.readline()
            before, began = cpu_s(server.pid), time.monotonic()
            rate, half, most = loaded(path, targets, seconds)
            cpu = (cpu_s(server.pid) - before) / (time.monotonic() - began)
            count, lag_half, lag_most, _counts = json.loads(readers.communicate("stop\n")[0])
            note(f"{who}: {rate:.0f}/s, p99 {most:.1f} ms, coordinator at {cpu:.0%} of a core, {count} events sent")
            told(CHANGES, who, rate, "/s", "4,000/s", rate >= 4000)
            told("answer p50", who, half, "ms")
            told("answer p99", who, most, "ms")
            told("CPU of a change", who, cpu / rate * 1e6, "us")
            if followed:
                told("lag of a follower p50", who, lag_half, "ms")
                told("lag of a follower p99", who, lag_most, "ms")
        server.send_signal(signal.SIGTERM)
    add_ratios(figures, ("uvicorn echo",))
    return figures


async def echo(path: str) -> None:
    """A uvicorn on the same kind of socket that decodes a body and answers one of a session's size."""
    import uvicorn

    answer = json.dumps({"id": "0" * 36, "description": "x", "padding": "x" * 300}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def app(scope: object, receive: object, send: object) -> None:
        json.loads((await receive())["body"])  # type: ignore[operator]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": answer})  # type: ignore[operator]

    config = uvicorn.Config(app, uds=path, http="httptools", lifespan="off", log_config=None, access_log=False)  # type: ignore[arg-type]
    await uvicorn.Server(config).serve()


def main() -> None:
    match sys.argv[1:]:
        case ["--load", path, seconds, *targets]:
            uvloop.run(load(path, targets, float(seconds)))
        case ["--follow", path, *targets]:
            uvloop.run(follow(path, targets))
        case ["--echo", path]:
            uvloop.run(echo(path))
        case _:
            end_in_order()
            options = parser(__doc__ or "").parse_args()
            base = Path(tempfile.mkdtemp(prefix="hwb", dir="/tmp"))
            try:
                show(measured(base, 0.5 if options.quick else 5.0), as_json=options.json)
            finally:
                shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
