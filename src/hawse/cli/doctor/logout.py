"""What logout does to jobs. Who ends what, and why, stands in hawse.client.logind."""

from __future__ import annotations

from hawse.cli.doctor.finding import BAD, GOOD, NOTE, Finding
from hawse.client import logind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NAMES_SHOWN = 4


def findings(
    root: str = "/",
    *,
    user: str | None = None,
    processes: Mapping[str, int] | None = None,
    settings: dict[str, str] | None = None,
    scope: bool | None = None,
) -> list[Finding]:
    """processes: what shall last, job by job; under an empty name the coordinator, which is where new jobs will be.
    settings, scope: of logind, and whether a coordinator would be started in a scope of the user manager. None: look.
    """
    if not logind.runs(root):
        text = "this machine does not run systemd; logout ends nothing by itself"
        return [Finding("logout", GOOD, text, kill_user_processes=False, linger=False)]
    user = user or logind.user_name()
    kills, setting = logind.kills(logind.settings() if settings is None else settings, user)
    lingers = logind.lingers(user, root)
    places = {name: logind.place(pid, root) for name, pid in (processes or {}).items()}
    if not places:
        places[""] = logind.MANAGER if _would_get_scope(scope) else logind.place(root=root)
    ended = [name for name, where in places.items() if logind.ends(where, kills=kills, lingers=lingers)]
    facts: dict[str, Any] = {
        "kill_user_processes": kills,
        "linger": lingers,
        "user_scope": places.get("") == logind.MANAGER,
        "user": user,
        "ended": [name for name in ended if name],
    }
    why = {
        logind.SESSION: f"systemd-logind {'ends' if kills else 'does not end'} your processes ({setting})",
        logind.MANAGER: "hawse runs below your user manager, which "
        + ("stays since you linger" if lingers else "goes with your last login unless you linger"),
        logind.OUTSIDE: "hawse does not belong to a login",
    }
    if not ended:
        return [Finding("logout", GOOD, f"your jobs go on after logout: {why[places['']]}", **facts)]
    reasons = "; ".join(why[where] for where in dict.fromkeys(places[name] for name in ended))
    in_login = any(places[name] == logind.SESSION for name in ended)
    advice = _advice(user, lingers, in_login=in_login, scope=not in_login or _would_get_scope(scope))
    return [Finding("logout", BAD, f"LOGOUT WILL END {_whom(ended, places)}: {reasons}", advice=advice, **facts)]


def _would_get_scope(scope: bool | None) -> bool:
    if scope is not None:
        return scope
    from hawse.client.start import scope_prefix

    return bool(scope_prefix())


def _whom(ended: list[str], places: dict[str, str]) -> str:
    if len(ended) == len(places):
        return "YOUR JOBS"
    names = [name or "new jobs" for name in sorted(ended)]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def _advice(user: str, lingers: bool, *, in_login: bool, scope: bool) -> str:
    """What is below the user manager is saved by lingering alone; what is in a login can't leave it."""
    steps = [] if lingers else [f"loginctl enable-linger {user} (if that is refused, root can)"]
    if in_login:
        if not scope:
            steps.append("install systemd-run, log in again where pam_systemd starts a user manager")
        steps.append("hawse down, then start anew what must last")
        steps.append("or ask the administrator for KillExcludeUsers in /etc/systemd/logind.conf")
    return "; ".join(steps)


def reboot_finding() -> Finding:
    """What a reboot does."""
    text = "a reboot ends your jobs; each is told as lost, or started again where it was made with --on-lost restart"
    return Finding("reboot", NOTE, text)
