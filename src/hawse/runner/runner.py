"""One attempt of one job, from its claim to its last word: the parts put together.

Order of what is done, and why: the claim is durable before anything runs (nothing is ever started twice); the door is
open before SPAWNED is answered (who asked may come at once); the job is started after that (a slow exec keeps nobody
waiting).
"""

from __future__ import annotations

import os
import signal
import sys
import time

from hawse.runner import claim, kin
from hawse.runner.control import ControlLink
from hawse.runner.door import Door, listen
from hawse.runner.ending import PARTING, RUNNING, Ending
from hawse.runner.engine import Relay
from hawse.runner.job import Job
from hawse.runner.limits import Limits
from hawse.runner.log import Log
from hawse.runner.loop import IN, Loop
from hawse.runner.process import StartFailed
from hawse.runner.roster import Roster
from hawse.runner.watch import QUIET_S_MAX, QUIET_S_MIN, Watch
from hawse.wire import fields, terminal
from hawse.wire.errors import Malformed
from hawse.wire.order import GRACE_S_MAX, Order, Spawned, spawned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hawse.runner.connection import Connection

ERRORS_MAX = 20  # tracebacks kept; one that repeats says nothing new


class ClaimedBefore(Exception):
    """Somebody else has this attempt."""

    def __init__(self, claimed: dict[str, Any]) -> None:
        super().__init__("this attempt was claimed before")
        self.claimed = claimed


def take_claim(order: Order) -> tuple[str, Spawned]:
    """Claim the attempt for this process. Returns its folder and the answer. Raises ClaimedBefore, OSError."""
    directory = claim.make_dirs(order.job_dir, order.attempt)
    answer = Spawned(
        incarnation=order.incarnation, runner_pid=os.getpid(), runner_started=kin.started(os.getpid()), again=False
    )
    mine = {
        "job": order.job,
        "session": order.session,
        "attempt": order.attempt,
        "incarnation": order.incarnation,
        "runner_pid": answer.runner_pid,
        "runner_started": answer.runner_started,
        "boot_id": kin.boot_id(),
        "socket": order.socket,
        "claimed_at": time.time(),
    }
    if not claim.take(directory, mine):
        raise ClaimedBefore(claim.read(directory, claim.CLAIM) or {})
    return directory, answer


