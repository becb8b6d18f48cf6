"""The coordinator as a process: claims, restarts, signals, silence."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hawse.daemons.coordinator import main

JOB = {"argv": ["/bin/sh", "-c", "echo ready; exec sleep 600"], "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/"}


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--stroe", "x"], "there is no option --stroe; did you mean --store?"),
        (["word"], "word is more than it takes"),
        (["--store"], "--store needs a value"),
        (["--foreground=x"], "--foreground takes no value"),
    ],
)
def test_usage_errors_are_told_like_all_others(words, told, capfd):
    assert main(words) == 64
    said = capfd.readouterr().err.splitlines()
    assert said == [f"hawse: {told}", "       write: hawse serve [OPTIONS]; more: hawse serve --help"]


@pytest.mark.requirement("S0.1")
def test_it_serves_on_a_socket_of_its_own(coordinator):
    coordinator.start()
    status, told = coordinator.ask("GET", "/v1/status")
    assert status == 200
    assert (told["pid"], told["store"], told["state_dir"]) == (coordinator.pid, "sqlite", str(coordinator.state))
    assert told["store_version"] >= 1
    assert (told["sessions"], told["jobs"]) == (0, 0)
    for path, expected in ((coordinator.state, 0o700), (coordinator.runtime, 0o700), (coordinator.socket, 0o600)):
        assert mode(path) == expected
    for name in ("hawse.db", "host", "coordinator.log"):
        assert mode(coordinator.state / name) == 0o600, name
    assert coordinator.stop() == 0
    assert not os.path.exists(coordinator.socket)


def test_a_second_one_is_told_who_runs(coordinator, places, monkeypatch):
    coordinator.start()
    first = coordinator.process
    second = coordinator.launch()
    assert second.wait(20) == 69
    said = coordinator.said.read_text()
    assert "already running" in said
    assert str(first.pid) in said
    assert "Traceback" not in said
    monkeypatch.setenv("HAWSE_RUNTIME_DIR", str(places.base / "r2"))  # the same state by another socket
    third = coordinator.launch()
    assert third.wait(20) == 69
    assert "already using the state" in coordinator.said.read_text()
    coordinator.process = first
    assert coordinator.is_ready()


def test_a_stale_socket_is_replaced(coordinator):
    coordinator.start()
    coordinator.kill()
    assert os.path.exists(coordinator.socket)
    coordinator.start()
    assert coordinator.stop() == 0


@pytest.mark.parametrize("which", ["state", "runtime"])
def test_a_folder_that_is_a_link_is_refused(coordinator, places, which):
    target = places.base / "elsewhere"
    target.mkdir()
    getattr(coordinator, which).symlink_to(target)
    assert coordinator.launch().wait(20) == 77
    assert "symbolic link" in coordinator.said.read_text()
    assert list(target.iterdir()) == []


def test_a_state_of_another_machine_is_refused(coordinator):
    coordinator.start()
    coordinator.stop()
    host = coordinator.state / "host"
    told = json.loads(host.read_text())
    host.write_text(json.dumps({"host": "elsewhere", "machine": "0" * 32 if told["machine"] else ""}))
    assert coordinator.launch().wait(20) == 77
    assert "belongs to the machine elsewhere" in coordinator.said.read_text()
    host.write_text("nonsense")
    assert coordinator.launch().wait(20) == 77
    assert "damaged" in coordinator.said.read_text()
    host.unlink()
    coordinator.start()


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[store]\nurl = 5\n", 64, "url is a text"),
        ("[store\n", 64, "can't be read"),
        ('[store]\nurl = "mysql://user:s3cret@h/x"\n', 64, "mysql"),
        ('[store]\nurl = "postgresql://user:s3cret@127.0.0.1:1/x?connect_timeout=1"\n', 69, "PostgreSQL"),
    ],
)
def test_a_wrong_configuration_is_told_without_its_secrets(coordinator, places, text, code, said):
    places.config.mkdir()
    (places.config / "config.toml").write_text(text)
    assert coordinator.launch().wait(20) == code
    told = coordinator.said.read_text()
    assert said in told
    assert "Traceback" not in told
    assert "s3cret" not in told + (coordinator.state / "coordinator.log").read_text()


def test_hanging_up_is_ignored(coordinator):
    coordinator.start()
    os.kill(coordinator.pid, signal.SIGHUP)
    assert coordinator.ask("GET", "/healthz") == (200, {"status": "ok"})
    assert coordinator.stop() == 0


@pytest.mark.requirement("S0.3")
def test_jobs_go_on_when_it_stops_and_when_it_is_killed(coordinator, eventually):
    coordinator.start()
    assert coordinator.ask("POST", "/v1/sessions", {"alias": "a", "job": JOB})[0] == 201
    job = coordinator.ask("GET", "/v1/sessions/a/jobs/sh?wait_s=20&until=started")[1]
    for end in (coordinator.stop, coordinator.kill):
        end()
        os.kill(job["pid"], 0)
        coordinator.start()
        now = coordinator.ask("GET", "/v1/sessions/a/jobs/sh")[1]
        assert (now["state"], now["pid"], now["attempt"]) == ("running", job["pid"], 1)
    assert coordinator.ask("DELETE", "/v1/sessions/a?grace_s=0")[0] == 202
    ended = coordinator.ask("GET", "/v1/sessions/a/jobs/sh?wait_s=20")[1]
    assert ended["outcome"]["kind"] == "signalled"
    eventually(lambda: coordinator.ask("GET", "/v1/sessions/a")[1]["state"] == "ended")


@pytest.mark.requirement("S0.3")
def test_it_is_alive_at_once_and_ready_when_all_jobs_are_found_again(coordinator, eventually):
    coordinator.start()
    assert coordinator.ask("POST", "/v1/sessions", {"alias": "a", "job": JOB})[0] == 201
    job = coordinator.ask("GET", "/v1/sessions/a/jobs/sh?wait_s=20&until=started")[1]
    eventually(lambda: coordinator.ask("GET", "/readyz") == (200, {"status": "ready"}))
    claimed = json.loads((coordinator.state / "jobs" / job["id"] / "attempt-1" / "claim.json").read_text())
    coordinator.kill()
    os.kill(claimed["runner_pid"], signal.SIGSTOP)  # it does not answer whoever looks for it
    try:
        coordinator.start()
        assert coordinator.ask("GET", "/healthz") == (200, {"status": "ok"})
        status, told = coordinator.ask("GET", "/readyz")
        assert (status, told["code"], told["retry"]) == (503, "unavailable", True)
        assert "are being found again" in told["detail"]
    finally:
        os.kill(claimed["runner_pid"], signal.SIGCONT)
    eventually(lambda: coordinator.ask("GET", "/readyz") == (200, {"status": "ready"}))


@pytest.mark.requirement("S0.3")
def test_its_log_tells_whose_each_line_is(coordinator):
    coordinator.start()
    status, made = coordinator.ask("POST", "/v1/sessions", {"alias": "a"})
    assert status == 201
    coordinator.ask("GET", "/v1/sessions/a")
    coordinator.stop()
    requests = (line for line in coordinator.log() if line["kind"] == "request")
    lines = [line for line in requests if line["path"].startswith("/v1/sessions")]
    assert [line["session"] for line in lines] == [made["id"]] * 2
    assert len({line["request"] for line in lines}) == 2


def test_a_retry_across_a_restart_gets_the_first_answer(coordinator):
    coordinator.start()
    key = {"Idempotency-Key": "once"}
    first = coordinator.ask("POST", "/v1/sessions", {"alias": "a"}, **key)
    coordinator.kill()
    coordinator.start()
    assert coordinator.ask("POST", "/v1/sessions", {"alias": "a"}, **key) == first
    assert coordinator.ask("POST", "/v1/sessions", {"alias": "b"}, **key)[1]["code"] == "request_reused"
    assert len(coordinator.ask("GET", "/v1/sessions")[1]["items"]) == 1


class Follower(threading.Thread):
    """Reads a feed across every break, and says what came."""

    def __init__(self, path, session, until):
        super().__init__(daemon=True)
        self.path, self.session, self.until = path, session, until
        self.seen, self.breaks, self.wrong = 0, 0, ""

    def run(self):
        deadline = time.monotonic() + 60
        while self.seen < self.until and not self.wrong and time.monotonic() < deadline:
            try:
                self.read()
            except OSError:
                time.sleep(0.02)
            self.breaks += 1

    def read(self):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(30)
            link.connect(self.path)
            link.sendall(
                f"GET /v1/sessions/{self.session}/events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n"
                f"Last-Event-ID: {self.seen}\r\n\r\n".encode()
            )
            buffer = b""
            while self.seen < self.until:
                data = link.recv(65536)
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: "):
                        number = json.loads(line[6:])["seq"]
                        if number != self.seen + 1:
                            self.wrong = f"{number} after {self.seen}"
                            return
                        self.seen = number


@pytest.mark.requirement("S3.4")
def test_twenty_followers_miss_nothing_while_it_is_killed(coordinator):
    coordinator.start()
    coordinator.ask("POST", "/v1/sessions", {"alias": "a"})
    total = 1
    followers = [Follower(coordinator.socket, "a", 301) for _ in range(20)]
    for follower in followers:
        follower.start()
    while total < 301:
        for _ in range(60):
            assert coordinator.ask("PATCH", "/v1/sessions/a", {"description": str(total)})[0] == 200
            total += 1
        coordinator.kill()
        coordinator.start()
    for follower in followers:
        follower.join(60)
        assert not follower.wrong
        assert follower.seen == 301
        assert follower.breaks > 1
    events = coordinator.ask("GET", "/v1/sessions/a/events?limit=1000")[1]["items"]
    assert [event["seq"] for event in events] == list(range(1, 302))


def test_stopping_lets_a_request_finish_and_cuts_waits(coordinator):
    coordinator.start()
    coordinator.ask("POST", "/v1/sessions", {"alias": "a"})
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(coordinator.ask("GET", "/v1/sessions/a/events?from=9&wait_s=60")), daemon=True
    )
    waiting.start()
    follower = Follower(coordinator.socket, "a", 10**9)
    follower.start()
    while follower.seen < 1:
        time.sleep(0.01)
    time.sleep(0.1)
    began = time.monotonic()
    assert coordinator.stop() == 0
    assert time.monotonic() - began < 4
    waiting.join(5)
    assert answers[0][0] == 503
    follower.until = 0


def wakeups(pid):
    """How often all threads of a process have slept."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        text = (task / "status").read_text()
        total += int(next(line for line in text.splitlines() if line.startswith("voluntary")).split()[1])
    return total


