"""From the main process's end, or from a wish for it, to the last byte and the runner's own end.

    RUNNING --main_ended--> SWEEPING --nobody_left--> DRAINING --outputs_ended--> RECORDING --recorded--> PARTING -->
    GONE

A stop (SIGTERM, grace, SIGKILL) may be asked in any phase and is safe to repeat.
"""

from __future__ import annotations

import os
import signal
import time

from hawse.runner import claim, kin
from hawse.wire import outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hawse.runner.control import ControlLink
    from hawse.runner.job import Job
    from hawse.runner.limits import Limits
    from hawse.runner.loop import Loop, Timer
    from hawse.runner.roster import Roster
    from hawse.wire.order import Order

RUNNING, SWEEPING, DRAINING, RECORDING, PARTING, GONE = (
    "running",
    "sweeping",
    "draining",
    "recording",
    "parting",
    "gone",
)

MOVES = {
    (RUNNING, "main_ended"): SWEEPING,
    (RUNNING, "start_failed"): RECORDING,
    (SWEEPING, "nobody_left"): DRAINING,
    (DRAINING, "outputs_ended"): RECORDING,
    (RECORDING, "recorded"): PARTING,
    (PARTING, "forgotten"): GONE,
}

DYING_S = 0.1  # what a hangup or a broken pipe ends at this moment is not left behind
DRY_AGAIN_S = 0.02
HANGUP_AGAIN_S, HANGUPS_MAX = 0.5, 3
KILL_AGAIN_S = 0.05  # between sweeps of SIGKILL: a fork bomb is faster than one
LOOKS_MAX = 100  # a look takes less than a millisecond
KILL_S_MAX = 5.0  # what does not die then sits in the kernel, and is told


