"""A front-end over ssh: every command, both twins of the API and the attachment; links that are cut; one login."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from screen import KEY, Screen
from sshd import Account, Lab

import hawse
from hawse.client._sync.transport import Transport
from hawse.client.find import endpoint
from hawse.domain.errors import Broken, Denied, Unavailable

pytestmark = [pytest.mark.xdist_group("sshd"), pytest.mark.timeout(240)]
PROGRAM = [sys.executable, "-m", "hawse.cli"]
AGAIN = "linked again"
# Prints numbered lines as long as somebody lets it; each with its number, so that a lost or doubled one is seen.
COUNTER = 'i=0; while [ ! -e stop ]; do i=$((i+1)); echo "line $i of what nobody may lose"; sleep 0.01; done; exit 7'


class Laptop:
    """A client whose server is an account of the lab."""

    def __init__(self, lab: Lab, account: Account, places: Any) -> None:
        self.lab = lab
        self.account = account
        self.folder = places.runtime / "s"
        self.environ = {**os.environ, **lab.environ(account), "NO_COLOR": "1"}
        self.windows: list[Screen] = []

    def run(self, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        settings.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [*PROGRAM, *words], capture_output=True, text=True, timeout=90, env=self.environ, **settings
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        """One command that ends with this code; its output."""
        done = self.run(*words)
        assert done.returncode == code, f"hawse {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def window(self, *words: str) -> Screen:
        """One command on a terminal."""
        self.windows.append(Screen(list(words), self.environ))
        return self.windows[-1]

    def file(self, name: str) -> Path:
        """A file in the far home."""
        return self.account.home / name


@pytest.fixture
def laptop(sshd: Lab, places: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """Ada's laptop: HAWSE_SERVER=ssh://ada, for commands and for this process."""
    made = Laptop(sshd, sshd.account("ada"), places)
    for name, value in sshd.environ(made.account).items():
        monkeypatch.setenv(name, value)
    yield made
    for window in made.windows:
        window.kill()
    close_masters(made.folder)


def close_masters(folder: Path) -> None:
    """Ask the master connections that listen in a folder to go."""
    for path in folder.glob("*/*"):
        if path.is_socket():
            words = ["ssh", "-F", "none", "-O", "exit", "-S", str(path), "nobody"]
            subprocess.run(words, capture_output=True, timeout=30, check=False)


# -- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S1.1", "S1.2", "S1.3", "S2.1", "S8.2")
def test_every_command_works_and_all_of_them_log_in_once(laptop):
    assert "no sessions" in laptop.run("ls").stderr + laptop("ls")
    assert "attach with: hawse attach demo" in laptop("new", "-d", "demo", "--", "sh", "-c", "echo shown; exec cat")
    assert laptop("run", "demo", "--", "sh", "-c", "id -un; exit 3", code=3).strip() == laptop.account.login
    laptop("run", "demo", "-d", "--name", "later", "--", "sh", "-c", "echo one; sleep 0.2; echo two")
    assert laptop("logs", "demo/later", "-f").split() == ["one", "two"]
    assert "demo" in laptop("ls")
    assert f"server:   ssh://{laptop.account.name}" in laptop("status")
    laptop("describe", "demo", "--description", "told")
    assert "told" in laptop("show", "demo")
    laptop("end", "demo", "--now")
    kinds = laptop("events", "demo", "-f")
    assert "session.ended" in kinds
    assert f"by uid:{laptop.account.uid}" in kinds
    assert "has stopped" in laptop("down")
    assert "server: ssh://ada (HAWSE_SERVER)" in laptop.run("show", "demo", "--start", "never").stderr
    assert laptop.lab.logins() == 1


def test_standard_input_goes_there_and_output_comes_back_whole(laptop):
    laptop("new", "-d", "demo", "--", "cat")
    data = b"".join(b"%08d\n" % number for number in range(200_000))
    words = [*PROGRAM, "run", "demo", "--", "cat"]
    done = subprocess.run(words, input=data, capture_output=True, timeout=120, env=laptop.environ)
    assert done.returncode == 0
    assert done.stdout == data


