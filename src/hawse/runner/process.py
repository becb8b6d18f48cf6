"""Start the job's main process: a pty or three pipes, its environment, exec, and an exact word when that fails."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import termios

from hawse.runner import kin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.wire.order import Order

PATH_DEFAULT = b"/usr/local/bin:/usr/bin:/bin"  # what a login shell starts from (Debian's /etc/login.defs)
IUTF8 = 0x4000  # asm-generic/termbits.h; not in Python's termios
NOT_FOUND, NOT_EXECUTABLE = 127, 126
REPORT_BYTES_MAX = 4096


class StartFailed(Exception):
    """The main process could not be started. code: what a shell would return."""

    def __init__(self, cause: str, *, code: int, error: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.code = code
        self.error = error


class Process:
    """A started main process. outputs: descriptors to read, with their source.

    terminal, slave: the pty's two ends, or -1. We hold the slave too: when the last one was closed, a master that is
    closed in turn hangs up on a job that has only let go of its terminal, and one that is kept can't be waited on.
    """

    __slots__ = ("input_fd", "outputs", "pid", "pidfd", "slave", "started", "terminal")

    def __init__(self, pid: int, *, terminal: int, input_fd: int, outputs: dict[int, int], slave: int = -1) -> None:
        self.pid = pid
        self.pidfd = _handle(pid)
        self.started = kin.started(pid)
        self.terminal = terminal
        self.slave = slave
        self.input_fd = input_fd
        self.outputs = outputs


def _handle(pid: int) -> int:
    """A handle of our new child. Raises OSError (out of descriptors); then it is ended: it may not run unseen."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def set_size(fd: int, columns: int, rows: int) -> None:
    """Give the terminal a size; the kernel tells the programs (SIGWINCH) when it differs."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def get_size(fd: int) -> tuple[int, int]:
    """The terminal's size as (columns, rows)."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return columns, rows


def start(order: Order, *, cgroup: str) -> Process:
    """Start the order's command. Raises StartFailed.

    The child waits for nothing: it joins its cgroup, then executes. A failure comes through a pipe that a successful
    exec closes, so that the answer is exact. Where there is no process, terminal or pipe to be had, what was taken so
    far stays with the runner, which has nothing else to do then.
    """
    try:
        pid, process, said = _started(order, cgroup)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "")
        cause = f"there is no process or terminal for it now: {error.strerror}"
        raise StartFailed(cause, code=NOT_EXECUTABLE, error=name) from error
    if said:
        os.waitpid(pid, 0)
        for fd in {process.input_fd, process.slave, *process.outputs} - {-1}:
            os.close(fd)
        os.close(process.pidfd)
        raise _failure(said, order)
    return process


def _started(order: Order, cgroup: str) -> tuple[int, Process, bytes]:
    """The process, and why it could not become the command; empty when it did. Raises OSError."""
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    try:
        start = _start_on_pipes if order.tty is None else _start_on_terminal
        pid, process = start(order, cgroup, report_write)
    finally:
        os.close(report_write)
    try:
        return pid, process, os.read(report_read, REPORT_BYTES_MAX)
    finally:
        os.close(report_read)


def _start_on_terminal(order: Order, cgroup: str, report: int) -> tuple[int, Process]:
    assert order.tty is not None
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[0] |= IUTF8
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    set_size(master, *order.tty)
    runner = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(order, cgroup, report, (slave, slave, slave), runner=runner, terminal=True)
    os.set_blocking(master, False)
    return pid, Process(pid, terminal=master, slave=slave, input_fd=master, outputs={master: 1})


def _start_on_pipes(order: Order, cgroup: str, report: int) -> tuple[int, Process]:
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    err_read, err_write = os.pipe2(os.O_CLOEXEC)
    in_write = -1
    if order.stdin == "open":
        in_read, in_write = os.pipe2(os.O_CLOEXEC)
    else:
        in_read = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    runner = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(order, cgroup, report, (in_read, out_write, err_write), runner=runner, terminal=False)
    for fd in (in_read, out_write, err_write):
        os.close(fd)
    for fd in (out_read, err_read, *([in_write] if in_write >= 0 else [])):
        os.set_blocking(fd, False)
    return pid, Process(pid, terminal=-1, input_fd=in_write, outputs={out_read: 1, err_read: 2})


