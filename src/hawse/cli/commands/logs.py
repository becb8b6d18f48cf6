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

    from hawse.client.records import Chunk

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOMENTS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


@click.command()
@target_argument()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the job has ended.")
@click.option("--from", "from_", type=Numbers(0, whole=True), metavar="OFFSET", help="From this byte on.")
@click.option(
    "--since", metavar="CURSOR|TIME", help="From a byte (4096) or a time on: 10m, 2h, '2025-03-04 17:05', @1741107900."
)
@click.option("--tail", type=Numbers(0, whole=True), metavar="N", help="The last N lines.")
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

    \b
    hawse logs demo
    hawse logs demo/build -f --tail 20
    hawse logs demo --since 10m
    """
    from hawse.cli.target import job_at

    time_s: float | None = None
    if since is not None:
        if from_ is not None:
            raise Invalid("give only one of --from and --since")
        from_, time_s = since_of(since, time.time())
    if sum(value is not None for value in (from_, time_s, tail)) > 1:
        raise Invalid("give only one of --from, --since and --tail")
    job = job_at(connection.open(), target)
    try:
        return _print(job.logs(from_, follow=follow, tail=tail, since=time_s))
    except KeyboardInterrupt:
        return 130


def _print(chunks: Iterable[Chunk]) -> int:
    from hawse.cli.say import note

    damaged = False
    for chunk in chunks:
        if chunk.problem:
            damaged = True
            note(f"hawse: {chunk.problem}")
        data = chunk.data
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]
    return 1 if damaged else 0


def since_of(text: str, now: float) -> tuple[int | None, float | None]:
    """A cursor or a Unix time from what people write. Raises Invalid."""
    if text.isascii() and text.isdecimal():
        return int(text), None
    if text.startswith("@"):
        try:
            return None, float(text[1:])
        except ValueError:
            pass
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return None, max(0.0, now - float(ago[1]) * _UNIT_S[ago[2]])
    for form in _MOMENTS:
        try:
            return None, time.mktime(time.strptime(text, form))
        except (ValueError, OverflowError):
            pass
    raise Invalid(
        f"--since {text!r} is neither a byte offset nor a time",
        next_step="write 4096, 90s, 10m, 2h, 1d, '2025-03-04 17:05:06' or @SECONDS",
    )
