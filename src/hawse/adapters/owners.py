"""The way into a folder of a job's owner, who may change everything in it at any moment.

A job's link in the coordinator's own folder says where; from there it is gone step by step, by descriptors: the owner's
folder, which root made, then each folder in it. Each must be a folder, no link, and the owner's own.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def owners_folder(links: str, job: str, *steps: str) -> Iterator[str]:
    """A path that leads to this folder of the job's, whatever is renamed meanwhile, for as long as the block lasts.

    links: our folder of links. Raises OSError: FileNotFoundError, or it is not its owner's any more.
    """
    home, name = os.path.split(os.readlink(f"{links}/{job}"))
    held: list[int] = []
    try:
        for step in (home, name, *steps):
            held.append(os.open(step, _FLAGS, dir_fd=held[-1] if held else None))
            found = os.fstat(held[-1])
            if not stat.S_ISDIR(found.st_mode) or str(found.st_uid) != os.path.basename(home):
                raise OSError(errno.EPERM, "it is not its owner's any more", step)
        yield f"/proc/self/fd/{held[-1]}"
    finally:
        for descriptor in held:
            os.close(descriptor)
