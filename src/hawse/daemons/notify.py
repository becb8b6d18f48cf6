"""Telling the service manager how we are: sd_notify(3), by hand. Says nothing where nobody asked to be told."""

from __future__ import annotations

import os
import socket

READY, STOPPING = "READY=1", "STOPPING=1"


def notify(*words: str) -> bool:
    """Send `words`, one a line. True: somebody was told. Never raises: a manager that is gone is no reason to fail.

    Source: sd_notify(3): one datagram to NOTIFY_SOCKET; a name that begins with @ is in the abstract namespace.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
            told.settimeout(1.0)
            told.sendto("\n".join(words).encode(), "\0" + address[1:] if address[0] == "@" else address)
    except OSError:
        return False
    return True


def reloading() -> bool:
    """We read our files again; READY follows. Source: systemd.service(5), Type=notify-reload."""
    import time

    return notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
