"""`hawse replay`."""

from __future__ import annotations

import os
import sys
import time

import click

from hawse.cli.options import Connection, Numbers, connected, target_argument
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hawse.cli.replay.player import Player
    from hawse.cli.replay.recording import Step
    from hawse.client.api import Job


@click.command()
@target_argument()
@click.option("--speed", type=Numbers(0.01, 1000), metavar="X", help="So many times as fast (default: 1).")
@click.option("--idle-max", type=Numbers(0), metavar="S", help="No pause is longer than S seconds.")
@click.option("--from", "from_", type=Numbers(0, whole=True), metavar="OFFSET", help="From this byte on.")
@click.option(
    "--since", metavar="CURSOR|TIME", help="From a byte (4096) or a time on: 10m, 2h, '2025-03-04 17:05', @1741107900."
)
@click.option(
    "--asciicast", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
    help="Write it down for asciinema's players instead; - is stdout.",
)  # fmt: skip
@click.option(
    "--asciicast-version", type=click.Choice(("2", "3")), default="2", show_default=True, help="Of that format."
)
@connected()
def command(
    target: str,
    speed: float | None,
    idle_max: float | None,
    from_: int | None,
    since: str | None,
    asciicast: str | None,
    asciicast_version: str,
    connection: Connection,
) -> int:
    """Play what a job printed, at the pace at which it was printed; also after its end, or up to now while it runs.

    While it plays: space pauses, + and - change the speed, the right arrow skips 5 s, q quits. From the middle on
    (--from, --since) the screen is first brought to where it was. Into a pipe the bytes go at once, without their
    pauses, unless --speed or --idle-max asks for them. What is missing or damaged is told on stderr.

    \b
    hawse replay demo
    hawse replay demo/build --speed 4 --idle-max 2
    hawse replay demo --asciicast demo.cast
    """
    from hawse.cli.say import is_terminal
    from hawse.cli.target import job_at

    if from_ is not None and since is not None:
        raise Invalid("give only one of --from and --since")
    if asciicast is not None and speed is not None:
        raise Invalid("--speed is for playing; a file keeps its times", next_step="players have a speed of their own")
    job = job_at(connection.open(), target)
    begin = _begin(job, from_, since)
    try:
        if asciicast is not None:
            return _export(job, begin, asciicast, version=asciicast_version, idle_max=idle_max)
        shown = is_terminal(sys.stdout)
        if not shown and speed is None and idle_max is None:
            from hawse.cli.commands.logs import print_chunks

            return print_chunks(job.logs(begin))
        return _play(job, begin, speed=speed or 1.0, idle_max=idle_max, shown=shown)
    except KeyboardInterrupt:
        return 130


def _begin(job: Job, from_: int | None, since: str | None) -> int:
    """The offset to begin with. Raises Invalid."""
    if since is None:
        return from_ or 0
    from hawse.cli.commands.logs import since_of

    offset, time_s = since_of(since, time.time())
    if offset is not None:
        return offset
    piece = job.read(since=time_s, limit=1)
    return piece.chunks[0].offset if piece.chunks else piece.next


# -- playing ----------------------------------------------------------------------------------------------------------


def _play(job: Job, begin: int, *, speed: float, idle_max: float | None, shown: bool) -> int:
    from hawse.cli.replay.pace import Pace
    from hawse.cli.replay.player import INTERRUPTED, LEFT, Player, Stopped
    from hawse.cli.replay.recording import steps
    from hawse.cli.say import note
    from hawse.cli.target import label

    player = Player(name=label(job), speed=speed, pace=Pace(idle_max), is_terminal=shown, has_tty=job.info.tty)
    screen = b""
    if shown and begin and job.info.tty:
        before = job.screen(begin)
        screen, begin = before.data, before.next
        player.sized(before.columns, before.rows)
    player.offset = begin
    first, rest = _up_to_output(steps(job, begin))
    if not screen and not any(step.data or step.text for step in first):
        return _nothing(job)
    hint = _hint(player, first) if shown else ""
    told = player.too_small
    try:
        how = player.play(rest, screen=screen, hint=hint)
    except Stopped as stopped:
        return 128 + stopped.number
    except KeyboardInterrupt:
        how = INTERRUPTED
    if shown:
        _tell_end(job, player, is_left=how in (LEFT, INTERRUPTED))
        if player.too_small != told and player.too_small is not None:
            note(f"[part of it was recorded on a terminal of {player.too_small[0]}x{player.too_small[1]}]")
    if how == INTERRUPTED:
        return 130
    return 1 if player.problems else 0


