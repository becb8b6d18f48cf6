#!/usr/bin/env python3
"""How fast a terminal is: echo, bulk output, attaching; and how small an idle session is.

Beside tmux, dtach, screen and the bare pty, in the same run, in turns.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import tempfile
import time
from pathlib import Path

from contestants import DEADLINE_S, Bare, Contestant, Dtach, Hawse, HawsePython, Screen, Shown, Tmux, end
from direct import Direct
from figures import Figure, add_ratios, end_in_order, median, note, parser, percentile, show

HERE = Path(__file__).resolve().parent
ALL: tuple[type[Contestant], ...] = (Bare, Dtach, Tmux, Screen, Hawse, HawsePython)
PEERS = ("bare pty", "dtach", "tmux", "screen")

# What the typed byte meets: a program that reads it and prints it, as editors and shells do; or the kernel's own echo.
ECHOES = {
    "program echo": "stty raw -echo; exec cat",
    "kernel echo": "stty -icanon min 1 echo; exec cat > /dev/null",
}
KEYS = b"zxqw"  # in no escape sequence that anybody sends meanwhile
PER_ROUND = 100
LINE = 60  # then a new line, so that nobody has to wrap


def read_some(shown: Shown, timeout_s: float) -> bytes:
    """What the terminal shows next; empty when nothing comes or nothing can come any more."""
    if not select.select([shown.fd], [], [], timeout_s)[0]:
        return b""
    try:
        return os.read(shown.fd, 65536)
    except OSError:
        return b""


def settle(shown: Shown, quiet_s: float = 0.1) -> bytes:
    """Read until nothing comes for a while."""
    seen = bytearray()
    while data := read_some(shown, quiet_s):
        seen += data
    return bytes(seen)


# -- echo -------------------------------------------------------------------------------------------------------------


def echo_once(shown: Shown, key: bytes) -> float:
    """Seconds from the byte typed to the byte shown."""
    began = time.perf_counter()
    os.write(shown.fd, key)
    deadline = began + DEADLINE_S
    while time.perf_counter() < deadline:
        if key in read_some(shown, DEADLINE_S):
            return time.perf_counter() - began
    raise TimeoutError("a typed byte was never shown")


def echo_round(shown: Shown, count: int, pause_s: float) -> list[float]:
    """A person at the keyboard: a key, its echo, a pause; sometimes a new line."""
    times = []
    settle(shown, 0.02)
    for at in range(count):
        if at % LINE == LINE - 1:
            os.write(shown.fd, b"\r\n")
            settle(shown, 0.02)
        times.append(echo_once(shown, KEYS[at % len(KEYS) :][:1]))
        if pause_s:
            time.sleep(pause_s)
    return times


def echoes(place: Path, who: tuple[type[Contestant], ...], *, count: int, pause_ms: float) -> list[Figure]:
    """p50 and p99 of all contestants, in rounds that take turns."""
    figures = []
    for what, script in ECHOES.items():
        note(f"{what}: {count} keystrokes each")
        kept = [kind(place) for kind in who]
        windows: list[Shown] = []
        try:
            for one in kept:
                one.start(script)
                windows.append(one.attach())
                one.wait()
                settle(windows[-1], 0.3)
                echo_round(windows[-1], 20, 0)
            times: dict[str, list[float]] = {one.name: [] for one in kept}
            for _ in range(max(1, count // PER_ROUND)):
                for one, window in zip(kept, windows, strict=True):
                    times[one.name] += echo_round(window, min(count, PER_ROUND), pause_ms / 1000)
        finally:
            for window in windows:
                window.close()
            for one in kept:
                one.close()
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            for one in kept:
                value = percentile(times[one.name], share) * 1e6
                figures.append(Figure("Echo round trip", f"{what}, {label}", one.name, value, "us"))
    return figures


# -- bulk -------------------------------------------------------------------------------------------------------------

MARK = b"@@END@@"


def bulk_once(kind: type[Contestant], place: Path, *, megabytes: int, style: str) -> float:
    """MB/s of program output to an attached client, until its last line is shown."""
    one = kind(place)
    window = None
    try:
        one.start(f"exec {sys.executable} -I -S {HERE / 'printer.py'} {megabytes} {style}")
        window = one.attach()
        one.wait()
        seen = b""
        deadline = time.monotonic() + DEADLINE_S
        while b"ready" not in seen:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{one.name}: the printer is not ready")
            seen += read_some(window, 0.5)
        settle(window)
        os.write(window.fd, b"\r")
        began = time.perf_counter()
        tail = b""
        deadline = time.monotonic() + 30 * DEADLINE_S
        while MARK not in tail:
            data = read_some(window, DEADLINE_S)
            if not data or time.monotonic() > deadline:
                raise TimeoutError(f"{one.name}: the output's end was never shown")
            tail = tail[-len(MARK) :] + data
        return megabytes / (time.perf_counter() - began)
    finally:
        if window is not None:
            window.close()
        one.close()


def bulk(place: Path, who: tuple[type[Contestant], ...], *, megabytes: int, rounds: int) -> list[Figure]:
    """Median rates, in rounds that take turns."""
    figures = []
    for style in ("text", "colours"):
        rates: dict[str, list[float]] = {kind.name: [] for kind in who}
        for _ in range(rounds):
            for kind in who:
                rates[kind.name].append(bulk_once(kind, place, megabytes=megabytes, style=style))
                note(f"bulk, {style}: {kind.name} {rates[kind.name][-1]:.0f} MB/s")
        for kind in who:
            what = f"{megabytes} MB of {style}"
            figures.append(
                Figure("Bulk output to an attached client", what, kind.name, median(rates[kind.name]), "MB/s")
            )
    return figures


# -- idle -------------------------------------------------------------------------------------------------------------


def private_kb(pid: int) -> int:
    """Memory that nobody shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def wake_ups(pid: int) -> int:
    """How often the process went to sleep, all threads."""
    count = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith(("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")):
                count += int(line.split()[1])
    return count


