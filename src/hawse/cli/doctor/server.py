"""How a server on another machine is reached."""

from __future__ import annotations

import os

from hawse.cli.doctor.finding import BAD, GOOD, NOTE, Finding
from hawse.domain.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.find import Endpoint

ASK_S = 10.0


EXPIRES_SOON_S = 14 * 86400.0


def findings(place: Endpoint) -> list[Finding]:
    """The address, what leads there, and, over ssh, whether many links cost one login. Nothing is connected by ssh."""
    if not place.by_ssh:
        return https_findings(place)
    from hawse.client.ssh import SshEndpoint

    assert isinstance(place, SshEndpoint)
    try:
        paths = place.paths()
        chosen = effective(place)
    except Problem as error:
        return [Finding("server", BAD, f"{place.name}: {error.detail}", advice=error.next_step, server=place.name)]
    jump = f", by way of {chosen['proxyjump']}" if chosen.get("proxyjump", "none") != "none" else ""
    login = f"{chosen.get('user', '?')}@{chosen.get('hostname', place.place.host)} port {chosen.get('port', '22')}"
    text = f"{place.name}: {login}{jump}, through {paths['program']}"
    advice = f"jobs run there; to check that machine: ssh {place.place.login} hawse doctor"
    return [
        Finding("server", GOOD, text, advice=advice, server=place.name),
        _logins(chosen, paths["folder"]),
        _cuts(chosen),
    ]


def https_findings(place: Endpoint) -> list[Finding]:
    """Whom the server is believed to be, until when, and who we are to it. Shakes hands once."""
    import time

    from hawse.client.https import HttpsEndpoint
    from hawse.client.link import LinkBroken

    assert isinstance(place, HttpsEndpoint)
    who = "with a token" if place.token else "without a token"
    try:
        tunnel = place.tls(time.monotonic() + ASK_S)
    except Problem as error:
        return [Finding("server", BAD, error.detail, advice=error.next_step, server=place.name)]
    except LinkBroken as error:
        text = f"{place.name} cannot be reached: {error}"
        return [Finding("server", BAD, text, advice="check the address, and that the service runs", server=place.name)]
    with tunnel.socket:
        until = tunnel.expires_at
    by = place.ca or "the system's CAs"
    found = [Finding("server", GOOD, f"{place.name}, {who}; believed by {by}", server=place.name, ca=place.ca)]
    if not place.token:
        found[0].level, found[0].advice = NOTE, "HAWSE_TOKEN_FILE, or HAWSE_TOKEN, says who you are"
    left = until - time.time()
    text = f"the server's certificate is good for {left / 86400:.0f} days"
    is_soon = left < EXPIRES_SOON_S
    advice = "tell who runs it: hawse ca issue, then systemctl reload hawse" if is_soon else ""
    found.append(Finding("certificate", NOTE if is_soon else GOOD, text, advice=advice, expires_at=until))
    return found


def effective(place: Endpoint) -> dict[str, str]:
    """What ssh makes of all configuration for this host. Raises Unavailable, Invalid. Source: ssh(1), -G."""
    import subprocess

    from hawse.client.ssh import SshEndpoint, ssh_words
    from hawse.domain.errors import Unavailable

    assert isinstance(place, SshEndpoint)
    paths = place.paths()
    words = [paths["program"], "-G", *ssh_words(place.place, paths["config"])]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=ASK_S, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"ssh -G: {error}") from error
    if done.returncode:
        raise Unavailable(f"ssh's configuration is not usable: {done.stderr.strip()[-300:]}")
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs}


def _logins(chosen: dict[str, str], folder: str) -> Finding:
    path = chosen.get("controlpath", "none")
    if chosen.get("controlmaster", "false") in ("false", "no") or path == "none":
        why = (
            "your ssh configuration says so" if folder else "the path of the runtime folder is too long for its socket"
        )
        advice = "ControlMaster auto and a ControlPath in ~/.ssh/config make it one login"
        return Finding("logins", NOTE, f"each command logs in anew: {why}", advice=advice, shared=False)
    whose = "a private one of hawse" if folder and path.startswith(folder + "/") else "your own"
    open_now = os.path.exists(path)
    state = "open now" if open_now else "opened by the next command"
    text = f"many commands share one login: ControlMaster, {whose}, {state}"
    return Finding("logins", GOOD, text, shared=True, path=path, open=open_now)


def _cuts(chosen: dict[str, str]) -> Finding:
    try:
        seconds = int(chosen.get("serveraliveinterval", "0")) * int(chosen.get("serveralivecountmax", "3"))
    except ValueError:
        seconds = 0
    if seconds:
        return Finding("cuts", GOOD, f"a link that goes silent is noticed within about {seconds} s", seconds=seconds)
    advice = "ServerAliveInterval 5 in ~/.ssh/config, or leave it out there: hawse sets it"
    return Finding("cuts", NOTE, "a link that goes silent is not noticed", advice=advice, seconds=0)