class Runner:
    """All parts of one attempt."""

    def __init__(self, order: Order, directory: str) -> None:
        self.order = order
        self.directory = directory
        self.limits = limits = Limits(order.limits)
        self.errors = 0
        self.loop = loop = Loop(failed=self._failed)
        self.log = Log(
            claim.log_dir(order.job_dir),
            attempt=order.attempt,
            segment_bytes_max=order.segment_bytes_max,
            retain_bytes=order.retain_bytes,
            on_full=order.on_full,
            room_bytes=int(limits.room_bytes),
        )
        self.link = ControlLink(reports_max=int(limits.reports_max), state=self._state, command=self._command)
        relay = Relay(self.log, input_fd=-1, input_bytes_max=int(limits.input_bytes_max))
        self.job = Job(order, loop, limits, self.log, relay, told=self.link.report)
        self.roster = Roster(order, loop, limits, relay, self.job, report=self._told, changed=self._changed)
        self.job.roster = self.roster
        self.watch = Watch(self.job, loop, is_seen=self._is_seen, report=self.link.report)
        self.cgroup = kin.make_cgroup(order.job, order.incarnation)
        self.ending = Ending(
            order,
            loop,
            limits,
            self.job,
            self.roster,
            self.link,
            directory=directory,
            cgroup=self.cgroup,
            gone=self._gone,
        )
        self.link.changed = self._changed
        self.door = Door(
            listen(order.socket),
            order.socket,
            loop,
            limits,
            order,
            client=self.roster.enter,
            coordinator=self._coordinator_came,
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the job, or record why it can't be."""
        self._watch_signals()
        try:
            process = self.job.start(self.cgroup)
        except StartFailed as error:
            kin.remove_cgroup(self.cgroup)
            self.ending.start_failed(error.cause, error.code)
            return
        self.loop.watch(process.pidfd, IN, lambda events: self.ending.main_ended())
        what = {
            "pid": process.pid,
            "started": process.started,
            "boot_id": kin.boot_id(),
            "cgroup": self.cgroup,
            "started_at": self.ending.started_at,
        }
        try:
            claim.write(self.directory, claim.PROCESS, what, durable=False)
        except OSError as error:
            self._failed(-1, error)
        self.link.report("started", pid=process.pid, process_started=process.started)

    def run(self) -> None:
        """Until there is nothing left to do."""
        self.loop.run()
        self.door.close()

    def _gone(self) -> None:
        self.loop.running = False

    def _changed(self) -> None:
        self.job.pace_due()
        self.ending.changed()

    def _told(self, kind: str, **values: Any) -> None:
        """What the roster tells the coordinator."""
        self.link.report(kind, **values)
        if kind == "detached":
            self.watch.left(values["reason"])

    def _is_seen(self) -> bool:
        return any(one.mode == "control" for one in self.roster.present.values())

    def _coordinator_came(self, connection: Connection) -> None:
        self.watch.set(0)  # this one says anew what it wants to know
        self.link.take(connection)

    def _watch_signals(self) -> None:
        """SIGCHLD wakes the loop; SIGTERM (the host shuts down) stops the job in order; a hangup is nothing to us.

        A shutdown ends job and runner at once. So SIGTERM is noted in its handler, before the job's end is taken up.
        """
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)
        signal.signal(signal.SIGTERM, lambda number, frame: self.ending.host_ends())
        self.loop.watch(read_end, IN, lambda events: self._signalled(read_end))

    def _signalled(self, fd: int) -> None:
        try:
            numbers = os.read(fd, 512)
        except BlockingIOError:
            return
        if signal.SIGCHLD in numbers:
            self.ending.child_ended()
        if signal.SIGTERM in numbers:
            self.ending.stop(self.order.grace_s)

    def _failed(self, fd: int, error: Exception) -> None:
        """A handler raised: our bug, or a world that we did not foresee. Note it and go on; the job matters more."""
        self.errors += 1
        if self.errors > ERRORS_MAX:
            return
        import traceback

        lines = "".join(traceback.format_exception(error))
        try:
            with open(f"{self.directory}/runner-errors.txt", "a", encoding="utf-8") as file:
                file.write(f"{time.time():.3f} descriptor {fd}\n{lines}\n")
        except OSError:
            pass

    # -- the coordinator ----------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        process = self.job.process
        return {
            "attempt": self.order.attempt,
            "incarnation": self.order.incarnation,
            "phase": self.ending.phase,
            "pid": process.pid if process is not None else None,
            "process_started": process.started if process is not None else None,
            "started_at": self.ending.started_at,
            "attachments": [
                {"attachment": one.id, "mode": one.mode, "cursor": one.cursor} for one in self.roster.present.values()
            ],
            "control": {"attachment": self.roster.token.holder, "fence": self.roster.token.fence},
            "log": {"state": self.job.log_state, "end": self.log.end, "cause": os.strerror(self.log.fault or 0)},
            "outcome": self.ending.outcome if self.ending.phase == PARTING else None,
            "end": self.log.end,
            "ended_at": self.ending.ended_at,
            "left_behind": self.ending.left_behind,
            "stopping": self.ending.stop_asked,
        }

    def _command(self, verb: str, value: dict[str, Any]) -> dict[str, Any]:
        done = self._commands.get(verb)
        if done is None:
            raise Malformed(f"there is no command {verb[:40]}")
        return done(self, value)

    def _stop(self, value: dict[str, Any]) -> dict[str, Any]:
        grace_s = fields.number(value, "grace_s", "stop", low=0, high=GRACE_S_MAX, default=self.order.grace_s)
        self.ending.stop(grace_s)
        return {"phase": self.ending.phase}

    def _signal(self, value: dict[str, Any]) -> dict[str, Any]:
        name = fields.text(value, "signal", "signal", characters_max=16)
        if self.ending.phase != RUNNING or not self.job.signal_main(name):
            raise Malformed("the main process has ended")
        return {}

    def _detach(self, value: dict[str, Any]) -> dict[str, Any]:
        done = self.roster.detach(
            fields.text(value, "attachment", "detach", characters_max=terminal.WORD_CHARACTERS_MAX),
            fields.text(value, "reason", "detach", characters_max=terminal.WORD_CHARACTERS_MAX, default="asked"),
            fields.text(value, "message", "detach", characters_max=terminal.SENTENCE_CHARACTERS_MAX, default=""),
        )
        return {"was_attached": done}

    def _control(self, value: dict[str, Any]) -> dict[str, Any]:
        changed = self.roster.give_control(
            fields.text(value, "attachment", "control", characters_max=terminal.WORD_CHARACTERS_MAX),
            fields.integer(value, "fence", "control", low=1),
            fields.text(value, "who", "control", characters_max=terminal.WORD_CHARACTERS_MAX, default=""),
            fields.text(value, "message", "control", characters_max=terminal.SENTENCE_CHARACTERS_MAX, default=""),
        )
        return {"changed": changed, "fence": self.roster.token.fence}

    def _activity(self, value: dict[str, Any]) -> dict[str, Any]:
        return {"attachments": self.roster.quiet()}

    def _watch(self, value: dict[str, Any]) -> dict[str, Any]:
        quiet_s = fields.number(value, "quiet_s", "watch", low=0, high=QUIET_S_MAX, default=0.0)
        self.watch.set(max(QUIET_S_MIN, quiet_s) if quiet_s else 0.0)
        return {"has_terminal": self.job.has_terminal}

    def _forget(self, value: dict[str, Any]) -> dict[str, Any]:
        self.loop.after(0, self.ending.forget)  # after the answer has left
        return {}

    _commands: dict[str, Callable[[Runner, dict[str, Any]], dict[str, Any]]] = {
        "stop": _stop,
        "signal": _signal,
        "detach": _detach,
        "control": _control,
        "activity": _activity,
        "watch": _watch,
        "forget": _forget,
    }