def _up_to_output(steps: Iterator[Step]) -> tuple[list[Step], Iterable[Step]]:
    """The steps before the first output with it, and all steps."""
    from itertools import chain

    first = []
    for step in steps:
        first.append(step)
        if step.data:
            break
    return first, chain(first, steps)


def _hint(player: Player, first: list[Step]) -> str:
    """Say what is played, whether it fits, and which keys there are."""
    from hawse.cli.attach.tty import size
    from hawse.cli.replay.keys import HINT
    from hawse.cli.say import note
    from hawse.cli.words import moment

    for step in first:
        player.sized(step.columns, step.rows)
    at = next((step.time for step in first if step.time), None)
    hint = f"[replay of {player.name}, recorded {moment(at)}; {HINT}]"
    note(hint)
    if player.too_small:
        columns, rows = size(1)
        note(
            f"[recorded on a terminal of {player.too_small[0]}x{player.too_small[1]}; this one has {columns}x{rows}: "
            "the picture will not be right until the window is made larger]"
        )
    return hint


def _tell_end(job: Job, player: Player, *, is_left: bool) -> None:
    from hawse.cli.say import note
    from hawse.cli.words import duration, job_state

    for text in player.problems:
        note(f"hawse: {text}")
    if player.problems_more:
        note(f"hawse: and {player.problems_more} more such places")
    if is_left:
        at = f"{duration(player.pace.position)}"
        note(f"[left the replay at {at}; go on with: hawse replay {player.name} --from {player.offset}]")
    elif job.info.is_over:
        note(f"[end of the replay; {player.name}: {job_state(job.info)}]")
    else:
        note(f"[end of the replay as of now; {player.name} goes on: hawse attach {player.name}]")


def _nothing(job: Job) -> int:
    from hawse.cli.say import note
    from hawse.cli.target import label

    note(f"hawse: {label(job)} has printed nothing there")
    return 0


# -- writing it down --------------------------------------------------------------------------------------------------


def _export(job: Job, begin: int, path: str, *, version: str, idle_max: float | None) -> int:
    from hawse.cli.replay.cast import Header, lines
    from hawse.cli.replay.recording import steps
    from hawse.cli.say import note
    from hawse.cli.target import label
    from hawse.cli.words import command as words

    screen, size = b"", None
    if begin and job.info.tty:
        before = job.screen(begin)
        screen, begin = before.data, before.next
        size = (before.columns, before.rows) if before.columns else None
    outcome = job.info.outcome
    header = Header(
        title=label(job), command=words(job.info.command), has_tty=job.info.tty, idle_max=idle_max, screen=screen,
        size=size, exit_status=outcome.exit_code if job.info.is_over and outcome is not None else None,
    )  # fmt: skip
    problems = 0

    def told(every: Iterator[Step]) -> Iterator[Step]:
        nonlocal problems
        for step in every:
            if step.text:
                problems += 1
                note(f"hawse: {step.text}")
            yield step

    _written(path, lines(header, told(steps(job, begin)), version=version))
    return 1 if problems else 0


def _written(path: str, lines: Iterator[str]) -> None:
    """Write the lines: all of them, or no file. Raises Invalid."""
    if path == "-":
        for line in lines:
            sys.stdout.write(line)
        sys.stdout.flush()
        return
    try:
        with open(path, "x", encoding="utf-8") as file:
            try:
                file.writelines(lines)
            except BaseException:
                os.unlink(path)
                raise
    except FileExistsError as error:
        raise Invalid(f"{path} is there already", next_step="remove it, or give another name") from error
    except OSError as error:
        raise Invalid(f"{path} can't be written: {error.strerror}") from error
