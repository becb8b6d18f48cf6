"""The file that runners and their parent complain into, kept within a bound.

All of them hold it open for as long as they live, so it is never replaced: what is there is copied to `.1`, and the
file is cut to nothing. They append (O_APPEND), so each goes on at the new beginning. A line that is written between the
copy and the cut is lost; they write only when something of ours broke.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

BYTES_MAX = 4 * 1024 * 1024


def keep_within(path: str, bytes_max: int = BYTES_MAX) -> bool:
    """Begin anew when it is larger than this, and say so in it. True: it did. Never raises: a log matters less."""
    try:
        if os.stat(path, follow_symlinks=False).st_size <= bytes_max:
            return False
        shutil.copyfile(path, f"{path}.part", follow_symlinks=False)
        os.chmod(f"{path}.part", 0o600)
        os.replace(f"{path}.part", f"{path}.1")
        os.truncate(path, 0)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"hawse: what was here before is in {path}.1\n")
    except OSError:
        with suppress(OSError):
            os.unlink(f"{path}.part")
        return False
    return True