class Ending:
    """How one attempt ends. gone: called when the runner may exit."""

    def __init__(
        self, order: Order, loop: Loop, limits: Limits, job: Job, roster: Roster, link: ControlLink, *, directory: str,
        cgroup: str, gone: Callable[[], None],
    ) -> None:  # fmt: skip
        self.order = order
        self.loop = loop
        self.limits = limits
        self.job = job
        self.roster = roster
        self.link = link
        self.directory = directory
        self.cgroup = cgroup
        self.phase = RUNNING
        self.outcome: dict[str, Any] | None = None
        self.left_behind: list[dict[str, Any]] = []
        self.stop_asked = False
        self.is_hurried = False  # a stop without grace: a full disk is not waited for
        self.is_ended_by_host = False
        self.started_at = time.time()
        self.ended_at = 0.0
        self.forgotten = False
        self._gone = gone
        self._deadline: Timer | None = None
        self._kill_until = 0.0
        self._parted_at = 0.0
        self._drained_at = 0.0
        self._is_recorded = False
        job.outputs_ended = self._outputs_ended

    def _move(self, event: str) -> None:
        self.phase = MOVES[self.phase, event]

    def _within(self, seconds: float, call: Callable[[], None]) -> None:
        """One deadline per phase."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.after(seconds, call)

    def _kin(self) -> list[kin.Kin]:
        """Who lives. That nobody does is believed only when nothing died meanwhile: what forks and exits at once is
        another process at every look, and leaves a dead one behind each time.
        """
        for _ in range(LOOKS_MAX):
            found = kin.tree(os.getpid(), job=self.order.job, main=self._main_pid, cgroup=self.cgroup)
            dead_main = self.outcome is not None
            living = [one for one in found if not (dead_main and one.pid == self._main_pid)]
            if living or not kin.reap(self._main_pid):
                return living
        return []

    # -- a wish -------------------------------------------------------------------------------------------------------

    def stop(self, grace_s: float) -> None:
        """SIGTERM to everything now, SIGKILL after the grace. A shorter grace than before hurries it up."""
        self.stop_asked = True
        self.is_hurried = self.is_hurried or grace_s <= 0
        if self.phase not in (RUNNING, SWEEPING):
            if self.job.log_state == "blocked":
                self.job.give_up_output()
            return
        self._terminate()
        self._within(grace_s, self._kill)

    def host_ends(self) -> None:
        """SIGTERM has come to us, as at a shutdown: what ends now was not meant to. Only notes; called by a handler."""
        if not self.stop_asked and self.outcome in (None, outcome.signalled(signal.SIGTERM)):
            self.is_ended_by_host = True

    def _terminate(self) -> None:
        """TERM, and for a terminal HUP as its closing would send: interactive shells ignore TERM."""
        # the main process first: else a shell might see its children die and go on with the next line
        for one in sorted(self._kin(), key=lambda one: one.pid != self._main_pid):
            kin.send(one, signal.SIGTERM)
            if self.job.has_terminal:
                kin.send(one, signal.SIGHUP)
            kin.send(one, signal.SIGCONT)
        if self.job.has_terminal:
            self.loop.after(HANGUP_AGAIN_S, lambda: self._hang_up(HANGUPS_MAX))

    def _hang_up(self, more: int) -> None:
        """Once more: a shell that was just about to read its terminal has noted the first one and reads on."""
        if self.phase in (RUNNING, SWEEPING) and more > 0:
            for one in self._kin():
                kin.send(one, signal.SIGHUP)
            self.loop.after(HANGUP_AGAIN_S, lambda: self._hang_up(more - 1))

    def _kill(self) -> None:
        if self.stop_asked and self.phase == SWEEPING:
            self._tell_left_behind()
        self._kill_until = time.monotonic() + KILL_S_MAX
        self._kill_on()

    def _kill_on(self) -> None:
        kin.kill_cgroup(self.cgroup, job=self.order.job)
        remaining = self._kin()
        for one in remaining:
            kin.send(one, signal.SIGKILL)
        kin.reap(self._main_pid)
        if self.phase == SWEEPING and not remaining:
            self._nobody_left()
        elif remaining and time.monotonic() < self._kill_until:
            self._within(KILL_AGAIN_S, self._kill_on)
        elif self.phase == SWEEPING:
            self._nobody_left()

    @property
    def _main_pid(self) -> int:
        return self.job.process.pid if self.job.process is not None else 0

    # -- the main process ends ----------------------------------------------------------------------------------------

    def start_failed(self, cause: str, code: int) -> None:
        """It never ran."""
        self.outcome = outcome.failed(cause, code)
        self.ended_at = time.time()
        self._move("start_failed")
        self._record()

    def main_ended(self) -> None:
        """The main process is dead. It is not reaped yet: its number stays ours until the sweep is done."""
        found = os.waitid(os.P_PID, self._main_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return
        killed = found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
        self.outcome = outcome.signalled(found.si_status) if killed else outcome.exited(found.si_status)
        self.ended_at = time.time()
        assert self.job.process is not None
        self.loop.forget(self.job.process.pidfd)
        self._move("main_ended")
        if not self._kin():
            self._nobody_left()
        elif not self.stop_asked:  # else they got the same SIGTERM and have the rest of the grace
            self._within(DYING_S, self._sweep)

    def _tell_left_behind(self) -> None:
        found = self._kin()
        most = int(self.limits.left_behind_max)
        self.left_behind = [{"pid": one.pid, "command": kin.command(one.pid)} for one in found[:most]]

    def _sweep(self) -> None:
        kin.reap(self._main_pid)
        self._tell_left_behind()
        if not self.left_behind or self.order.leftovers == "keep":
            self._nobody_left()
            return
        self._terminate()
        self._within(self.order.grace_s, self._kill)

    def child_ended(self) -> None:
        """Some child died: the main process, or an orphan that came back to us."""
        kin.reap(self._main_pid)
        if self.phase == SWEEPING and not self._kin():
            self._nobody_left()

    # -- the last output ----------------------------------------------------------------------------------------------

    def _nobody_left(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._move("nobody_left")
        try:
            os.waitpid(self._main_pid, 0)
        except ChildProcessError:
            pass
        kin.remove_cgroup(self.cgroup)
        self.job.last_output()
        self._drained_at = time.monotonic() + self.limits.drain_s
        if not self.job.outputs:
            self._outputs_ended()
        elif self.order.leftovers == "keep" and self.left_behind:
            self._look_whether_dry()
        else:
            self._within(self.limits.drain_s, self._drain_due)

    def _look_whether_dry(self) -> None:
        """Who is kept may hold the output for ever; what the main process wrote is there already."""
        if self.job.is_dry or time.monotonic() >= self._drained_at:
            self._drain_due()
        else:
            self._within(DRY_AGAIN_S, self._look_whether_dry)

    def _drain_due(self) -> None:
        if (self.job.log_state == "blocked" or self.job.relay.kept) and not self.is_hurried:
            self._within(self.limits.drain_s, self._drain_due)  # nothing is lost for a full disk
        else:
            self.job.give_up_output()

    def _outputs_ended(self) -> None:
        if self.phase == DRAINING:
            if self.job.relay.kept and not self.is_hurried:
                self._within(self.limits.drain_s, self._outputs_ended)
                return
            self.job.give_up_output()  # what is still kept after a hurried stop is told
            self._move("outputs_ended")
            self._record()

    # -- the record ---------------------------------------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        """What exit.json says."""
        return {
            "job": self.order.job,
            "session": self.order.session,
            "attempt": self.order.attempt,
            "incarnation": self.order.incarnation,
            "outcome": self.outcome,
            "left_behind": self.left_behind,
            "leftovers": self.order.leftovers,
            "log_end": self.job.log.end,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }

    def _record(self) -> None:
        assert self.outcome is not None
        if self.is_ended_by_host and self.outcome["kind"] != "failed":
            killed = self.outcome["kind"] == "signalled"
            how = f"signal {self.outcome['signal']} ended it" if killed else f"it returned {self.outcome['code']}"
            who = f"the host ended its runner (process {os.getpid()}), as at a shutdown or a logout"
            self.outcome = outcome.lost(f"{who}; {how}")
        try:
            self.job.close_log()
        except OSError as error:
            self.job.told("log", state=self.job.log_state, end=self.job.log.end, cause=f"at the end: {error.strerror}")
        self._write_record()

    def _write_record(self) -> None:
        try:
            claim.write(self.directory, claim.EXIT, self.record(), durable=True)
        except OSError:
            if not self.link.is_up:  # nobody else knows how it ended: stay until there is room
                self._within(self.limits.retry_s, self._write_record)
                return
        else:
            self._is_recorded = True
        self._move("recorded")
        assert self.outcome is not None
        if self.outcome["kind"] == "failed":
            self.link.report(
                "start_failed", error=self.outcome["code"], detail=self.outcome["cause"], outcome=self.outcome
            )
        end = self.job.log.end
        self.link.report("exited", outcome=self.outcome, left_behind=self.left_behind, end=end, ended_at=self.ended_at)
        self._parted_at = time.monotonic()
        self._part()

    def _record_at_last(self) -> None:
        """The disk was full at the end, and the coordinator knew: try once more before nobody can."""
        if not self._is_recorded:
            try:
                claim.write(self.directory, claim.EXIT, self.record(), durable=True)
            except OSError:
                pass

    # -- parting ------------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """The coordinator has committed the end."""
        self.forgotten = True
        self._part()

    def changed(self) -> None:
        """An attachment caught up or left, the coordinator came or went."""
        if self.phase == PARTING:
            self._part()

    def _part(self) -> None:
        """Go when clients have the last byte and the coordinator knows, or when either took too long."""
        if self.phase != PARTING:
            return
        assert self.outcome is not None
        self._within(self.limits.drain_clients_s, self._part)  # whatever happens below: a runner must not stay for ever
        self.roster.end(self.outcome)
        passed = time.monotonic() - self._parted_at
        if self.link.is_up:
            wait = 0.0 if self.forgotten else self.limits.forget_s
        else:
            wait = 0.0 if self.link.was_proven else self.limits.linger_s
        if self.roster.present or not self.roster.is_parted:
            wait = max(wait, self.limits.drain_clients_s)
        if passed >= wait:
            self._move("forgotten")
            self._record_at_last()
            if self._deadline is not None:
                self._deadline.cancel()
            self._gone()
        else:
            self._within(wait - passed, self._part)
