"""What systemd-logind does to this user's processes at logout, and to whom of them.

Theory of operation. What a logout ends depends on the cgroup that a process is in, and on nothing that it does. There
are three places. SESSION, the scope of one login: when that login ends, logind ends the scope if it kills this user's
processes; else it leaves it alone, and the user manager stays with it. MANAGER, below user@UID.service: it ends with
the user manager, some seconds after the user's last login, unless the user lingers; KillUserProcesses has no say there.
OUTSIDE, anywhere else: logout does not touch it.

So a scope of the user manager is the better place with lingering, and the worse one without it where logind kills
nobody: that is how most machines are set up. Each row was seen on a machine: docs/explanation/what-survives-what.md.

Source: logind.conf(5), KillUserProcesses, KillOnlyUsers, KillExcludeUsers, UserStopDelaySec; loginctl(1),
enable-linger; org.freedesktop.login1(5).
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess

SESSION, MANAGER, OUTSIDE = "session", "manager", "outside"
ASKED_S_MAX = 2.0  # logind answers in milliseconds; a bus that hangs shall not hold a start up
_MANAGER = re.compile(r"/user@\d+\.service(/|$)")
_SESSION = re.compile(r"/session-[^/]+\.scope(/|$)")
_LISTS = ("KillOnlyUsers", "KillExcludeUsers")
# Later ones win over earlier ones: systemd's vendor file, then the administrator's.
_FOLDERS = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")


def runs(root: str = "/") -> bool:
    """Does this machine run systemd? Source: sd_booted(3)."""
    return os.path.isdir(os.path.join(root, "run/systemd/system"))


def user_name() -> str:
    """This user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def place(process: int | str = "self", root: str = "/") -> str:
    """SESSION, MANAGER or OUTSIDE; OUTSIDE also when there is no such process."""
    try:
        with open(os.path.join(root, f"proc/{process}/cgroup"), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return OUTSIDE
    # Version 2's line, and the one that systemd keeps its tree in where there is only version 1.
    paths = [path for number, names, path in (line.split(":", 2) for line in lines) if not names or "=systemd" in names]
    if any(map(_MANAGER.search, paths)):
        return MANAGER
    return SESSION if any(map(_SESSION.search, paths)) else OUTSIDE


def ends(where: str, *, kills: bool, lingers: bool) -> bool:
    """Does a logout (the user's last one) end what is in this place?"""
    return {SESSION: kills, MANAGER: not lingers, OUTSIDE: False}[where]


def is_scope_better(where: str, *, kills: bool, lingers: bool) -> bool:
    """Is a scope of the user manager a better place for what would otherwise be here?

    In a login that is killed it is so even without lingering: it lasts until the last login ends, and lingering can
    still be switched on for it.
    """
    return lingers or where == MANAGER or (where == SESSION and kills)


def lingers(user: str, root: str = "/") -> bool:
    """Is lingering on? Source: logind keeps one file per lingering user in /var/lib/systemd/linger."""
    return os.path.exists(os.path.join(root, "var/lib/systemd/linger", user))


def kills(settings: dict[str, str], user: str) -> tuple[bool, str]:
    """Does logind end what this user's logins leave behind, and which setting says so?

    The lists override the switch, and KillExcludeUsers is asked first; root is in it where it is not set.
    """
    if user in settings.get("KillExcludeUsers", "root").split():
        return False, f"KillExcludeUsers={settings.get('KillExcludeUsers', 'root')}"
    only = settings.get("KillOnlyUsers", "").split()
    if only:
        return user in only, f"KillOnlyUsers={' '.join(only)}"
    yes = settings.get("KillUserProcesses", "no").lower() in ("yes", "y", "true", "t", "on", "1")
    return yes, f"KillUserProcesses={'yes' if yes else 'no'}"


def settings() -> dict[str, str]:
    """The settings that are in force: those of the running logind, else those in its files."""
    return asked() or read_files()


def asked() -> dict[str, str]:
    """What the running logind says; empty when it can't be asked.

    It does not tell an empty KillExcludeUsers from one that is not set; it is taken as not set.
    """
    program = shutil.which("busctl")
    if program is None:
        return {}
    words = [program, "--system", f"--timeout={ASKED_S_MAX:g}", "--json=short", "get-property"]
    words += ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"]
    try:
        done = subprocess.run(
            [*words, "KillUserProcesses", *_LISTS], capture_output=True, stdin=subprocess.DEVNULL,
            timeout=2 * ASKED_S_MAX, check=True,
        )  # fmt: skip
        values = [json.loads(line)["data"] for line in done.stdout.splitlines()]
        switch, *lists = values
        found = {name: " ".join(users) for name, users in zip(_LISTS, lists, strict=True) if users}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return {}
    return {"KillUserProcesses": "yes" if switch else "no", **found}


def read_files(root: str = "/") -> dict[str, str]:
    """The [Login] settings as logind reads them: one main file, then all drop-ins by name, a later folder hiding an
    earlier one's file of the same name. Lists add up; an empty one starts anew.
    """
    files: list[str] = []
    for folder in reversed(_FOLDERS):
        path = os.path.join(root, folder.lstrip("/"), "logind.conf")
        if os.path.isfile(path):
            files.append(path)
            break
    drop_ins: dict[str, str] = {}
    for folder in _FOLDERS:
        directory = os.path.join(root, folder.lstrip("/"), "logind.conf.d")
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        drop_ins.update((name, os.path.join(directory, name)) for name in names if name.endswith(".conf"))
    files += [drop_ins[name] for name in sorted(drop_ins)]
    found: dict[str, str] = {}
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                _add_login_section(found, file.read())
        except OSError:
            continue
    return found


def _add_login_section(found: dict[str, str], text: str) -> None:
    here = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            here = line == "[Login]"
        elif here and "=" in line and not line.startswith(("#", ";")):
            name, _, value = (part.strip() for part in line.partition("="))
            found[name] = f"{found.get(name, '')} {value}".strip() if name in _LISTS and value else value
