"""The line to a job's runner: made with a ticket of the coordinator, mended when it breaks, its loss told."""

from __future__ import annotations

import time

from hawse.cli.attach import pump as pumps
from hawse.cli.attach.display import write
from hawse.cli.attach.wake import Stuck
from hawse.cli.attach.where import where
from hawse.cli.words import size as byte_size
from hawse.client._sync.way import to_runner
from hawse.client.link import LinkAbsent, LinkBroken
from hawse.client.link_sync import Link
from hawse.domain.errors import Problem, Unavailable
from hawse.wire import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.cli.attach.display import Display
    from hawse.cli.attach.engine import Pump
    from hawse.cli.attach.wake import Wake
    from hawse.client.api import Job
    from hawse.client.records import JobInfo, Outcome
    from hawse.client.tunnel import Tunnel

ENTRY_S = 10.0
GOODBYE_S = 1.0
GONE = "its end is gone"


class NotAwaited(Exception):
    """The user leaves while there is no line."""


class OutputGone(Exception):
    """Our output cannot be written while the rest of an ended job's is shown."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.errno = error.errno or 0


class Line:
    """One line at a time between the pump and the job's runner.

    start: "screen" or the offset from which the next line shows the job. is_spoilt: something was written into the
    screen that is shown, so that the next line shows it anew. outcome: of a job that was found ended.
    """

    def __init__(
        self, job: Job, *, mode: str, name: str, start: int | str, display: Display, pump: Pump, wake: Wake
    ) -> None:
        self.start = start
        self.is_spoilt = False
        self.outcome: Outcome | None = None
        self._job = job
        self._mode = mode
        self._name = name
        self._display = display
        self._pump = pump
        self._wake = wake
        self._endpoint = job.session.server.transport.endpoint
        self._attachment: str | None = None
        self._link: Link | None = None

    def make(self) -> bool:
        """A new link to the runner; False when the job has ended, and what it printed has been shown.

        Raises Problem, LinkBroken (the runner is not there), OutputGone.
        """
        self._endpoint.go_ahead()
        admission = self._job.admission(self._mode, where=where(self._endpoint.is_remote), resume=self._attachment)
        if admission.attachment is not None:
            self._attachment = admission.attachment.id
        if not admission.address:
            return self._over(admission.job)
        link = self._reach(admission.address)
        if not isinstance(link, Link):
            return self._over(link)
        try:
            columns, rows = self._display.size
            hello = terminal.hello(ticket=admission.ticket, start=self.start, columns=columns, rows=rows)
            link.send(hello, time.monotonic() + ENTRY_S)
        except BaseException:
            link.close()
            raise
        self._link = link
        self._pump.link(link.socket)
        if self._endpoint.is_remote:
            self._job.session.server.transport.close()  # one that waits costs a process there, and is soon made anew
        return True

    def _reach(self, address: str) -> Link | JobInfo:
        """A link to the runner; the job when it has ended meanwhile. Raises LinkBroken, Problem.

        Its runner may be on its way, and that of a short job may have gone before its end was told.
        """
        for until in ("started", "ended"):
            try:
                return to_runner(self._endpoint, self._job.id, address, time.monotonic() + ENTRY_S)
            except LinkAbsent:
                job = self._job.wait(ENTRY_S, until=until)
                if job.is_over:
                    return job
        return to_runner(self._endpoint, self._job.id, address, time.monotonic() + ENTRY_S)

    def close(self) -> None:
        """Let go of the link. Safe to repeat."""
        self._endpoint.leave_ahead()
        if self._link is not None:
            self._link.close()
            self._link = None
            self._pump.link(None)

    def _over(self, job: JobInfo) -> bool:
        """It has ended: show the rest of what it printed, unless only its screen was asked for."""
        self.outcome = job.outcome
        if isinstance(self.start, int):
            for chunk in self._job.logs(self._pump.offset):
                if chunk.problem:
                    self._display.tell(chunk.problem)
                try:
                    write(2 if chunk.source == terminal.STDERR else 1, chunk.data)
                except OSError as error:
                    raise OutputGone(error) from error
        return False

    def mend(self, why: str) -> bool:
        """Link again after a break; False when the job has ended.

        Raises Unavailable after a minute (over ssh: after a day), NotAwaited, Stuck. A whole screen that we wrote into
        is shown anew.
        """
        self.close()
        self.start = "screen" if self._display.raw and self.is_spoilt else self._pump.offset
        self.is_spoilt = False
        began, told = time.monotonic(), self._endpoint.is_remote and why == GONE
        if told:
            self._display.tell(f"the link to {self._endpoint.name} broke; trying again, the work goes on")
        while True:
            if told and self._display.raw and self._display.modes.is_alternate:
                self.start = "screen"
            try:
                return self._made_again(told=told)
            except (LinkBroken, OSError, Unavailable) as error:
                if time.monotonic() - began > self._endpoint.mend_s_max:
                    raise Unavailable(
                        f"the link to {self._name} stays broken: {error}", next_step=f"hawse show {self._name}"
                    ) from error
            if not told and time.monotonic() - began > 1:
                told = True
                self._display.tell(f"the link broke ({why}); trying again, the work goes on")
            self._look(0.2)

    def _made_again(self, *, told: bool) -> bool:
        is_linked = self._make_or_leave()
        if is_linked and told:
            self._display.tell("linked again")
        if is_linked and self._pump.lost:
            self._display.tell(f"{byte_size(self._pump.lost)} that were typed were lost with the link")
            self._pump.lost = 0
        return is_linked

    def _make_or_leave(self) -> bool:
        """make(), and meanwhile the user may leave, unless ssh asks something on the terminal: then the keys are its.

        Raises as make and _look.
        """

        def look(tunnel: Tunnel) -> None:
            if not tunnel.asks:
                self._look(0)

        self._endpoint.meanwhile = look
        try:
            return self.make()
        finally:
            self._endpoint.meanwhile = None

    def _look(self, timeout_s: float) -> None:
        """What the user does while there is no link. Raises NotAwaited, Stuck."""
        event, _ = self._pump.run(timeout_s)
        if event in (pumps.KEY_DETACH, pumps.INPUT_GONE):
            raise NotAwaited
        if event == pumps.WOKEN and self._wake.unhandled:
            raise Stuck

    def goodbye(self, reason: str = "asked") -> None:
        """Say that we leave, and why; if that cannot be said, the runner sees that the link is gone.

        Behind typed bytes that the job does not read it would never be heard: then the coordinator says it.
        """
        if self._link is None:
            return
        if self._pump.unsent and self._attachment is not None:
            try:
                self._job.session.detach(self._attachment)
            except (Problem, OSError):
                pass
            return
        try:
            self._link.socket.settimeout(GOODBYE_S)
            self._link.socket.sendall(terminal.detach(reason))
        except OSError:
            pass
