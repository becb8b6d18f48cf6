"""Does the terminal's foreground program wait for somebody to type? One look, from what the kernel shows.

A program waits when one of its threads sleeps in a read of the terminal, or in a poll, select or epoll that the
terminal's input would wake. That is the state of a system call (/proc/PID/task/TID/syscall), its arguments are in the
program's memory, and both may be read by who may trace it: its parent's ancestors are among those under Yama's mode 1.
A program of another user (sudo, su) shows nothing of this; but who asks for a password turns the echo off and leaves
lines on, and that is the terminal's own state, which we hold.

Sources: proc(5), "syscall"; poll(2), select(2), epoll(7); termios(3); the numbers of system calls: asm/unistd_64.h and
asm-generic/unistd.h of Linux 6.1.
"""

from __future__ import annotations

import os
import struct
import termios

from hawse.runner import kin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ, POLL, SELECT, EPOLL = "read", "poll", "select", "epoll"
NUMBERS: dict[str, dict[int, str]] = {
    "x86_64": {
        0: READ, 7: POLL, 19: READ, 23: SELECT, 232: EPOLL, 270: SELECT, 271: POLL, 281: EPOLL, 441: EPOLL,
    },
    "aarch64": {22: EPOLL, 63: READ, 65: READ, 72: SELECT, 73: POLL, 441: EPOLL},
}  # fmt: skip
NUMBERS["riscv64"] = NUMBERS["aarch64"]  # both have the generic table
POLL_INPUT = 0x41  # POLLIN | POLLRDNORM
EPOLL_INPUT = 0x41
FDS_MAX = 1024  # looked at in one call; a program that waits for more is no program at a terminal
TASKS_MAX = 256  # threads looked at, of all processes in the foreground
ANY_TTY = os.makedev(5, 0)  # /dev/tty: the controlling terminal, whichever that is
COMMAND_BYTES_MAX = 200


class Moving(Exception):
    """A thread of the foreground was running at the moment: look again a little later."""


def reader(terminal: int, slave: int) -> tuple[int, str] | None:
    """pid and command of the foreground program that waits for input; None: none does, as far as can be seen.

    terminal, slave: descriptors of the pty's two ends. Raises Moving.
    """
    try:
        group = os.tcgetpgrp(terminal)
        device = os.fstat(slave).st_rdev
        modes = termios.tcgetattr(slave)[3]
    except (OSError, termios.error):
        return None
    members = [one for one in kin.everybody().values() if one.group == group]
    if modes & termios.ICANON and not modes & termios.ECHO and members:
        return _told(min(one.pid for one in members))
    moving, left = False, TASKS_MAX
    for one in sorted(members, key=lambda one: one.pid):
        for thread in kin.threads(one.pid):
            left -= 1
            if left < 0:
                return None
            state = _call(one.pid, thread)
            if state is None:
                moving = moving or one.state in ("R", "D")
            elif _waits(one.pid, *state, device):
                return _told(one.pid)
    if moving:
        raise Moving
    return None


def _told(pid: int) -> tuple[int, str]:
    return pid, kin.command(pid)[:COMMAND_BYTES_MAX]


def _call(pid: int, thread: str) -> tuple[str, list[int]] | None:
    """The call that a thread sleeps in, and its arguments; None: it runs, sleeps otherwise, or may not be looked at."""
    try:
        with open(f"/proc/{pid}/task/{thread}/syscall", "rb") as file:
            words = file.read(400).split()
        number = int(words[0])
        arguments = [int(word, 16) for word in words[1:7]]
    except (OSError, ValueError, IndexError):
        return None
    kind = NUMBERS.get(os.uname().machine, {}).get(number)
    return ("", []) if kind is None else (kind, arguments)


def _waits(pid: int, kind: str, arguments: list[int], device: int) -> bool:
    looks: dict[str, Callable[[int, list[int]], Iterator[int]]] = {
        READ: _read, POLL: _poll, SELECT: _select, EPOLL: _epoll,
    }  # fmt: skip
    look = looks.get(kind)
    if look is None:
        return False
    try:
        return any(_is_terminal(pid, fd, device) for fd in look(pid, arguments))
    except (OSError, ValueError, struct.error):
        return False  # it went on, or its memory may not be read


def _is_terminal(pid: int, fd: int, device: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}/fd/{fd}").st_rdev in (device, ANY_TTY)
    except OSError:
        return False


def _read(_pid: int, arguments: list[int]) -> Iterator[int]:
    yield arguments[0]


def _poll(pid: int, arguments: list[int]) -> Iterator[int]:
    count = min(arguments[1], FDS_MAX)
    for fd, events, _ in struct.iter_unpack("ihh", _memory(pid, arguments[0], 8 * count)):
        if events & POLL_INPUT:
            yield fd


def _select(pid: int, arguments: list[int]) -> Iterator[int]:
    count, address = min(arguments[0], FDS_MAX), arguments[1]
    if not address:
        return
    size = (count + 63) // 64 * 8
    bits = int.from_bytes(_memory(pid, address, size), "little")
    yield from (fd for fd in range(count) if bits >> fd & 1)


def _epoll(pid: int, arguments: list[int]) -> Iterator[int]:
    """Source: proc(5), fdinfo of an epoll descriptor: `tfd: 0 events: 19 data: ...`."""
    with open(f"/proc/{pid}/fdinfo/{arguments[0]}", "rb") as file:
        lines = file.read(64 * 1024).splitlines()
    for line in lines[:FDS_MAX]:
        words = line.split()
        if len(words) >= 4 and words[0] == b"tfd:" and int(words[3], 16) & EPOLL_INPUT:
            yield int(words[1])


def _memory(pid: int, address: int, size: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(address)
        return file.read(size)
