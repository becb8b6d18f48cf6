"""A site's service with real accounts: shared socket and https, jobs as their owners, who can do what to whom."""

import datetime
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from screen import Screen

pytestmark = [pytest.mark.xdist_group("site"), pytest.mark.timeout(240)]
COUNTER = 'i=0; while [ ! -e stop ]; do i=$((i+1)); echo "line $i of what nobody may lose"; sleep 0.01; done; exit 7'


def job_of(user, session, name):
    """A job's document, and the folder that its files are in."""
    shown = json.loads(user.hawse("show", f"{session}/{name}", "--json"))
    return shown, user.site.folder / "l" / str(user.uid) / shown["id"]


def runner_of(user, session, name):
    claim = job_of(user, session, name)[1] / "attempt-1" / "claim.json"
    return json.loads(claim.read_text())["runner_pid"]


# -- jobs as their owners ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("S0.1", "S6.1")
def test_a_job_is_its_owner_s(site, eventually):
    ada, bob = site.user("ada"), site.user("bob")
    subprocess.run(["usermod", "-aG", bob.account.login, ada.account.login], check=True)
    script = "id -u; id -g; id -G; umask; pwd; cat /proc/self/status | grep -E '^(Cap|NoNewPrivs)'; ls -l /proc/self/fd"
    ada.hawse("new", "-d", "demo", "--keep", "--", "true")
    told = ada.hawse("run", "demo", "--", "sh", "-c", script)
    lines = told.split("\n")
    assert lines[:3] == [str(ada.uid), str(ada.uid), f"{ada.uid} {bob.uid}"]
    assert lines[3:5] == ["0022", str(ada.account.home)]
    assert re.search(r"CapEff:\s+0+$", told, re.M)
    assert set(re.findall(r" (\d+) -> ", told)) <= {"0", "1", "2", "3"}  # 3: ls's own
    environment = ada.hawse("run", "demo", "--", "env")
    assert "root" not in environment
    assert "HAWSE_DAEMON" not in environment
    # over https, where no environment comes from the client, it is the account's
    told = ada.hawse("run", "demo", "--", "sh", "-c", "echo $HOME $USER; pwd", over="https")
    assert told.split() == [str(ada.account.home), ada.account.login, str(ada.account.home)]


@pytest.mark.requirement("S7.2")
def test_nobody_else_reads_a_job_s_files_or_reaches_its_socket(site):
    ada, bob = site.user("ada"), site.user("bob")
    ada.hawse("new", "-d", "demo", "--", "sh", "-c", "echo secret; exec cat")
    job, folder = job_of(ada, "demo", "sh")
    sock = site.folder / "j" / str(ada.uid) / "r" / job["id"]
    assert stat.S_ISSOCK(sock.stat().st_mode)
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(sock)!r})"
    for what in (f"ls {folder}", f"cat {folder}/log/*.seg", f"ls {site.folder}/j/{ada.uid}", f'python3 -c "{connect}"'):
        done = bob.sh(what)
        assert done.returncode != 0, what
        assert "ermission denied" in done.stderr or "No such file" in done.stderr, done.stderr
        assert "secret" not in done.stdout
    assert "somebody else" in bob.run("logs", "demo").stderr
    assert bob.run("logs", "demo", over="https").returncode == 77
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o007 == 0, path
        assert path.stat().st_uid == ada.uid


