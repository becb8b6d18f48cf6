"""Who is measured: hawse, and what a user would pick instead, each with private sockets and its own defaults.

A contestant keeps one program on a terminal of its own (`start`) and shows it on another (`client`), whose other side
the benchmark holds. The bare pty is the floor: the program runs directly on the terminal that the benchmark holds.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

COLUMNS, ROWS = 80, 24
_numbers = itertools.count(1)
DEADLINE_S = 20.0


class Shown:
    """A process on a terminal whose other side is `fd`."""

    def __init__(self, argv: list[str], environment: dict[str, str], *, cwd: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
                os.chdir(cwd)
                os.execvpe(argv[0], argv, environment)
            finally:
                os._exit(127)
        os.set_blocking(self.fd, False)

    def close(self) -> None:
        """The window is closed; the process must go."""
        os.close(self.fd)
        end(self.pid)
        os.waitpid(self.pid, 0)


class Contestant:
    """One way to keep a program while its terminal comes and goes."""

    name = ""

    def __init__(self, place: Path) -> None:
        self.place = Path(tempfile.mkdtemp(prefix=f"{self.name.split()[0]}-", dir=place))
        self.pid_file = self.place / "pid"
        kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.environment |= {"TERM": "xterm-256color", "HOME": str(self.place), "SHELL": "/bin/sh"}
        self.environment.setdefault("LANG", "C.UTF-8")

    def program(self, script: str) -> list[str]:
        """A shell script as argv; tells its pid, so that ending it is ending that process and nothing else."""
        return ["/bin/sh", "-c", f"echo $$ > {self.pid_file}.new; mv {self.pid_file}.new {self.pid_file}; {script}"]

    def start(self, script: str) -> None:
        """Start the program, nobody watching."""
        raise NotImplementedError

    def client(self) -> list[str]:
        """What shows the program on the terminal that it is run on."""
        raise NotImplementedError

    def attach(self) -> Shown:
        """Show the program."""
        return Shown(self.client(), self.environment, cwd=str(self.place))

    def wait(self) -> int:
        """The program's pid, once it runs."""
        deadline = time.monotonic() + DEADLINE_S
        while not self.pid_file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: the program did not start")
            time.sleep(0.01)
        return int(self.pid_file.read_text())

    def close(self) -> None:
        """End the program and what kept it; remove its files."""
        if self.pid_file.exists():
            end(int(self.pid_file.read_text()))
        shutil.rmtree(self.place, ignore_errors=True)

    def run(self, argv: list[str]) -> None:
        """A command that must succeed."""
        subprocess.run(
            argv, env=self.environment, cwd=self.place, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )


class Bare(Contestant):
    """No keeper at all."""

    name = "bare pty"

    def start(self, script: str) -> None:
        self._argv = self.program(script)

    def client(self) -> list[str]:
        return self._argv


class Tmux(Contestant):
    """tmux with its default configuration, on a server of its own."""

    name = "tmux"

    def start(self, script: str) -> None:
        self._tmux = ["tmux", "-S", str(self.place / "socket"), "-f", "/dev/null"]
        size = ["-x", str(COLUMNS), "-y", str(ROWS)]
        self.run(
            [*self._tmux, "new-session", "-d", *size, *self.program(f"exec env -u TMUX -u TMUX_PANE {_quoted(script)}")]
        )

    def client(self) -> list[str]:
        return [*self._tmux, "attach"]


class Dtach(Contestant):
    """dtach: a socket and nothing kept."""

    name = "dtach"

    def start(self, script: str) -> None:
        self._socket = str(self.place / f"socket{next(_numbers)}")
        self.run(["dtach", "-n", self._socket, "-E", *self.program(script)])

    def client(self) -> list[str]:
        return ["dtach", "-a", self._socket, "-E"]


class Screen(Contestant):
    """GNU screen with its default configuration."""

    name = "screen"

    def start(self, script: str) -> None:
        sockets = self.place / "sockets"
        sockets.mkdir(mode=0o700, exist_ok=True)
        self.environment["SCREENDIR"] = str(sockets)
        self.run(["screen", "-c", "/dev/null", "-dmS", "bench", *self.program(script)])

    def client(self) -> list[str]:
        return ["screen", "-c", "/dev/null", "-r", "bench"]


class Hawse(Contestant):
    """The installed `hawse`, with a coordinator and a state of its own."""

    name = "hawse"
    engine = "auto"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.environment |= {"HAWSE_ENGINE": self.engine} | {
            f"HAWSE_{kind.upper()}_DIR": str(self.place / kind) for kind in ("state", "runtime", "config")
        }

    def command(self, *words: str) -> list[str]:
        """The argv of a hawse command."""
        return [str(Path(sys.executable).parent / "hawse"), *words]

    def start(self, script: str) -> None:
        self.run(self.command("new", "-d", "bench", "--", *self.program(script)))

    def client(self) -> list[str]:
        return self.command("attach", "bench")

    def close(self) -> None:
        self.stop()
        super().close()

    def stop(self) -> None:
        """End all sessions, the coordinator and the runners' parent."""
        quiet = {"env": self.environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(self.command("end", "--all", "--now"), check=False, timeout=60, **quiet)  # type: ignore[call-overload]
        subprocess.run(self.command("down"), check=False, timeout=60, **quiet)  # type: ignore[call-overload]
        for pid in listeners(self.place / "runtime" / "parent.sock"):
            end(pid)


class HawsePython(Hawse):
    """The same without the compiled core."""

    name = "hawse (python)"
    engine = "python"


def listeners(path: Path) -> list[int]:
    """Our own processes that were started to listen on a socket: those with its path in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(path) in words:
            found.append(int(entry.name))
    return found


def _quoted(script: str) -> str:
    return "/bin/sh -c '" + script.replace("'", "'\\''") + "'"


def end(pid: int) -> None:
    """SIGKILL to one process that we started."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
