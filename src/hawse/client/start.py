"""Start the user's coordinator in the background and wait until it is ready.

Two starters are kept apart by a lock. The coordinator is not our child: an intermediate interpreter makes it a session
of its own and leaves at once, so that neither a closed terminal nor a long-lived caller has anything to do with it.
Under a systemd user manager it gets a scope of its own where that is the better place: hawse.client.logind says when.
Until it serves it speaks into memory that its starter reads: a log on a full disk takes no last words.
Tried and left: fork in this process (unsafe beside threads); `sh -c '... &'` (leaves SIGINT ignored for every job).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

from hawse.client import logind
from hawse.client.find import peer
from hawse.client.link_sync import connect_patiently
from hawse.client.places import environ_of, make_all
from hawse.domain.errors import Unavailable
from hawse.domain.places import Places

READY_S_MAX = 20.0  # a cold disk and a large store; the usual start takes one second
STOP_S_MAX = 20.0
LOG_LINES_SHOWN = 8
LOG_BYTES_READ = 1 << 20
_DETACH = """
import os, sys
os.setsid()
pid = os.fork()
if pid:
    print(pid, flush=True)
    os._exit(0)
null = os.open("/dev/null", os.O_RDWR)
words = int(sys.argv[1])
os.dup2(null, 0); os.dup2(words, 1); os.dup2(words, 2)
os.closerange(3, 256)
os.execvp(sys.argv[2], sys.argv[2:])
"""
_PER_TERMINAL = (
    "HAWSE_SESSION",
    "HAWSE_SESSION_NAME",
    "HAWSE_JOB",
    "TERM",
    "COLUMNS",
    "LINES",
    "WINDOWID",
    "TMUX",
    "STY",
)


def start_coordinator(where: Places, *, replace: bool = False, wait_s: float = READY_S_MAX) -> None:
    """Start one unless one is there; with `replace`, stop that one first. Returns when it answers.

    Raises Unavailable with the last lines of its log when it does not get ready within wait_s; Denied for unsafe
    places.
    """
    deadline = time.monotonic() + wait_s
    try:
        make_all(where)
    except OSError as error:
        raise _unusable(error) from error
    with _locked(where, deadline):
        if is_ready(where.socket):
            if not replace:
                return
            stop_coordinator(where)
        words = os.memfd_create("hawse-first-words")
        try:
            _start(where, words, deadline, wait_s)
        finally:
            os.close(words)


def _start(where: Places, words: int, deadline: float, wait_s: float) -> None:
    log_start = os.path.getsize(where.coordinator_log) if os.path.exists(where.coordinator_log) else 0
    scope = scope_prefix()
    pid = _spawn(where, words, scope)
    if not _wait_ready(where, pid, deadline) and _is_gone(pid) and (scope or os.fstat(words).st_size == 0):
        # The user manager refused (logout may then end it, doctor tells), or it was killed before it said a word.
        pid = _spawn(where, words, [])
        _wait_ready(where, pid, deadline)
    if not is_ready(where.socket):
        how = "ended at once" if _is_gone(pid) else f"was not ready within {wait_s:g} s"
        raise _failed(where, how, words, log_start)


def stop_coordinator(where: Places, *, wait_s: float = STOP_S_MAX) -> int | None:
    """Stop the running coordinator; its pid, or None when none runs. Jobs go on.

    Raises Unavailable when it does not stop.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with link:
        try:
            connect_patiently(link, where.socket, time.monotonic() + 5)
        except OSError:
            return None
        pid, _, _ = peer(link)
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return pid
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not _has_ended(handle, wait_s):
            raise Unavailable(
                f"the coordinator (process {pid}) did not stop within {wait_s:g} s",
                next_step=f"kill -9 {pid}; your jobs go on",
            )
    finally:
        os.close(handle)
    return pid


def is_ready(path: str) -> bool:
    """Does a coordinator answer on this socket?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            connect_patiently(link, path, time.monotonic() + 2)
            link.settimeout(2)
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: hawse\r\nConnection: close\r\n\r\n")
            return link.recv(32).startswith(b"HTTP/1.1 2")
        except OSError:
            return False


def command() -> list[str]:
    """What is started: this interpreter with this hawse."""
    return [sys.executable, "-m", "hawse.daemons.coordinator"]


def scope_prefix() -> list[str]:
    """The words that put a command into a scope of the user's systemd; none where there is no such scope, or where
    logout would spare the command as it is and end it there.

    Delegate: runners make cgroups below it, and one job that the kernel ends for want of memory shall not make systemd
    stop all the others (OOMPolicy). Source: systemd.resource-control(5), Delegate; systemd.scope(5), OOMPolicy.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    program = shutil.which("systemd-run")
    if program is None or not logind.runs() or not os.path.exists(f"{runtime}/systemd/private"):
        return []
    user = logind.user_name()
    lingers, (kills, _) = logind.lingers(user), logind.kills(logind.settings(), user)
    if not logind.is_scope_better(logind.place(), kills=kills, lingers=lingers):
        return []
    words = [program, "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes"]
    return [*words, "--description=hawse coordinator", "--"]