def test_what_an_owner_puts_into_his_folder_leads_nowhere_else(site, eventually):
    """The coordinator enters owners' folders: links, pipes and sockets of others there must get an owner nothing."""
    ada, bob = site.user("ada"), site.user("bob")
    bob.hawse("new", "-d", "his", "--", "sh", "-c", "echo bobs; exec cat")
    ada.hawse("new", "-d", "demo", "--", "sh", "-c", "echo adas; exec cat")
    bobs, bobs_folder = job_of(bob, "his", "sh")
    job, folder = job_of(ada, "demo", "sh")
    log = folder / "log"
    seg = next(log.glob("*.seg"))
    secret = site.folder / "state" / "key"
    assert "adas" in ada.hawse("logs", "demo")
    for trick in (
        f"mv {log} {log}.old && ln -s {bobs_folder}/log {log}",
        f"mv {log} {log}.old && ln -s {site.folder}/state {log}",
        f"mv {seg} {seg}.old && ln -s {secret} {seg}",
        f"mv {seg} {seg}.old && ln -s {bobs_folder}/log/{seg.name} {seg}",
        f"mv {seg} {seg}.old && mkfifo {seg}",
    ):
        assert ada.sh(trick).returncode == 0
        done = ada.run("logs", "demo", over="https")
        assert "bobs" not in done.stdout
        assert done.returncode != 0 or "adas" not in done.stdout
        name = log if f"mv {log} " in trick else seg
        assert ada.sh(f"rm {name}; mv {name}.old {name}").returncode == 0
        assert "adas" in ada.hawse("logs", "demo")
    # Bob's runner, the helper, and the database's place in the place of her own runner's socket
    own = f"{site.folder}/j/{ada.uid}/r/{job['id']}"
    for other in (f"{site.folder}/j/{bob.uid}/r/{bobs['id']}", f"{site.folder}/h/socket"):
        assert ada.sh(f"mv {own} {own}.old; ln -s {other} {own}").returncode == 0
        done = subprocess.run(
            ["curl", "-s", "-i", "-m", "10", "--unix-socket", f"{site.folder}/pub/hawse.sock", "-H",
             f"Authorization: Bearer {ada.token}", "-H", "Connection: Upgrade", "-H", "Upgrade: hawse",
             f"http://h/v1/sessions/demo/jobs/{job['id']}/link"],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert "502" in done.stdout.splitlines()[0]
        assert f"to {ada.uid}" in done.stdout
        assert ada.sh(f"rm {own}; mv {own}.old {own}").returncode == 0
    # Bob's parent in the place of hers: her command does not run as him
    assert (
        ada.sh(f"cd {site.folder}/j/{ada.uid} && mv parent.sock p && ln -s ../{bob.uid}/parent.sock .").returncode == 0
    )
    ada.hawse("run", "demo", "-d", "--name", "trick", "--", "sh", "-c", f"touch {bob.account.home}/was-here")
    assert ada.sh(f"cd {site.folder}/j/{ada.uid} && rm parent.sock && mv p parent.sock").returncode == 0
    eventually(lambda: job_of(ada, "demo", "trick")[0]["state"] == "ended", timeout_s=40)
    assert not (bob.account.home / "was-here").exists()


@pytest.mark.parametrize("over", ["unix", "https"])
def test_all_may_be_killed_and_the_work_goes_on(site, eventually, over):
    ada = site.user("ada")
    ada.hawse("new", "-d", "demo", "--", "sh", "-c", COUNTER)
    with Follower(ada, over) as follow:
        eventually(follow.said)  # a command that begins without a coordinator gives up soon
        eventually(lambda: ada.hawse("logs", "demo").count("\n") > 50)
        site.stop(signal.SIGKILL)
        site.stop_helper(signal.SIGKILL)
        parent = next(pid for pid in ada.account.processes() if _name(pid) == "hawse-parent")
        os.kill(parent, signal.SIGKILL)
        site.start()
        ada.hawse("run", "demo", "-d", "--name", "later", "--", "true")  # waits for the helper
        site.start_helper()
        eventually(lambda: job_of(ada, "demo", "later")[0]["state"] == "ended", timeout_s=60)
        outcome = job_of(ada, "demo", "later")[0]["outcome"]
        assert (outcome["kind"], outcome["code"]) == ("exited", 0)
        ada.sh("touch stop")
        follow.ended()
    assert follow.numbers() == list(range(1, len(follow.numbers()) + 1)), follow.error
    assert len(follow.numbers()) > 50


class Follower:
    """`hawse logs -f demo`, into a file."""

    def __init__(self, user, over):
        self.path = user.site.folder / "followed"
        self.error = ""
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                [str(user.site.far / "bin" / "hawse"), "logs", "-f", "demo"], user=user.uid, group=user.uid,
                extra_groups=[], env=user.environ(over), cwd=user.account.home, stdout=out, stderr=subprocess.PIPE,
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=60)

    def said(self):
        return self.path.stat().st_size

    def ended(self):
        self.error = self.process.communicate(timeout=60)[1]

    def numbers(self):
        return [int(line.split()[1]) for line in self.path.read_text().splitlines()]


