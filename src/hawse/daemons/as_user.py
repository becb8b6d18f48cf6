"""The privileged helper of a site's service: it starts the runners' parent as a user. It does nothing else.

It is the only part that runs as root, so it is one file, imports nothing of hawse, and is short enough to be read in
one sitting; docs/explanation/as-user.md says what to look for. What it starts, and with which words, is fixed by its
own command line, which root writes. A request says one thing only: the number of a user.

    {"uid": 1000}\\n  ->  {"ok": true}\\n,  {"error": "..."}\\n,  or, when asking again may help,  {"failed": "..."}\\n

In order: who asks (the kernel tells; only the coordinator's user), what is asked (one line, bounded in size and time),
whether that user is an ordinary account, two folders of his, a fork, his groups, his uid, nothing inherited, exec.
"""

import argparse
import json
import os
import pwd
import signal
import socket
import stat
import struct
import sys

REQUEST_BYTES_MAX = 256
REQUEST_S = 5.0
NEVER = frozenset({0, 65534, 65535, 2**32 - 1})  # root, nobody, and the two that mean "no uid"
NO_LOGIN = frozenset({"nologin", "false"})
# The same words as hawse.runner.parent.command; a test compares them.
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from hawse.runner.parent import main; sys.exit(main(sys.argv[2:]))"
)
IDLE_S = 600


class Refused(Exception):
    """The request is not carried out; the text goes to the coordinator and to the log."""


def main(words: list[str]) -> int:
    options = parsed(words)
    if os.getuid() != 0:
        print("hawse-as-user: this must be run as root", file=sys.stderr)
        return 77
    caller = pwd.getpwnam(options.caller)
    os.umask(0o077)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: what was started is on its own
    root_folder(os.path.dirname(options.socket), 0o711)
    root_folder(options.run, 0o711)
    root_folder(options.state, 0o711)
    listening = listen(options.socket, caller.pw_gid)
    say(f"serves uid {caller.pw_uid} on {options.socket}")
    while True:
        connection, _ = listening.accept()
        with connection:
            try:
                answer: dict[str, object] = {"ok": True, "pid": served(connection, options, caller)}
            except Refused as error:
                say(f"refused: {error}")
                answer = {"error": str(error)}
            except (OSError, KeyError) as error:
                say(f"failed: {error}")
                answer = {"failed": f"it could not be done: {error}"}
            try:
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                pass  # who asked has gone; the parent that was started is found by its socket


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hawse-as-user", description=__doc__.split("\n", 1)[0], allow_abbrev=False)
    parser.add_argument("--caller", required=True, metavar="USER", help="the coordinator's account")
    parser.add_argument("--socket", default="/run/hawse-as-user/socket", metavar="PATH")
    parser.add_argument("--run", default="/run/hawse-jobs", metavar="DIR", help="sockets, a folder for each user")
    parser.add_argument("--state", default="/var/lib/hawse-jobs", metavar="DIR", help="logs, a folder for each user")
    parser.add_argument("--uid-min", type=int, default=1000, metavar="N", help="the first ordinary account")
    parser.add_argument("--python", required=True, metavar="PATH", help="the interpreter that is started")
    parser.add_argument("--source", required=True, metavar="DIR", help="the folder that holds the package hawse")
    parser.add_argument("--cgroups", action="store_true", help="one below ours for each user (needs Delegate=yes)")
    return parser.parse_args(words)