def test_a_job_has_the_surroundings_of_a_login_there(laptop, monkeypatch):
    laptop.file(".bashrc").write_text("export FROM_THERE=yes; umask 027\n")
    laptop.environ |= {"TERM": "vt220", "LC_TIME": "C.UTF-8", "FROM_HERE": "no", "SHELL": "/bin/zsh"}
    laptop("new", "-d", "demo", "--keep", "--", "true")
    told = laptop("run", "demo", "--env", "MORE=1", "--", "sh", "-c", "env; pwd; umask").splitlines()
    home = str(laptop.account.home)
    assert {"FROM_THERE=yes", "TERM=vt220", "LC_TIME=C.UTF-8", "MORE=1", f"HOME={home}", "SHELL=/bin/bash"} <= set(told)
    assert told[-2:] == [home, "0027"]
    assert not [line for line in told if line.startswith(("SSH_", "FROM_HERE", "HAWSE_SERVER", "HAWSE_STATE"))]
    laptop.file("below").mkdir(mode=0o755)
    assert laptop("run", "demo", "--cwd", "below", "--", "pwd").strip() == f"{home}/below"


def test_what_the_far_shell_prints_first_is_no_harm(laptop):
    laptop.file(".bashrc").write_text("echo; echo 'Welcome to the cluster'; printf 'no end of line'; echo oops >&2\n")
    laptop("new", "-d", "demo", "--", "cat")
    assert "demo" in laptop("ls")
    assert laptop("run", "demo", "--", "echo", "clean") == "clean\n"


@pytest.mark.requirement("S8.2")
def test_each_account_has_its_own(laptop):
    bob = laptop.lab.account("bob")
    laptop("new", "-d", "demo", "--", "cat")
    job = seen("demo").jobs[0].id
    laptop.environ |= laptop.lab.environ(bob)
    assert "demo" not in laptop("ls")
    # her id of a job opens no door to him: his proxy looks among his own runners
    assert b" absent " in bob.run(str(laptop.lab.far / "bin/hawse"), "proxy", "--runner", job).stdout.encode()


def test_nothing_secret_is_among_the_words(laptop, eventually):
    laptop("new", "-d", "demo", "--", "cat")
    window = laptop.window("attach", "demo")
    window.type("here\r")
    window.until("here")
    far = [words for words in laptop.account.commands().values() if " proxy " in words]
    assert far
    assert all(re.search(r"proxy --(later|runner [0-9a-f-]{36}|start auto) *$", words) for words in far), far
    near = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in _with_words(b"hawse-ssh", b"proxy")]
    assert not any(b"eyJ" in words for words in (*near, *(text.encode() for text in far)))  # a ticket is JSON in base64
    assert window.detach() == 0


def seen(name: str) -> Any:
    """A session as its server tells it now."""
    with hawse.connect() as server:
        return server.session(name).info


def _with_words(*parts: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if all(part in words for part in parts):
            found.append(int(entry.name))
    return found


# -- attaching, and links that break ----------------------------------------------------------------------------------


@pytest.mark.requirement("S1.7")
def test_an_attachment_over_a_cut_link_goes_on_and_says_so(laptop):
    laptop("new", "-d", "demo", "--", "sh", "-c", "stty -echo; while read line; do echo got-$line; done")
    window = laptop.window("attach", "demo")
    window.type("before\r")
    window.until("got-before")
    assert laptop.lab.cut()
    shown = window.until(AGAIN)
    assert "the link to ssh://ada broke" in shown
    window.type("after\r")
    assert "ended" not in window.until("got-after")
    assert " on " in laptop("show", "demo")  # from which machine
    assert window.detach() == 0
    assert "return with: hawse attach demo" in window.text
    assert "reason=asked" in laptop("events", "demo")


@pytest.mark.requirement("S1.3", "S1.7")
def test_cut_again_and_again_not_a_byte_is_lost_or_doubled(laptop, eventually, tmp_path):
    laptop("new", "-d", "demo", "--keep", "--", "true")
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "said", "wb") as said:
        process = subprocess.Popen(
            [*PROGRAM, "run", "-n", "--name", "count", "demo", "--", "sh", "-c", COUNTER], stdout=out, stderr=said,
            env=laptop.environ,
        )  # fmt: skip
        for _ in range(4):
            size = os.path.getsize(tmp_path / "out")
            eventually(lambda size=size: os.path.getsize(tmp_path / "out") > size + 300, timeout_s=60)
            laptop.lab.cut()
        size = os.path.getsize(tmp_path / "out")
        eventually(lambda: os.path.getsize(tmp_path / "out") > size, timeout_s=60)
        laptop.file("stop").touch()
        assert process.wait(60) == 7
    got = (tmp_path / "out").read_bytes()
    assert [line.split()[1] for line in got.splitlines()] == [b"%d" % (n + 1) for n in range(got.count(b"\n"))]
    assert got.decode() == laptop("logs", "demo/count")
    assert (tmp_path / "said").read_text().count(AGAIN) == 4