def _name(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def test_what_a_killed_runner_left_is_ended_as_its_owner(site, eventually):
    """The coordinator may not signal other users' processes: the owner's parent does."""
    ada = site.user("ada")
    script = "setsid sleep 6001 & trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 6002; sleep 6003' & echo up; wait"
    ada.hawse("new", "-d", "demo", "--keep", "--", "true")
    ada.hawse("run", "demo", "-d", "--name", "left", "--grace", "1", "--", "sh", "-c", script)
    eventually(lambda: "up" in ada.hawse("logs", "demo/left"))
    os.kill(runner_of(ada, "demo", "left"), signal.SIGKILL)
    eventually(lambda: job_of(ada, "demo", "left")[0]["state"] == "ended", timeout_s=40)
    assert job_of(ada, "demo", "left")[0]["outcome"]["kind"] == "lost"
    eventually(lambda: not [words for words in ada.account.commands().values() if "sleep 600" in words], timeout_s=30)
    shown = json.loads(ada.hawse("show", "demo/left", "--json"))
    assert any("sleep 6001" in one["command"] for one in shown["left_behind"]), shown


def test_who_has_no_account_is_told(site):
    site.ask("POST", "/v1/users", {"name": "eve"})
    _, told = site.ask("POST", "/v1/tokens", {"name": "lab", "user": "eve"})
    ada = site.user("ada")
    done = ada.run("run", "x", "--", "true", over="https", environ={"HAWSE_TOKEN": told["secret"]})
    assert "user:eve has no account on this machine" in done.stderr
    assert done.returncode == 1


def test_jobs_of_root_and_of_system_accounts_are_refused_and_told(site, eventually):
    status, made = site.ask(
        "POST", "/v1/sessions", {"alias": "r", "lease": "never", "job": {"argv": ["/bin/id"], "env": {}, "cwd": "/"}}
    )
    assert status == 201
    job = made["jobs"][0]["id"]
    ended = eventually(lambda: (one := site.ask("GET", f"/v1/sessions/r/jobs/{job}")[1])["state"] == "ended" and one)
    assert ended["outcome"]["kind"] == "failed"
    assert "nothing is started as uid 0" in ended["outcome"]["cause"]


def test_removing_a_session_s_history_removes_the_owner_s_files(site, eventually):
    ada = site.user("ada")
    ada.hawse("new", "-d", "demo", "--", "echo", "x")
    job, folder = job_of(ada, "demo", "echo")
    eventually(lambda: job_of(ada, "demo", "echo")[0]["state"] == "ended")
    assert folder.exists()
    # The reconciler does it after 30 days; here its own verb, in a process of the service's account.
    script = (
        "import asyncio\n"
        "from hawse.adapters.clock import SystemClock\n"
        "from hawse.adapters.launch.as_user import AsUserLauncher, Helper\n"
        "async def main():\n"
        f"    launcher = AsUserLauncher(Helper('/x'), SystemClock(), links_jobs='{site.folder}/state/jobs',"
        f" links_runners='{site.folder}/run/r', run='{site.folder}/j', state='{site.folder}/l', uid_of=None)\n"
        f"    await launcher.remove('{job['id']}')\n"
        "asyncio.run(main())\n"
    )
    done = site.service.run(str(site.far / "bin" / "python"), "-c", script)
    assert done.returncode == 0, done.stderr
    assert not folder.exists()
    assert not (site.folder / "state" / "jobs" / job["id"]).is_symlink()


# -- https ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S0.1", "S8.2")
def test_every_command_works_over_https(site, eventually):
    ada = site.user("ada")
    ada.hawse("new", "-d", "demo", "--", "sh", "-c", "echo shown; exec cat", over="https")
    assert (
        ada.hawse("run", "demo", "--", "sh", "-c", "id -un; exit 3", over="https", code=3).strip() == ada.account.login
    )
    data = "".join(f"{number:08d}\n" for number in range(50_000))
    done = ada.run("run", "demo", "--", "cat", over="https", input=data, stdin=None)
    assert done.stdout == data
    ada.hawse("run", "demo", "-d", "--name", "later", "--", "sh", "-c", "echo one; sleep 0.2; echo two", over="https")
    assert ada.hawse("logs", "demo/later", "-f", over="https").split() == ["one", "two"]
    assert f"server:      {site.address('https')}" in ada.hawse("status", over="https")
    assert "good for" in ada.hawse("status", over="https")
    told = ada.hawse("doctor", over="https")
    assert "with a token" in told
    assert "BAD" not in told
    ada.hawse("end", "demo", "--now", over="https")
    assert "session.ended" in ada.hawse("events", "demo", "-f", over="https")
    assert "systemctl stop hawse" in ada.run("down", over="https").stderr


@pytest.mark.requirement("S5.1", "S6.1", "S8.1", "S8.3")
def test_two_terminals_of_two_users_over_https(site, eventually):
    ada, bob = site.user("ada"), site.user("bob")
    ada.hawse("new", "-d", "demo", "--", "sh", "-c", "while read line; do echo got $line; done", over="https")
    ada.hawse("share", "demo", "user:bob", "--role", "observer", over="https")
    hers, his = window(ada, "attach", "demo"), window(bob, "attach", "demo", "--watch")
    try:
        eventually(lambda: len(json.loads(ada.hawse("show", "demo", "--json"))["attachments"]) == 2)
        his.type("nothing of mine\r")
        hers.type("hello\r")
        hers.until("got hello")
        his.until("got hello")
        assert "nothing of mine" not in ada.hawse("logs", "demo")
        ada.hawse("unshare", "demo", "user:bob")
        assert his.ended() != 0
        assert "detached" in his.text
        hers.type("alone\r")
        hers.until("got alone")
        assert "got alone" not in his.text
    finally:
        hers.kill()
        his.kill()


def window(user, *words, over="https"):
    """One command of a user on a terminal."""
    as_her = ("setpriv", f"--reuid={user.uid}", f"--regid={user.uid}", "--clear-groups", "--")
    return Screen(list(words), user.environ(over), user=as_her, python=str(user.site.far / "bin" / "python"))


def test_a_cut_link_is_mended_at_its_byte(site, eventually):
    """The connections break, again and again, below a follower: no byte is lost or comes twice."""
    ada = site.user("ada")
    ada.hawse("new", "-d", "demo", "--", "sh", "-c", COUNTER)
    with Follower(ada, "https") as follow:
        eventually(follow.said)
        for _ in range(5):
            before = ada.hawse("logs", "demo").count("\n")
            eventually(lambda before=before: ada.hawse("logs", "demo").count("\n") > before + 20)
            subprocess.run(["ss", "-K", "dport", "=", f":{site.port}"], capture_output=True, timeout=30, check=False)
        ada.sh("touch stop")
        follow.ended()
    assert follow.numbers() == list(range(1, len(follow.numbers()) + 1)), follow.error
    assert len(follow.numbers()) > 100


def test_the_python_twins_over_https(site):
    ada = site.user("ada")
    script = """
import asyncio, hawse
with hawse.open("sync") as session:
    job = session.run(["sh", "-c", "read line; echo got $line; exit 4"], stdin="open")
    with job.attach(from_=0) as link:
        link.send(b"hello\\n")
        print(b"".join(chunk.data for chunk in link.output()).decode().strip(), link.outcome.code)
async def main():
    async with hawse.aio.open("async") as session:
        job = await session.run(["sh", "-c", "read line; echo got $line; exit 5"], stdin="open")
        async with await job.attach(from_=0) as link:
            await link.send(b"there\\n")
            data = b""
            async for chunk in link.output():
                data += chunk.data
            print(data.decode().strip(), link.outcome.code)
asyncio.run(main())
"""
    done = subprocess.run(
        [str(site.far / "bin" / "python"), "-c", script], user=ada.uid, group=ada.uid, extra_groups=[],
        env=ada.environ("https"), cwd=ada.account.home, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["got hello 4", "got there 5"], done.stderr


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        ({"HAWSE_CA": ""}, "is not signed by a CA that this system trusts", 77),
        ({"HAWSE_TOKEN_FILE": ""}, "a token is needed", 77),
        ({"HAWSE_TOKEN": "hwt_nothing"}, "this token opens nothing", 77),
        ({"HAWSE_CA": "/etc/passwd"}, "cannot be used", 64),
        ({"HAWSE_SERVER": "https://localhost:1"}, "Connection refused", 69),
        ({"HAWSE_SERVER": "https://user@localhost"}, "no user and no password", 64),
    ],
)
def test_what_is_wrong_is_told_apart(site, change, words, code):
    ada = site.user("ada")
    done = ada.run("ls", over="https", environ=change)
    assert words in done.stderr, done.stderr
    assert done.returncode == code
    assert ada.token not in done.stderr