def test_an_idle_coordinator_does_not_wake(coordinator, eventually):
    coordinator.start()
    coordinator.ask("POST", "/v1/sessions", {"alias": "a", "job": JOB})
    coordinator.ask("GET", "/v1/sessions/a/jobs/sh?wait_s=20&until=started")

    def quiet():
        before = wakeups(coordinator.pid)
        time.sleep(3)
        return wakeups(coordinator.pid) - before <= 1

    eventually(quiet, timeout_s=30, what="three seconds without a wake-up")


def test_what_is_secret_is_in_no_log(coordinator):
    coordinator.start("--foreground")
    job = JOB | {"env": {"TOKEN": "s3cret", "PATH": "/bin"}, "argv": ["/bin/sh", "-c", "exit 3"]}
    coordinator.ask("POST", "/v1/sessions", {"alias": "a", "job": job})
    ended = coordinator.ask("GET", "/v1/sessions/a/jobs/sh?wait_s=20")[1]
    assert ended["outcome"]["code"] == 3
    coordinator.ask("GET", "/v1/sessions?after=s3cret")
    ticket = coordinator.ask("POST", "/v1/sessions/a/attachments", {})[1]["ticket"] or "s3cret"
    assert coordinator.stop() == 0
    for name in ("coordinator.log", "runner.log"):
        path = coordinator.state / name
        text = path.read_text() if path.exists() else ""
        assert "s3cret" not in text
        assert ticket not in text
    kinds = [line["kind"] for line in coordinator.log()]
    assert kinds.count("request") >= 4
    assert "s3cret" not in coordinator.said.read_text()


