"""A server over ssh: its address, what is run, and the process that carries one link.

Theory of operation. One link = one `ssh HOST hawse proxy`, whose standard input and output are one end of a socket
pair; the other end is ours and is used like any connected socket. Many links cost one login: ssh multiplexes them over
a master connection (ControlMaster). hawse hands ssh a configuration that first includes the user's own and then sets
what the user did not set: in ssh_config(5) the first value wins. So a user's ProxyJump, keys, ControlMaster or
ServerAliveInterval count, and who has none of them gets a private master and a cut link that is seen in seconds.
Tried and left: `ssh -G` to look before each connection (one more process), and -o options (they overrule the user).
"""

from __future__ import annotations

import os
import re
from zlib import crc32

from hawse.client.find import STARTS, Endpoint
from hawse.client.places import check_private, make_runtime, own_places
from hawse.client.tunnel import Tunnel
from hawse.domain.errors import Invalid, Unavailable
from hawse.domain.ids import is_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LOGIN_S_MAX = 120.0  # sshd's own LoginGraceTime: a person types a password and a second factor
MEND_S_MAX = 24 * 3600.0  # a laptop that comes back the next morning
CONTROL_PATH_BYTES_MAX = 107 - 40 - 17  # sun_path, less %C in hexadecimal, less ssh's suffix while it binds

_ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._+-]{0,255})@)?"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]{0,254}|\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9/._+-]{0,255})?"
)
_OURS = """
Host *
    {multiplexing}
    ServerAliveInterval 5
    ServerAliveCountMax 2
    ConnectTimeout 10
"""
_MULTIPLEXING = """ControlMaster auto
    ControlPath "{folder}/%C"
    ControlPersist 600"""
# A login that is not interactive often lacks ~/.local/bin, where pip puts programs for one user.
_FIND = "command -v hawse >/dev/null 2>&1 || PATH=$PATH:$HOME/.local/bin; exec hawse proxy {words}"
_MASTER = re.compile("[0-9a-f]{40}")  # %C
_PASSED_ON = (b"TERM", b"COLORTERM", b"LANG", b"LANGUAGE")


class Place:
    """Where one logs in. path: of the far coordinator's socket; empty: the far user's own."""

    __slots__ = ("host", "path", "port", "user")

    def __init__(self, host: str, *, user: str = "", port: int = 0, path: str = "") -> None:
        self.host = host
        self.user = user
        self.port = port
        self.path = path

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}{f':{self.port}' if self.port else ''}{self.path}"

    @property
    def login(self) -> str:
        """As one types it behind `ssh`."""
        port = f"-p {self.port} " if self.port else ""
        return f"{port}{self.user}@{self.host}" if self.user else f"{port}{self.host}"


def parse_address(address: str) -> Place:
    """ssh://[user@]host[:port][/path/of/coordinator.sock]. Raises Invalid; a password in it is never repeated."""
    found = _ADDRESS.fullmatch(address)
    port = int(found["port"]) if found and found["port"] else 0
    if found is None or port > 65535 or (found["port"] and not port):
        if re.match(r"ssh://[^/@]*:[^/@]*@", address):
            raise Invalid("a server address holds no password", next_step="use ssh://user@host; ssh asks for it")
        raise Invalid(
            f"server address {address[:200]!r} is not valid",
            next_step="use ssh://host, ssh://user@host or ssh://host:port",
        )
    path = found["path"] or ""
    return Place(found["host"].strip("[]"), user=found["user"] or "", port=port, path="" if path == "/" else path)


def config_text(*, own: str, multiplexed_in: str) -> str:
    """What ssh reads: the user's file (`own`; empty: the usual two), then what the user did not set.

    multiplexed_in: the folder of the master's sockets; empty: none.
    """
    includes = [own] if own else ["~/.ssh/config", "/etc/ssh/ssh_config"]
    lines = ["# Written by hawse. The first value wins: what you set in your own file counts."]
    lines += [f'Include "{path}"' for path in includes]
    folder = multiplexed_in.replace("%", "%%")
    more = _MULTIPLEXING.format(folder=folder) if folder else "ControlMaster no"
    return "\n".join(lines) + _OURS.format(multiplexing=more)


