"""daemons/as_user.py, the privileged helper: what it starts, and everything that it refuses. As root, with accounts."""

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from tests.other_users import need_root

from hawse.daemons import as_user
from hawse.runner import parent

SOURCE = Path(as_user.__file__)
ROOT = SOURCE.parents[2]
PYTHON = "/usr/bin/python3"  # one that every user can run


class Rig:
    """A helper as root, its caller's account, and another user's."""

    def __init__(self, folder, caller, ada):
        self.folder = folder
        self.caller = caller
        self.ada = ada
        self.socket = f"{folder}/h/socket"
        self.process = None

    def start(self, *more):
        words = [
            PYTHON, "-I", str(SOURCE),
            "--caller", self.caller.pw_name, "--socket", self.socket, "--run", f"{self.folder}/j",
            "--state", f"{self.folder}/l", "--python", PYTHON, "--source", f"{self.folder}/source", *more,
        ]  # fmt: skip
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self):
        return Path(f"{self.folder}/log").read_text()

    def ask(self, data, uid=None, *, half=False):
        """What is answered to these bytes, said by a process of this uid (the caller's)."""
        script = (
            "import socket, sys, os\n"
            f"s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect({self.socket!r})\n"
            "try: s.sendall(sys.stdin.buffer.read())\n"
            "except BrokenPipeError: pass\n"  # it was refused before it was read
            + ("s.shutdown(socket.SHUT_WR)\n" if half else "")
            + "sys.stdout.write(s.recv(4096).decode())\n"
        )
        uid = self.caller.pw_uid if uid is None else uid
        done = subprocess.run(
            [PYTHON, "-I", "-S", "-c", script], input=data, capture_output=True, timeout=60, user=uid, group=uid,
            extra_groups=[self.caller.pw_gid],
        )  # fmt: skip
        return json.loads(done.stdout) if done.stdout else {"error": done.stderr.decode()}

    def processes(self, uid):
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if entry.stat().st_uid == uid and ") Z" not in (entry / "stat").read_text():
                    found.append(int(entry.name))
        return found


def made_account(name, *more, shell="/bin/bash"):
    login = f"ht{os.getpid() % 100000}{name}"
    subprocess.run(["useradd", "-m", "-s", shell, "-p", "*", *more, login], check=True, capture_output=True)
    return pwd.getpwnam(login)


@pytest.fixture
def rig(eventually):
    need_root()
    folder = Path(tempfile.mkdtemp(prefix="hwau", dir="/tmp"))
    folder.chmod(0o755)
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hawse", folder / "source" / "hawse", ignore=left_out)  # where every user can read it
    accounts = [made_account("svc", shell="/usr/sbin/nologin"), made_account("ada")]
    made = Rig(folder, *accounts)
    made.accounts = accounts
    try:
        made.start()
        eventually(lambda: os.path.exists(made.socket), what="the helper listens")
        yield made
    finally:
        made.process.kill()
        made.process.wait(20)
        for account in made.accounts:
            for pid in made.processes(account.pw_uid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            eventually(lambda account=account: not made.processes(account.pw_uid))
            subprocess.run(["userdel", "-r", "-f", account.pw_name], capture_output=True, check=False)
        shutil.rmtree(folder)


pytestmark = pytest.mark.xdist_group("as_user")


def test_what_is_started_is_what_the_runner_s_own_command_says():
    words = parent.command("P", "S", "/R/7/parent.sock", idle_s=as_user.IDLE_S, coordinator=8)
    assert words == ["P", "-I", "-S", "-c", as_user.PROGRAM, "S", "/R/7/parent.sock", str(as_user.IDLE_S), "8"]


def test_it_imports_nothing_of_ours_and_is_short():
    lines = SOURCE.read_text().splitlines()
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert len(code) < 230


def test_the_started_process_is_the_user_s_in_every_way(rig, eventually):
    subprocess.run(["groupadd", "-U", rig.ada.pw_name, f"g{rig.ada.pw_name}"], check=True)
    try:
        answer = rig.ask(b'{"uid": %d}\n' % rig.ada.pw_uid)
        assert answer["ok"] is True, answer
        pid = answer["pid"]
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert status["Uid"].split() == [str(rig.ada.pw_uid)] * 4
        assert status["Gid"].split() == [str(rig.ada.pw_gid)] * 4
        groups = {rig.ada.pw_gid, *(g for g in os.getgrouplist(rig.ada.pw_name, rig.ada.pw_gid))}
        assert set(map(int, status["Groups"].split())) == groups
        assert len(groups) == 2
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert os.getsid(pid) == pid
        sock = Path(f"{rig.folder}/j/{rig.ada.pw_uid}/parent.sock")
        eventually(sock.exists)
        assert int(Path(f"/proc/{pid}/status").read_text().split("Umask:")[1].split()[0], 8) == 0o007
        environ = dict(pair.split("=", 1) for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair)
        assert environ == {
            "HAWSE_DAEMON": "parent", "HOME": rig.ada.pw_dir, "USER": rig.ada.pw_name, "LOGNAME": rig.ada.pw_name,
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
        }  # fmt: skip
        targets = {int(fd.name): os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
        assert targets.pop(0) == "/dev/null"
        assert targets.pop(1) == targets.pop(2) == f"{rig.folder}/l/{rig.ada.pw_uid}/runner.log"
        allowed = ("socket:", "anon_inode:[eventpoll]", f"{rig.folder}/j/{rig.ada.pw_uid}/parent.sock.lock")
        assert all(target.startswith(allowed) for target in targets.values()), targets
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        found = sock.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (rig.ada.pw_uid, rig.caller.pw_gid, 0o660)
        again = rig.ask(b'{"uid": %d}\n' % rig.ada.pw_uid)  # the second one gives way
        assert again["ok"] is True
        eventually(lambda: not os.path.exists(f"/proc/{again['pid']}"))
        assert os.path.exists(f"/proc/{pid}")
    finally:
        subprocess.run(["groupdel", f"g{rig.ada.pw_name}"], check=True)


@pytest.mark.requirement("S7.2")
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (b'{"uid": 0}\n', "nothing is started as uid 0"),
        (b'{"uid": 1}\n', "nothing is started as uid 1"),
        (b'{"uid": 999}\n', "ordinary accounts begin at 1000"),
        (b'{"uid": -1}\n', "nothing is started as uid -1"),
        (b'{"uid": 65534}\n', "nothing is started as uid 65534"),
        (b'{"uid": 4294967295}\n', "nothing is started as uid 4294967295"),
        (b'{"uid": 99999999999999999999}\n', "nothing is started as uid"),
        (b'{"uid": 61234}\n', "there is no account with uid 61234"),
        (b'{"uid": true}\n', "the request is not"),
        (b'{"uid": 1000.0}\n', "the request is not"),
        (b'{"uid": "1000"}\n', "the request is not"),
        (b'{"uid": [1000]}\n', "the request is not"),
        (b'{"uid": 1000, "argv": ["/bin/sh"]}\n', "the request is not"),
        (b"{}\n", "the request is not"),
        (b"[]\n", "the request is not"),
        (b"\n", "not one line of JSON"),
        (b"uid=1000\n", "not one line of JSON"),
        (b"\xff\xfe\n", "not one line of JSON"),
        (b"[" * 250 + b"\n", "not one line of JSON"),
        (b'{"uid": 1000' + b" " * 300 + b"}\n", "at most 256 bytes"),
        (b"x" * 100_000, "at most 256 bytes"),
    ],
)
def test_what_is_refused(rig, asked, words):
    answer = rig.ask(asked)
    assert words in answer["error"]
    assert "refused: " in rig.said()
    assert os.listdir(f"{rig.folder}/j") == []