def test_help_says_what_can_be_given(coordinator):
    with subprocess.Popen(
        ["python", "-m", "hawse.daemons.coordinator", "--help"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert "--state-dir" in process.communicate(timeout=20)[0]


def test_a_store_of_a_newer_version_is_refused_and_left_alone(coordinator):
    coordinator.start()
    coordinator.stop()
    database = coordinator.state / "hawse.db"
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO schema_version VALUES (9999, 'from the future')")
    connection.close()
    before = database.read_bytes()
    assert coordinator.launch().wait(20) == 69
    said = coordinator.said.read_text()
    assert "version 9999" in said
    assert "Traceback" not in said
    assert database.read_bytes() == before


def test_it_serves_from_postgresql(coordinator, postgres_database, places):
    user, path = "postgres", Path(postgres_database.split()[0].removeprefix("host="))
    name = postgres_database.rsplit("=", 1)[1]
    places.config.mkdir()
    (places.config / "config.toml").write_text(f'[store]\nurl = "postgresql://{user}@/{name}?host={path}&port=5432"\n')
    coordinator.start()
    assert coordinator.ask("GET", "/v1/status")[1]["store"] == "postgresql"
    assert coordinator.ask("POST", "/v1/sessions", {"alias": "a"}, **{"Idempotency-Key": "k"})[0] == 201
    followers = [Follower(coordinator.socket, "a", 21) for _ in range(5)]
    for follower in followers:
        follower.start()
    for n in range(20):
        assert coordinator.ask("PATCH", "/v1/sessions/a", {"description": str(n)})[0] == 200
    for follower in followers:
        follower.join(20)
        assert (follower.seen, follower.wrong) == (21, "")
    coordinator.kill()
    coordinator.start()
    assert coordinator.ask("POST", "/v1/sessions", {"alias": "a"}, **{"Idempotency-Key": "k"})[0] == 201
    assert coordinator.ask("DELETE", "/v1/sessions/a")[1]["state"] == "ended"