def test_certificates_expire_and_are_read_again(site, eventually):
    ada = site.user("ada")
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=9)
    site.certify(days=8, now=past)
    site.coordinator.send_signal(signal.SIGHUP)
    eventually(lambda: "has expired" in (site.folder / "serve.log").read_text())
    done = ada.run("ls", over="https")
    assert "the certificate of https://localhost" in done.stderr
    assert "has expired" in done.stderr
    assert "hawse ca issue" in done.stderr
    assert "expired: clients refuse it" in ada.hawse("status")
    assert "clients refuse it" in ada.run("doctor").stdout
    site.certify("elsewhere.example.org")
    site.coordinator.send_signal(signal.SIGHUP)
    eventually(lambda: "for another name" in ada.run("ls", over="https").stderr)
    (site.folder / "tls" / "cert.pem").write_text("no certificate\n")
    site.coordinator.send_signal(signal.SIGHUP)
    eventually(lambda: "the old one stays" in (site.folder / "serve.log").read_text())
    assert "for another name" in ada.run("ls", over="https").stderr
    site.certify()
    site.coordinator.send_signal(signal.SIGHUP)
    eventually(lambda: ada.run("ls", over="https").returncode == 0)


def test_a_token_others_can_read_is_refused(site):
    ada = site.user("ada")
    (ada.account.home / "token").chmod(0o644)
    done = ada.run("ls", over="https")
    assert "chmod 600" in done.stderr
    assert done.returncode == 77


