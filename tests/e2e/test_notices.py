"""Notices on the real thing: told once, or again with the same id; whatever hangs or dies, nobody else waits."""

import threading
import time

import pytest
from tests.receiver import receiver

pytestmark = pytest.mark.xdist_group("notices")
KINDS = ["job_failed", "job_ended", "session_ended"]


def add(machine, url: str, **fields) -> dict:
    body = {"means": "webhook", "settings": {"url": url}, **fields}
    status, value = machine.ask("POST", "/v1/channels", body)
    assert status == 201, value
    return value


@pytest.mark.requirement("S2.7")
def test_the_end_of_a_job_is_told_with_the_command_to_type(machine):
    machine.start()
    with receiver() as post:
        add(machine, post.url, kinds=KINDS)
        machine.new("train", "sh", "-c", "exit 3", lease="jobs", name="main")
        post.until(lambda got: len(got) == 2)
        failed = post.of("job_failed")[0]
        assert failed["subject"] == "train/main failed: exit code 3"
        assert failed["detail"]["exit_code"] == 3
        shown = machine.out(*failed["command"].split()[1:])
        assert shown == "", "it printed nothing, and that is the log"
        (ended,) = post.of("session_ended")
        assert "train" in machine.out(*ended["command"].split()[1:])


@pytest.mark.requirement("S2.7")
def test_killed_between_the_answer_and_the_commit_it_comes_again_with_the_same_id(machine):
    """The receiver has taken it; the coordinator dies before it can write that down."""
    machine.start()
    with receiver() as post:
        add(machine, post.url, kinds=["session_ended"])
        killed = threading.Event()

        def kill_it(told: dict) -> int:
            if not killed.is_set():
                machine.kill()
                killed.set()
            return 204

        post.answer = kill_it
        machine.new("train", "true", lease="jobs")
        assert killed.wait(60)
        machine.start()
        post.until(lambda got: len(got) == 2)
        assert len(set(post.ids)) == 1, "a receiver can drop the repeat"
        assert [told["attempt"] for told in post.got] == [1, 2]
        id = post.ids[0]
        machine.eventually(lambda: machine.get(f"/v1/notices/{id}")["state"] == "sent")
        assert machine.get(f"/v1/notices/{id}")["attempts"] == 2
        machine.restart()
        status, made = machine.ask("POST", "/v1/channels/webhook/test")
        assert status == 201
        post.until(lambda got: made["id"] in [told["id"] for told in got])
        assert post.ids.count(id) == 2, "and never again"


@pytest.mark.requirement("S2.7")
def test_killed_again_and_again_nothing_is_lost(machine):
    machine.start()
    with receiver() as post:
        add(machine, post.url, kinds=["session_ended"])
        post.answer = lambda told: 204 if told["attempt"] > 1 else 500
        made = set()
        for n in range(6):
            made.add(machine.new(f"s{n}", "true", lease="jobs")["id"])
            seen = len(post.got)
            if n % 2:
                post.until(lambda got, seen=seen: len(got) > seen)
            machine.restart()
        machine.eventually(
            lambda: {one["session"] for one in machine.get("/v1/notices?state=sent")["items"]} == made, timeout_s=60
        )
        assert {told["session"]["id"] for told in post.got} == made
        assert len(set(post.ids)) == len(made), "one id for each, however often it came"
        assert machine.get("/v1/notices?state=failed")["items"] == []


def test_one_that_hangs_holds_up_neither_others_nor_jobs_nor_the_coordinator_s_end(machine):
    machine.start()
    with receiver() as stuck, receiver() as post:
        never = threading.Event()
        stuck.answer = lambda told: 204 if never.wait(300) else 500
        for n in range(6):
            add(machine, stuck.url, kinds=KINDS, name=f"stuck{n}")
        add(machine, post.url, kinds=KINDS, name="well")
        machine.new("a", "true", lease="jobs")
        stuck.until(lambda got: len(got) >= 3)
        began = time.monotonic()
        machine.new("b", "true", lease="jobs")
        assert machine.until("b")["outcome"]["code"] == 0
        assert time.monotonic() - began < 10
        began = time.monotonic()
        machine.stop()
        assert time.monotonic() - began < 10, "six tries under way do not keep it"
        never.set()
        machine.start()
        names = {"a", "b"}
        post.until(lambda got: {told["session"]["name"] for told in got if told["kind"] == "session_ended"} >= names)


def configure(places, text: str) -> None:
    places.config.mkdir(exist_ok=True)
    (places.config / "config.toml").write_text(text)


@pytest.mark.requirement("S2.7")
def test_a_program_that_waits_is_told_also_by_the_next_coordinator(machine, places, window):
    configure(places, "[notices]\nquiet_s = 1\n")
    machine.start()
    with receiver() as post:
        add(machine, post.url, kinds=["job_waits"])
        gate = places.base / "gate"
        script = f"echo name; read x; while [ ! -e {gate} ]; do sleep 0.05; done; echo again; read y"
        machine.new("a", "sh", "-c", script, tty={"columns": 80, "rows": 24}, name="main")
        told = post.until(lambda got: got and got[0])
        assert (told["subject"], told["command"]) == ("a/main waits for you", "hawse attach a/main")
        screen = window(*told["command"].split()[1:])
        screen.until("name")
        screen.type("\r")
        screen.type("\x1cd")
        assert screen.ended() == 0
        machine.restart()
        gate.touch()
        post.until(lambda got: len(got) == 2, "it printed something and reads again")
        assert machine.kinds("a").count("job.waits") == 2


def test_a_quiet_time_that_is_none_is_told_at_the_start(machine, places):
    configure(places, "[notices]\nquiet_s = 0\n")
    process = machine.launch()
    assert process.wait(20) != 0
    assert "quiet_s is a number of seconds from 1 to 3600" in machine.said.read_text()
    machine.process = None
    (places.config / "config.toml").unlink()
