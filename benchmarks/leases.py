#!/usr/bin/env python3
"""Leases that end in the same second: how late each session is asked to end, and how late it has ended.

A coordinator of its own; sessions with one idle job each, or without jobs. The times are those of the events.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from contestants import Hawse
from figures import Figure, end_in_order, note, parser, percentile, show

from hawse.client._sync.server import Server
from hawse.client.api import connect
from hawse.client.spec import job_spec

SECTION = "Leases that end in the same second"
ROOM_S = 0.1  # to create one session, on a machine that is busy
WAIT_S_MAX = 300.0


def lags(server: Server, names: list[str], until: float) -> tuple[list[float], list[float]]:
    """How many seconds after its lease each session was asked to end, and had ended."""
    asked, ended = [], []
    deadline = time.monotonic() + WAIT_S_MAX
    for name in names:
        session = server.session(name)
        while not session.info.is_over:
            if time.monotonic() > deadline:
                raise TimeoutError("sessions do not end")
            time.sleep(0.05)
            session.refresh()
        asked += [event.time - until for event in session.events() if event.kind == "session.end_asked"]
        ended.append((session.info.ended_at or 0.0) - until)
    return asked, ended


def at_once(count: int, *, with_jobs: bool) -> list[Figure]:
    """`count` leases that end together."""
    spec = job_spec(["sleep", "10000"], env={"PATH": os.environ["PATH"]}, cwd="/") if with_jobs else None
    what = "with a job" if with_jobs else "without jobs"
    with connect() as server:
        until = time.time() + 5 + count * ROOM_S
        names = [f"{'job' if with_jobs else 'bare'}{number}" for number in range(count)]
        for name in names:
            server.create(name, job=spec, lease="until", lease_until=until, policies={"lease_warnings_s": []})
        left_s = until - time.time()
        note(f"{count} sessions {what}: {left_s:.0f} s to go")
        if left_s < 1:
            raise TimeoutError("the sessions were not created in time")
        time.sleep(left_s)
        asked, ended = lags(server, names, until)
    if min(asked) < 0:
        raise AssertionError("a lease ended early")
    who = f"hawse, {count}"
    p99_ms = percentile(asked, 0.99) * 1000
    return [
        Figure(SECTION, f"{what}: asked to end, p50", who, percentile(asked, 0.5) * 1000, "ms late"),
        Figure(SECTION, f"{what}: asked to end, p99", who, p99_ms, "ms late", goal="< 1 s", met=p99_ms < 1000),
        Figure(SECTION, f"{what}: has ended, p99", who, percentile(ended, 0.99) * 1000, "ms late"),
    ]


def main() -> None:
    """Print the figures."""
    end_in_order()
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, default=1000, help="sessions")
    asked = options.parse_args()
    count = 20 if asked.quick else asked.count
    place = Path(tempfile.mkdtemp(prefix="hb-"))
    one = Hawse(place)
    os.environ.update({name: value for name, value in one.environment.items() if name.startswith("HAWSE_")})
    try:
        one.run(one.command("ls"))
        figures = at_once(count, with_jobs=False) + at_once(count, with_jobs=True)
        show(figures, as_json=asked.json)
    finally:
        one.close()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