@pytest.mark.requirement("S1.7")
def test_silence_is_seen_in_seconds(laptop):
    laptop("new", "-d", "demo", "--", "sh", "-c", "while read line; do echo got-$line; done")
    window = laptop.window("attach", "demo")
    window.type("before\r")
    window.until("got-before")
    with laptop.lab.frozen():
        window.until(AGAIN, timeout_s=60)  # while the old connection is still there, and says nothing
        window.type("after\r")
        window.until("got-after")
    assert window.detach() == 0


@pytest.mark.requirement("S1.7")
def test_ended_is_said_only_when_it_has_ended(laptop, eventually):
    laptop("new", "-d", "demo", "--", "sh", "-c", "echo pid $$; while [ ! -e stop ]; do sleep 0.05; done; exit 5")
    window = laptop.window("attach", "demo")
    pid = int(re.findall(r"pid (\d+)", window.until("pid "))[0])
    laptop.lab.stop()  # nobody can log in any more
    window.until("trying again, the work goes on")
    assert pid in laptop.account.processes()
    assert "ended" not in window.text
    assert window.child.isalive()
    laptop.file("stop").touch()  # it ends while nobody looks
    eventually(lambda: pid not in laptop.account.processes())
    assert "ended" not in window.text
    laptop.lab.start()
    assert window.ended() == 0
    assert "demo ended: exit code 5" in window.text


@pytest.mark.requirement("S1.7")
def test_a_job_lives_when_ssh_is_killed(laptop, eventually):
    laptop("new", "-d", "demo", "--", "cat")
    window = laptop.window("attach", "demo")
    window.type("one\r")
    window.until("one")
    for path in laptop.folder.glob("*/*"):
        if path.is_socket():
            for pid in _with_words(b"[mux]", os.fsencode(path)):
                os.kill(pid, signal.SIGKILL)
    window.until(AGAIN)
    window.type("two\r")
    window.until("two")
    window.kill()  # not even a goodbye
    session = seen("demo")
    assert session.jobs[0].pid in laptop.account.processes()
    assert (session.state, session.jobs[0].state) == ("active", "running")


def test_the_user_may_leave_while_the_link_is_broken(laptop):
    laptop("new", "-d", "demo", "--", "cat")
    window = laptop.window("attach", "demo")
    window.type("one\r")
    window.until("one")
    laptop.lab.stop()
    window.until("trying again")
    window.type(KEY + "d")
    assert window.ended() == 69
    assert "hawse attach demo" in window.text
    laptop.lab.start()


def test_the_user_may_leave_while_ssh_waits_for_an_answer(laptop, eventually):
    laptop("new", "-d", "demo", "--", "cat")
    window = laptop.window("attach", "demo")
    window.type("one\r")
    window.until("one")
    silent = "cat > /dev/null; : nobody answers"
    laptop.lab.configure(f"Host ada\n    ConnectTimeout 200\n    ProxyCommand sh -c '{silent}'")
    laptop.lab.cut()
    window.until("trying again")
    eventually(lambda: _with_words(silent.encode()), what="ssh waits")
    window.type(KEY + "d")
    assert window.ended() == 69
    assert "hawse attach demo" in window.text
    eventually(lambda: not _with_words(silent.encode()), what="ssh has gone")


