"""Showing a job: link, show, decide, link again, until it has ended or the user leaves.

The view owns the conversation with the coordinator (tickets) and the rare events; the pump moves the bytes. A link that
breaks without EXIT or DETACH is mended with a new ticket at the next byte. Nothing here ever ends the work.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import time

from hawse.cli.attach import pump as pumps
from hawse.cli.attach.engine import Pump
from hawse.cli.attach.keys import Keys, help_line, key_name
from hawse.cli.attach.modes import KEEP_TITLE, TITLE_BACK, Modes
from hawse.cli.attach.tty import Terminal, scrolled_away, size
from hawse.cli.attach.wake import Stuck, Wake
from hawse.cli.words import size as byte_size
from hawse.client._sync.way import to_runner
from hawse.client.link import LinkAbsent, LinkBroken
from hawse.client.link_sync import Link
from hawse.client.records import Outcome
from hawse.domain.errors import Broken, Problem, Unavailable
from hawse.wire import terminal
from hawse.wire.errors import WireError
from hawse.wire.frame import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job
    from hawse.client.records import JobInfo
    from hawse.client.tunnel import Tunnel

ENTRY_S = 10.0
GOODBYE_S = 1.0
DISCARDED_BYTES_TOLD = 256  # less is a key too many, or a terminal's answer that came too late
GONE = "its end is gone"
ENDED, DETACHED, CUT, CLOSED, LEFT = "ended", "detached", "cut", "closed", "left"
_LEAVING = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)  # would end us with the terminal raw
_SIGNALS = (*_LEAVING, signal.SIGQUIT, signal.SIGINT, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


class View:
    """One job on this terminal, or on these pipes.

    raw: the terminal shows the job's own terminal; else its output goes to stdout and stderr. start: "screen" or an
    offset. passes_interrupts: the first Ctrl-C goes to the job; without, and at the second one, we leave.
    was_shown: it had not ended before. dropped: about how many typed bytes never reached the job.
    After run(): how it went (ENDED, DETACHED by the user, CUT by somebody, CLOSED: our terminal is gone or we were
    told to go, LEFT: Ctrl-C or Ctrl-\\), in `signal` the signal that made us leave, in `output_error` the number of
    the error with which our output failed: each 0 when it was not so.
    """

    def __init__(
        self,
        job: Job,
        *,
        mode: str,
        raw: bool,
        keys: Keys,
        start: int | str,
        takes_input: bool,
        name: str,
        passes_interrupts: bool = True,
    ) -> None:
        self.job = job
        self.mode = mode
        self.raw = raw
        self.name = name
        self.outcome: Outcome | None = None
        self.reason = ""
        self.message = ""
        self.dropped = 0
        self.signal = 0
        self.was_shown = False
        self.output_error = 0
        self._keys = keys
        self._start = start
        self._takes_input = takes_input
        self._passes_interrupts = passes_interrupts
        self._attachment: str | None = None
        self._terminal = Terminal(0)
        self._modes = Modes()
        self._endpoint = job.session.server.transport.endpoint
        self._made: Link | None = None
        self._sock: socket.socket | None = None
        self._title_kept = False
        self._interrupts = 0
        self._slow = False

    def run(self) -> str:
        """Show it until something final happens. Raises Problem when it cannot be reached."""
        with Wake(_SIGNALS) as wake:
            self._wake = wake
            pump = Pump(
                input_fd=0 if self._takes_input or self._keys.key is not None else -1, output_fd=1, error_fd=2,
                wake_fd=wake.fd, keys=self._keys, modes=self._modes if self.raw else None,
                sends_input=self._takes_input and self.mode == "control",
            )  # fmt: skip
            self._pump = pump
            if isinstance(self._start, int):
                pump.offset = self._start
            try:
                if not self._link():
                    return ENDED
                self.was_shown = True
                if self.raw:
                    self._terminal.raw()
                    self._keep_title()
                    if self._start == "screen":
                        _write(1, scrolled_away(size(1)[1]))
                return self._shown()
            except Stuck:
                return LEFT
            except _NotAwaited as error:
                raise Unavailable(
                    f"left while the link to {self.name} was broken", next_step=f"hawse attach {self.name}"
                ) from error
            except _OutputGone as error:
                self.output_error = error.errno or 0
                return CLOSED
            finally:
                unread = pump.unsent + pump.lost
                self._unlink()
                discarded = self._leave_terminal()
                if unread or discarded >= DISCARDED_BYTES_TOLD:
                    self.dropped = unread + discarded

    # -- the link -----------------------------------------------------------------------------------------------------

    def _link(self) -> bool:
        """A new link to the runner; False when the job has ended, and what it printed has been shown.

        Raises Problem, LinkBroken (the runner is not there).
        """
        self._endpoint.go_ahead()
        admission = self.job.admission(self.mode, where=where(self._endpoint.is_remote), resume=self._attachment)
        if admission.attachment is not None:
            self._attachment = admission.attachment.id
        if not admission.address:
            return self._over(admission.job)
        link = self._reach(admission.address)
        if not isinstance(link, Link):
            return self._over(link)
        try:
            columns, rows = size(1) if self.raw else (0, 0)
            hello = terminal.hello(ticket=admission.ticket, start=self._start, columns=columns, rows=rows)
            link.send(hello, time.monotonic() + ENTRY_S)
        except BaseException:
            link.close()
            raise
        self._made, self._sock = link, link.socket
        self._pump.link(link.socket)
        if self._endpoint.is_remote:
            self.job.session.server.transport.close()  # a link that waits costs a process there, and is soon made anew
        return True

    def _reach(self, address: str) -> Link | JobInfo:
        """A link to the runner; the job when it has ended meanwhile. Raises LinkBroken, Problem.

        Its runner may be on its way, and that of a short job may have gone before its end was told.
        """
        for until in ("started", "ended"):
            try:
                return to_runner(self._endpoint, self.job.id, address, time.monotonic() + ENTRY_S)
            except LinkAbsent:
                job = self.job.wait(ENTRY_S, until=until)
                if job.is_over:
                    return job
        return to_runner(self._endpoint, self.job.id, address, time.monotonic() + ENTRY_S)

    def _unlink(self) -> None:
        self._endpoint.leave_ahead()
        if self._made is not None:
            self._made.close()
            self._made = self._sock = None
            self._pump.link(None)

    def _over(self, job: JobInfo) -> bool:
        """It has ended: show the rest of what it printed, unless only its screen was asked for."""
        self.outcome = job.outcome
        if isinstance(self._start, int):
            for chunk in self.job.logs(self._pump.offset):
                if chunk.problem:
                    self._tell(chunk.problem)
                try:
                    _write(2 if chunk.source == terminal.STDERR else 1, chunk.data)
                except OSError as error:
                    raise _OutputGone(*error.args) from error
        return False

    def _mended(self, why: str) -> bool:
        """Link again after a break; False when the job has ended.

        Raises Unavailable after a minute (over ssh: after a day). A whole screen that we wrote into is shown anew.
        """
        self._unlink()
        self._start = "screen" if self.raw and self._slow else self._pump.offset
        self._slow = False
        began, told = time.monotonic(), self._endpoint.is_remote and why == GONE
        if told:
            self._tell(f"the link to {self._endpoint.name} broke; trying again, the work goes on")
        while True:
            if told and self.raw and self._modes.is_alternate:
                self._start = "screen"
            try:
                is_linked = self._link_or_leave()
                if is_linked and told:
                    self._tell("linked again")
                if is_linked and self._pump.lost:
                    self._tell(f"{byte_size(self._pump.lost)} that were typed were lost with the link")
                    self._pump.lost = 0
                return is_linked
            except (LinkBroken, OSError, Unavailable) as error:
                if time.monotonic() - began > self._endpoint.mend_s_max:
                    raise Unavailable(
                        f"the link to {self.name} stays broken: {error}", next_step=f"hawse show {self.name}"
                    ) from error
            if not told and time.monotonic() - began > 1:
                told = True
                self._tell(f"the link broke ({why}); trying again, the work goes on")
            self._look(0.2)

    def _link_or_leave(self) -> bool:
        """_link(), and meanwhile the user may leave, unless ssh asks something on the terminal: then the keys are its.

        Raises as _link and _look.
        """

        def look(tunnel: Tunnel) -> None:
            if not tunnel.asks:
                self._look(0)

        self._endpoint.meanwhile = look
        try:
            return self._link()
        finally:
            self._endpoint.meanwhile = None

    def _look(self, timeout_s: float) -> None:
        """What the user does while there is no link. Raises _NotAwaited, Stuck."""
        event, _ = self._pump.run(timeout_s)
        if event in (pumps.KEY_DETACH, pumps.INPUT_GONE):
            raise _NotAwaited
        if event == pumps.WOKEN and self._wake.unhandled:
            raise Stuck

    # -- what happens -------------------------------------------------------------------------------------------------

    def _shown(self) -> str:
        while True:
            event, body = self._pump.run()
            try:
                if event in (pumps.LINK_GONE, pumps.NONSENSE):
                    if event == pumps.NONSENSE:
                        raise Broken(f"the runner of {self.name} sent nonsense", next_step=f"hawse show {self.name}")
                    if not self._mended(GONE):
                        return ENDED
                    continue
                final = self._own_event(event, body) if event < 0 else self._frame(event, body)
            except (WireError, ValueError) as error:
                raise Broken(f"the runner of {self.name} sent nonsense: {error}") from error
            if final:
                return final

    def _own_event(self, event: int, body: bytes) -> str:
        if event == pumps.WOKEN:
            return self._signalled(body)
        if event == pumps.KEY_DETACH:
            self._goodbye()
            return DETACHED
        if event == pumps.KEY_HELP and self._keys.key is not None:
            self._tell(help_line(self._keys.key))
        elif event == pumps.INPUT_GONE:
            if self.raw:
                self._goodbye(CLOSED)
                return CLOSED
            if self._takes_input:
                self._pump.send(frame(terminal.INPUT_END))
        elif event == pumps.INPUT_FULL:
            waits = byte_size(self._pump.unsent)
            self._tell(f"it reads nothing: {waits} wait, and what is typed now is dropped until it has read them")
        elif event == pumps.INPUT_TAKEN:
            self._tell(f"it has read what waited; {byte_size(self._pump.lost)} that were typed meanwhile are gone")
            self._pump.lost = 0
        elif event == pumps.OUTPUT_GONE:
            self.output_error = int(body)
            self._goodbye(CLOSED)
            return CLOSED
        return ""

    def _signalled(self, numbers: bytes) -> str:
        self._wake.handled()
        for number in numbers:
            if number in _LEAVING or number == signal.SIGQUIT:
                self.signal = number
                how = LEFT if number == signal.SIGQUIT else CLOSED
                self._goodbye(CLOSED if how == CLOSED else "asked")
                return how
            if number == signal.SIGWINCH and self.raw:
                self._pump.send(terminal.resize(*size(1)))
            elif number == signal.SIGTSTP:
                return self._suspended()
            elif number == signal.SIGCONT and self.raw and not self._resumed():
                return ENDED
            elif number == signal.SIGINT:
                self._interrupts += 1
                if self._interrupts > 1 or not self._passes_interrupts or self.mode != "control" or self.raw:
                    self._goodbye()
                    return LEFT
                self._pump.send(terminal.message(terminal.SIGNAL, signal="INT"))
        return ""

    def _frame(self, kind: int, body: bytes) -> str:
        if kind == terminal.WELCOME:
            welcome = terminal.parse_welcome(body)
            if isinstance(self._start, int) and welcome.offset > self._start:
                self._tell(f"bytes {self._start} to {welcome.offset} are gone")
            self._pump.offset = welcome.offset
            self._pump.welcomed()
        elif kind == terminal.EXIT:
            self.outcome = Outcome(json.loads(body))
            return ENDED
        elif kind == terminal.DETACH:
            self.reason, self.message = terminal.parse_detach(body)
            if self.reason == "ended" and not self._mended("the job has ended"):
                return ENDED  # the coordinator was faster than the last bytes: they have been read from the log
            return CUT
        elif kind == terminal.PING:
            self._pump.send(terminal.pong(body))
        elif kind == terminal.NOTICE:
            said = json.loads(body)
            self._slow = said.get("kind") == "slow"
            self._tell(str(said.get("detail") or said.get("kind")))
        elif kind == terminal.ERROR:
            return self._refused(json.loads(body))
        return ""

    def _refused(self, said: dict[str, object]) -> str:
        code = str(said.get("code"))
        if code.startswith("ticket_") or code in ("busy", "silent", "ended"):
            return "" if self._mended(str(said.get("detail"))) else ENDED
        raise Broken(f"the runner of {self.name} refuses: {said.get('detail')}", next_step=str(said.get("next") or ""))

    def _goodbye(self, reason: str = "asked") -> None:
        """Say that we leave, and why; if that cannot be said, the runner sees that the link is gone.

        Behind typed bytes that the job does not read it would never be heard: then the coordinator says it.
        """
        if self._sock is None:
            return
        if self._pump.unsent and self._attachment is not None:
            try:
                self.job.session.detach(self._attachment)
            except (Problem, OSError):
                pass
            return
        try:
            self._sock.settimeout(GOODBYE_S)
            self._sock.sendall(terminal.detach(reason))
        except OSError:
            pass

    # -- the terminal -------------------------------------------------------------------------------------------------

    def _suspended(self) -> str:
        """Somebody stops us (kill -TSTP): give the terminal back, stop, and show the screen again afterwards."""
        self._leave_terminal()
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        came = self._wake.take()
        if self.raw and not self._resumed():
            return ENDED
        return self._signalled(bytes(number for number in came if number not in (signal.SIGTSTP, signal.SIGCONT)))

    def _resumed(self) -> bool:
        """We were stopped, perhaps without a chance to say so (SIGSTOP), and a shell has used the terminal meanwhile:
        take it again, and show the screen. False when the job has ended.
        """
        try:
            self._terminal.raw()  # in the background it stops us again, until fg
            self._keep_title()
            _write(1, self._modes.undo() + scrolled_away(size(1)[1]))
        except OSError:
            pass  # the window was closed; reading tells
        self._slow = True
        return self._mended("it was stopped")

    def _keep_title(self) -> None:
        if not self._title_kept:
            self._title_kept = True
            _write(1, KEEP_TITLE)

    def _leave_terminal(self) -> int:
        """The terminal as it was; how many bytes had been typed there and are dropped."""
        if not self.raw:
            return 0
        title, self._title_kept = TITLE_BACK if self._title_kept else b"", False
        try:
            _write(1, self._modes.undo() + title)
        except OSError:
            pass  # the window was closed
        return self._terminal.restore()

    def _tell(self, text: str) -> None:
        """A line beside the output."""
        end = "\r\n" if self.raw else "\n"
        start = end if self.raw else ""
        try:
            sys.stdout.flush()
            _write(2, f"{start}[{text}]{end}".encode())
        except OSError:
            pass

    @property
    def key(self) -> str:
        """The detach key's name."""
        return key_name(self._keys.key) if self._keys.key is not None else ""


class _NotAwaited(Exception):
    """The user leaves while there is no link."""


class _OutputGone(OSError):
    """Our output cannot be written while the rest of an ended job's is shown."""


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def where(is_far: bool = False) -> str:
    """Where this is shown: the terminal's name, in which job that is, and from where somebody came over ssh.

    is_far: for a server on another machine, which knows this machine's name but nothing of the jobs here.
    """
    try:
        name = os.ttyname(0)
    except OSError:
        name = "no terminal"
    session, job = os.environ.get("HAWSE_SESSION"), os.environ.get("HAWSE_JOB")
    if is_far:
        name += f" on {socket.gethostname()}"
    elif session and job:
        name += f" in {session}/{job}"
    came = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return f"{name} from {came}" if came else name


def place_in(text: str) -> tuple[str, str] | None:
    """(session, job) of a `where` that is inside one."""
    found = re.match(r"\S.* in (\S+)/(\S+)", text)
    return (found[1], found[2]) if found is not None else None


__all__ = ["CLOSED", "CUT", "DETACHED", "ENDED", "LEFT", "Problem", "View", "place_in", "where"]
