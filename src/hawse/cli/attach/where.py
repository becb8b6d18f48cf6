"""Where a job is shown, in words that the coordinator keeps and others read."""

from __future__ import annotations

import os
import re
import socket


def where(is_far: bool = False) -> str:
    """Where this is shown: the terminal's name, in which job that is, and from where somebody came over ssh.

    is_far: for a server on another machine, which knows this machine's name but nothing of the jobs here.
    """
    try:
        name = os.ttyname(0)
    except OSError:
        name = "no terminal"
    session, job = os.environ.get("HAWSE_SESSION"), os.environ.get("HAWSE_JOB")
    if is_far:
        name += f" on {socket.gethostname()}"
    elif session and job:
        name += f" in {session}/{job}"
    came = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return f"{name} from {came}" if came else name


def place_in(text: str) -> tuple[str, str] | None:
    """(session, job) of a `where` that is inside one."""
    found = re.match(r"\S.* in (\S+)/(\S+)", text)
    return (found[1], found[2]) if found is not None else None