def test_what_ssh_asks_while_it_logs_in_again_is_not_typed_into_the_job(laptop):
    laptop("new", "-d", "demo", "--", "sh", "-c", "while read line; do echo got-$line; done")
    window = laptop.window("attach", "demo")
    window.type("before\r")
    window.until("got-before")
    key = laptop.lab.folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(key)], check=True, timeout=60)
    laptop.lab.cut()
    window.until("Enter passphrase")
    window.type("open sesame\r")
    window.until(AGAIN)
    window.type("after\r")
    window.until("got-after")
    assert window.detach() == 0
    assert "sesame" not in laptop("logs", "demo")


def test_a_full_screen_program_is_shown_anew(laptop, need):
    need("vim")
    laptop.file("notes").write_text("".join(f"row {n}\n" for n in range(40)))
    laptop("new", "-d", "demo", "--", "vim", "-u", "NONE", "notes")
    window = laptop.window("attach", "demo")
    before = window.until("row 3")
    laptop.lab.cut()
    window.until(lambda _: AGAIN.encode() in window.raw)  # the screen comes right behind it
    window.type("\x1bgg")
    window.until(lambda shown: ("row 0" in shown and "broke" not in shown and AGAIN not in shown) or None)
    assert before.splitlines()[5] == window.text.splitlines()[5]
    window.type(":q!\r")
    assert window.ended() == 0


# -- the user's own ssh -----------------------------------------------------------------------------------------------


def test_the_users_own_master_connection_is_used(laptop, tmp_path):
    path = laptop.lab.folder / "own"
    laptop.lab.configure(f"Host *\n    ControlMaster auto\n    ControlPath {path}\n    ControlPersist 60")
    subprocess.run(["ssh", "-F", laptop.lab.config, "ada", "true"], check=True, timeout=60, stdin=subprocess.DEVNULL)
    try:
        laptop("new", "-d", "demo", "--", "cat")
        laptop("ls")
        assert laptop.lab.logins() == 1
        assert not [one for one in laptop.folder.glob("*/*") if one.is_socket()]
        assert "your own, open now" in laptop("doctor")
    finally:
        close = ["ssh", "-F", "none", "-O", "exit", "-S", str(path), "nobody"]
        subprocess.run(close, capture_output=True, timeout=30, check=False)


def test_the_way_may_lead_over_another_host(laptop):
    bob = laptop.lab.account("bob")
    laptop.lab.configure("Host ada\n    ProxyJump bob")
    assert "no sessions" in laptop.run("ls").stderr + laptop("ls")
    assert laptop.lab.logins() == 2
    assert "by way of bob" in laptop("doctor")
    assert not (bob.home / ".local/state").exists()


def test_what_an_interactive_login_wants_does_not_disturb(laptop):
    laptop.lab.configure("Host *\n    RemoteCommand tmux attach\n    RequestTTY force\n    ForwardX11 yes")
    laptop("new", "-d", "demo", "--", "cat")
    assert "demo" in laptop("ls")


def test_ssh_asks_on_the_terminal(laptop):
    key = laptop.lab.folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(key)], check=True, timeout=60)
    window = laptop.window("ls")
    window.until("Enter passphrase")
    window.type("open sesame\r")
    window.until("no sessions")
    assert window.ended() == 0


def test_ctrl_c_leaves_while_ssh_asks(laptop, eventually):
    key = laptop.lab.folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(key)], check=True, timeout=60)
    window = laptop.window("ls")
    window.until("Enter passphrase")
    os.kill(window.child.pid, signal.SIGINT)
    assert window.ended() == 130
    eventually(lambda: not _with_words(os.fsencode(laptop.lab.config.parent), b"proxy"), what="ssh has gone")


