"""Logs that runners of other users wrote, read by the coordinator by way of its own links (adapters/launch/as_user.py).

A job's link leads into its owner's folder, and everything in there is his to change at any moment. So the way is gone
step by step, by descriptors: the owner's folder, which root made; in it the job's; in it the log's; each must be a
folder, no link, and the owner's own. The reader then opens only plain files of that same owner (runner/log_file.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from hawse.adapters.log.files import LogFiles
from hawse.domain.errors import NotFound, Unavailable

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OwnersLogFiles(LogFiles):
    """The port `LogReader`. jobs: our folder of links."""

    @contextmanager
    def _opened(self, job: str) -> Iterator[str]:
        try:
            target = os.readlink(f"{self._jobs}/{job}")
        except OSError:
            raise NotFound(f"job {job} has no log", noun="log") from None
        home, name = os.path.split(target)
        held: list[int] = []
        try:
            for step in (home, name, "log"):
                held.append(os.open(step, _FLAGS, dir_fd=held[-1] if held else None))
                found = os.fstat(held[-1])
                if not stat.S_ISDIR(found.st_mode) or str(found.st_uid) != os.path.basename(home):
                    raise Unavailable(f"the log of job {job} is not its owner's any more")
            yield f"/proc/self/fd/{held[-1]}"
        except FileNotFoundError:
            raise NotFound(f"job {job} has no log", noun="log") from None
        except OSError as error:
            raise Unavailable(f"the log of job {job} can't be read: {error.strerror}") from error
        finally:
            for descriptor in held:
                os.close(descriptor)