def served(connection: socket.socket, options: argparse.Namespace, caller: pwd.struct_passwd) -> int:
    """Carry out one request; the process id of what was started. Raises Refused, OSError."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != caller.pw_uid:
        raise Refused(f"uid {uid} is not the coordinator's")
    account = ordinary(requested(connection), options.uid_min, caller.pw_uid)
    for folder in (options.run, options.state):
        user_folder(f"{folder}/{account.pw_uid}", account.pw_uid, caller.pw_gid)
    return started(account, options, caller.pw_uid)


def requested(connection: socket.socket) -> int:
    """The uid that is asked for. Raises Refused."""
    connection.settimeout(REQUEST_S)
    data = b""
    try:
        while not data.endswith(b"\n"):
            part = connection.recv(REQUEST_BYTES_MAX + 1 - len(data))
            data += part
            if not part or len(data) > REQUEST_BYTES_MAX:
                raise Refused("the request is not one line of at most 256 bytes")
        value = json.loads(data)
    except (TimeoutError, ValueError, RecursionError) as error:
        raise Refused(f"the request is not one line of JSON: {type(error).__name__}") from error
    if not isinstance(value, dict) or list(value) != ["uid"] or type(value["uid"]) is not int:
        raise Refused('the request is not {"uid": NUMBER}')
    return value["uid"]


def ordinary(uid: int, uid_min: int, caller: int) -> pwd.struct_passwd:
    """The account, if it is one that people have. Raises Refused."""
    if uid in NEVER or not uid_min <= uid < 2**32 or uid == caller:
        raise Refused(f"nothing is started as uid {uid}: ordinary accounts begin at {uid_min}")
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        raise Refused(f"there is no account with uid {uid}") from None
    if account.pw_uid != uid or account.pw_gid == 0:
        raise Refused(f"the account {account.pw_name} has the group of root")
    if os.path.basename(account.pw_shell) in NO_LOGIN:
        raise Refused(f"the account {account.pw_name} may not log in ({account.pw_shell})")
    return account


def root_folder(path: str, mode: int) -> None:
    """A folder of root's own, in which nobody else can put anything. Raises OSError, SystemExit."""
    os.makedirs(path, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        sys.exit(f"hawse-as-user: {path} must be a folder that only root can write to")
    os.chmod(path, mode)


def user_folder(path: str, uid: int, gid: int) -> None:
    """A user's folder in one of root's: his, and the coordinator's by its group. Raises Refused, OSError."""
    try:
        os.mkdir(path, 0o700)
        os.chown(path, uid, gid)
        os.chmod(path, 0o2770)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or (found.st_uid, found.st_gid) != (uid, gid):
            raise Refused(f"{path} is not what was made for uid {uid}") from None


def started(account: pwd.struct_passwd, options: argparse.Namespace, caller: int) -> int:
    """Fork, become the user, exec. Returns the process id once exec has succeeded. Raises OSError."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            become(account, options, caller)
        except BaseException as error:
            os.write(write_end, str(error).encode()[:200] or b"?")
        finally:
            os._exit(1)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        failure = pipe.read(200)  # until exec closes the other end
    if failure:
        raise OSError(failure.decode("utf-8", "replace"))
    say(f"started the runners' parent of uid {account.pw_uid} ({account.pw_name}) as process {pid}")
    return pid


def become(account: pwd.struct_passwd, options: argparse.Namespace, caller: int) -> None:
    """In the child: everything of root's is left behind before anything of the user's is touched. Does not return."""
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if options.cgroups:
        own_cgroup(account.pw_uid)
    os.initgroups(account.pw_name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    if os.getresuid() != (account.pw_uid,) * 3 or os.getresgid() != (account.pw_gid,) * 3:
        raise PermissionError("the user was not changed")
    os.umask(0o007)  # the coordinator's group may read and remove; nobody else comes into the folder
    os.chdir("/")
    run, state = f"{options.run}/{account.pw_uid}", f"{options.state}/{account.pw_uid}"
    os.makedirs(f"{run}/r", 0o770, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    log = os.open(f"{state}/runner.log", flags, 0o660)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    environment = {
        "HAWSE_DAEMON": "parent", "HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name,
        "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
    }  # fmt: skip
    words = ["-I", "-S", "-c", PROGRAM, options.source, f"{run}/parent.sock", str(IDLE_S), str(caller)]
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2:
            try:
                os.set_inheritable(descriptor, False)
            except OSError:
                pass  # the one that listed the folder
    os.execve(options.python, [options.python, *words], environment)


def own_cgroup(uid: int) -> None:
    """A cgroup of the user's own below ours, as far as that is possible here: what is not, is done without."""
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:
            path = next(line.strip()[3:] for line in file if line.startswith("0::"))
        folder = f"/sys/fs/cgroup{path}/user-{uid}"
        os.makedirs(folder, 0o755, exist_ok=True)
        with open(f"{folder}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))
        for name in ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"):
            os.chown(folder + name, uid, -1)
    except (OSError, StopIteration):
        pass


def listen(path: str, gid: int) -> socket.socket:
    """The socket that only root and the coordinator's group can connect to. Raises OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(path)  # mode 0700 by the umask; the folder is root's
    os.chown(path, 0, gid)
    os.chmod(path, 0o660)
    made.listen(16)
    return made


def say(text: str) -> None:
    print(f"hawse-as-user: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
