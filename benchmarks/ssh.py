#!/usr/bin/env python3
"""What a server behind ssh costs: attaching, coming back after a cut link, and each keystroke.

Beside plain `ssh` with tmux on the other side, over the same sshd on loopback and a warm master connection, in turns.
Needs root: the far side is an account of its own. Without, and without sshd, there are no figures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from contestants import DEADLINE_S, Contestant, Shown
from figures import Figure, add_ratios, end_in_order, median, note, parser, percentile, show
from terminal import echo_round, read_some, settle

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "lab"))
from sshd import Account, Lab, install

READY = b"here-it-is"
SCREEN = f"seq 1 20; echo {READY.decode()}; stty raw -echo; exec cat"
SECTION = "Over ssh, a warm master connection"


class Far(Contestant):
    """A program kept on the other side of an ssh."""

    def __init__(self, place: Path, lab: Lab, account: Account) -> None:
        super().__init__(place)
        self.lab = lab
        self.account = account
        self.environment |= lab.environ(account)
        for kind in ("state", "config"):
            self.environment[f"HAWSE_{kind.upper()}_DIR"] = str(self.place / kind)
        self.environment["HAWSE_RUNTIME_DIR"] = str(place / "r")  # short: ssh's socket is below it
        self.ssh = ["ssh", "-F", str(lab.config), "-o", "ControlMaster=auto", "-o", "ControlPersist=600"]
        self.ssh += ["-o", f"ControlPath={lab.folder}/m-%C"]

    def over_ssh(self, command: str) -> None:
        """A command there, to its end."""
        self.run([*self.ssh, "-T", self.account.name, command])


class SshTmux(Far):
    """What one does today: ssh -t host tmux attach."""

    name = "ssh + tmux"

    def start(self, script: str) -> None:
        self.over_ssh(f"tmux -f /dev/null new-session -d -x 80 -y 24 -s bench '{script}'")

    def client(self) -> list[str]:
        return [*self.ssh, "-t", self.account.name, "tmux -f /dev/null attach -t bench"]


class HawseSsh(Far):
    """HAWSE_SERVER=ssh://host hawse attach."""

    name = "hawse over ssh"

    def command(self, *words: str) -> list[str]:
        """The argv of a hawse command."""
        return [str(Path(sys.executable).parent / "hawse"), *words]

    def start(self, script: str) -> None:
        self.run(self.command("new", "-d", "bench", "--", "/bin/sh", "-c", script))

    def client(self) -> list[str]:
        return self.command("attach", "bench")


def until(shown: Shown, wanted: Callable[[bytes], bool], what: str) -> None:
    """Read until the condition holds for all that was shown."""
    seen, deadline = b"", time.monotonic() + DEADLINE_S
    while not wanted(seen):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not shown, but {seen[-300:]!r}")
        seen += read_some(shown, 0.5)


def attach_once(one: Contestant) -> float:
    """Milliseconds from starting the client to the program's screen."""
    began = time.perf_counter()
    window = one.attach()
    try:
        until(window, lambda seen: READY in seen, "the screen")
        return (time.perf_counter() - began) * 1000
    finally:
        window.close()


def reconnect_once(one: Far, window: Shown) -> float:
    """Milliseconds from the cut to the first byte that was typed into the new link; hawse does it by itself."""
    settle(window)
    began = time.perf_counter()
    one.lab.cut()
    until(window, lambda seen: b"linked again" in seen, "the new link")
    os.write(window.fd, b"@")
    until(window, lambda seen: b"@" in seen, "the first byte")
    return (time.perf_counter() - began) * 1000


def come_back_once(one: Far) -> float:
    """The same by hand: ssh has noticed, the person types the command again and presses a key."""
    window = one.attach()
    try:
        until(window, lambda seen: READY in seen, "the screen")
        began = time.perf_counter()
        one.lab.cut()
    finally:
        window.close()
    window = one.attach()
    try:
        until(window, lambda seen: READY in seen, "the screen")
        os.write(window.fd, b"@")
        until(window, lambda seen: b"@" in seen, "the first byte")
        return (time.perf_counter() - began) * 1000
    finally:
        window.close()


def measured(kept: list[Far], *, rounds: int, keys: int) -> list[Figure]:
    """All figures, the contestants in turns."""
    figures: list[Figure] = []
    attaches: dict[str, list[float]] = {one.name: [] for one in kept}
    backs: dict[str, list[float]] = {one.name: [] for one in kept}
    for one in kept:
        one.start(SCREEN)
        attach_once(one)  # from here on the master connection is warm
    note(f"attach: {rounds} rounds")
    for _ in range(rounds):
        for one in kept:
            attaches[one.name].append(attach_once(one))
    note(f"echo: {keys} keystrokes each")
    windows = [one.attach() for one in kept]
    try:
        for window in windows:
            until(window, lambda seen: READY in seen, "the screen")
            echo_round(window, 20, 0)
        times: dict[str, list[float]] = {one.name: [] for one in kept}
        for _ in range(max(1, keys // 100)):
            for one, window in zip(kept, windows, strict=True):
                times[one.name] += echo_round(window, min(keys, 100), 0.002)
    finally:
        for window in windows:
            window.close()
    note(f"reconnect: {rounds} rounds")
    for _ in range(rounds):
        for one in kept:
            backs[one.name].append(_back(one))

    def told(what: str, name: str, value: float, unit: str) -> None:
        figures.append(Figure(SECTION, what, name, value, unit))

    for name in attaches:
        told("attach, to the first screen, p50", name, median(attaches[name]), "ms")
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        for name in times:
            told(f"echo round trip, {label}", name, percentile(times[name], share) * 1e6, "us")
    for name in backs:
        told("after a cut link, to the first byte typed, p50", name, median(backs[name]), "ms")
    return figures


def _back(one: Far) -> float:
    if isinstance(one, SshTmux):
        return come_back_once(one)
    window = one.attach()
    try:
        until(window, lambda seen: READY in seen, "the screen")
        return reconnect_once(one, window)
    finally:
        window.close()


def main() -> None:
    """All of it."""
    end_in_order()
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--keys", type=int, default=1000, help="keystrokes for each contestant")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.keys = 2, 100
    reason = Lab.why_not() or ("" if shutil.which("tmux") else "tmux is missing")
    if reason:
        note(f"no figures over ssh: {reason}")
        show([], as_json=chosen.json)
        return
    place = Path(tempfile.mkdtemp(prefix="hwb", dir="/tmp"))
    far, folder = place / "far", place / "lab"
    place.chmod(0o755)
    for path in (far, folder):
        path.mkdir()
    try:
        note("installing hawse for the far account")
        with Lab(folder, far=install(far)) as lab:
            account = lab.account("bench")
            kept: list[Far] = [SshTmux(place, lab, account), HawseSsh(place, lab, account)]
            figures = measured(kept, rounds=chosen.rounds, keys=chosen.keys)
            for path in folder.glob("m-*"):
                close = ["ssh", "-F", "none", "-O", "exit", "-S", str(path), "nobody"]
                subprocess.run(close, capture_output=True, timeout=30, check=False)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    add_ratios(figures, ("ssh + tmux",))
    show(figures, as_json=chosen.json)


if __name__ == "__main__":
    main()
