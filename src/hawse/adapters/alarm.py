"""The kernel's timers on the time of day: they fire when it is that late, also after the machine slept, and they say
when somebody set the clock.

Theory of operation. asyncio's sleeps run on the monotonic clock, which knows nothing of a clock that is set, and stands
still while the machine sleeps. A timerfd on CLOCK_REALTIME with an absolute time fires when the time of day is there,
and with TFD_TIMER_CANCEL_ON_SET a read fails with ECANCELED as soon as the clock jumps. Source: timerfd_create(2).
One descriptor serves all waits: it is armed for the earliest, and whoever is woken looks at the clock himself.

Python has os.timerfd_create from 3.13 on; before, the same calls are made through ctypes. A program that was given
another clock than the kernel's (a preloaded library) is noticed, and must look by itself: see `agrees`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import weakref
from contextlib import suppress

CLOCK_REALTIME = 0
LIBC = "libc.so.6"  # by name, so that a preloaded library does not stand between us and the kernel
TFD_CLOEXEC, TFD_NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
DIFFERENCE_S_MAX = 0.5  # between two readings one after the other, on a machine that is busy
FAR_S = 4e9  # in the year 2096; the kernel counts to 9.2e9
_TICKS = 8  # bytes that a read gives


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """One timerfd and who waits on it, and one that shows the kernel's time. Closed when nobody refers to it."""

    def __init__(self, libc: ctypes.CDLL, fd: int, far_fd: int) -> None:
        self._libc = libc
        self._fd = fd
        self._far_fd = far_fd
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[asyncio.Future[None], float] = {}
        weakref.finalize(self, os.close, fd)
        weakref.finalize(self, os.close, far_fd)
        self._set(far_fd, FAR_S, TFD_TIMER_ABSTIME)

    @classmethod
    def made(cls) -> Alarm | None:
        """None where the C library has no timerfd, or no descriptor is left."""
        try:
            libc = ctypes.CDLL(LIBC)
            fd, far_fd = (libc.timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK) for _ in range(2))
        except (OSError, AttributeError):
            return None
        if far_fd < 0:
            if fd >= 0:
                os.close(fd)
            return None
        return cls(libc, fd, far_fd)

    def agrees(self, now: float) -> bool:
        """Is this the kernel's time of day? If not, the kernel can't know when this clock is set."""
        left = _Itimerspec()
        if self._libc.timerfd_gettime(self._far_fd, ctypes.byref(left)) != 0:
            return False
        kernel_now = FAR_S - left.value.seconds - left.value.nanoseconds / 1e9
        return bool(abs(kernel_now - now) <= DIFFERENCE_S_MAX)

    async def wait(self, time: float) -> None:
        """Return when it is this time (Unix seconds), or when the clock was set. If cancelled, nothing is left."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._waiting.clear()
            loop.add_reader(self._fd, self._fired)
            self._loop = loop
        future: asyncio.Future[None] = loop.create_future()
        self._waiting[future] = time
        self._arm(min(self._waiting.values()))
        try:
            await future
        finally:
            self._waiting.pop(future, None)

    def _arm(self, time: float) -> None:
        if not self._set(self._fd, min(time, FAR_S), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET):
            self._fired()  # nobody waits for a timer that is not set

    def _set(self, fd: int, time: float, flags: int) -> bool:
        seconds = max(0.000001, time)  # 0 would disarm it
        spec = _Itimerspec(_Timespec(0, 0), _Timespec(int(seconds), int(seconds % 1 * 1e9)))
        failed: int = self._libc.timerfd_settime(fd, flags, ctypes.byref(spec), None)
        return failed == 0

    def _fired(self) -> None:
        """The time of the earliest is there, or the clock was set: everybody looks. They are few."""
        with suppress(OSError):  # ECANCELED: set; EAGAIN: armed anew meanwhile
            os.read(self._fd, _TICKS)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
