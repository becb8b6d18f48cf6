"""`hawse proxy [--server unix:PATH] [--start HOW | --runner JOB | --later | ...]`: greet, then be the stream.

What is wrong is told in the greeting, for the client at the other end of ssh; on a person's terminal it is the same
line. Nothing secret is ever among the words. Source: spec 09.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from hawse import __version__
from hawse.client.find import Endpoint, endpoint
from hawse.client.link_sync import connect_patiently
from hawse.domain.errors import Invalid, Problem
from hawse.domain.ids import is_uuid
from hawse.wire.proxy import ABSENT, READY, REFUSED, Greeting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

CONNECT_S = 10.0
VERBS = ("--surroundings", "--stop", "--later")
LATER_S = 60.0  # for a client to say where to; it has started this one ahead of its own questions


def main(words: list[str]) -> NoReturn:
    """Do it and leave; what is open goes with the process."""
    code = 0
    try:
        code = _run(words)
    except Problem as error:
        told = Greeting(REFUSED, __version__, code=error.code, detail=error.detail, next_step=error.next_step)
        code = _say(told.line()) or error.exit
    except OSError as error:
        detail = f"{error.filename or 'the coordinator'}: {error.strerror or error}"
        code = _say(Greeting(REFUSED, __version__, code="unavailable", detail=detail).line()) or 69
    except KeyboardInterrupt:
        code = 130
    os._exit(code)  # taking the interpreter apart would cost 5 ms


def _run(words: list[str]) -> int:
    options = parse(words)
    place = endpoint(options.get("--server"), start=options.get("--start", "auto"))
    if place.is_remote:
        raise Invalid(
            f"this is a proxy, and HAWSE_SERVER here leads on to {place.name}",
            next_step="name that server, with ProxyJump",
        )
    if "--surroundings" in options:
        return _say(Greeting(READY, __version__).line() + surroundings())
    if "--stop" in options:
        from hawse.cli.proxy.stop import stopped

        return _say(Greeting(READY, __version__).line() + stopped())
    if "--later" in options:
        if _say(Greeting(READY, __version__).line()):
            return 1
        options["--runner"] = _told_job()
        if not options["--runner"]:
            return 0
    sock = _runner(place, options["--runner"]) if "--runner" in options else _coordinator(place)
    if sock is None:
        return _say(Greeting(ABSENT, __version__).line())
    if _say(Greeting(READY, __version__).line()):
        return 1
    from hawse.cli.proxy.bridge import bridge

    bridge(0, 1, sock)
    return 0


def parse(words: list[str]) -> dict[str, str]:
    """The options; of --start, --runner and the one-shot verbs only one. Raises Invalid."""
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        name, sign, value = words[at].partition("=")
        if name in VERBS and not sign:
            found[name] = ""
        elif name in ("--server", "--start", "--runner"):
            at += 0 if sign else 1
            if not sign and at >= len(words):
                raise Invalid(f"hawse proxy: {name} needs a value")
            found[name] = value if sign else words[at]
        else:
            raise Invalid(f"hawse proxy: {words[at][:60]!r} is not an option of it", next_step="hawse proxy --help")
        at += 1
    if sum(name != "--server" for name in found) > 1:
        raise Invalid("hawse proxy: only one of --start, --runner, --later, --surroundings and --stop is possible")
    if "--runner" in found and not is_uuid(found["--runner"]):
        raise Invalid(f"hawse proxy: {found['--runner'][:60]!r} is not the id of a job")
    return found


def _told_job() -> str:
    """The id of a job, as one line of standard input; empty when whoever asked has gone. Raises Invalid."""
    import select

    line = b""
    while not line.endswith(b"\n"):
        if not select.select([0], [], [], LATER_S)[0]:
            raise Invalid(f"hawse proxy --later: nothing was said for {LATER_S:g} s")
        data = os.read(0, 37 - len(line))  # nothing behind the line belongs to us
        if not data:
            return ""
        line += data
        if len(line) == 37 and not line.endswith(b"\n"):
            break
    job = line.decode("ascii", "replace").rstrip("\n")
    if not is_uuid(job):
        raise Invalid(f"hawse proxy: {job[:60]!r} is not the id of a job")
    return job


def _coordinator(place: Endpoint) -> socket.socket:
    """A connection to the coordinator, which is started where none runs. Raises Problem, OSError."""
    place.prepare()
    try:
        sock = _connected(place.path)
    except (FileNotFoundError, ConnectionRefusedError):
        place.start()
        sock = _connected(place.path)
    place.check_peer(sock)
    return sock


def _runner(place: Endpoint, job: str) -> socket.socket | None:
    """A connection to a job's runner, beside the coordinator's socket; None: nobody listens there."""
    place.prepare()
    try:
        sock = _connected(f"{os.path.dirname(place.path)}/r/{job}")
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    place.check_peer(sock)
    return sock


def _connected(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connect_patiently(sock, path, time.monotonic() + CONNECT_S)
    except BaseException:
        sock.close()
        raise
    return sock


def surroundings() -> bytes:
    """What a login here gives: environment (less the connection's own variables), home, umask.

    JSON, texts in base64.
    """
    import json
    from binascii import b2a_base64

    from hawse.client.spec import current_umask

    def text(data: bytes) -> str:
        return b2a_base64(data, newline=False).decode("ascii")

    kept = {text(name): text(value) for name, value in os.environb.items() if not name.startswith(b"SSH_")}
    told = {"env": kept, "cwd": text(os.getcwdb()), "umask": current_umask()}
    return json.dumps(told).encode("ascii")


def _say(data: bytes) -> int:
    """All of it to standard output; 1 when nobody listens."""
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
