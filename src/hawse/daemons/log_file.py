"""The coordinator's log: one JSON object per line, bounded by size, gathered so that a busy coordinator writes seldom.

A disk that is full loses log lines, counts them, and says so when there is room again; it never stops the coordinator.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping

import msgspec

BYTES_MAX = 8 * 1024 * 1024
FILES_KEPT = 2  # older ones: coordinator.log.1, .2
GATHER_S = 0.2
GATHER_BYTES = 64 * 1024
CONCERNS = ("session", "job", "request")  # of a line: who gives them with `extra` finds them beside the text
_encode = msgspec.json.Encoder(enc_hook=str).encode


class LogFile(logging.Handler):
    """Takes the lines of requests (`write`) and of `logging`. foreground: say the latter on stderr too."""

    def __init__(self, path: str, *, foreground: bool = False, bytes_max: int | None = None) -> None:
        super().__init__()
        self._bytes_max = BYTES_MAX if bytes_max is None else bytes_max
        self._path = path
        self._foreground = foreground
        self._lines: list[bytes] = []
        self._size = 0
        self._lost = 0
        self._timer: asyncio.TimerHandle | None = None
        self._file = self._opened()
        self._is_stderr = _is_same(self._file, 2)  # or whoever starts us sends it here

    def write(self, line: Mapping[str, object]) -> None:
        """Append one object; `time` is added."""
        data = _encode({"time": round(time.time(), 3), **line})
        self._lines.append(data)
        self._size += len(data)
        if self._size >= GATHER_BYTES:
            self.flush()
        elif self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.flush)
            except RuntimeError:
                self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, object] = {
            "kind": "message",
            "level": record.levelname.lower(),
            "from": record.name,
            "text": record.getMessage(),
        }
        for name in CONCERNS:
            if value := getattr(record, name, None):
                line[name] = value
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        if self._foreground:
            print(f"{line['level']}: {line['text']}", line.get("traceback", ""), file=sys.stderr)
        self.write(line)

    def flush(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._lines or self._file < 0:
            return
        count, lines, self._lines, self._size = len(self._lines), self._lines, [], 0
        if self._lost:
            lines.insert(0, _encode({"time": round(time.time(), 3), "kind": "lost", "lines": self._lost}))
        data = b"\n".join(lines) + b"\n"
        try:
            if os.fstat(self._file).st_size + len(data) > self._bytes_max:
                self._rotate()
                told = {"time": round(time.time(), 3), "kind": "rotated", "older": f"{self._path}.1"}
                data = _encode(told) + b"\n" + data
            os.write(self._file, data)
            self._lost = 0
        except OSError:
            self._lost += count

    def reopen(self) -> None:
        """Go on in a new file: somebody moved the old one away (logrotate). Its last lines are in the old one."""
        self.flush()
        try:
            fresh = self._opened()
        except OSError:
            return  # no room for a new one: the old one has to do
        os.close(self._file)
        self._file = fresh
        if self._is_stderr:
            self.take_stderr()

    def take_stderr(self) -> None:
        """From now on our stdout and stderr go to the file, too: what the interpreter itself says when it breaks."""
        os.dup2(self._file, 1)
        os.dup2(self._file, 2)
        self._is_stderr = True

    def close(self) -> None:
        """Flush and close; safe to call twice."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        super().close()

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _rotate(self) -> None:
        for number in range(FILES_KEPT, 0, -1):
            older = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(older):
                os.replace(older, f"{self._path}.{number}")
        fresh = self._opened()
        os.close(self._file)
        self._file = fresh
        if self._is_stderr:
            self.take_stderr()


def _is_same(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False