@pytest.mark.requirement("S7.2")
def test_an_account_that_is_no_user_does_not_come_in(site):
    site.configure(site="local_accounts = false\nadmins = [0]")
    site.stop()
    site.start()
    stranger = site.account("eve")
    ada = site.user("ada")
    assert ada.hawse("ls") == ""
    words = [str(site.far / "bin" / "hawse"), "ls"]
    done = subprocess.run(
        words, user=stranger.uid, group=stranger.uid, extra_groups=[], env=ada.environ(), capture_output=True, text=True
    )
    assert "is no user of this site" in done.stderr
    assert done.returncode == 77


def test_ten_thousand_silent_connections_stop_nobody(site):
    """5,000 to each listener say nothing; requests of others are answered meanwhile, each within seconds."""
    ada = site.user("ada")
    silent = []
    try:
        for number in range(10_000):
            if number % 2:
                made = socket.socket()
                where = ("127.0.0.1", site.port)
            else:
                made, where = socket.socket(socket.AF_UNIX), f"{site.folder}/pub/hawse.sock"
            silent.append(made)
            made.connect(where)
            if number % 2500 == 2499:
                for over in ("unix", "https"):
                    began = time.monotonic()
                    ada.hawse("ls", over=over)
                    assert time.monotonic() - began < 10
        began = time.monotonic()
        ada.hawse("new", "-d", "demo", "--", "true", over="https")
        assert time.monotonic() - began < 10
    finally:
        for one in silent:
            one.close()


