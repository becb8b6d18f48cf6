"""Find and end everything that a job started: process tree, cgroup, environment tag.

Theory of operation. Three nets, each with holes of its own: (1) descendants of the runner, which is a child subreaper,
so that double-forked daemons come back to it; lost when the runner dies. (2) a cgroup v2, where one may be made: no
hole, but rarely to be had. (3) the tag HAWSE_JOB in /proc/<pid>/environ: survives the runner, lost by programs that
clear their environment or fork on faster than we look, and not to be seen for a moment while a program is loaded: one
look for a dead runner's job that finds nothing proves nothing. A process is the same only if its start time is the same
too: numbers are used again.

Strangers are spared with all that they started. hawse's own daemons, which carry HAWSE_DAEMON in their environment: a
coordinator first started from a shell inside a session must not end with that session. And what carries the tag of
another job: when such a coordinator, its parent and a runner of its have gone, that runner's job comes back to us.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TAG = b"HAWSE_JOB"
SPARED = b"HAWSE_DAEMON"
COMMAND_CHARACTERS_MAX = 200
CGROUP_PREFIX = "hawse-"
ENVIRON_BYTES_MAX = 8 << 20  # execve(2) takes at most 6 MiB; a process may show what it likes


class Kin:
    """One process, recognised by pid and start time (clock ticks after boot, field 22 of /proc/<pid>/stat)."""

    __slots__ = ("group", "parent", "pid", "session", "started", "state")

    def __init__(self, pid: int, *, parent: int, group: int, session: int, state: str, started: int) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.state = state
        self.started = started


def look(pid: int) -> Kin | None:
    """A process as /proc shows it now; None when it is gone or a zombie.

    One whose first thread has ended shows the same state as a zombie, but its other threads run on.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read(1024)
    except OSError:
        return None
    fields = data[data.rfind(b")") + 2 :].split()
    if len(fields) < 20 or (fields[0] in (b"Z", b"X") and int(fields[17]) <= 1):
        return None
    return Kin(
        pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        state=fields[0].decode(),
        started=int(fields[19]),
    )


def started(pid: int) -> int:
    """A process's start time in clock ticks after boot, also of a zombie; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read(1024)
        return int(data[data.rfind(b")") + 2 :].split()[19])
    except (OSError, IndexError):
        return 0


def boot_id() -> str:
    """This boot's name: start times of another boot mean nothing."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def everybody() -> dict[int, Kin]:
    """All living processes that can be seen."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (one := look(int(name))) is not None:
            found[one.pid] = one
    return found


def environ(pid: int) -> bytes:
    """A process's first environment, zero-separated, with a zero before it; empty when it may not be read."""
    data = _first_bytes(f"/proc/{pid}/environ")
    if not data:  # a thread that has ended shows nothing; the others of its process do
        data = next(filter(None, (_first_bytes(f"/proc/{pid}/task/{one}/environ") for one in threads(pid))), b"")
    return b"\0" + data if data else b""


def _first_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(ENVIRON_BYTES_MAX)
    except OSError:
        return b""


def threads(pid: int) -> list[str]:
    """A process's threads."""
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def command(pid: int) -> str:
    """A process's command line for people."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            data = file.read(4 * COMMAND_CHARACTERS_MAX)
        if not data:
            with open(f"/proc/{pid}/comm", "rb") as file:
                data = b"[" + file.read(64).strip() + b"]"
    except OSError:
        return "?"
    return data.replace(b"\0", b" ").strip().decode("utf-8", "replace")[:COMMAND_CHARACTERS_MAX]


def tree(runner: int, *, job: str, main: int = 0, cgroup: str = "") -> list[Kin]:
    """All living processes below a living runner but strangers and what they started.

    main: the job's first process, which is the job's whatever it carries. Reads only the runner's own descendants: with
    a subreaper nothing leaves that tree, and a host may have many runners.
    """
    found: list[Kin] = []
    seen = {runner, 1}
    waiting = [*children(runner), *in_cgroup(cgroup)]
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        one = look(pid)
        if one is not None and (pid == main or not is_stranger(pid, job)):
            found.append(one)
            waiting += children(pid)
    return found


def children(pid: int) -> list[int]:
    """A process's children, of all its threads."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        if not os.path.exists(f"/proc/{pid}/task/{pid}/children") and os.path.exists(f"/proc/{pid}"):
            return [
                one.pid for one in everybody().values() if one.parent == pid
            ]  # a kernel without CONFIG_PROC_CHILDREN
    return found


