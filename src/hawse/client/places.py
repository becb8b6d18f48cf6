"""Where one user's hawse keeps things, and whether those places may be trusted.

The state directory survives a reboot; the runtime directory holds sockets and locks. The runtime directory is derived
from the state directory, so that two states never share a socket, and stands in /tmp because logout empties
XDG_RUNTIME_DIR.
Source: docs/plan/02.md, "Places".
"""

from __future__ import annotations

import os
import stat

from hawse.domain.errors import Denied, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux is 108 bytes with its final zero: unix(7)
_LONGEST_SOCKET = "/r/00000000-0000-0000-0000-000000000000"


class Places:
    """The directories of one installation. Absolute paths; nothing is made or checked here."""

    __slots__ = ("config_dir", "runtime_dir", "state_dir")

    def __init__(self, *, state_dir: str, runtime_dir: str, config_dir: str) -> None:
        self.state_dir = state_dir
        self.runtime_dir = runtime_dir
        self.config_dir = config_dir

    @property
    def socket(self) -> str:
        """Where the coordinator listens."""
        return f"{self.runtime_dir}/coordinator.sock"

    @property
    def log(self) -> str:
        """What a coordinator in the background says."""
        return f"{self.state_dir}/coordinator.log"

    @property
    def config(self) -> str:
        """The user's configuration file, which need not exist."""
        return f"{self.config_dir}/config.toml"

    def environ(self) -> dict[str, str]:
        """The variables that make another process use the same places."""
        return {"HAWSE_STATE_DIR": self.state_dir, "HAWSE_RUNTIME_DIR": self.runtime_dir}


def places(environ: Mapping[str, str] | None = None, *, uid: int | None = None) -> Places:
    """The places that the environment names. Raises Invalid when a socket's path would be too long for the kernel."""
    env = os.environ if environ is None else environ
    uid = os.getuid() if uid is None else uid
    state_dir = env.get("HAWSE_STATE_DIR") or f"{_xdg(env, 'XDG_STATE_HOME', '.local/state')}/hawse"
    state_dir = os.path.abspath(state_dir)
    runtime_dir = env.get("HAWSE_RUNTIME_DIR")
    if not runtime_dir:
        from hashlib import sha256

        runtime_dir = f"/tmp/hawse-{uid}/{sha256(os.fsencode(state_dir)).hexdigest()[:8]}"
    runtime_dir = os.path.abspath(runtime_dir)
    size = len(os.fsencode(runtime_dir)) + len(_LONGEST_SOCKET)
    if size > SOCKET_PATH_BYTES_MAX:
        raise Invalid(
            f"the runtime directory {runtime_dir} is too long: its sockets would have paths of {size} bytes, and the"
            f" kernel takes {SOCKET_PATH_BYTES_MAX}",
            next_step="set HAWSE_RUNTIME_DIR to a shorter path",
        )
    config_dir = env.get("HAWSE_CONFIG_DIR") or f"{_xdg(env, 'XDG_CONFIG_HOME', '.config')}/hawse"
    return Places(state_dir=state_dir, runtime_dir=runtime_dir, config_dir=os.path.abspath(config_dir))


def _xdg(env: Mapping[str, str], name: str, default: str) -> str:
    # "All paths set in these environment variables must be absolute. If [...] relative [...] ignore": XDG base
    # directories
    path = env.get(name, "")
    return path if path.startswith("/") else f"{env.get('HOME') or os.path.expanduser('~')}/{default}"


def check_private(path: str, *, what: str, uid: int | None = None) -> None:
    """Refuse a directory that somebody else could have put there or could change.

    Raises Denied; FileNotFoundError when it does not exist.
    """
    uid = os.getuid() if uid is None else uid
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise Denied(f"{what} {path} is a symbolic link", next_step=f"remove it: rm {path}")
    if not stat.S_ISDIR(found.st_mode):
        raise Denied(f"{what} {path} is not a directory", next_step=f"move it away: mv {path} {path}.old")
    if found.st_uid != uid:
        raise Denied(
            f"{what} {path} belongs to user {found.st_uid}, not to you ({uid})",
            next_step="set HAWSE_RUNTIME_DIR to a directory of your own",
        )
    if found.st_mode & 0o077:
        raise Denied(
            f"{what} {path} has mode {stat.S_IMODE(found.st_mode):04o}: others could reach it",
            next_step=f"chmod 700 {path}",
        )


def check_runtime(where: Places) -> None:
    """The runtime directory is ours alone, and so is the directory in /tmp above it.

    Raises Denied, FileNotFoundError.
    """
    parent = os.path.dirname(where.runtime_dir)
    if parent == f"/tmp/hawse-{os.getuid()}":
        check_private(parent, what="the runtime directory")
    check_private(where.runtime_dir, what="the runtime directory")


def make_all(where: Places) -> None:
    """Make state and runtime directory where they are missing, for the user alone. Raises Denied, OSError."""
    os.makedirs(os.path.dirname(where.state_dir), exist_ok=True)
    for path in (where.state_dir, os.path.dirname(where.runtime_dir), where.runtime_dir):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(path, 0o700)
    check_runtime(where)
