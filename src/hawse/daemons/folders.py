"""The coordinator's folders: made where they are missing, refused where somebody else could have a hand in them.

Three claims keep two coordinators apart: the lock in the runtime folder (one socket), the lock on the state's `host`
file (one state, whatever its runtime folder), and what `host` says (a state on a shared file system belongs to one
machine).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
from dataclasses import dataclass

from hawse.domain.errors import Denied, Unavailable
from hawse.domain.places import Places

STATE, RUNTIME = "HAWSE_STATE_DIR", "HAWSE_RUNTIME_DIR"
_MACHINE_ID = "/etc/machine-id"


@dataclass(frozen=True, slots=True)
class Claim:
    """Held by an open file; gone with the process, however it ends."""

    path: str
    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)


def prepare(places: Places, *, uid: int) -> None:
    """Make state and runtime folder (0700). Raises Denied, Unavailable."""
    above = os.path.dirname(places.runtime)
    if above == f"/tmp/hawse-{uid}":
        private_folder(above, uid=uid, chosen_by=RUNTIME)
    for path, chosen_by in (
        (places.state, STATE),
        (places.runtime, RUNTIME),
        (places.jobs, STATE),
        (places.runners, RUNTIME),
    ):
        private_folder(path, uid=uid, chosen_by=chosen_by)


def private_folder(path: str, *, uid: int, chosen_by: str = STATE) -> None:
    """Make sure that this is a folder of the user's own, which nobody else can read or write.

    chosen_by: the variable that names another one.

    Raises Denied (a symbolic link, shared, somebody else's, no folder), Unavailable (it can't be made).
    """
    another = f"set {chosen_by} to a folder of your own"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            raise Denied(f"{path} is a symbolic link", next_step=f"name the folder itself, or remove it: rm {path}")
        if not stat.S_ISDIR(found.st_mode):
            raise Denied(f"{path} is not a folder", next_step=f"mv {path} {path}.old")
        if found.st_mode & stat.S_ISVTX:  # like /tmp: closing it would lock everybody else out
            raise Denied(f"{path} is shared with others", next_step=another)
        if found.st_uid != uid:
            raise Denied(f"{path} belongs to uid {found.st_uid}, not to {uid}", next_step=another)
        if found.st_mode & 0o077:
            os.chmod(path, 0o700)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", next_step=another) from error


def claim(path: str, what: str) -> Claim:
    """Lock this file for as long as the process lives. Raises Unavailable when somebody else holds it, or Denied."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Denied(f"{path} is a symbolic link", next_step=f"rm {path}") from error
        raise Unavailable(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 40, 0).decode("ascii", "replace").split("\n")[0].strip()
        os.close(descriptor)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise Unavailable(f"{path} can't be locked: {error.strerror}") from error
        who = f" (process {holder})" if holder.isdecimal() else ""
        raise Unavailable(f"{what}{who}", next_step="use it, or stop it first: hawse down") from error
    return Claim(path, descriptor)


def claim_runtime(places: Places) -> Claim:
    """One coordinator per runtime folder; the lock's file holds its process id, for people."""
    held = claim(places.lock, f"a coordinator is already running in {places.runtime}")
    _note(held, f"{os.getpid()}\n")
    return held


def keep_from_cleaners(folder: str) -> Claim:
    """Lock the folder itself: whoever removes old files from /tmp passes over a locked one. Raises Unavailable.

    Sockets that are listened on are spared anyway, but the lock's file would be old after ten days.
    Source: tmpfiles.d(5), "Age": an exclusive lock is taken on each directory that is cleaned up.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise Unavailable(f"{folder}: {error.strerror}") from error
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return Claim(folder, descriptor)


def claim_state(places: Places) -> Claim:
    """One coordinator per state, on the one machine that the state belongs to. Raises Denied, Unavailable."""
    held = claim(places.host, f"a coordinator is already using the state in {places.state}")
    here = {"host": socket.gethostname(), "machine": machine_id()}
    text = os.pread(held.descriptor, 4096, 0)
    try:
        known = json.loads(text) if text else None
        owner = {key: str(known[key]) for key in here} if known is not None else here
    except (ValueError, KeyError, TypeError):
        held.release()
        raise Denied(
            f"{places.host} is damaged", next_step=f"remove it if this state belongs to this machine: rm {places.host}"
        ) from None
    same = (
        owner["machine"] == here["machine"] if owner["machine"] and here["machine"] else owner["host"] == here["host"]
    )
    if not same:
        held.release()
        raise Denied(
            f"the state in {places.state} belongs to the machine {owner['host']}; this is {here['host']}",
            next_step=f"work there, set HAWSE_STATE_DIR to another folder, or, if it was moved here: rm {places.host}",
        )
    if owner is here or owner != here:
        _note(held, json.dumps(here) + "\n")
    return held


def _note(held: Claim, text: str) -> None:
    """Write what the claim's file says, durably. Raises Unavailable; then the claim is released."""
    try:
        os.ftruncate(held.descriptor, 0)
        os.pwrite(held.descriptor, text.encode(), 0)
        os.fsync(held.descriptor)
    except OSError as error:
        held.release()
        raise Unavailable(f"{held.path}: {error.strerror}", next_step="make room on its disk") from error


def machine_id() -> str:
    """What machine-id(5) says, or nothing where there is none."""
    try:
        with open(_MACHINE_ID, encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, ValueError):
        return ""


def listening_socket(path: str) -> socket.socket:
    """A Unix socket that only its owner can connect to. Call it with the runtime lock held: a stale one is replaced."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Denied(f"{path} is not a socket: {error.strerror}", next_step=f"mv {path} {path}.old") from error
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(path)
    except OSError as error:
        made.close()
        raise Unavailable(f"{path}: {error.strerror}") from error
    finally:
        os.umask(before)
    made.setblocking(False)
    return made
