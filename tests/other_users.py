"""Connections of other users of this machine: the kernel says who connected, so a test connects as somebody else.

Needs root, as a container's tests have; elsewhere such a test is skipped, and CI runs it.
"""

import array
import os
import socket
import subprocess
import sys

import pytest

NOBODY = 65534
STRANGERS = range(64901, 64950)  # uids that no system gives out

_CONNECT = """
import array, os, socket, sys
path, back = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
os.setgroups([])
os.setgid(int(sys.argv[4]))
os.setuid(int(sys.argv[3]))
made = socket.socket(socket.AF_UNIX)
made.connect(path)
back.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [made.fileno()]))])
"""


def need_root() -> None:
    """End the test where it can't be another user."""
    if os.getuid() != 0:
        pytest.skip("only root can connect as another user")


def connected_as(uid: int, path: str) -> socket.socket:
    """A connection to a Unix socket that the user `uid` made. Raises ConnectionError when he could not."""
    need_root()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        group = uid if uid == NOBODY else 60999
        words = [sys.executable, "-I", "-S", "-c", _CONNECT, path, str(theirs.fileno()), str(uid), str(group)]
        done = subprocess.run(words, pass_fds=[theirs.fileno()], capture_output=True, timeout=60)
        if done.returncode:
            raise ConnectionError(done.stderr.decode()[-300:])
        room = socket.CMSG_LEN(array.array("i").itemsize)
        _, parts, _, _ = ours.recvmsg(1, room)
        descriptors = array.array("i", parts[0][2])
        return socket.socket(fileno=descriptors[0])


def opened(*paths: object) -> None:
    """Let everybody come to these sockets or through these folders, as a site's installation would."""
    for path in paths:
        os.chmod(str(path), 0o777)
