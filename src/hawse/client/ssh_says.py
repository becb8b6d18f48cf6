"""What ssh said, as a Problem with the next step. Pure: exit code and text in, error out.

ssh exits with 255 when it failed itself, else with the far command's code: 126 and 127 are the far shell's "cannot be
run" and "not found". Source: ssh(1), EXIT STATUS; POSIX.1-2017, XCU 2.8.2.
"""

from __future__ import annotations

from hawse.domain.errors import Broken, Denied, Problem, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.ssh import Place

SSH_FAILED, CANNOT_RUN, NOT_FOUND, USAGE = 255, 126, 127, 64
LINE_CHARACTERS_MAX = 300
_KEY = ("host key verification failed", "remote host identification has changed", "no matching host key")
_DENIED = ("permission denied", "too many authentication failures", "no more authentication methods", "access denied")
_UNKNOWN = ("could not resolve hostname", "name or service not known", "no address associated")
_CONFIG = ("bad configuration option", "terminating, ", "bad owner or permissions")
_HARMLESS = ("warning: permanently added", "debug", "pseudo-terminal", "** ", "mux_client", "controlsocket ")


def explained(place: Place, code: int | None, said: str, noise: str) -> Problem:
    """code: ssh's exit code; None: it still runs. said: its standard error. noise: what came instead of a greeting."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if not line.lower().startswith(_HARMLESS)] or lines
    last = telling[-1][:LINE_CHARACTERS_MAX] if telling else ""
    whole = said.lower()
    if code == SSH_FAILED:
        return _of_ssh(place, whole, last)
    if code == NOT_FOUND:
        return Broken(
            f"hawse was not found on {place}",
            next_step="install it there, or say where it is: HAWSE_REMOTE_COMMAND=/path/to/hawse",
        )
    if code == CANNOT_RUN:
        return Broken(f"hawse cannot be run on {place}: {last}", next_step="HAWSE_REMOTE_COMMAND=/path/to/hawse")
    if code == USAGE and "no command" in whole:
        return Broken(f"hawse on {place} is too old: it has no proxy command", next_step="update hawse there")
    if code is not None and code < 0:
        return Unavailable(f"ssh to {place} was ended by signal {-code}")
    how = "closed the connection" if code is None else f"ended with exit code {code}"
    told = last or next(
        (line.strip()[:LINE_CHARACTERS_MAX] for line in reversed(noise.splitlines()) if line.strip()), ""
    )
    return Broken(
        f"what runs on {place} is no hawse proxy: it {how}{f' and said: {told}' if told else ''}",
        next_step=f"look at it: ssh {place.login} hawse proxy",
    )


def _of_ssh(place: Place, whole: str, last: str) -> Problem:
    """ssh's own failures. It says nothing when the master connection that it went through broke (is_master_lost)."""
    if any(word in whole for word in _KEY):
        return Denied(
            f"the key of {place} is not known, or is not the one that was known: {last}",
            next_step=f"log in once and look at the key: ssh {place.login}",
        )
    if any(word in whole for word in _UNKNOWN):
        return Unavailable(f"{place} cannot be reached: {last}", next_step="check the name, or Host in ~/.ssh/config")
    if any(word in whole for word in _DENIED):
        return Denied(f"{place} does not let you in: {last}", next_step=f"try: ssh {place.login} true")
    if any(word in whole for word in _CONFIG):
        return Broken(f"ssh's configuration is not usable: {last}", next_step=f"try: ssh {place.login} true")
    told = last or "the connection that ssh shared was lost"
    return Unavailable(
        f"{place} cannot be reached: {told}", next_step=f"try: ssh {place.login} true", is_master_lost=not last
    )