def idle(place: Path, *, counts: list[int], watch_s: float) -> list[Figure]:
    """Private memory per runner with N idle sessions, and how often all of them woke up."""
    figures = []
    for count in counts:
        note(f"idle: {count} runners")
        folder = Path(tempfile.mkdtemp(prefix="idle-", dir=place))
        direct = Direct(folder, {"PATH": os.environ["PATH"]})
        try:
            began = time.perf_counter()
            for at in range(count):
                direct.spawn(f"job{at}", ["sleep", "1000"], columns=80, rows=24)
            took_s = time.perf_counter() - began
            pids = list(direct.runners.values())
            time.sleep(2.0)
            before = sum(map(wake_ups, pids))
            time.sleep(watch_s)
            woke = sum(map(wake_ups, pids)) - before
            sizes = sorted(private_kb(pid) for pid in pids)
            section, who = "Idle sessions", f"hawse, {count}"
            largest, middle = sizes[-1] / 1024, sizes[len(sizes) // 2] / 1024
            goal = "<= 4 MB"
            figures += [
                Figure(section, "private memory per runner, median", who, middle, "MB", goal=goal, met=middle <= 4),
                Figure(section, "private memory per runner, largest", who, largest, "MB", goal=goal, met=largest <= 4),
                Figure(section, f"wake-ups of all in {watch_s:.0f} s", who, woke, "", goal="0", met=woke == 0),
                Figure(section, "started, each", who, took_s / count * 1000, "ms"),
            ]
        finally:
            direct.end_jobs()
            direct.close()
    return figures


def keepers(place: Path) -> list[int]:
    """The processes that keep programs started with an environment in `place`: not the programs themselves."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = os.fsencode(place) in (entry / "environ").read_bytes()
            if is_ours and (entry / "comm").read_text().strip() != "sleep":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def peers_idle(place: Path, who: tuple[type[Contestant], ...], *, count: int) -> list[Figure]:
    """What the others need for each idle session."""
    figures = []
    for kind in who:
        if kind not in (Dtach, Tmux, Screen):
            continue
        note(f"idle: {count} sessions of {kind.name}")
        one = kind(place)
        try:
            for _ in range(count):
                one.start("exec sleep 1000")
            time.sleep(1.0)
            each = sum(map(private_kb, keepers(one.place))) / 1024 / count
            what = "private memory per session"
            figures.append(Figure("Idle sessions", what, f"{kind.name}, {count}", each, "MB"))
        finally:
            for pid in keepers(one.place):
                end(pid)
            one.close()
    return figures


# -- attaching --------------------------------------------------------------------------------------------------------


def attach_once(one: Contestant) -> float:
    """Seconds from starting the client to the program's screen."""
    began = time.perf_counter()
    window = one.attach()
    try:
        seen = b""
        deadline = time.monotonic() + DEADLINE_S
        while b"here-it-is" not in seen:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{one.name}: the screen was not shown")
            seen += read_some(window, 0.5)
        return time.perf_counter() - began
    finally:
        window.close()


def attaching(place: Path, who: tuple[type[Contestant], ...], *, rounds: int) -> list[Figure]:
    """From the client's start to the first screen, of a program that printed a screenful and waits."""
    kept = [kind(place) for kind in who if kind is not Bare and kind is not Dtach]  # dtach keeps no screen
    times: dict[str, list[float]] = {one.name: [] for one in kept}
    try:
        for one in kept:
            one.start("seq 1 20; echo here-it-is; exec sleep 1000")
            one.wait()
        time.sleep(0.5)
        for _ in range(rounds):
            for one in kept:
                times[one.name].append(attach_once(one))
    finally:
        for one in kept:
            one.close()
    return [
        Figure("Attaching", "to the first screen, p50", name, median(found) * 1000, "ms")
        for name, found in times.items()
    ]


# -- all --------------------------------------------------------------------------------------------------------------


def judge(figures: list[Figure]) -> None:
    """The issue's goals, as ratios."""
    for one in figures:
        if one.who != "hawse":
            continue
        if one.section == "Echo round trip" and "tmux" in one.ratios:
            one.goal, one.met = "<= 1 x tmux", one.ratios["tmux"] <= 1
        if one.section.startswith("Bulk") and {"tmux", "bare pty"} <= one.ratios.keys():
            one.goal = ">= 3 x tmux, >= 0.5 x bare pty"
            one.met = one.ratios["tmux"] >= 3 and one.ratios["bare pty"] >= 0.5


def main() -> None:
    """All of it, or the parts that are asked for."""
    end_in_order()
    options = parser(__doc__ or "")
    options.add_argument("--parts", default="echo,bulk,attach,idle")
    options.add_argument("--who", default="", help="only these contestants, e.g. tmux,hawse")
    options.add_argument("--keys", type=int, default=2000, help="keystrokes for each contestant")
    options.add_argument("--pause-ms", type=float, default=2.0, help="between keystrokes; 0: as fast as they come back")
    options.add_argument("--bulk-mb", type=int, default=500)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--idle", default="1,100,1000")
    options.add_argument("--place", default=None, help="a folder on the disk that the log is to be kept on")
    asked = options.parse_args()
    if asked.quick:
        asked.keys, asked.bulk_mb, asked.rounds, asked.idle, asked.pause_ms = 100, 8, 1, "1,20", 0
    wanted = asked.who.split(",") if asked.who else None
    who = tuple(kind for kind in ALL if (wanted is None or kind.name in wanted) and _is_here(kind))
    place = Path(tempfile.mkdtemp(prefix="hawse-bench-", dir=asked.place))
    figures: list[Figure] = []
    parts = asked.parts.split(",")
    try:
        if "echo" in parts:
            figures += echoes(place, who, count=asked.keys, pause_ms=asked.pause_ms)
        if "bulk" in parts:
            figures += bulk(place, who, megabytes=asked.bulk_mb, rounds=asked.rounds)
        if "attach" in parts:
            figures += attaching(place, who, rounds=5 * asked.rounds)
        if "idle" in parts:
            figures += peers_idle(place, who, count=20 if asked.quick else 100)
            figures += idle(
                place, counts=[int(part) for part in asked.idle.split(",")], watch_s=2 if asked.quick else 10
            )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    add_ratios(figures, PEERS)
    judge(figures)
    show(figures, as_json=asked.json)


def _is_here(kind: type[Contestant]) -> bool:
    if kind.name in ("tmux", "dtach", "screen") and shutil.which(kind.name) is None:
        note(f"{kind.name} is not installed: not measured")
        return False
    return True


if __name__ == "__main__":
    main()
