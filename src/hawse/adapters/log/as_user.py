"""Logs that runners of other users wrote, read by the coordinator by way of its own links (adapters/launch/as_user.py).

The folder is entered by adapters/owners.py; in it the reader opens only plain files of that same owner
(runner/log_file.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hawse.adapters.log.files import LogFiles
from hawse.adapters.owners import owners_folder
from hawse.domain.errors import NotFound, Unavailable


class OwnersLogFiles(LogFiles):
    """The port `LogReader`. jobs: our folder of links."""

    @contextmanager
    def _opened(self, job: str) -> Iterator[str]:
        try:
            with owners_folder(self._jobs, job, "log") as folder:
                yield folder
        except FileNotFoundError:
            raise NotFound(f"job {job} has no log", noun="log") from None
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error