def of_job(job: str, *, main: int = 0, main_started: int = 0, cgroup: str = "") -> list[Kin]:
    """All living processes of a job whose runner is dead. For the coordinator.

    main, main_started: the job's first process as process.json tells it. Its session and its group count only when it
    is still the same process or when their members carry the tag: numbers are used again. A process that carries the
    tag is the job's also below a stranger: orphans go to whoever is above a dead runner.
    """
    all_of_them = everybody()
    below: dict[int, list[int]] = {}
    for one in all_of_them.values():
        below.setdefault(one.parent, []).append(one.pid)
    whose = {pid: owner(pid) for pid in all_of_them}
    is_main_there = main in all_of_them and all_of_them[main].started == main_started
    if is_main_there:
        whose[main] = job
    strangers = {pid for pid, name in whose.items() if name not in (None, job)}
    spared = _below(strangers, below)
    roots = [pid for pid in in_cgroup(cgroup) if pid not in spared]
    roots += [pid for pid, name in whose.items() if name == job]
    if is_main_there:
        roots += [pid for pid, one in all_of_them.items() if main in (one.session, one.group) and pid not in spared]
    found = _below(roots, {pid: pids for pid, pids in below.items() if pid not in strangers})
    found -= strangers | {1, os.getpid()}
    return [all_of_them[pid] for pid in sorted(found) if pid in all_of_them]


def _below(roots: Iterable[int], children: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def owner(pid: int) -> str | None:
    """The job whose tag it carries; empty for one of hawse's own daemons; None when it does not say."""
    data = environ(pid)
    if b"\0" + SPARED + b"=" in data:
        return ""
    _, found, rest = data.partition(b"\0" + TAG + b"=")
    return rest.partition(b"\0")[0].decode("utf-8", "replace") if found else None


def is_stranger(pid: int, job: str) -> bool:
    """Is it one of hawse's own daemons, or of another job?"""
    return owner(pid) not in (None, job)


def send(one: Kin, number: int) -> bool:
    """Signal exactly this process, never a later one with its number. False: it is gone, or not ours to signal."""
    try:
        pidfd = os.pidfd_open(one.pid)
    except OSError:
        return False
    try:
        if started(one.pid) != one.started:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def reap(main: int) -> int:
    """Collect orphans that came back to this subreaper, but not the main process: its number stays taken until the
    end. Returns how many."""
    count = 0
    for pid in children(os.getpid()):
        if pid != main:
            try:
                count += os.waitpid(pid, os.WNOHANG)[0] != 0
            except OSError:
                pass
    return count


# -- cgroup v2 --------------------------------------------------------------------------------------------------------


def own_cgroup() -> str:
    """The folder of this process's cgroup v2; empty when there is none."""
    mount = ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                if after.startswith("cgroup2 ") and before.split()[3] == "/":
                    mount = before.split()[4]
                    break
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            inside = next((line[3:].strip() for line in file if line.startswith("0::")), "")
    except OSError:
        return ""
    if not mount or not inside or "/.." in inside:
        return ""
    return mount + inside.rstrip("/")


def make_cgroup(job: str, incarnation: str) -> str:
    """Make a cgroup for one attempt of a job below our own.

    Empty when we may not, or when the kernel can't end one at once (before Linux 5.14).
    """
    own = own_cgroup()
    if not own:
        return ""
    # Never inside another job's: a runner that was started from a session would end with it.
    while os.path.basename(own).startswith(CGROUP_PREFIX):
        own = os.path.dirname(own)
    path = f"{own}/{CGROUP_PREFIX}{job}-{incarnation[:16]}"
    try:
        os.mkdir(path, 0o755)
    except OSError:  # also when it exists: then it is somebody else's, and killing it would kill theirs
        return ""
    if not os.path.exists(f"{path}/cgroup.kill"):
        remove_cgroup(path)
        return ""
    return path


def join_cgroup(path: str) -> None:
    """Move this process into a cgroup. Not being allowed to is no error: the other nets remain."""
    try:
        fd = os.open(f"{path}/cgroup.procs", os.O_WRONLY)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)
    except OSError:
        pass


def leave_job_cgroup() -> None:
    """A daemon that was started from inside a session moves out of that session's cgroup."""
    own = own_cgroup()
    if os.path.basename(own).startswith(CGROUP_PREFIX):
        join_cgroup(os.path.dirname(own))


def in_cgroup(path: str) -> list[int]:
    """The processes in a cgroup."""
    if not path:
        return []
    try:
        with open(f"{path}/cgroup.procs", encoding="ascii") as file:
            return [int(line) for line in file]
    except OSError:
        return []


def kill_cgroup(path: str, *, job: str) -> None:
    """SIGKILL everything in a job's cgroup at once, also what is forking at this moment; not when a stranger is in
    it."""
    if not path or any(is_stranger(pid, job) for pid in in_cgroup(path)):
        return
    try:
        with open(f"{path}/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:
        pass


def remove_cgroup(path: str) -> None:
    """Remove an empty cgroup; a full one stays."""
    if path:
        try:
            os.rmdir(path)
        except OSError:
            pass