@pytest.mark.requirement("S7.1", "S8.4")
def test_a_user_who_is_disabled_while_attached_is_cut(site, eventually):
    ada, bob = site.user("ada"), site.user("bob")
    ada.hawse("new", "-d", "demo", "--", "sh", "-c", "while read line; do echo got $line; done", over="https")
    ada.hawse("share", "demo", "user:bob", "--role", "operator", over="https")

    def attached():
        return [one["state"] for one in json.loads(ada.hawse("show", "demo", "--json"))["attachments"]]

    hers = window(ada, "attach", "demo")
    eventually(lambda: attached() == ["attached"])
    his = window(bob, "attach", "demo")
    try:
        eventually(lambda: len(attached()) == 2)
        his.until("you look on")
        his.type("\x1ct")
        his.until("you have control")
        his.type("one\r")
        hers.until("got one")
        assert site.ask("POST", "/v1/users/bob/disable")[0] == 200
        assert his.ended() != 0
        hers.type("two\r")
        hers.until("got two")
        assert "got two" not in his.text
        assert bob.run("ls", over="https").returncode == 77
        assert bob.run("ls").returncode == 77
    finally:
        hers.kill()
        his.kill()


FORGED = {
    "nested": "[" * 200_000,
    "kinds": '{"outcome": {"kind": []}, "incarnation": "INC", "left_behind": [1, {"pid": {}}], "log_end": []}',
    "numbers": '{"outcome": {"kind": "exited", "code": 1e999}, "incarnation": "INC", "ended_at": -1e308}',
    "texts": '{"outcome": {"kind": "exited", "cause": "' + "\\u0000" * 9000 + '"}, "incarnation": "INC"}',
}


@pytest.mark.parametrize("what", FORGED)
def test_what_an_owner_forges_harms_nobody_else(site, eventually, what):
    """His runner killed, its record of the end forged while no coordinator runs: the service starts, and serves."""
    ada, bob = site.user("ada"), site.user("bob")
    bob.hawse("new", "-d", "his", "--", "cat")
    ada.hawse("new", "-d", "demo", "--keep", "--", "cat")
    _, folder = job_of(ada, "demo", "cat")
    attempt = folder / "attempt-1"
    runner = runner_of(ada, "demo", "cat")
    incarnation = json.loads((attempt / "claim.json").read_text())["incarnation"]
    site.stop(signal.SIGKILL)
    os.kill(runner, signal.SIGKILL)
    (folder / "exit").write_text(FORGED[what].replace("INC", incarnation))
    os.chown(folder / "exit", ada.uid, ada.uid)
    assert ada.sh(f"mv {folder}/exit {attempt}/exit.json").returncode == 0
    claim = json.dumps({"runner_pid": "\u0000" * 99, "boot_id": {}})
    assert ada.sh(f"echo '{claim}' > {attempt}/claim.json").returncode == 0
    site.start()
    eventually(lambda: job_of(ada, "demo", "cat")[0]["state"] == "ended", timeout_s=40)
    assert bob.hawse("run", "his", "--", "echo", "served").strip() == "served"
    log = folder / "log"
    index = next(log.glob("*.idx"))
    assert ada.sh(f"truncate -s 900G {index}").returncode == 0  # all zeros: no record
    ada.run("logs", "demo/cat")
    ada.run("replay", "demo/cat")
    assert bob.hawse("run", "his", "--", "echo", "served").strip() == "served"
    size = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{site.coordinator.pid}/status").read_text())[1])
    assert size < 600_000, "kB"


@pytest.mark.parametrize("over", ["unix", "https"])
def test_jobs_that_end_at_once_are_shown_whole(site, over):
    """A runner may be going, or gone, when the link to it comes: then the log has what it printed."""
    ada = site.user("ada")
    ada.hawse("new", "-d", "demo", "--keep", "--", "true")
    for number in range(25):
        assert ada.hawse("run", "demo", "--", "echo", str(number), over=over) == f"{number}\n"
