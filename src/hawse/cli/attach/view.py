"""Showing a job: link, show, decide, link again, until it has ended or the user leaves.

The view decides what the rare events mean; the line makes and mends the link to the runner, the display keeps the
terminal, and the pump moves the bytes between them. Nothing here ever ends the work.
"""

from __future__ import annotations

import json
import os
import signal

from hawse.cli.attach import pump as pumps
from hawse.cli.attach.display import Display
from hawse.cli.attach.engine import Pump
from hawse.cli.attach.keys import Keys, help_line, key_name
from hawse.cli.attach.line import GONE, Line, NotAwaited, OutputGone
from hawse.cli.attach.wake import Stuck, Wake
from hawse.cli.words import size as byte_size
from hawse.client.records import Outcome
from hawse.domain.errors import Broken, Unavailable
from hawse.wire import terminal
from hawse.wire.errors import WireError
from hawse.wire.frame import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.api import Job

DISCARDED_BYTES_TOLD = 256  # less is a key too many, or a terminal's answer that came too late
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
        self._display = Display(raw=raw)
        self._interrupts = 0

    def run(self) -> str:
        """Show it until something final happens. Raises Problem when it cannot be reached."""
        with Wake(_SIGNALS) as wake:
            self._wake = wake
            self._pump = pump = Pump(
                input_fd=0 if self._takes_input or self._keys.key is not None else -1, output_fd=1, error_fd=2,
                wake_fd=wake.fd, keys=self._keys, modes=self._display.modes if self.raw else None,
                sends_input=self._takes_input and self.mode == "control",
            )  # fmt: skip
            self._line = Line(
                self.job, mode=self.mode, name=self.name, start=self._start, display=self._display, pump=pump, wake=wake
            )
            if isinstance(self._start, int):
                pump.offset = self._start
            try:
                return self._linked()
            finally:
                unread = pump.unsent + pump.lost
                self._line.close()
                discarded = self._display.give_back()
                if unread or discarded >= DISCARDED_BYTES_TOLD:
                    self.dropped = unread + discarded
                self.outcome = self.outcome or self._line.outcome

    def _linked(self) -> str:
        try:
            if not self._line.make():
                return ENDED
            self.was_shown = True
            self._display.take(clears=self._start == "screen")
            return self._shown()
        except Stuck:
            return LEFT
        except NotAwaited as error:
            raise Unavailable(
                f"left while the link to {self.name} was broken", next_step=f"hawse attach {self.name}"
            ) from error
        except OutputGone as error:
            self.output_error = error.errno
            return CLOSED

    # -- what happens -------------------------------------------------------------------------------------------------

    def _shown(self) -> str:
        while True:
            event, body = self._pump.run()
            try:
                if event in (pumps.LINK_GONE, pumps.NONSENSE):
                    if event == pumps.NONSENSE:
                        raise Broken(f"the runner of {self.name} sent nonsense", next_step=f"hawse show {self.name}")
                    if not self._line.mend(GONE):
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
            self._line.goodbye()
            return DETACHED
        if event == pumps.KEY_HELP and self._keys.key is not None:
            self._display.tell(help_line(self._keys.key))
        elif event == pumps.INPUT_GONE:
            if self.raw:
                self._line.goodbye(CLOSED)
                return CLOSED
            if self._takes_input:
                self._pump.send(frame(terminal.INPUT_END))
        elif event == pumps.INPUT_FULL:
            wait = f"{byte_size(self._pump.unsent)} wait"
            self._display.tell(f"it reads nothing: {wait}, and what is typed now is dropped until it has read them")
        elif event == pumps.INPUT_TAKEN:
            lost = byte_size(self._pump.lost)
            self._display.tell(f"it has read what waited; {lost} that were typed meanwhile are gone")
            self._pump.lost = 0
        elif event == pumps.OUTPUT_GONE:
            self.output_error = int(body)
            self._line.goodbye(CLOSED)
            return CLOSED
        return ""

    def _signalled(self, numbers: bytes) -> str:
        self._wake.handled()
        for number in numbers:
            if number in _LEAVING or number == signal.SIGQUIT:
                self.signal = number
                how = LEFT if number == signal.SIGQUIT else CLOSED
                self._line.goodbye(CLOSED if how == CLOSED else "asked")
                return how
            if number == signal.SIGWINCH and self.raw:
                self._pump.send(terminal.resize(*self._display.size))
            elif number == signal.SIGTSTP:
                return self._suspended()
            elif number == signal.SIGCONT and self.raw and not self._resumed():
                return ENDED
            elif number == signal.SIGINT:
                self._interrupts += 1
                if self._interrupts > 1 or not self._passes_interrupts or self.mode != "control" or self.raw:
                    self._line.goodbye()
                    return LEFT
                self._pump.send(terminal.message(terminal.SIGNAL, signal="INT"))
        return ""

    def _frame(self, kind: int, body: bytes) -> str:
        if kind == terminal.WELCOME:
            welcome = terminal.parse_welcome(body)
            if isinstance(self._line.start, int) and welcome.offset > self._line.start:
                self._display.tell(f"bytes {self._line.start} to {welcome.offset} are gone")
            self._pump.offset = welcome.offset
            self._pump.welcomed()
        elif kind == terminal.EXIT:
            self.outcome = Outcome(json.loads(body))
            return ENDED
        elif kind == terminal.DETACH:
            self.reason, self.message = terminal.parse_detach(body)
            if self.reason == "ended" and not self._line.mend("the job has ended"):
                return ENDED  # the coordinator was faster than the last bytes: they have been read from the log
            return CUT
        elif kind == terminal.PING:
            self._pump.send(terminal.pong(body))
        elif kind == terminal.NOTICE:
            said = json.loads(body)
            self._line.is_spoilt = said.get("kind") == "slow"
            self._display.tell(str(said.get("detail") or said.get("kind")))
        elif kind == terminal.ERROR:
            return self._refused(json.loads(body))
        return ""

    def _refused(self, said: dict[str, object]) -> str:
        code = str(said.get("code"))
        if code.startswith("ticket_") or code in ("busy", "silent", "ended"):
            return "" if self._line.mend(str(said.get("detail"))) else ENDED
        raise Broken(f"the runner of {self.name} refuses: {said.get('detail')}", next_step=str(said.get("next") or ""))

    # -- being stopped ------------------------------------------------------------------------------------------------

    def _suspended(self) -> str:
        """Somebody stops us (kill -TSTP): give the terminal back, stop, and show the screen again afterwards."""
        self._display.give_back()
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
        self._display.take_again()
        self._line.is_spoilt = True
        return self._line.mend("it was stopped")

    @property
    def offset(self) -> int:
        """Where in the log a further view of this job would go on. Known once run() has begun."""
        return self._pump.offset

    @property
    def key(self) -> str:
        """The detach key's name."""
        return key_name(self._keys.key) if self._keys.key is not None else ""
