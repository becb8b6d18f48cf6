"""`hawse logs`."""

from __future__ import annotations

import os
import re
import sys
import time

import click

from hawse.cli.options import Connection, Numbers, connected, target_argument
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from hawse.client.api import Job
    from hawse.client.records import Chunk

_AGO = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DAY_S = 86400
OTHERS_MAX = 5  # jobs that are named beside the one that is shown


@click.command()
@target_argument(inside=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the job has ended.")
@click.option("--from", "from_", type=Numbers(0, whole=True), metavar="OFFSET", help="From this byte on.")
@click.option(
    "--since",
    metavar="CURSOR|TIME",
    help="From a byte (4096) or a time on: 10m, 2h30m, 17:05, '2025-03-04 17:05', 2025-03-04T17:05:06Z, @1741107900.",
)
@click.option("--tail", type=Numbers(0, whole=True), metavar="N", help="The last N lines; of those since, if given.")
@connected()
def command(
    target: str,
    follow: bool,
    from_: int | None,
    since: str | None,
    tail: int | None,
    connection: Connection,
) -> int:
    """Print what a job printed, byte for byte, also after its end. What is missing or damaged is told on stderr.

    With a session's name: its newest living job that has a terminal, else the newest living one, else the newest.

    \b
    hawse logs demo
    hawse logs demo/build -f --tail 20
    hawse logs demo --since 10m
    """
    from hawse.cli.target import job_at, split

    time_s: float | None = None
    if since is not None:
        if from_ is not None:
            raise Invalid("give only one of --from and --since")
        from_, time_s = since_of(since, time.time())
    job = job_at(connection.open(), target)
    if split(target)[1] is None:
        _tell_which(job)
    try:
        if tail is not None and (from_ is not None or time_s is not None):
            from_ = max(_first(job, from_, time_s, None), _first(job, None, None, tail))
            tail = time_s = None
        return print_chunks(job.logs(from_, follow=follow, tail=tail, since=time_s))
    except KeyboardInterrupt:
        return 130


def _tell_which(job: Job) -> None:
    """Of several jobs, which is shown: the choice is ours, and not everybody knows the rule."""
    from hawse.cli.say import note

    others = [info.name for info in job.session.info.jobs if info.id != job.id]
    if others:
        shown = ", ".join(others[-OTHERS_MAX:])
        more = f" and {len(others) - OTHERS_MAX} more" if len(others) > OTHERS_MAX else ""
        note(f"[{job.session.name}/{job.name}; other jobs: {shown}{more}]")


def _first(job: Job, from_: int | None, since: float | None, tail: int | None) -> int:
    """Where reading begins: an offset."""
    piece = job.read(from_, limit=1, since=since, tail=tail)
    return piece.chunks[0].offset if piece.chunks else piece.next


def print_chunks(chunks: Iterable[Chunk]) -> int:
    """Write them to stdout, and what is missing to stderr; the exit code."""
    from hawse.cli.say import note

    told = ""
    for chunk in chunks:
        if chunk.problem and chunk.problem != told:  # each piece of a long log without an index says the same
            told = chunk.problem
            note(f"hawse: {told}")
        data = chunk.data
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]
    return 1 if told else 0


def since_of(text: str, now: float) -> tuple[int | None, float | None]:
    """A cursor or a Unix time from what people write. Raises Invalid."""
    if text.isascii() and text.isdecimal():
        return int(text), None
    if text.startswith("@") and text[1:].replace(".", "", 1).isdecimal():
        return None, float(text[1:])
    if _AGO.fullmatch(text):
        parts = re.findall(r"([\d.]+)([smhd])", text)
        return None, max(0.0, now - sum(float(count) * _UNIT_S[unit] for count, unit in parts))
    from datetime import datetime

    try:
        if _CLOCK.fullmatch(text):
            then = datetime.fromisoformat(f"{datetime.fromtimestamp(now).date()} {text}").timestamp()
            return None, then if then <= now else then - DAY_S
        if "-" in text[1:]:
            return None, max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        pass
    raise Invalid(
        f"--since {text!r} is neither a byte offset nor a time",
        next_step="write 4096, 90s, 10m, 2h30m, 1d, 17:05, '2025-03-04 17:05:06', 2025-03-04T17:05:06Z or @SECONDS",
    )
