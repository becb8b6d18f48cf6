#!/usr/bin/env python3
"""Sessions as a whole, through the installed command and the Python API.

What `hawse ls` costs, how long `hawse new -d` takes until the program runs, and many sessions at once: created, listed,
attached, ended.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from contestants import Hawse
from figures import Figure, end_in_order, median, note, parser, show

from hawse.client._sync.server import Server
from hawse.client.api import connect
from hawse.client.spec import job_spec

SECTION_CLI, SECTION_MANY = "Command line", "Many sessions"


def timed(argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_instruction(one: Hawse, name: str) -> float:
    """Seconds from starting `hawse new -d` to the program's first instruction: what `date` says."""
    told = one.place / name
    began_ns = time.time_ns()
    one.run([*one.command("new", "-d", name), "--", "/bin/sh", "-c", f"exec date +%s%N > {told}"])
    deadline = time.monotonic() + 10
    while not told.exists() or not told.read_text():
        if time.monotonic() > deadline:
            raise TimeoutError("the program never ran")
        time.sleep(0.001)
    return (int(told.read_text()) - began_ns) / 1e9


def command_line(one: Hawse, rounds: int) -> list[Figure]:
    """What the commands cost with a few sessions around."""
    own = [timed(one.command("--version"), one.environment)[0] for _ in range(rounds)]
    listing = [timed(one.command("ls"), one.environment) for _ in range(rounds)]
    starts = [first_instruction(one, f"first{at}") for at in range(rounds)]
    beyond_ms = (median(starts) - median(own)) * 1000
    cpu_ms = median([cpu for _, cpu in listing]) * 1000
    section = SECTION_CLI
    return [
        Figure(section, "hawse --version, wall", "hawse", median(own) * 1000, "ms"),
        Figure(section, "hawse ls, wall", "hawse", median([wall for wall, _ in listing]) * 1000, "ms"),
        Figure(section, "hawse ls, CPU", "hawse", cpu_ms, "ms", goal="< 120 ms", met=cpu_ms < 120),
        Figure(section, "hawse new -d to the first instruction", "hawse", median(starts) * 1000, "ms"),
        Figure(section, "the same, beyond --version", "hawse", beyond_ms, "ms", goal="< 60 ms", met=beyond_ms < 60),
    ]


def attached(server: Server, name: str) -> None:
    """Attach to a session's job until its screen begins to come, and leave."""
    with server.session(name).jobs()[0].attach(mode="watch") as link:
        link.detach()


def many(one: Hawse, count: int) -> list[Figure]:
    """`count` sessions with one idle job each."""
    figures = []

    def told(what: str, began: float, *, each: bool = True) -> None:
        took = time.perf_counter() - began
        figures.append(Figure(SECTION_MANY, f"{what}, all", f"hawse, {count}", took, "s"))
        if each:
            figures.append(Figure(SECTION_MANY, f"{what}, each", f"hawse, {count}", took / count * 1000, "ms"))
        note(f"{count} sessions {what}: {took:.1f} s")

    with connect() as server:
        began = time.perf_counter()
        spec = job_spec(["sleep", "10000"], env={"PATH": os.environ["PATH"]}, cwd="/", tty=True)
        for at in range(count):
            server.create(f"many{at}", job=spec)
        told("created", began)
        began = time.perf_counter()
        for at in range(count):
            server.session(f"many{at}").jobs()[0].wait(30, until="started")
        told("seen started", began)
        began = time.perf_counter()
        assert len([1 for session in server.sessions() if session.name.startswith("many")]) == count
        told("listed", began, each=False)
        wall, cpu = timed(one.command("ls"), one.environment)
        figures.append(Figure(SECTION_MANY, "hawse ls, wall", f"hawse, {count}", wall * 1000, "ms"))
        figures.append(Figure(SECTION_MANY, "hawse ls, CPU", f"hawse, {count}", cpu * 1000, "ms"))
        began = time.perf_counter()
        for at in range(count):
            attached(server, f"many{at}")
        told("attached and left", began)
        began = time.perf_counter()
        for at in range(count):
            server.session(f"many{at}").end(grace_s=0)
        deadline = time.monotonic() + 300
        while any(session.name.startswith("many") for session in server.sessions()):
            if time.monotonic() > deadline:
                raise TimeoutError("sessions do not end")
            time.sleep(0.05)
        told("ended", began)
    return figures


def measured(place: Path, *, rounds: int, count: int) -> list[Figure]:
    """All of it, with a coordinator of its own."""
    one = Hawse(place)
    os.environ.update({name: value for name, value in one.environment.items() if name.startswith("HAWSE_")})
    try:
        one.run([*one.command("new", "-d", "bench"), "--", "sleep", "10000"])
        figures = command_line(one, rounds)
        return figures + many(one, count)
    finally:
        one.close()


def main() -> None:
    """Print the figures."""
    end_in_order()
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, default=1000, help="sessions")
    options.add_argument("--rounds", type=int, default=15)
    asked = options.parse_args()
    if asked.quick:
        asked.count, asked.rounds = 20, 3
    place = Path(tempfile.mkdtemp(prefix="hb-"))
    try:
        show(measured(place, rounds=asked.rounds, count=asked.count), as_json=asked.json)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