def test_half_a_request_and_silence(rig, eventually):
    assert "not one line" in rig.ask(b'{"uid": 1000}', half=True)["error"]
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(rig.socket)  # root's own: refused at once, and nobody waits for it
    assert b"is not the coordinator's" in silent.recv(1000)
    silent.close()
    assert rig.ask(b'{"uid": %d}\n' % rig.ada.pw_uid)["ok"] is True


@pytest.mark.requirement("S7.2")
def test_other_callers_are_refused(rig):
    """The socket's mode keeps them out; were it open, the kernel's word on who they are would."""
    asked = b'{"uid": %d}\n' % rig.ada.pw_uid
    words = f"import socket; socket.socket(socket.AF_UNIX).connect({rig.socket!r})"
    done = subprocess.run(
        [PYTHON, "-I", "-c", words], user=rig.ada.pw_uid, group=rig.ada.pw_gid, extra_groups=[], capture_output=True
    )
    assert b"Permission denied" in done.stderr
    os.chmod(rig.socket, 0o666)
    assert f"uid {rig.ada.pw_uid} is not the coordinator's" in rig.ask(asked, rig.ada.pw_uid)["error"]
    assert rig.processes(rig.ada.pw_uid) == []


def test_accounts_that_may_not_log_in_or_have_root_s_group(rig):
    rig.accounts += [made_account("no", shell="/bin/false"), made_account("rg", "-g", "0")]
    assert "may not log in" in rig.ask(b'{"uid": %d}\n' % rig.accounts[-2].pw_uid)["error"]
    assert "has the group of root" in rig.ask(b'{"uid": %d}\n' % rig.accounts[-1].pw_uid)["error"]
    assert f"uid {rig.caller.pw_uid}" in rig.ask(b'{"uid": %d}\n' % rig.caller.pw_uid)["error"]


def test_folders_that_somebody_else_made_are_not_entered(rig):
    mine = Path(f"{rig.folder}/l/{rig.ada.pw_uid}")
    mine.symlink_to("/etc")
    assert "is not what was made for uid" in rig.ask(b'{"uid": %d}\n' % rig.ada.pw_uid)["error"]
    mine.unlink()
    mine.mkdir()
    assert "is not what was made for uid" in rig.ask(b'{"uid": %d}\n' % rig.ada.pw_uid)["error"]
    assert os.stat("/etc").st_uid == 0
    assert rig.processes(rig.ada.pw_uid) == []


def test_root_s_folders_must_be_root_s(rig, eventually):
    rig.process.kill()
    rig.process.wait(20)
    os.chmod(f"{rig.folder}/j", 0o777)
    rig.start()
    eventually(lambda: rig.process.poll() is not None)
    assert rig.process.returncode != 0
    assert "must be a folder that only root can write to" in rig.said()


def test_it_is_run_as_root(rig):
    words = [PYTHON, "-I", str(SOURCE), "--caller", rig.caller.pw_name, "--python", PYTHON, "--source", "/"]
    done = subprocess.run(words, user=rig.ada.pw_uid, group=rig.ada.pw_gid, extra_groups=[], capture_output=True)
    assert done.returncode == 77
    assert b"must be run as root" in done.stderr


def test_an_exec_that_fails_is_told(rig, eventually):
    rig.process.kill()
    rig.process.wait(20)
    os.unlink(rig.socket)
    rig.start("--python", "/nowhere/python")
    eventually(lambda: os.path.exists(rig.socket))
    assert "No such file" in rig.ask(b'{"uid": %d}\n' % rig.ada.pw_uid)["failed"]
    assert rig.processes(rig.ada.pw_uid) == []
