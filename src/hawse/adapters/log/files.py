"""Logs as the runners of this machine write them: segment files below the state folder."""

from __future__ import annotations

import os

from hawse.domain.errors import NotFound, Unavailable
from hawse.ports.log import Piece
from hawse.runner.reader import LogReader


class LogFiles:
    """The port `LogReader`, for jobs/<job id>/log. Each call opens and closes what it needs."""

    def __init__(self, jobs: str) -> None:
        self._jobs = jobs

    def read(self, job: str, *, offset: int, bytes_max: int) -> Piece:
        try:
            with LogReader(self._folder(job)) as reader:
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
            with LogReader(self._folder(job)) as reader:
                return reader.offset_at(int(time * 1_000_000_000))
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error

    def offset_of_tail(self, job: str, lines: int) -> int:
        try:
            with LogReader(self._folder(job)) as reader:
                return reader.offset_of_tail(lines)
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error

    def _folder(self, job: str) -> str:
        folder = f"{self._jobs}/{job}/log"
        if not os.path.isdir(folder):
            raise NotFound(f"job {job} has no log", noun="log")
        return folder
