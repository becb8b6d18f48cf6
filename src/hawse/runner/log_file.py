"""Opening a file of a log or of a claim to read it, where its folder may belong to somebody who wishes us harm.

On a site's service the coordinator reads what runners of other users wrote. Such a user may put anything into his own
folder: a symbolic link to a file of ours or of another user, a hard link, a pipe that blocks who opens it.
"""

from __future__ import annotations

import errno
import os
import stat


def opened(path: str) -> int:
    """A plain file, in a folder of its owner's; its descriptor. Raises OSError: it is absent, or it is not that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.stat(os.path.dirname(path)).st_uid:
            raise OSError(errno.EPERM, "it is not a plain file of its folder's owner", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