def test_doctor_says_how_the_server_is_reached(laptop):
    laptop("ls")
    told = laptop("doctor")
    assert f"ssh://ada: {laptop.account.login}@127.0.0.1 port {laptop.lab.port}" in told
    assert "many commands share one login: ControlMaster, a private one of hawse, open now" in told
    assert "noticed within about 10 s" in told
    assert "logout" not in told


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "code", "told"),
    [
        ({"HAWSE_SERVER": "ssh://no-such-host.invalid"}, 69, "Could not resolve hostname"),
        ({"HAWSE_SERVER": "ssh://127.0.0.1:1"}, 69, "Connection refused"),
        ({"HAWSE_REMOTE_COMMAND": "/no/such/hawse"}, 1, "hawse was not found on ssh://ada"),
        ({"HAWSE_REMOTE_COMMAND": "echo hello;"}, 1, "is no hawse proxy: it ended with exit code 127"),
        ({"HAWSE_REMOTE_COMMAND": "echo there is no command >&2; exit 64;"}, 1, "too old: it has no proxy command"),
        ({"HAWSE_REMOTE_COMMAND": "echo HAWSE-PROXY/0 ready 0.0.1; cat"}, 1, "speaks protocol 0"),
        ({"HAWSE_REMOTE_COMMAND": "head -c 100000 /dev/zero; cat"}, 1, "no greeting in the first 65536 bytes"),
        ({"HAWSE_SSH": "/no/such/ssh"}, 69, "there is no program '/no/such/ssh' here"),
        ({"HAWSE_SERVER": "ssh://nobody:secret@there"}, 64, "holds no password"),
        ({"HAWSE_SERVER": "ssh://-oProxyCommand=id"}, 64, "is not valid"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said(laptop, settings, code, told):
    if told.startswith("is no hawse proxy"):
        told = "hawse was not found" if settings["HAWSE_REMOTE_COMMAND"].endswith(";") else told
    laptop.environ |= settings
    done = laptop.run("ls")
    assert (done.returncode, told in done.stderr, "secret" in done.stderr) == (code, True, False), done.stderr


def test_a_key_that_is_not_let_in(laptop):
    (laptop.lab.folder / "auth" / laptop.account.login).unlink()
    done = laptop.run("ls")
    assert done.returncode == 77
    assert "does not let you in" in done.stderr
    assert "try: ssh ada true" in done.stderr


def test_another_host_key_is_refused(laptop):
    key = laptop.lab.folder / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=60)
    known = laptop.lab.folder / "known_hosts"
    kind, text = key.with_suffix(".pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{laptop.lab.port} {kind} {text}\n")
    done = laptop.run("ls")
    assert done.returncode == 77
    assert "is not known, or is not the one that was known" in done.stderr


def test_a_path_is_no_job(laptop):
    for job in ("../coordinator.sock", "/etc/passwd", "x" * 36, ""):
        done = laptop.account.run(str(laptop.lab.far / "bin/hawse"), "proxy", "--runner", job)
        assert done.returncode == 64
        assert "HAWSE-PROXY/1 refused" in done.stdout
        assert "is not the id of a job" in done.stdout


# -- the Python API ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S1.2")
def test_the_api_over_ssh(laptop):
    with hawse.open("demo", server="ssh://ada") as session:
        job = session.run(["sh", "-c", "pwd; read line; echo got $line"], stdin="open")
        with job.attach(from_=0) as attachment:
            attachment.send(b"this\n")
            out = b"".join(chunk.data for chunk in attachment.output())
        assert out.decode().split() == [str(laptop.account.home), "got", "this"]
        assert job.result(30).exit_code == 0
    with hawse.connect() as server:
        assert [session.name for session in server.sessions()] == ["demo"]
    assert laptop.lab.logins() == 1


def test_the_asyncio_twin_over_a_cut_link(laptop, eventually):
    async def scene() -> bytes:
        async with hawse.aio.open("demo", server="ssh://ada") as session:
            job = await session.run(["sh", "-c", COUNTER])
            got, cuts = b"", 0
            async for chunk in job.logs(follow=True):
                got += chunk.data
                if cuts < 3 and len(got) > 1000 * (cuts + 1):
                    cuts += 1
                    await asyncio.to_thread(laptop.lab.cut)
                if len(got) > 5000:
                    laptop.file("stop").touch()
            assert (await job.result(30)).exit_code == 7
            kinds = []
            async for event in session.events(follow=True):
                kinds.append(event.kind)
                if event.kind == "job.ended":
                    break
            assert kinds.count("session.created") == 1
            return got

    got = asyncio.run(scene())
    assert [line.split()[1] for line in got.splitlines()] == [b"%d" % (n + 1) for n in range(got.count(b"\n"))]


def test_events_go_on_over_a_cut_link(laptop, eventually):
    with hawse.open("demo") as session:
        feed = session.events(follow=True)
        assert next(feed).kind == "session.created"
        laptop.lab.cut()
        session.run(["true"])
        kinds = [next(feed).kind for _ in range(2)]
        assert kinds[0] == "job.created"
        assert kinds[1] in ("job.started", "job.ended")
        feed.close()


def test_problems_of_the_way_are_problems(laptop, monkeypatch):
    with pytest.raises(Unavailable, match="resolve hostname"):
        hawse.connect("ssh://no-such-host.invalid")
    monkeypatch.setenv("HAWSE_REMOTE_COMMAND", "/no/such/hawse")
    with pytest.raises(Broken, match="not found on ssh://ada"):
        asyncio.run(_connect())
    monkeypatch.delenv("HAWSE_REMOTE_COMMAND")
    close_masters(laptop.folder)
    (laptop.lab.folder / "auth" / laptop.account.login).unlink()
    with pytest.raises(Denied, match="does not let you in"):
        hawse.connect()


async def _connect() -> None:
    await hawse.aio.connect("ssh://ada")


def test_completion_never_asks_anybody(laptop):
    key = laptop.lab.folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(key)], check=True, timeout=60)
    with pytest.raises(Denied, match="does not let you in"):
        Transport(endpoint(batch=True)).request("GET", "/v1/status")


