"""Being told when a file is written by whomever: Linux's inotify, which Python's library lacks.

Source: inotify(7); IN_MODIFY 0x2, IN_NONBLOCK 0x800, IN_CLOEXEC 0x80000.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

_MODIFY, _NONBLOCK, _CLOEXEC = 0x2, 0x800, 0x80000
_EVENTS_BYTES = 4096  # writes to one file are one event until it is read


class FileWatch:
    """Calls back in the event loop after a file of this name was written; several writes may give one call."""

    def __init__(self, path: str, called: Callable[[], None]) -> None:
        """Raises OSError where the kernel has no room for another watch."""
        self._called = called
        self._loop = asyncio.get_running_loop()
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        if libc.inotify_add_watch(self._descriptor, os.fsencode(path), _MODIFY) < 0:
            number = ctypes.get_errno()
            os.close(self._descriptor)
            raise OSError(number, os.strerror(number), path)
        self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            if os.read(self._descriptor, _EVENTS_BYTES):
                self._called()

    def close(self) -> None:
        """Safe to call twice."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
