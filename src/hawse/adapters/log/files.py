"""Logs as the runners of this machine write them: segment files below the state folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hawse.domain.errors import NotFound, Unavailable
from hawse.ports.log import Moment, Piece, Screen, Timing
from hawse.runner import timing
from hawse.runner.reader import LogReader
from hawse.runner.restore import restore_from


class LogFiles:
    """The port `LogReader`, for jobs/<job id>/log. Each call opens and closes what it needs."""

    def __init__(self, jobs: str) -> None:
        self._jobs = jobs

    def read(self, job: str, *, offset: int, bytes_max: int) -> Piece:
        try:
            with self._opened(job) as folder, LogReader(folder) as reader:
                found = reader.read(offset, bytes_max=bytes_max)
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error
        return Piece(
            data=found.data,
            first=found.first,
            next=found.next,
            end=found.end,
            damaged=tuple(found.damaged),
            spans=tuple(found.spans),
            unverified=tuple(found.unverified),
            recorded=found.recorded,
        )

    def offset_at(self, job: str, time: float) -> int:
        try:
            with self._opened(job) as folder, LogReader(folder) as reader:
                return reader.offset_at(int(time * 1_000_000_000))
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error

    def offset_of_tail(self, job: str, lines: int) -> int:
        try:
            with self._opened(job) as folder, LogReader(folder) as reader:
                return reader.offset_of_tail(lines)
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error

    def timing(self, job: str, *, offset: int, skip: int, limit: int) -> Timing:
        try:
            with self._opened(job) as folder:
                found = timing.timing(folder, offset, skip=skip, limit=limit)
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error
        return Timing(tuple(map(_moment, found.moments)), found.next, found.skip, found.end)

    def screen(self, job: str, *, offset: int) -> Screen:
        try:
            with self._opened(job) as folder:
                found = restore_from(folder, offset)
                columns, rows = timing.size_at(folder, found.offset)
                with LogReader(folder) as reader:
                    end = reader.end()
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error
        return Screen(found.data, found.offset, end, columns, rows)

    @contextmanager
    def _opened(self, job: str) -> Iterator[str]:
        """The log's folder, for as long as the block lasts. Raises NotFound."""
        folder = f"{self._jobs}/{job}/log"
        if not os.path.isdir(folder):
            raise NotFound(f"job {job} has no log", noun="log")
        yield folder


def _moment(found: timing.Moment) -> Moment:
    columns, rows = (found.value >> 16, found.value & 0xFFFF) if found.kind == timing.RESIZE else (0, 0)
    return Moment(
        kind=found.kind,
        offset=found.offset,
        time=found.time_ns / 1_000_000_000,
        length=found.length,
        source=found.value if found.kind == timing.OUTPUT else 0,
        columns=columns,
        rows=rows,
        attempt=found.value if found.kind == timing.ATTEMPT else 0,
        cause=found.cause,
    )
