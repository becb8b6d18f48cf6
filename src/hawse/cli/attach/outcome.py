"""What is said, and which exit code is given, when a view is over."""

from __future__ import annotations

import errno
import os

from hawse.cli.attach.again import next_attempt
from hawse.cli.attach.view import CLOSED, CUT, DETACHED, ENDED, View
from hawse.cli.say import note
from hawse.cli.words import outcome, size
from hawse.domain.errors import Problem

JUST_ENDING_S = 0.2  # most jobs whose output is cut short are about to end; then nothing needs to be said
EXIT_INTERRUPTED = 130
EXIT_READER_LEFT = 141  # 128 + SIGPIPE, as a shell tells it
EXIT_NOT_WRITTEN = 74  # EX_IOERR of sysexits(3)
_WHY = {
    "asked": "somebody detached you",
    "stolen": "somebody took it",
    "idle": "nothing was typed for long",
    "slow": "this terminal was too slow",
    "replaced": "it was linked again from elsewhere",
    "ended": "the session ended",
    "revoked": "what you may do there was taken back, or its time is over",
}


def attached_end(view: View, how: str) -> int:
    """After `attach` or `new`: 0 when the user left or the job ended; 126 or 127 when it never ran; 1 when the job was
    lost or somebody cut the view; 128 + n when signal n made us leave.
    """
    code = _attached_end(view, how)
    _tell_dropped(view)
    return code


def _attached_end(view: View, how: str) -> int:
    name = view.name
    if how == DETACHED:
        note(f"[detached from {name}; return with: hawse attach {name}]")
        return 0
    if how == ENDED and (again := next_attempt(view)):
        note(f"[{name} failed: {outcome(view.outcome)}; {again}; return with: hawse attach {name}]")
        return 0
    if how == ENDED:
        lost = view.outcome is not None and view.outcome.kind == "lost"
        more = f"; more: hawse show {name}" if lost or view.outcome is None else ""
        if not view.was_shown:
            more = more or f"; what it printed: hawse logs {name}"
        note(f"[{name} ended: {outcome(view.outcome) or 'its outcome is not known'}{more}]")
        never_ran = view.outcome is not None and view.outcome.kind == "failed"
        return view.outcome.exit_code if view.outcome is not None and (lost or never_ran) else 0
    if how == CUT:
        why = view.message or _WHY.get(view.reason, view.reason)
        back = "" if view.reason == "revoked" else f"; return with: hawse attach {name}"
        note(f"[detached from {name}: {why}{back}]")
        return 1
    if how == CLOSED and not view.signal:
        return 1
    _left(f"[left {name}; return with: hawse attach {name}]")
    return _signal_exit(view)


def run_end(view: View, how: str) -> int:
    """After `run`: the job's own exit code; what is not an exit code is told."""
    code = _run_end(view, how)
    _tell_dropped(view)
    return code


def _tell_dropped(view: View) -> None:
    if view.dropped:
        note(f"[{size(view.dropped)} that were typed never reached {view.name} and are dropped]")


def _run_end(view: View, how: str) -> int:
    name = view.name
    if how == ENDED:
        if view.outcome is not None and view.outcome.kind in ("lost", "failed"):
            note(f"hawse: {name}: {outcome(view.outcome)}")
        return view.outcome.exit_code if view.outcome is not None else 1
    if how in (DETACHED, CUT):
        why = "" if how == DETACHED else f" ({view.message or _WHY.get(view.reason, view.reason)})"
        note(f"[detached from {name}{why}; it goes on. Return with: hawse attach {name}]")
        return EXIT_INTERRUPTED if how == DETACHED else 1  # never 0: `hawse run -t s -- make && deploy`
    if how == CLOSED and view.output_error and not view.raw:
        return _output_gone(view)
    if how == CLOSED and not view.signal:
        return 1
    _left(f"[left {name}; it goes on. Follow it: hawse logs -f {name}; return: hawse attach {name}]")
    return _signal_exit(view)


def _output_gone(view: View) -> int:
    """Nobody reads what the job prints, or it cannot be written; a job that lives is not left without a word."""
    reader_left = view.output_error == errno.EPIPE
    try:
        is_over = view.job.wait(JUST_ENDING_S).is_over
    except (Problem, OSError):
        is_over = False
    if not reader_left:
        note(f"hawse: the output of {view.name} cannot be written: {os.strerror(view.output_error)}")
        note(f"       all of it is kept: hawse logs {view.name}")
    if not is_over:
        note(f"[left {view.name}; it goes on. End it: hawse signal {view.name} TERM]")
    return EXIT_READER_LEFT if reader_left else EXIT_NOT_WRITTEN


def _left(text: str) -> None:
    try:
        note(text)
    except OSError:
        pass  # SIGHUP: the terminal has gone


def _signal_exit(view: View) -> int:
    return 128 + view.signal if view.signal else EXIT_INTERRUPTED
