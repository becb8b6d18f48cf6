"""The living job: its process, its input and output, its log's troubles. Control flow around the relay."""

from __future__ import annotations

import _thread
import errno
import os
import select
import signal

from hawse.runner import process
from hawse.runner.log import Log
from hawse.runner.loop import IN, OUT
from hawse.runner.reader import LogReader
from hawse.runner.relay import ENDED, REFUSED, Relay
from hawse.runner.restore import TAIL_BYTES, Restore, restore
from hawse.runner.screen import Tracker
from hawse.wire import terminal
from hawse.wire.errors import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hawse.runner.limits import Limits
    from hawse.runner.loop import Loop, Timer
    from hawse.runner.roster import Roster
    from hawse.wire.order import Order

SYNC_BACKLOG_MAX = 32  # closed segments that wait for their sync
END_OF_FILE = b"\x04"  # VEOF, what Ctrl-D types


class Job:
    """One main process with its log.

    told: called with (kind, fields) for reports. outputs_ended: called once, when nothing more will come.
    """

    def __init__(
        self, order: Order, loop: Loop, limits: Limits, log: Log, relay: Relay, *, told: Callable[..., None]
    ) -> None:
        self.order = order
        self.loop = loop
        self.limits = limits
        self.log = log
        self.relay = relay
        self.told = told
        self.roster: Roster | None = None
        self.process: process.Process | None = None
        self.outputs: dict[int, int] = {}
        self.outputs_ended: Callable[[], None] = _nothing
        self.size = order.tty or (0, 0)
        self.has_terminal = order.tty is not None
        self.takes_input = self.has_terminal or order.stdin == "open"
        self.log_state = "ok"
        self.tracker = Tracker(log.end)
        if self.has_terminal:
            log.seen = self.tracker.feed
            log.checkpoint = self.tracker.dump
        self._end_input = False
        self._paced = False
        self._pace_timer: Timer | None = None
        self._is_last = False
        self._index_timer: Timer | None = None
        self._sync_timer: Timer | None = None
        self._syncing = False
        self._sync_failed = 0

    # -- start --------------------------------------------------------------------------------------------------------

    def start(self, cgroup: str) -> process.Process:
        """Start the main process and watch its output. Raises process.StartFailed."""
        started = process.start(self.order, cgroup=cgroup)
        self.process = started
        self.relay.input_fd = started.input_fd
        self.outputs = dict(started.outputs)
        if self.has_terminal:
            self.log.note_resize(*self.size)
        self._watch_outputs()
        return started

    def _watch_outputs(self) -> None:
        for fd in self.outputs:
            self._watch(fd)

    def _watch(self, fd: int) -> None:
        input_too = OUT if fd == self.relay.input_fd and self.relay.typed else 0
        if self._paced or self.log_state == "blocked":
            if input_too:
                self.loop.watch(fd, OUT, self._ready)
            else:
                self.loop.forget(fd)  # a mask of nothing would still wake us up for a hangup
        else:
            self.loop.watch(fd, IN | input_too, self._ready_for[fd])
            self.loop.shortcut_output(fd, self.relay, self.outputs[fd])

    @property
    def _ready_for(self) -> dict[int, Callable[[int], None]]:
        return {fd: (lambda events, fd=fd: self._output(fd, events)) for fd in self.outputs}  # type: ignore[misc]

    # -- output -------------------------------------------------------------------------------------------------------

    def _output(self, fd: int, events: int) -> None:
        if events & OUT:
            self._type_on()
        if events & ~OUT:
            self.pump(fd)

    def _ready(self, events: int) -> None:
        self._type_on()

    def pump(self, fd: int) -> int:
        """One burst and what comes of it."""
        status = self.relay.pump(fd, self.outputs[fd])
        if self.relay.fallen and self.roster is not None:
            self.roster.settle()
        if self._index_timer is None:
            self._index_timer = self.loop.after(self.limits.index_s, self._index_due)
        elif self.log.end - self.log.indexed >= self.limits.index_bytes:
            self._index()
        if self.log.fault and self.log_state == "ok":
            self._log_failed()
        if status == ENDED:
            self._close_output(fd)
        elif status != REFUSED and self.roster is not None and self.roster.behind:
            self.roster.watch_slow()
            if not self._is_last and self.roster.must_pace():
                self._pace()
        self.relay.calm_until = self.log.indexed + int(self.limits.index_bytes)
        return status

    def _close_output(self, fd: int) -> None:
        self.loop.forget(fd)
        if fd == self.relay.input_fd:
            self.relay.input_fd = -1
            self.relay.typed.clear()
        del self.outputs[fd]
        os.close(fd)
        if not self.outputs:
            self.outputs_ended()

    def _pace(self) -> None:
        """Let the job wait a little for the one who watches it; never for long."""
        self._paced = True
        self._watch_outputs()
        if self._pace_timer is None:
            self._pace_timer = self.loop.after(self.limits.pace_s, self._pace_due)

    def _pace_due(self) -> None:
        """One that made progress lately may still be waited for; it tells nobody when it then stalls: look again."""
        self.unpace()
        self._pace_timer = self.loop.after(self.limits.pace_s, self._pace_due) if self._paced else None

    def unpace(self) -> None:
        """Go on reading, unless a controller still needs the pause."""
        if self._paced and self.roster is not None:
            if self.roster.must_pace() and not self._is_last:
                return
            self._paced = False
            self._watch_outputs()

    def pace_due(self) -> None:
        """Somebody caught up or left."""
        if self._paced:
            self.unpace()

    def last_output(self) -> None:
        """The job is dead: what it wrote is read to its end, and nobody is waited for any more."""
        self._is_last = True
        self.unpace()
        if self.process is not None and self.process.slave >= 0:
            os.close(self.process.slave)
            self.process.slave = -1

    @property
    def is_dry(self) -> bool:
        """Does nothing wait to be read from the job just now?"""
        waiting = select.poll()
        for fd in self.outputs:
            waiting.register(fd, select.POLLIN)
        return not waiting.poll(0)

    def give_up_output(self) -> None:
        """Stop waiting for output: somebody else holds the terminal open, or the disk stays full and a stop was
        asked."""
        if self.relay.kept:
            cause = f"stopped while the disk was full: the last {len(self.relay.kept)} bytes or more were not kept"
            self.relay.kept = b""
            self._tell_all(terminal.notice("gap", cause, offset=self.log.end))
            self.told("log", state="dropping", end=self.log.end, cause=cause)
        for fd in list(self.outputs):
            self._close_output(fd)

    # -- the log's passes ---------------------------------------------------------------------------------------------

    def _index_due(self) -> None:
        self._index_timer = None
        self.relay.calm_until = 0  # the next burst starts the timer again
        self._index()
        if self.log.indexed < self.log.end and not self.log.fault:
            self._index_timer = self.loop.after(self.limits.index_s, self._index_due)
        if self.log.closed_waiting > SYNC_BACKLOG_MAX:
            self._sync_closed()
        if self._sync_timer is None:
            self._sync_timer = self.loop.after(self.order.flush_s, self._sync_due)

    def close_log(self) -> None:
        """Write and sync what is left of the log. Raises OSError."""
        for timer in (self._index_timer, self._sync_timer):
            if timer is not None:
                timer.cancel()
        self.log.retry()
        self.log.close()

    def _index(self, *, final: bool = False) -> None:
        try:
            self.log.index(final=final)
        except OSError as error:
            self.told("log", state=self.log_state, end=self.log.end, cause=f"the index: {error.strerror}")

    def _sync_due(self) -> None:
        self._sync_timer = None
        if self._sync_failed:
            cause = os.strerror(self._sync_failed)
            self._sync_failed = 0
            self.told("log", state=self.log_state, end=self.log.end, cause=f"making it durable failed: {cause}")
        if self._syncing:
            self._sync_timer = self.loop.after(self.order.flush_s, self._sync_due)
            return
        try:
            to_sync, to_close = self.log.sync_targets()
        except OSError as error:  # no descriptor for it: told, and done a little later
            self._sync_failed = error.errno or errno.EIO
            self._sync_timer = self.loop.after(self.order.flush_s, self._sync_due)
            return
        self._syncing = True
        try:
            _thread.start_new_thread(self._sync, (to_sync, to_close))
        except RuntimeError:  # the user may have no more threads: then the disk sets the pace
            self._sync(to_sync, to_close)

    def _sync_closed(self) -> None:
        """More segments than descriptors should hold: the disk sets the pace, as it would a little later anyway."""
        try:
            self.log.sync()
        except OSError as error:
            self._sync_failed = error.errno or errno.EIO

    def _sync(self, to_sync: list[int], to_close: list[int]) -> None:
        """In a thread: fdatasync blocks for as long as the disk likes."""
        try:
            for fd in to_sync:
                os.fdatasync(fd)
        except OSError as error:
            self._sync_failed = error.errno or errno.EIO
        finally:
            for fd in to_close:
                os.close(fd)
            self._syncing = False

    # -- a disk that takes no more ------------------------------------------------------------------------------------

    def _log_failed(self) -> None:
        cause = os.strerror(self.log.fault)
        self.log_state = "blocked" if self.log.on_full == "block" else "dropping"
        self._watch_outputs()
        self._tell_all(self.log_notice())
        self.told("log", state=self.log_state, end=self.log.end, cause=cause)
        self.loop.after(self.limits.retry_s, self._retry)

    def _retry(self) -> None:
        if not self.outputs and not self.relay.kept:
            return
        if not self._is_log_well():
            self.loop.after(self.limits.retry_s, self._retry)
            return
        dropped = self.log.bytes_dropped
        self.log.bytes_dropped = 0
        self.log_state = "ok"
        detail = f"the log is kept again; {dropped} bytes were not" if dropped else "the log is written again"
        self._tell_all(terminal.notice("log_resumed", detail, end=self.log.end, dropped=dropped))
        self.told("log", state="ok", end=self.log.end, cause="", dropped=dropped)
        self._watch_outputs()

    def _is_log_well(self) -> bool:
        if not self.log.retry():
            return False
        if not self.relay.kept:
            return True
        kept, self.relay.kept = self.relay.kept, b""
        done = self.relay.forward(kept, self.relay.kept_source)
        if self.relay.fallen and self.roster is not None:
            self.roster.settle()
        return done

    def log_notice(self) -> bytes:
        """NOTICE of the log's trouble; empty when all is well."""
        if self.log_state == "ok":
            return b""
        is_blocked = self.log_state == "blocked"
        doing = (
            "the job waits until there is room" if is_blocked else "output is shown but not kept until there is room"
        )
        detail = f"the log cannot be written ({os.strerror(self.log.fault)}); {doing}"
        return terminal.notice("log_blocked" if is_blocked else "log_dropping", detail, end=self.log.end)

    def _tell_all(self, frame: bytes) -> None:
        if self.roster is not None:
            self.roster.tell(frame)

    # -- input --------------------------------------------------------------------------------------------------------

    def watch_input(self) -> None:
        """Typed bytes wait for the job to read."""
        fd = self.relay.input_fd
        if fd in self.outputs:
            self._watch(fd)
        elif fd >= 0:
            self.loop.watch(fd, OUT, self._ready)

    def _type_on(self) -> None:
        if self.relay.input_fd >= 0 and self.relay.type_on():
            fd = self.relay.input_fd
            if fd in self.outputs:
                self._watch(fd)
            else:
                self.loop.forget(fd)
            if self._end_input:
                self._close_input()
        if self.roster is not None and len(self.relay.typed) < self.limits.input_bytes_max // 2:
            self.roster.read_on()

    def end_input(self) -> None:
        """Close the job's input after what was typed; on a terminal type Ctrl-D."""
        if self.has_terminal:
            self.relay.type(END_OF_FILE)
        elif self.relay.typed:
            self._end_input = True
        else:
            self._close_input()

    def _close_input(self) -> None:
        fd, self.relay.input_fd = self.relay.input_fd, -1
        self.takes_input = False
        self.relay.typed.clear()
        if fd >= 0 and fd not in self.outputs:
            self.loop.forget(fd)
            os.close(fd)

    # -- terminal and signals -----------------------------------------------------------------------------------------

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the log remembers it."""
        if self.has_terminal and (columns, rows) != self.size and self.outputs and self.process is not None:
            self.size = (columns, rows)
            process.set_size(self.process.terminal, columns, rows)
            self._index(final=True)
            self.tracker.resized()
            self.log.note_resize(columns, rows)

    def fills(self, columns: int, rows: int) -> bool:
        """Does a program fill the terminal, which now gets smaller, and may something be drawn between its bytes?"""
        if not self.has_terminal or not self.outputs or (columns >= self.size[0] and rows >= self.size[1]):
            return False
        self._index(final=True)
        return self.tracker.state.fills_screen and self.tracker.boundary == self.log.end

    def redraw(self) -> None:
        """Make a full-screen program draw itself again: one row less, and back."""
        if self.has_terminal and self.outputs and self.process is not None:
            columns, rows = self.size
            process.set_size(self.process.terminal, columns, max(1, rows - 1) if rows > 1 else rows + 1)
            process.set_size(self.process.terminal, columns, rows)

    def signal_foreground(self, name: str) -> None:
        """A signal to what runs in the terminal's foreground, as Ctrl-C would; without a terminal to the main group."""
        number = signal_number(name)
        if self.process is None:
            return
        group = self.process.pid
        if self.has_terminal and self.outputs:
            try:
                group = os.tcgetpgrp(self.process.terminal) or group
            except OSError:
                pass
        self._signal_group(group, number)

    def signal_main(self, name: str) -> bool:
        """A signal to the main process's group. False: it is gone."""
        return self.process is not None and self._signal_group(self.process.pid, signal_number(name))

    def _signal_group(self, group: int, number: int) -> bool:
        try:
            os.killpg(group, number)
        except OSError:
            return False
        return True

    # -- newcomers ----------------------------------------------------------------------------------------------------

    def tail_start(self) -> int:
        """Where a newcomer who wants "the screen" of something without one begins: a line near the end."""
        log = self.log
        first = max(log.start, log.end - TAIL_BYTES)
        if first == log.start:
            return first
        data = os.pread(log.fd, 4096, first - log.start)
        return first + data.find(b"\n") + 1

    def restore(self) -> Restore:
        """What a newcomer's terminal is told first. Index and tracker are brought up to date for it."""
        if self.log.fd >= 0:
            self._index(final=True)
        with LogReader(self.log.directory) as reader:
            return restore(self.tracker, reader.read_all, first=reader.begin())


def signal_number(name: str) -> int:
    """The number of a signal by name, without or with SIG. Raises Malformed."""
    found = getattr(signal, f"SIG{name.upper().removeprefix('SIG')}", None)
    if not isinstance(found, signal.Signals):
        raise Malformed(f"there is no signal {name[:16]}")
    return int(found)


def _nothing() -> None:
    return None