def _noted(number: int, frame: object) -> None:
    return None


def main(order: Order, reply: int) -> None:
    """The forked child's whole life. reply: the connection of who asked; answered once and closed. Does not return."""
    code = 1
    try:
        _serve(order, reply)
        code = 0
    except BaseException as error:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    finally:
        os._exit(code)


def _serve(order: Order, reply: int) -> None:
    try:
        directory, answer = take_claim(order)
    except ClaimedBefore as error:
        _answer(reply, _again(error.claimed))
        return
    except OSError as error:
        _answer(reply, terminal.error("unclaimed", f"the attempt could not be claimed: {error}", "nothing was started"))
        return
    try:
        runner = Runner(order, directory)
    except OSError as error:
        cause = f"the runner could not be set up: {error}"
        record = {
            "job": order.job,
            "session": order.session,
            "attempt": order.attempt,
            "incarnation": order.incarnation,
        }
        ended = {"outcome": {"kind": "failed", "cause": cause, "code": 126}, "left_behind": [], "log_end": 0}
        claim.write(directory, claim.EXIT, {**record, **ended, "ended_at": time.time()}, durable=True)
        _answer(reply, spawned(answer))
        return
    _answer(reply, spawned(answer))
    runner.start()
    runner.run()


def _again(claimed: dict[str, Any]) -> bytes:
    try:
        return spawned(
            Spawned(
                incarnation=fields.digits(claimed, "incarnation", "claim", bytes_max=64).hex(),
                runner_pid=fields.integer(claimed, "runner_pid", "claim", low=1),
                runner_started=fields.integer(claimed, "runner_started", "claim"),
                again=True,
            )
        )
    except Malformed as error:
        return terminal.error("damaged", f"the attempt was claimed before, but its claim cannot be read: {error}")


def _answer(reply: int, frame: bytes) -> None:
    """Tell who asked. That it is gone by now changes nothing: the claim tells the same."""
    try:
        os.set_blocking(reply, False)
        os.write(reply, frame)
    except OSError:
        pass
    finally:
        os.close(reply)
