"""What logout does to jobs: systemd's KillUserProcesses, and lingering.

Source: logind.conf(5), KillUserProcesses, KillOnlyUsers, KillExcludeUsers; loginctl(1), enable-linger; systemd-run(1).
"""

from __future__ import annotations

import os
import pwd

from hawse.cli.doctor.finding import BAD, GOOD, NOTE, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Later ones win over earlier ones: systemd's vendor file, then the administrator's.
FOLDERS = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")


def read_logind(root: str = "/") -> dict[str, str]:
    """The [Login] settings as logind reads them: one main file, then all drop-ins by name, a later folder hiding an
    earlier one's file of the same name.
    """
    files: list[str] = []
    for folder in reversed(FOLDERS):
        path = os.path.join(root, folder.lstrip("/"), "logind.conf")
        if os.path.isfile(path):
            files.append(path)
            break
    drop_ins: dict[str, str] = {}
    for folder in FOLDERS:
        directory = os.path.join(root, folder.lstrip("/"), "logind.conf.d")
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        drop_ins.update((name, os.path.join(directory, name)) for name in names if name.endswith(".conf"))
    files += [drop_ins[name] for name in sorted(drop_ins)]
    settings: dict[str, str] = {}
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                settings.update(_login_section(file.read()))
        except OSError:
            continue
    return settings


def _login_section(text: str) -> dict[str, str]:
    found, here = {}, False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            here = line == "[Login]"
        elif here and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            found[name.strip()] = value.strip()
    return found


def kills(settings: dict[str, str], user: str) -> bool:
    """Does logind end this user's processes at logout? The default is no; distributions may build it with yes."""
    if settings.get("KillUserProcesses", "no").lower() not in ("yes", "true", "on", "1"):
        return False
    only = settings.get("KillOnlyUsers", "").split()
    if only:
        return user in only
    return user not in settings.get("KillExcludeUsers", "root").split()


def lingers(user: str, root: str = "/") -> bool:
    """Is lingering on? Source: logind keeps one file per lingering user in /var/lib/systemd/linger."""
    return os.path.exists(os.path.join(root, "var/lib/systemd/linger", user))


def findings(root: str = "/", *, user: str | None = None, in_scope: bool | None = None) -> list[Finding]:
    """in_scope: would the coordinator get a scope of the user's systemd? None: look."""
    user = user or _user()
    if not os.path.isdir(os.path.join(root, "run/systemd/system")):
        text = "this machine does not run systemd; logout ends nothing by itself"
        return [Finding("logout", GOOD, text, kill_user_processes=False, linger=False)]
    if in_scope is None:
        from hawse.client.start import scope_prefix

        in_scope = bool(scope_prefix())
    settings = read_logind(root)
    killing, lingering = kills(settings, user), lingers(user, root)
    facts: dict[str, Any] = {"kill_user_processes": killing, "linger": lingering, "user_scope": in_scope, "user": user}
    if not killing:
        text = "your jobs go on after logout: systemd-logind does not end your processes (KillUserProcesses=no)"
        return [Finding("logout", GOOD, text, **facts)]
    if lingering and in_scope:
        text = (
            "your jobs go on after logout: KillUserProcesses=yes, but you linger and hawse runs in a scope of its own"
        )
        return [Finding("logout", GOOD, text, **facts)]
    advice = f"loginctl enable-linger {user}" if not lingering else "install systemd-run, then: hawse down"
    if not lingering and not in_scope:
        advice += ", log in again, then: hawse down (the next command starts a coordinator that survives)"
    text = "LOGOUT WILL END YOUR JOBS: systemd-logind has KillUserProcesses=yes and " + (
        "you do not linger" if not lingering else "hawse does not run in a scope of your user manager"
    )
    other = "or ask the administrator for KillUserProcesses=no or KillExcludeUsers in /etc/systemd/logind.conf"
    return [Finding("logout", BAD, text, advice=f"{advice}; {other}", **facts)]


def reboot_finding() -> Finding:
    """What a reboot does."""
    text = "a reboot ends your jobs; each is told as lost, or started again where it was made with --on-lost restart"
    return Finding("reboot", NOTE, text)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