# -- a network of its own ---------------------------------------------------------------------------------------------


@pytest.fixture
def cable(need: Any) -> Iterator["Cable"]:
    """A network namespace at the other end of a cable."""
    try:
        made = Cable(need("ip"))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode(errors='replace').strip()}")
    yield made
    made.remove()


class Cable:
    """near, far: addresses of its ends."""

    def __init__(self, ip: str) -> None:
        number = os.getpid() % 60000
        self.ip = ip
        self.name = f"hw{number}"
        self.device = f"hwc{number}"
        net = f"10.{200 + number // 16384}.{number // 64 % 256}.{number % 64 * 4}"
        base, last = net.rsplit(".", 1)
        self.near, self.far = f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}"
        self._run("netns", "add", self.name)
        try:
            self._run("link", "add", self.device, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            self._run("addr", "add", f"{self.near}/30", "dev", self.device)
            self._run("link", "set", self.device, "up")
            for words in (
                ["addr", "add", f"{self.far}/30", "dev", "eth0"],
                ["link", "set", "eth0", "up"],
                ["link", "set", "lo", "up"],
            ):
                self._run("-n", self.name, *words)
        except subprocess.CalledProcessError:
            self.remove()
            raise

    def _run(self, *words: str) -> None:
        subprocess.run([self.ip, *words], check=True, capture_output=True, timeout=30)

    def pull(self) -> None:
        """Nothing gets through, and nobody is told."""
        self._run("-n", self.name, "link", "set", "eth0", "down")

    def plug(self) -> None:
        """It gets through again."""
        self._run("-n", self.name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        subprocess.run([self.ip, "netns", "del", self.name], capture_output=True, timeout=30, check=False)


@pytest.mark.requirement("S1.7")
def test_a_pulled_cable(cable, places, far_hawse):
    folder = Path(tempfile.mkdtemp(prefix="hwssh", dir="/tmp"))
    try:
        through = (cable.ip, "netns", "exec", cable.name)
        with Lab(folder, far=far_hawse, listen=cable.far, through=through) as lab:
            laptop = Laptop(lab, lab.account("ada"), places)
            try:
                laptop("new", "-d", "demo", "--", "sh", "-c", "while read line; do echo got-$line; done")
                window = laptop.window("attach", "demo")
                window.type("before\r")
                window.until("got-before")
                cable.pull()
                window.until("the link to ssh://ada broke", timeout_s=60)
                assert "ended" not in window.text
                cable.plug()
                window.until(AGAIN, timeout_s=90)
                window.type("after\r")
                window.until("got-after")
                assert window.detach() == 0
            finally:
                for one in laptop.windows:
                    one.kill()
                cable.plug()
                close_masters(laptop.folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
