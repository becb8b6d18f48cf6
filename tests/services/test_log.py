"""Reading logs: where one begins, and what is said when there is none."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.services.conftest import ME, spec

from hawse.adapters.clock import SystemClock
from hawse.domain import job as jobs
from hawse.domain.errors import Invalid, NotFound
from hawse.domain.job import Job, Outcome, OutcomeKind
from hawse.ports.log import Piece, Screen, Timing
from hawse.services import log as log_verbs
from hawse.services import session as session_verbs
from hawse.services.session import NewSession
from hawse.services.world import World
from hawse.testing.memory_store import MemoryStore


class Gone:
    """No job has a log: nothing was printed yet, or its files were removed."""

    def read(self, job: str, *, offset: int, bytes_max: int) -> Piece:
        raise NotFound("no log")

    def offset_at(self, job: str, time: float) -> int:
        raise NotFound("no log")

    def offset_of_tail(self, job: str, lines: int) -> int:
        raise NotFound("no log")

    def timing(self, job: str, *, offset: int, skip: int, limit: int) -> Timing:
        raise NotFound("no log")

    def screen(self, job: str, *, offset: int) -> Screen:
        raise NotFound("no log")


def in_world(test: Callable[[World], Awaitable[None]]) -> None:
    """Nothing is started here, and reading a file takes a thread: real time, no reconciler."""

    async def main() -> None:
        clock = SystemClock()
        world = World(MemoryStore(clock), None, clock, Gone())  # type: ignore[arg-type]
        await session_verbs.create(world, ME, NewSession(alias="a", job=spec(name="j")))
        await test(world)

    asyncio.run(main())


@pytest.mark.requirement("S3.4")
@pytest.mark.parametrize("start", [{}, {"offset": 0}, {"since": 5.0}, {"tail": 3}])
def test_a_job_that_printed_nothing_has_an_empty_log(start) -> None:
    async def test(world: World) -> None:
        job, piece = await log_verbs.read(world, ME, "a", "j", **start)
        assert job.log_end is None
        assert (piece.data, piece.first, piece.next, piece.end, piece.damaged) == (b"", 0, 0, 0, ())

    in_world(test)


def test_a_log_that_is_gone_is_told() -> None:
    async def test(world: World) -> None:
        job, _ = await log_verbs.read(world, ME, "a", "j")

        def printed(unit) -> None:
            before = unit.job(job.id)
            unit.change(before, replace(before, log_end=500), kind="job.started", by="test")

        await world.store.write(printed)
        _, piece = await log_verbs.read(world, ME, "a", "j", offset=100)
        assert (piece.data, piece.next, piece.end, piece.damaged) == (b"", 500, 500, ((100, 400, "missing"),))
        _, piece = await log_verbs.read(world, ME, "a", "j", offset=500)
        assert (piece.next, piece.end, piece.damaged) == (500, 500, ())
        with pytest.raises(Invalid, match="501 is beyond the end of the log, which has 500 bytes"):
            await log_verbs.read(world, ME, "a", "j", offset=501)
        _, timed = await log_verbs.timing(world, ME, "a", "j", offset=100, limit=10)
        assert [(m.kind, m.offset, m.length, m.cause) for m in timed.moments] == [("gap", 100, 400, "missing")]
        assert (timed.next, timed.skip, timed.end) == (500, 0, 500)
        _, timed = await log_verbs.timing(world, ME, "a", "j", offset=500, limit=10)
        assert timed.moments == ()
        _, shown = await log_verbs.screen(world, ME, "a", "j", offset=100)
        assert (shown.data, shown.next, shown.end) == (b"", 100, 500)

    in_world(test)


def job(**fields) -> Job:
    made, _ = jobs.created(id="j", session="s", name="j", command=("x",), tty=False, now=1.0, incarnation="0" * 32)
    return replace(made, **fields)


EXITED, LOST = Outcome(OutcomeKind.EXITED, code=0), Outcome(OutcomeKind.LOST, cause="killed")


@pytest.mark.parametrize(
    ("job", "damaged"),
    [
        (job(state=jobs.S.RUNNING), ()),  # its last moments have no checksums yet
        (job(state=jobs.S.ENDED, outcome=LOST), ()),
        (job(state=jobs.S.ENDED, outcome=EXITED, log_end=10), ((5, 5, "unverified"),)),
        (job(state=jobs.S.ENDED, outcome=EXITED, log_end=30), ((5, 5, "unverified"), (10, 20, "missing"))),
    ],
)
def test_what_a_log_lacks_is_told_by_its_job(job, damaged) -> None:
    piece = log_verbs.with_its_doubts(job, Piece(b"x" * 10, 0, 10, 10, unverified=((5, 5),)))
    assert piece.damaged == damaged
    assert piece.next == piece.end == max(10, job.log_end or 0)


def test_bytes_without_a_checksum_before_others_are_always_told() -> None:
    doubted = Piece(b"x" * 10, 0, 10, 20, unverified=((0, 5), (8, 2)), recorded=8)
    piece = log_verbs.with_its_doubts(job(state=jobs.S.RUNNING), doubted)
    assert (piece.damaged, piece.next, piece.end) == (((0, 5, "unverified"),), 10, 20)


@pytest.mark.parametrize(
    "wrong", [{"offset": -1}, {"since": -1.0}, {"tail": -1}, {"offset": 1, "tail": 1}, {"bytes_max": 0}]
)
def test_wrong_places_are_refused(wrong) -> None:
    async def test(world: World) -> None:
        with pytest.raises(Invalid):
            await log_verbs.read(world, ME, "a", None, **wrong)

    in_world(test)


@pytest.mark.parametrize(
    ("data", "lines", "shown"),
    [
        (b"a\nb\nc\n", 2, b"a\nb\n"),
        (b"a\nb\n", 2, b"a\nb\n"),
        (b"a\nb", 2, b"a\nb"),
        (b"a\n", 0, b""),
        (b"", 3, b""),
    ],
)
def test_a_tail_ends_where_it_ended_when_it_was_looked_for(data, lines, shown) -> None:
    """A line that is printed between the look and the reading is not one of the last N."""
    piece = Piece(data, 10, 10 + len(data), 10 + len(data), spans=((10, 1, 1), (11, len(data), 2)) if data else ())
    cut = log_verbs.of_lines(piece, lines)
    assert cut.data == shown
    assert cut.next == cut.end == 10 + len(shown)
    assert sum(length for _, length, _ in cut.spans) >= len(shown)


def test_lines_are_cut_behind_a_hole() -> None:
    piece = Piece(b"a\nb\n", 0, 14, 20, damaged=((2, 10, "checksum"),), spans=((0, 2, 1), (12, 2, 1)))
    assert log_verbs.of_lines(piece, 1) == Piece(b"a\n", 0, 2, 2, spans=((0, 2, 1),))
    assert log_verbs.of_lines(piece, 2) == piece