def _become(
    order: Order, cgroup: str, report: int, streams: tuple[int, int, int], *, runner: int, terminal: bool
) -> None:
    """In the child: turn into the job. Never returns."""
    stage = "prepare"
    try:
        os.setsid()
        if terminal:
            fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
        report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, 3)
        for number, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in streams]):
            os.dup2(fd, number, inheritable=True)
        os.closerange(3, report)
        os.closerange(report + 1, 2**20)
        _default_signals()
        if cgroup:
            kin.join_cgroup(cgroup)
        os.umask(order.umask)
        stage = "cwd"
        os.chdir(order.cwd)
        stage = "exec"
        environment = {**order.env, kin.TAG: order.job.encode()}
        environment.setdefault(b"HAWSE_SESSION", order.session.encode())
        environment.pop(kin.SPARED, None)
        if os.getppid() != runner:
            os._exit(NOT_FOUND)  # the runner was killed meanwhile: nobody would ever know of this process
        execute(order.argv, environment)
    except OSError as error:
        os.write(report, f"{stage} {error.errno or errno.EIO}".encode())
    except BaseException as error:
        os.write(report, f"prepare {errno.EIO} {error!r}"[:200].encode())
    finally:
        os._exit(NOT_FOUND)


def _default_signals() -> None:
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def execute(argv: list[bytes], environment: dict[bytes, bytes]) -> None:
    """execvp(3): look argv[0] up in the job's own PATH; a script without #! goes to /bin/sh. Raises OSError."""
    denied: OSError | None = None
    for path in candidates(argv[0], environment):
        try:
            os.execve(path, argv, environment)
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                os.execve(b"/bin/sh", [b"/bin/sh", path, *argv[1:]], environment)
            if error.errno == errno.EACCES and os.path.isdir(path):
                error = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                if error.errno not in (errno.EACCES, errno.EISDIR):
                    raise error from None
                denied = denied or error
            elif b"/" in argv[0] and os.path.exists(path):
                # the file is there: it is its interpreter that is missing
                raise OSError(errno.ELIBACC, os.strerror(errno.ELIBACC)) from None
    raise denied or OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def candidates(name: bytes, environment: dict[bytes, bytes]) -> list[bytes]:
    """The files that `name` may mean. An empty part of PATH is the working directory."""
    if b"/" in name:
        return [name]
    parts = environment.get(b"PATH", PATH_DEFAULT).split(b":")
    return [(part or b".") + b"/" + name for part in parts]


def _failure(said: bytes, order: Order) -> StartFailed:
    stage, _, rest = said.decode("utf-8", "replace").partition(" ")
    number = int(rest.partition(" ")[0])
    name = errno.errorcode.get(number, str(number))
    command = order.argv[0].decode("utf-8", "replace")
    words = os.strerror(number)
    if stage == "cwd":
        cause = f"the working directory {order.cwd.decode('utf-8', 'replace')} cannot be entered: {words}"
        return StartFailed(cause, code=NOT_EXECUTABLE, error=name)
    if stage == "exec" and number == errno.ENOENT:
        where = "" if "/" in command else " in PATH"
        return StartFailed(f"command not found{where}: {command}", code=NOT_FOUND, error=name)
    if stage == "exec" and number == errno.ELIBACC:
        return StartFailed(f"the interpreter of {command} does not exist", code=NOT_FOUND, error="ENOENT")
    if stage == "exec" and number in (errno.EACCES, errno.EISDIR):
        return StartFailed(f"not executable: {command} ({words})", code=NOT_EXECUTABLE, error=name)
    if stage == "exec" and number == errno.E2BIG:
        return StartFailed("the arguments and environment are too long together", code=NOT_EXECUTABLE, error=name)
    doing = f"executing {command}" if stage == "exec" else "preparing the process"
    return StartFailed(f"{doing} failed: {words} {rest.partition(' ')[2]}".strip(), code=NOT_EXECUTABLE, error=name)
