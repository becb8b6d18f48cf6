"""A site service for tests of what it keeps: a coordinator that lets in whom its list of users names.

    with serving(socket) as process: ...          # the environment says where; until it answers
    python tests/site_service.py [OPTIONS]        # `hawse serve` with a site, whose admins are root and its own account
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

READY_S = 20.0


def main() -> int:
    """As the coordinator's own main, with a site in its world."""
    from hawse.daemons import serve
    from hawse.daemons.coordinator import main as serve_main
    from hawse.services.world import Site

    made = serve.made_world
    site = Site(admins=frozenset({0, os.getuid()}))
    serve.made_world = lambda *args, **rest: replace(made(*args, **rest), owner="", site=site)
    return serve_main(sys.argv[1:])


@contextmanager
def serving(path: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Serve until the block ends; then end its sessions and the service, by its id."""
    process = subprocess.Popen(
        [sys.executable, __file__, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_S
        while not _answers(path):
            assert process.poll() is None, f"it ended with {process.returncode}"
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.01)
        yield process
        if _answers(path):
            _end_sessions(path)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as link, suppress(OSError):
        link.connect(str(path))
        return True
    return False


def _end_sessions(path: Path) -> None:
    from hawse.client._sync.server import Server
    from hawse.client.find import Endpoint

    with Server(Endpoint(str(path), start="never", where=None)) as server:
        for session in server.sessions(whose="everyone"):
            session.end(grace_s=0)
        deadline = time.monotonic() + READY_S
        while server.status().jobs and time.monotonic() < deadline:
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
