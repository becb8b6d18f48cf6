"""The user's own places, and whether they may be trusted. Which they are is said once, in hawse.domain.places."""

from __future__ import annotations

import os
import stat

from hawse.domain.errors import Denied
from hawse.domain.places import Places, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def own_places(environ: Mapping[str, str] | None = None) -> Places:
    """The places of this user in this environment. Raises Invalid."""
    env = os.environ if environ is None else environ
    return places(env, uid=os.getuid(), home=os.path.expanduser("~"))


def environ_of(where: Places) -> dict[str, str]:
    """The variables that make another process use the same places."""
    return {"HAWSE_STATE_DIR": where.state, "HAWSE_RUNTIME_DIR": where.runtime, "HAWSE_CONFIG_DIR": where.config}


def check_private(path: str, *, what: str, variable: str = "HAWSE_RUNTIME_DIR", uid: int | None = None) -> None:
    """Refuse a directory that somebody else could have put there or could change.

    variable: what names another one. Raises Denied; FileNotFoundError when it does not exist.
    """
    uid = os.getuid() if uid is None else uid
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise Denied(f"{what} {path} is a symbolic link", next_step=f"remove it: rm {path}")
    if not stat.S_ISDIR(found.st_mode):
        raise Denied(f"{what} {path} is not a directory", next_step=f"move it away: mv {path} {path}.old")
    another = f"set {variable} to a directory of your own"
    if found.st_mode & stat.S_ISVTX:  # like /tmp: closing it would lock everybody else out
        raise Denied(f"{what} {path} is shared with others (mode {stat.S_IMODE(found.st_mode):04o})", next_step=another)
    if found.st_uid != uid:
        raise Denied(f"{what} {path} belongs to user {found.st_uid}, not to you ({uid})", next_step=another)
    if found.st_mode & 0o077:
        raise Denied(
            f"{what} {path} has mode {stat.S_IMODE(found.st_mode):04o}: others could reach it",
            next_step=f"{another}, or close this one: chmod 700 {path}",
        )


def check_runtime(where: Places) -> None:
    """The runtime directory is ours alone, and so is the directory in /tmp above it.

    Raises Denied, FileNotFoundError.
    """
    parent = os.path.dirname(where.runtime)
    if parent == f"/tmp/hawse-{os.getuid()}":
        check_private(parent, what="the runtime directory")
    check_private(where.runtime, what="the runtime directory")


def make_all(where: Places) -> None:
    """Make state and runtime directory where they are missing, for the user alone. Raises Denied, OSError."""
    os.makedirs(os.path.dirname(where.state), exist_ok=True)
    _make(where.state)
    make_runtime(where)


def make_runtime(where: Places) -> None:
    """Make the runtime directory alone: a machine that only looks at others keeps no state. Raises Denied, OSError."""
    _make(os.path.dirname(where.runtime), where.runtime)
    check_runtime(where)


def _make(*paths: str) -> None:
    for path in paths:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(path, 0o700)