def ssh_words(place: Place, config: str, *, batch: bool = False) -> list[str]:
    """ssh's options up to the host; the far command line follows. No terminal, no forwarding, nothing of the user's
    interactive logins (RemoteCommand).
    """
    words = ["-F", config, "-T", "-x", "-a", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"]
    words += ["-o", "BatchMode=yes"] if batch else []
    words += ["-p", str(place.port)] if place.port else []
    words += ["-l", place.user] if place.user else []
    return [*words, "--", place.host]


def far_command(words: list[str], remote_command: str) -> str:
    """What the far shell is given. words are of a kind that needs no quoting in any shell."""
    line = " ".join(words)
    if remote_command:
        return f"{remote_command} proxy {line}".rstrip()
    return f"sh -c '{_FIND.format(words=line).rstrip()}'"


def settings(environ: Mapping[str, str]) -> dict[str, str]:
    """command, config, program: HAWSE_REMOTE_COMMAND, HAWSE_SSH_CONFIG, HAWSE_SSH, else [ssh] of config.toml.

    Raises Invalid.
    """
    names = {"remote_command": "HAWSE_REMOTE_COMMAND", "config": "HAWSE_SSH_CONFIG", "program": "HAWSE_SSH"}
    table = _config_table(own_places(environ).config_file)
    found = {key: environ.get(name) or str(table.get(key, "")) for key, name in names.items()}
    for key, value in found.items():
        if any(ord(letter) < 32 for letter in value) or (key == "config" and '"' in value):
            raise Invalid(f"{names[key]} (or {key} in [ssh] of config.toml) has a character that is not possible")
    return found


def _config_table(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            import tomllib

            table = tomllib.load(file).get("ssh", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise Invalid(f"{path}: [ssh] holds remote_command, config and program, each a text")
    return table


def found_program(name: str, path: str) -> str:
    """Where a program is: an absolute path, or looked for in PATH. Raises Unavailable."""
    for folder in [""] if "/" in name else path.split(":"):
        candidate = f"{folder}/{name}" if folder else name
        if "/" in candidate and os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise Unavailable(
        f"there is no program {name!r} here, and the server is reached through it",
        next_step="install OpenSSH's client, or set HAWSE_SSH to its path",
    )


class SshEndpoint(Endpoint):
    """A coordinator on another machine. Each link is a tunnel of its own."""

    __slots__ = ("_ahead", "_environ", "_paths", "batch", "place")
    is_remote = by_ssh = True
    mend_s_max = MEND_S_MAX

    def __init__(self, place: Place, *, start: str, environ: Mapping[str, str], batch: bool = False) -> None:
        super().__init__(str(place), start=start, where=None)
        self.place = place
        self.batch = batch  # never ask anybody for anything
        self._environ = environ
        self._paths: dict[str, str] | None = None
        self._ahead: Tunnel | None = None

    @property
    def name(self) -> str:
        """The address."""
        return self.path

    @property
    def told(self) -> str:
        """In a sentence."""
        return f"the coordinator of {self.path}"

    @property
    def patience_s(self) -> float:
        """How long a login may take."""
        return 0.0 if self.batch else LOGIN_S_MAX

    def tunnel(self, *, runner: str = "", verb: str = "", batch: bool = False) -> Tunnel:
        """ssh, on its way to the far coordinator, to a job's runner there, or with a one-shot verb.

        Raises Invalid, Denied, Unavailable; whether it got there is told by its greeting.
        """
        if runner and not is_uuid(runner):
            raise Invalid(f"{runner[:60]!r} is not the id of a job")
        words = ["--server", f"unix:{self.place.path}"] if self.place.path else []
        if runner:
            words += ["--runner", runner]
        elif verb:
            words += [f"--{verb}"]
        else:
            words += [
                "--start",
                "always" if self._fresh else "auto" if self.start_mode == "always" else self.start_mode,
            ]
            self._fresh = False
        paths = self.paths()
        argv = [
            paths["program"], *ssh_words(self.place, paths["config"], batch=batch or self.batch),
            far_command(words, paths["remote_command"]),
        ]  # fmt: skip
        return Tunnel(self.place, argv)

    def go_ahead(self) -> None:
        """Start the way to a runner before it is known which one: it takes as long as the question.

        Only through a master connection that is there: one login is enough, and one question for a password.
        """
        if self._ahead is None and self.is_warm:
            self._ahead = self.tunnel(verb="later", batch=True)

    @property
    def is_warm(self) -> bool:
        """Does our private master connection listen?"""
        folder = self.paths()["folder"]
        return bool(folder) and any(_MASTER.fullmatch(name) for name in os.listdir(folder))

    def take_ahead(self) -> Tunnel | None:
        """The one that was started so, if there is one."""
        made, self._ahead = self._ahead, None
        return made

    def leave_ahead(self) -> None:
        """It is not needed."""
        made = self.take_ahead()
        if made is not None:
            made.socket.close()
            made.release()

    def paths(self) -> dict[str, str]:
        """program, config (written where it was missing), remote_command, folder (of the masters; may be empty).

        Raises Invalid, Denied, Unavailable.
        """
        if self._paths is None:
            chosen = settings(self._environ)
            program = found_program(chosen["program"] or "ssh", self._environ.get("PATH", os.defpath))
            folder = private_folder(self._environ, f"{self.place}\0{chosen['config']}")
            usable = folder if len(os.fsencode(folder)) + 1 <= CONTROL_PATH_BYTES_MAX and '"' not in folder else ""
            text = config_text(own=chosen["config"], multiplexed_in=usable)
            self._paths = {
                "program": program, "config": written(folder, text), "folder": usable,
                "remote_command": chosen["remote_command"],
            }  # fmt: skip
        return self._paths


def private_folder(environ: Mapping[str, str], address: str) -> str:
    """Where masters for one address listen: below the runtime folder, the user's alone. Raises Denied, Unavailable."""
    where = own_places(environ)
    every = where.runtime + "/s"
    folder = f"{every}/{crc32(address.encode()):08x}"
    try:
        make_runtime(where)
        for path in (every, folder):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                pass
            check_private(path, what="the folder of ssh's connections")
    except OSError as error:
        raise _unusable(error) from error
    return folder


def written(folder: str, text: str) -> str:
    """The path of the file in `folder` that holds `text`, as of now. Raises Unavailable."""
    path = f"{folder}/config"
    try:
        with open(path, encoding="utf-8") as file:
            if file.read(len(text) + 1) == text:
                return path
    except (OSError, ValueError):
        pass
    aside = f"{path}.{os.getpid():x}.{os.urandom(4).hex()}"
    try:
        with open(aside, "x", encoding="utf-8") as file:
            file.write(text)
        os.rename(aside, path)
    except OSError as error:
        raise _unusable(error) from error
    return path


def _unusable(error: OSError) -> Unavailable:
    return Unavailable(f"{error.filename}: {error.strerror}", next_step="set HAWSE_RUNTIME_DIR to a folder of your own")


def passed_on(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """What of our own environment a far job gets: what its terminal is, and which language somebody reads."""
    return {name: value for name, value in environ.items() if name in _PASSED_ON or name.startswith(b"LC_")}


def ssh_endpoint(address: str, *, start: str, environ: Mapping[str, str], batch: bool = False) -> SshEndpoint:
    """The endpoint of an address that begins with ssh:. Raises Invalid."""
    if start not in STARTS:
        raise Invalid(f"start {start!r} is none of {', '.join(STARTS)}")
    return SshEndpoint(parse_address(address), start=start, environ=environ, batch=batch)
