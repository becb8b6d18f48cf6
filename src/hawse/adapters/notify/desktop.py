"""A notice on the user's screen: org.freedesktop.Notifications over his session bus.

Source: Desktop Notifications Specification 1.2. Spoken by `notify-send`, or by `gdbus` or `busctl`, whichever is there:
a small program each time, and none of ours that stays.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from hawse.adapters.notify.program import environment, run
from hawse.domain.errors import Unavailable
from hawse.domain.notice import Kind
from hawse.ports.notifier import Parcel

TALK_S = 10.0
URGENT = frozenset({Kind.JOB_LOST, Kind.JOB_FAILED, Kind.LEASE_ENDS, Kind.CONNECT_BY, Kind.REFUSED})
PROGRAMS = ("notify-send", "gdbus", "busctl")
_SERVICE = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications")
_METHOD = "Notify"


def argv(program: str, summary: str, body: str, *, urgent: bool) -> list[str]:
    """How a program is asked. body: plain text; what a server may take for markup is escaped."""
    safe = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    level = 2 if urgent else 1
    match program:
        case "notify-send":
            return [program, "--app-name=hawse", f"--urgency={'critical' if urgent else 'normal'}", "--", summary, safe]
        case "gdbus":
            hints = f"{{'urgency': <byte {level}>}}"
            return [
                program, "call", "--session", "--dest", _SERVICE[0], "--object-path", _SERVICE[1],
                "--method", f"{_SERVICE[0]}.{_METHOD}", "--", _variant("hawse"), "uint32 0", _variant(""),
                _variant(summary), _variant(safe), "@as []", hints, "int32 -1",
            ]  # fmt: skip
        case _:
            return [
                program, "--user", "call", *_SERVICE, _SERVICE[0], _METHOD, "susssasa{sv}i", "--", "hawse", "0", "",
                summary, safe, "0", "1", "urgency", "y", str(level), "-1",
            ]  # fmt: skip


def _variant(text: str) -> str:
    """A string in GVariant's text form."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def bus(given: Mapping[str, str]) -> dict[str, str]:
    """The variables that lead to the user's session bus. Raises Unavailable: there is none."""
    found = environment(given)
    runtime = found.get("XDG_RUNTIME_DIR", "")
    if not found.get("DBUS_SESSION_BUS_ADDRESS"):
        if not runtime or not os.path.exists(f"{runtime}/bus"):
            raise Unavailable(
                "there is no session bus here: neither DBUS_SESSION_BUS_ADDRESS nor a bus in XDG_RUNTIME_DIR."
                " Add the channel from a terminal on the desktop"
            )
        found["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
    return found


class Desktop:
    """See ports/notifier.py. settings: environment, as it was where the channel was added."""

    async def send(self, parcel: Parcel) -> None:
        env = bus(parcel.settings["environment"])
        program = next((one for one in PROGRAMS if shutil.which(one, path=env.get("PATH", os.defpath))), None)
        if program is None:
            raise Unavailable(f"none of {', '.join(PROGRAMS)} is installed on this machine")
        notice = parcel.notice
        body = f"{notice.text}\n{notice.command}"
        words = argv(program, f"hawse: {notice.subject}", body, urgent=notice.kind in URGENT)
        await run(words, env=env, timeout_s=TALK_S)