class _locked:
    """Holds an advisory lock on the runtime directory's start.lock, or raises Unavailable at the deadline."""

    def __init__(self, where: Places, deadline: float) -> None:
        self.path = f"{where.runtime}/start.lock"
        self.deadline = deadline
        self.file = -1

    def __enter__(self) -> None:
        try:
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(error) from error
        while True:
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > self.deadline:
                    os.close(self.file)
                    raise Unavailable(
                        "somebody else has been starting the coordinator for too long", next_step=f"rm {self.path}"
                    ) from None
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        os.close(self.file)


def _unusable(error: OSError) -> Unavailable:
    """A place that can't be used: no room, no permission, no directory."""
    step = "make room there, or set HAWSE_STATE_DIR and HAWSE_RUNTIME_DIR to directories of your own"
    return Unavailable(f"{error.filename}: {error.strerror}", next_step=step)


def _spawn(where: Places, words: int, scope: list[str]) -> int:
    """Start it apart from us; its process id. What it says before it serves goes to the descriptor `words`."""
    environ = {name: value for name, value in os.environ.items() if name not in _PER_TERMINAL} | environ_of(where)
    if scope:
        environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")  # systemd-run needs it; sudo does not set it
    environ["HAWSE_DAEMON"] = "coordinator"  # spares it when the job ends that we may be part of: spec 04, section 2
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _DETACH, str(words), *scope, *command(), "--background"],
        pass_fds=[words],
        cwd="/",
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=READY_S_MAX,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise Unavailable(
            f"the coordinator could not be started: {said or f'its starter ended with code {done.returncode}'}"
        )
    return int(done.stdout)


def _has_ended(handle: int, wait_s: float) -> bool:
    """Has a pidfd's process ended, or does it within wait_s? poll, not select: a caller may have many descriptors."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))


def _is_gone(pid: int) -> bool:
    """Has it ended? A zombie has, whether or not somebody takes its code."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return _has_ended(handle, 0)
    finally:
        os.close(handle)


def _wait_ready(where: Places, pid: int, deadline: float) -> bool:
    """Until it answers (True), has died, or the deadline is over (False)."""
    pause = 0.01
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        while time.monotonic() < deadline:
            if os.path.exists(where.socket) and is_ready(where.socket):
                return True
            if _has_ended(handle, pause):
                return False
            pause = min(0.1, pause * 1.5)
    finally:
        os.close(handle)
    return False


def _failed(where: Places, how: str, words: int, log_start: int) -> Unavailable:
    """What its log has since log_start, and what it said itself; the latter goes to the log, too."""
    try:
        with open(where.coordinator_log, "rb") as log:
            log.seek(log_start)
            logged = log.read(LOG_BYTES_READ)
    except OSError:
        logged = b""
    last = os.pread(words, LOG_BYTES_READ, 0)
    _keep(where.coordinator_log, last)
    text = (logged + last).decode("utf-8", "replace")
    lines = [said for line in text.splitlines() if (said := _readable(line))]
    told = "".join(f"\n    {line}" for line in lines[-LOG_LINES_SHOWN:]) or " nothing"
    return Unavailable(
        f"the coordinator {how}. It says:{told}", next_step=f"hawse doctor; the whole log: {where.coordinator_log}"
    )


def _keep(path: str, words: bytes) -> None:
    """Append to the log, where it has room: who looks later finds them there."""
    try:
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return
    try:
        os.write(log, words)
    except OSError:
        pass
    finally:
        os.close(log)


def _readable(line: str) -> str:
    """A line of the coordinator's log for a person: JSON as its text and the error's own line; nothing for
    decoration.
    """
    if line.startswith("{"):
        try:
            entry = json.loads(line)
            trace = [part.strip(" |") for part in str(entry.get("traceback", "")).splitlines()]
        except (ValueError, AttributeError):
            return line
        last = next((part for part in reversed(trace) if part.strip("+- ")), "")
        return f"{entry.get('text', line)}{': ' if last else ''}{last}"
    return line if line.strip(" ^~|") else ""
