"""A job's log as steps in time: what was printed, sizes, attempts, and what is missing."""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from hawse.client.api import Job
    from hawse.client.records import Chunk

OUTPUT, RESIZE, GAP, ATTEMPT = "output", "resize", "gap", "attempt"


class Step:
    """One thing to show. time: Unix seconds, 0 when it is not known. offset: of its first byte in the log.

    text: of a gap, what to tell. columns, rows: of a resize. number: of an attempt.
    """

    __slots__ = ("columns", "data", "kind", "number", "offset", "rows", "text", "time")

    def __init__(
        self, kind: str, time: float, offset: int, *, data: bytes = b"", text: str = "", columns: int = 0,
        rows: int = 0, number: int = 0,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.time = time
        self.offset = offset
        self.data = data
        self.text = text
        self.columns = columns
        self.rows = rows
        self.number = number

    def __repr__(self) -> str:
        return f"Step({self.kind}, {self.time}, {self.offset}, {self.data[:20]!r}, {self.text!r})"


def steps(job: Job, from_: int = 0) -> Iterator[Step]:
    """From an offset on to the end as of now. At most a few pieces of the log are held at a time.

    An attempt is told when its number is another than before. Raises what reading raises.
    """
    log = _Bytes(job, from_)
    attempt = 0
    for moment in job.timing(from_):
        if moment.kind == RESIZE:
            yield Step(RESIZE, moment.time, moment.offset, columns=moment.columns, rows=moment.rows)
        elif moment.kind == ATTEMPT:
            if moment.attempt != attempt:
                attempt = moment.attempt
                yield Step(ATTEMPT, moment.time, moment.offset, number=attempt)
        else:
            for chunk in log.take(moment.offset, moment.length):
                if chunk.problem:
                    yield Step(GAP, moment.time, chunk.offset, text=chunk.problem)
                if chunk.data:
                    yield Step(OUTPUT, moment.time, chunk.offset, data=chunk.data)


class _Bytes:
    """The log's bytes, taken in order."""

    def __init__(self, job: Job, from_: int) -> None:
        self._job = job
        self._chunks: deque[Chunk] = deque()
        self._next = from_

    def take(self, offset: int, length: int) -> Iterator[Chunk]:
        """The chunks from an offset on, cut to the length; a hole is told once, where it begins."""
        from hawse.client.records import Chunk

        stop = offset + length
        while True:
            if not self._chunks:
                if self._next >= stop:
                    return
                piece = self._job.read(self._next)
                if piece.next <= self._next:
                    return
                self._chunks.extend(piece.chunks)
                self._next = piece.next
                continue
            chunk = self._chunks[0]
            if chunk.offset >= stop:
                return
            self._chunks.popleft()
            room = stop - chunk.offset
            if len(chunk.data) > room:
                self._chunks.appendleft(Chunk(stop, chunk.data[room:], chunk.source))
                chunk = Chunk(chunk.offset, chunk.data[:room], chunk.source, chunk.problem)
            yield chunk
