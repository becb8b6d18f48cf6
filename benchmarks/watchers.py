#!/usr/bin/env python3
"""Many observers of one busy terminal: what the controller gets, what each of them gets, what the runner needs.

One program prints much; one window controls it and shows all; N others watch. Beside tmux with N read-only clients, in
turns. tmux's clients get what is left of the screen, not each byte, so only the controller's rate is compared.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from contestants import DEADLINE_S, Contestant, Hawse, Shown, Tmux
from figures import Figure, add_ratios, end_in_order, median, note, parser, show
from terminal import MARK, private_kb, read_some, settle

from hawse.client.api import connect
from hawse.client.link_sync import Link
from hawse.wire import terminal

HERE = Path(__file__).resolve().parent
SECTION = "Many observers of one terminal"
READ_BYTES = 256 * 1024
QUIET_S = 3.0  # an observer that gets nothing for so long after the end has everything that it will get


def read_all(descriptors: list[int], begin: Any, answer: Any) -> None:
    """Read from all until nothing comes any more: bytes and seconds of each, from `begin` to its last byte."""
    poller = select.epoll()
    for fd in descriptors:
        os.set_blocking(fd, False)
        poller.register(fd, select.EPOLLIN)
    begin.wait()
    began = last = time.monotonic()
    got = dict.fromkeys(descriptors, 0)
    done = dict.fromkeys(descriptors, began)
    while time.monotonic() - last < QUIET_S or last == began:
        for fd, _ in poller.poll(0.5):
            try:
                data = os.read(fd, READ_BYTES)
            except OSError:
                data = b""
            if not data:
                poller.unregister(fd)
                continue
            got[fd] += len(data)
            done[fd] = last = time.monotonic()
        if time.monotonic() - began > 30 * DEADLINE_S:
            break
    answer.put([(got[fd], done[fd] - began) for fd in descriptors])


class Crowd:
    """N observers in a process of their own, so that their work is not the controller's."""

    def __init__(self, descriptors: list[int]) -> None:
        context = get_context("fork")
        self.begin = context.Event()
        self._answer = context.Queue()
        self._process = context.Process(target=read_all, args=(descriptors, self.begin, self._answer), daemon=True)
        self._process.start()

    def result(self) -> list[tuple[int, float]]:
        """(bytes, seconds) of each."""
        found: list[tuple[int, float]] = self._answer.get(timeout=40 * DEADLINE_S)
        self._process.join()
        return found


class Peak:
    """The largest private memory of a process while the block runs, in KiB, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.kb = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.kb = max(self.kb, private_kb(self._pid))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def controlled(window: Shown, megabytes: int) -> float:
    """Let the program print; MB/s until its last line is shown to the controller."""
    settle(window)
    os.write(window.fd, b"\r")
    began = time.perf_counter()
    tail = b""
    while MARK not in tail:
        data = read_some(window, DEADLINE_S)
        if not data:
            raise TimeoutError("the output's end was never shown")
        tail = tail[-len(MARK) :] + data
    return megabytes / (time.perf_counter() - began)


def start(one: Contestant, megabytes: int) -> Shown:
    """The program, and the window that controls it, once it is ready."""
    one.start(f"exec {sys.executable} -I -S {HERE / 'printer.py'} {megabytes} colours")
    window = one.attach()
    one.wait()
    seen = b""
    deadline = time.monotonic() + DEADLINE_S
    while b"ready" not in seen:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{one.name}: the printer is not ready")
        seen += read_some(window, 0.5)
    return window


def parent_of(pid: int) -> int:
    """The process that keeps the program: its runner."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def watched(one: Hawse, count: int, stack: ExitStack) -> list[int]:
    """`count` observers' links, each with a ticket of its own."""
    os.environ.update({name: value for name, value in one.environment.items() if name.startswith("HAWSE_")})
    links = []
    with connect() as server:
        job = server.session("bench").jobs()[0]
        for _ in range(count):
            admission = job.admission("watch", where="benchmark")
            link = Link.connect(admission.address, time.monotonic() + DEADLINE_S)
            stack.callback(link.close)
            link.send(terminal.hello(ticket=admission.ticket, start="end"), time.monotonic() + DEADLINE_S)
            links.append(link)
    return [link.socket.fileno() for link in links]


def of_hawse(place: Path, count: int, megabytes: int) -> list[Figure]:
    """The controller's rate, each observer's, and the runner's memory."""
    one = Hawse(place)
    who = f"hawse, {count}"
    with ExitStack() as stack:
        stack.callback(one.close)
        window = start(one, megabytes)
        stack.callback(window.close)
        crowd = Crowd(watched(one, count, stack)) if count else None
        with Peak(parent_of(one.wait())) as peak:
            if crowd is not None:
                crowd.begin.set()
            rate = controlled(window, megabytes)
            found = crowd.result() if crowd is not None else []
    figures = [
        Figure(SECTION, "the controller's rate", who, rate, "MB/s"),
        Figure(SECTION, "private memory of the runner, peak", who, peak.kb / 1024, "MB"),
    ]
    if found:
        if min(size for size, _ in found) < megabytes * 1_000_000:
            raise AssertionError("an observer did not get each byte")
        rates = [size / 1e6 / seconds for size, seconds in found]
        figures += [
            Figure(SECTION, "each observer's rate, median", who, median(rates), "MB/s"),
            Figure(SECTION, "each observer's rate, slowest", who, min(rates), "MB/s"),
            Figure(SECTION, "all observers together", who, sum(rates), "MB/s"),
        ]
    return figures


def of_tmux(place: Path, count: int, megabytes: int) -> list[Figure]:
    """The controller's rate."""
    one = Tmux(place)
    with ExitStack() as stack:
        stack.callback(one.close)
        window = start(one, megabytes)
        stack.callback(window.close)
        others = []
        for _ in range(count):
            other = Shown([*one.client(), "-r"], one.environment, cwd=str(one.place))
            stack.callback(other.close)
            others.append(other)
        crowd = Crowd([other.fd for other in others]) if others else None
        if crowd is not None:
            crowd.begin.set()
        rate = controlled(window, megabytes)
        if crowd is not None:
            crowd.result()
    return [Figure(SECTION, "the controller's rate", f"tmux, {count}", rate, "MB/s")]


def main() -> None:
    """Print the figures."""
    end_in_order()
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, default=200, help="observers")
    options.add_argument("--megabytes", type=int, default=50)
    asked = options.parse_args()
    count, megabytes = (10, 4) if asked.quick else (asked.count, asked.megabytes)
    place = Path(tempfile.mkdtemp(prefix="hbw-"))
    figures: list[Figure] = []
    try:
        for number in (0, count):
            note(f"hawse: {number} observers")
            figures += of_hawse(place, number, megabytes)
            if shutil.which("tmux") is not None:
                note(f"tmux: {number} read-only clients")
                figures += of_tmux(place, number, megabytes)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    add_ratios(figures, ("hawse, 0", "tmux, 0"))
    show(figures, as_json=asked.json)


if __name__ == "__main__":
    main()
