"""Where things are: one rule for the coordinator, the client and the doctor, from the environment to paths.

Pure: nothing is looked up, made or checked here. Who opens a place checks it (owner, mode, symbolic links).
"""

from __future__ import annotations

import binascii
import posixpath

from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

INSTANCE_LENGTH_MAX = 16
SOCKET_PATH_BYTES_MAX = 107  # sun_path has 108 bytes with its final NUL. Source: unix(7)
_LONGEST_SOCKET = "/r/" + 36 * "x"  # a runner's socket: r/<job id>


class Places:
    """state: what must last. runtime: sockets and locks of this boot. config: what the user writes. All absolute.
    instance: which of several coordinators on the same state; "" where there is one.

    Frozen by hand: every `hawse proxy` imports this, and importing dataclasses would double the time of its start.
    """

    __slots__ = ("config", "instance", "runtime", "state")
    state: str
    runtime: str
    config: str
    instance: str

    def __init__(self, *, state: str, runtime: str, config: str, instance: str = "") -> None:
        for name, value in (("state", state), ("runtime", runtime), ("config", config), ("instance", instance)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name} of Places cannot be set")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        told = f", instance={self.instance!r}" if self.instance else ""
        return f"Places(state={self.state!r}, runtime={self.runtime!r}, config={self.config!r}{told})"

    @property
    def _key(self) -> tuple[str, str, str, str]:
        return self.state, self.runtime, self.config, self.instance

    @property
    def _own(self) -> str:
        """What distinguishes the files of one coordinator from those of another on the same state."""
        return f"-{self.instance}" if self.instance else ""

    @property
    def database(self) -> str:
        return self.state + "/hawse.db"

    @property
    def host(self) -> str:
        """The machine that this state belongs to; locked by its coordinator."""
        return f"{self.state}/host{self._own}"

    @property
    def coordinator_log(self) -> str:
        return f"{self.state}/coordinator{self._own}.log"

    @property
    def runner_log(self) -> str:
        """What the runners' parent and runners say about themselves."""
        return self.state + "/runner.log"

    @property
    def jobs(self) -> str:
        return self.state + "/jobs"

    @property
    def socket(self) -> str:
        """The coordinator's: HTTP."""
        return f"{self.runtime}/coordinator{self._own}.sock"

    @property
    def parent_socket(self) -> str:
        """The runner parent's."""
        return self.runtime + "/parent.sock"

    @property
    def lock(self) -> str:
        return f"{self.runtime}/coordinator{self._own}.lock"

    @property
    def runners(self) -> str:
        """The folder of the runners' sockets, one per job id."""
        return self.runtime + "/r"

    @property
    def config_file(self) -> str:
        return self.config + "/config.toml"


def places(env: Mapping[str, str], *, uid: int, home: str = "") -> Places:
    """The places of user `uid` in this environment; home: where HOME is not set.

    Raises Invalid: a path that is not absolute, no home, or a runtime path too long for a socket.
    The runtime folder is not in XDG_RUNTIME_DIR, which systemd empties at logout, while the work goes on.
    Source: XDG Base Directory Specification 0.8: a relative path in an XDG variable is ignored.
    """
    state = _chosen(env, "HAWSE_STATE_DIR") or _of_user(env, "XDG_STATE_HOME", ".local/state", home)
    config = _chosen(env, "HAWSE_CONFIG_DIR") or _of_user(env, "XDG_CONFIG_HOME", ".config", home)
    runtime = _chosen(env, "HAWSE_RUNTIME_DIR") or f"/tmp/hawse-{uid}/{_short(state)}"
    size, size_max = len(_bytes(runtime)), SOCKET_PATH_BYTES_MAX - len(_LONGEST_SOCKET)
    if size > size_max:
        raise Invalid(f"HAWSE_RUNTIME_DIR has {size} bytes; a socket's path leaves room for {size_max}", limit=size_max)
    return Places(state=state, runtime=runtime, config=config, instance=_instance(env))


def _instance(env: Mapping[str, str]) -> str:
    name = env.get("HAWSE_INSTANCE", "")
    if name and not (name.isascii() and name.isalnum() and len(name) <= INSTANCE_LENGTH_MAX):
        raise Invalid(f"HAWSE_INSTANCE {name[:40]!r} is not valid: up to {INSTANCE_LENGTH_MAX} letters and digits")
    return name


def _chosen(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if value and not value.startswith("/"):
        raise Invalid(f"{name} is {value!r}; it must be an absolute path")
    return _normal(value) if value else ""


def _of_user(env: Mapping[str, str], name: str, below_home: str, home: str) -> str:
    value = env.get(name, "")
    if value.startswith("/"):
        return _normal(value + "/hawse")
    here = env.get("HOME", "") or home
    if not here.startswith("/"):
        raise Invalid(
            "HOME is not set to an absolute path", next_step="set HOME, or HAWSE_STATE_DIR and HAWSE_CONFIG_DIR"
        )
    return _normal(f"{here}/{below_home}/hawse")


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


def _short(path: str) -> str:
    return f"{binascii.crc32(_bytes(path)):08x}"  # tells folders apart, no secret; hashlib costs 3 ms of start


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
