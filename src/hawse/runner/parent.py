"""The warm fork server: everything is imported once, each runner is a fork of it.

It outlives the coordinator and knows nothing of what it started: runners are found again by their claims and sockets. A
connection brings one SPAWN; the forked runner answers it. Or it brings KEEP and stays: somebody counts on this parent.
Or it brings LOOK: which processes a dead runner's job left, and a signal for them, since only their user may send one.
When nobody has for a while, it goes; a timer is set only then. Idle and kept, it waits in epoll without a timeout.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import sys

from hawse.runner import kin, look, runner
from hawse.runner.connection import Connection
from hawse.runner.door import listen
from hawse.runner.loop import IN, Loop, Timer
from hawse.runner.peer import peer_uid
from hawse.wire import terminal
from hawse.wire.errors import Malformed, WireError
from hawse.wire.order import Order, parse_spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Prctl = Callable[[int, int | bytes], int]

CONNECTIONS_MAX = 64  # of the same user; the oldest silent one is cut
ENTRY_S = 10  # for a whole order to come
QUEUE_BYTES_MAX = 64 * 1024
KEEPERS_MAX = 8  # one coordinator, and what is left of earlier ones
IDLE_S = 600.0  # with nobody to keep it: a coordinator that was killed is mostly back in seconds; a start costs 50 ms
PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 15, 36  # linux/prctl.h


def command(
    python: str, source_dir: str, socket_path: str, *, idle_s: float = IDLE_S, coordinator: int | None = None
) -> list[str]:
    """The argv that starts a parent. source_dir: the folder that holds `hawse`. idle_s: how long it stays unkept.
    coordinator: the uid that is served besides our own; None: no other. Pure.

    Start it with stdin, stdout and stderr on /dev/null or a file, in any folder, with HAWSE_DAEMON=parent in its
    environment and without HAWSE_JOB. It makes its own session. Exits 0 at once when another one already listens.
    """
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from hawse.runner.parent import main; sys.exit(main(sys.argv[2:]))"
    )
    words = [f"{idle_s:g}"] if idle_s != IDLE_S or coordinator is not None else []
    words += [str(coordinator)] if coordinator is not None else []
    return [python, "-I", "-S", "-c", program, source_dir, socket_path, *words]


def main(argv: list[str]) -> int:
    """Serve until killed, or until nobody has needed it for idle_s. 0 also: another parent serves this socket."""
    path, idle_s = argv[0], float(argv[1]) if argv[1:] else IDLE_S
    coordinator = int(argv[2]) if argv[2:] else None
    os.umask(0o077 if coordinator is None else 0o007)  # the folders' group is the coordinator's: daemons/as_user.py
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    if os.getpid() != os.getsid(0):
        try:
            os.setsid()
        except PermissionError:  # already a group's leader: started by a shell with job control
            pass
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: runners are on their own
    os.chdir("/")
    kin.leave_job_cgroup()
    prctl = _prctl()
    prctl(PR_SET_NAME, b"hawse-parent")
    parent = Parent(path, prctl, idle_s=idle_s, coordinator=coordinator)
    gc.collect()
    gc.freeze()
    parent.loop.run()
    return 0


def _prctl() -> Prctl:
    """prctl(2), called with a number and a value. Without ctypes: nothing is set, and orphans are found by tag only."""
    try:
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return lambda option, value: -1

    def prctl(option: int, value: int | bytes) -> int:
        return int(
            function(option, ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value), 0, 0, 0)
        )

    return prctl


class Parent:
    """Listens and forks."""

    def __init__(
        self, path: str, prctl: Prctl, *, idle_s: float = IDLE_S, coordinator: int | None = None
    ) -> None:
        self.path = path
        self.served = {0, os.getuid(), os.getuid() if coordinator is None else coordinator}
        self.prctl = prctl
        self.idle_s = idle_s
        self.loop = Loop(failed=_failed)
        self.sock = listen(path)
        self._connections: dict[Connection, Timer] = {}
        self._keepers: list[Connection] = []
        self._idle: Timer | None = None
        self.loop.watch(self.sock.fileno(), IN, self._accept)
        self._needed()

    def _accept(self, events: int) -> None:
        try:
            sock, _ = self.sock.accept()
        except OSError:
            if self._connections:
                self._cut(next(iter(self._connections)), "busy", "too many connections")
            return
        if peer_uid(sock) not in self.served:
            sock.close()
            return
        if len(self._connections) >= CONNECTIONS_MAX:
            self._cut(next(iter(self._connections)), "busy", "too many connections; this was the oldest silent one")
        connection = Connection(
            sock, self.loop, body_bytes_max=terminal.ORDER_BODY_BYTES_MAX, queue_bytes_max=QUEUE_BYTES_MAX
        )
        connection.frames = lambda kind, body: self._order(connection, kind, body)
        connection.lost = lambda error: self._lost(connection, error)
        self._connections[connection] = self.loop.after(
            ENTRY_S, lambda: self._cut(connection, "silent", f"no whole order came in {ENTRY_S} s")
        )

    def _order(self, connection: Connection, kind: int, body: bytes) -> None:
        if kind == terminal.KEEP and connection not in self._keepers:
            self._keep(connection)
            return
        if kind == terminal.LEAVE and not body:
            self._forget(connection)
            connection.close()
            self._leave_now()
            return
        if kind not in (terminal.SPAWN, terminal.LOOK) or connection in self._keepers:
            raise Malformed("the parent takes one SPAWN, one LOOK, one LEAVE or one KEEP")
        order = parse_spawn(body) if kind == terminal.SPAWN else None
        asked = look.parse(body) if kind == terminal.LOOK else None
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, or no memory
            self._cut(connection, "busy", f"no process for it can be made now: {error.strerror}")
            return
        if pid == 0 and asked is not None:
            _look(connection, asked)
        if pid == 0 and order is not None:
            self._become_runner(connection, order)
        self._forget(connection)
        connection.close()

    def _become_runner(self, connection: Connection, order: Order) -> None:
        """In the child. Never returns, so nothing of the parent's objects is ever closed by accident."""
        try:
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            reply = os.dup(connection.fd)
            os.set_blocking(reply, True)
            os.dup2(reply, 3, inheritable=False)
            os.closerange(4, 2**20)
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            for number in (0, 1):
                os.dup2(null, number)
            os.close(null)
            self.prctl(PR_SET_CHILD_SUBREAPER, 1)
            self.prctl(PR_SET_NAME, b"hawse-runner")
            runner.main(order, 3)
        finally:
            os._exit(1)

    def _lost(self, connection: Connection, error: Exception | None) -> None:
        if isinstance(error, WireError):
            connection.say(terminal.error(error.code, str(error), "nothing was started"))
        self._forget(connection)

    def _cut(self, connection: Connection, code: str, detail: str) -> None:
        connection.say(terminal.error(code, detail, "nothing was started"))
        self._forget(connection)
        connection.close()

    def _forget(self, connection: Connection) -> None:
        timer = self._connections.pop(connection, None)
        if timer is not None:
            timer.cancel()
        if connection in self._keepers:
            self._keepers.remove(connection)
        self._needed()

    # -- staying and going --------------------------------------------------------------------------------------------

    def _keep(self, connection: Connection) -> None:
        """Somebody counts on us for as long as this connection lasts. Its other end may tell by it whether we live."""
        timer = self._connections.pop(connection)
        timer.cancel()
        if len(self._keepers) >= KEEPERS_MAX:
            self._cut(self._keepers[0], "busy", "too many keepers; this was the oldest")
        self._keepers.append(connection)
        self._needed()

    def _needed(self) -> None:
        """Somebody came or went: begin to wait anew, or do not wait while we are kept."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if not self._keepers:
            self._idle = self.loop.after(self.idle_s, self._leave)

    def _leave(self) -> None:
        """Go. Who connects at this moment is refused or cut, and asks again."""
        if self._connections:
            self._needed()
            return
        self._leave_now()

    def _leave_now(self) -> None:
        """Runners do not need us, and the next coordinator has one of its own version started."""
        self.sock.close()
        try:
            os.unlink(self.path)  # still ours: the lock is held
        except OSError:
            pass
        self.loop.running = False


def _look(connection: Connection, asked: look.Look) -> NoReturn:
    """In a child, since looking through all processes takes its time. Never returns."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.set_blocking(connection.fd, True)
        data = memoryview(look.answer(asked))
        while data:
            data = data[os.write(connection.fd, data) :]
    except Exception as error:
        print(f"hawse-parent: looking failed: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(0)


def _failed(fd: int, error: Exception) -> None:
    """Note it on stderr (a file of the coordinator's choice) and go on."""
    print(f"hawse-parent: descriptor {fd}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
