"""Two coordinators on one PostgreSQL: both serve, one leads, either may die or hang at any moment."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from machine import Feed, Machine, is_alive, job, stopped

from hawse.adapters.store.postgres_leader import TERM_S
from hawse.testing.check_events import check_events

pytestmark = pytest.mark.xdist_group("two coordinators")


class One(Machine):
    """One of two, on the same state and database."""

    def __init__(self, places, eventually, dsn, instance):
        super().__init__(places.state, places.runtime, eventually)
        own = f"-{instance}" if instance else ""
        self.instance = instance
        self.socket = str(places.runtime / f"coordinator{own}.sock")
        self.lock = places.runtime / f"coordinator{own}.lock"
        self.said = places.base / f"said{own}"
        self.environ |= {"HAWSE_INSTANCE": instance, "HAWSE_SERVER": f"unix:{self.socket}"}
        self.words = ("--store", dsn)

    def start(self, *words, **more):
        return super().start(*self.words, *words, **more)

    @property
    def pid(self):
        return int(self.lock.read_text())

    @property
    def leads(self):
        return self.is_ready() and self.get("/v1/status")["leads"]


class Pair:
    def __init__(self, first, second, eventually):
        self.both = (first, second)
        self.eventually = eventually

    def start(self):
        for one in self.both:
            one.start()
        return self

    def leader(self) -> One:
        """The one that leads, once one does."""
        return self.eventually(lambda: next((one for one in self.both if one.leads), None), what="one leads")

    def follower(self) -> One:
        leader = self.leader()
        return next(one for one in self.both if one is not leader)


@pytest.fixture
def pair(places, eventually, postgres, postgres_database) -> Iterator[Pair]:
    dsn = f"postgresql://postgres@/{postgres_database.rpartition('dbname=')[2]}?host={postgres.folder}&port=5432"
    made = Pair(One(places, eventually, dsn, ""), One(places, eventually, dsn, "b"), eventually)
    made.dsn = postgres_database
    try:
        yield made
        for one in made.both:
            if one.is_ready():
                check_events(one.get)
    finally:
        first, second = made.both
        if second.is_ready():
            if not first.is_ready():
                with suppress(AssertionError):
                    first.start()
            second.stop()
        elif second.process is not None:
            second.process.kill()
            second.process.wait(20)
        first.close()


def counting(folder, name):
    """A job that writes one line each time that it is started, and lives until it is told to end."""
    told, end = folder / f"{name}.started", folder / f"{name}.end"
    return ["sh", "-c", f"echo $$ >> {told}; while [ ! -e {end} ]; do sleep 0.05; done; exit 3"]


def starts(folder, name):
    path = folder / f"{name}.started"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_both_serve_and_what_one_takes_the_other_knows_and_the_leader_does(pair, tmp_path):
    pair.start()
    leader, follower = pair.leader(), pair.follower()
    assert not follower.leads
    made = follower.new("demo", *counting(tmp_path, "a"))
    feeds = [Feed(one.socket, made["id"]) for one in pair.both]
    assert leader.until("demo", "started")["pid"] == follower.job("demo")["pid"]
    assert follower.ask("POST", "/v1/sessions/demo/jobs/sh/signal", {"signal": "CONT"})[0] in (200, 202)
    (tmp_path / "a.end").touch()
    assert follower.until("demo")["outcome"]["code"] == 3
    assert leader.end("demo")["state"] == "ended"
    last = follower.session(made["id"])["last_seq"]
    whole = list(range(1, last + 1))
    for feed in feeds:
        pair.eventually(lambda feed=feed: feed.read() or feed.seen == whole, what="the feed is whole")
        feed.close()
    assert starts(tmp_path, "a") == 1


def test_a_signal_through_the_one_that_does_not_lead_arrives(pair, tmp_path):
    pair.start()
    follower = pair.follower()
    trap = f"trap 'echo got > {tmp_path}/got; exit 5' USR1; echo up > {tmp_path}/up"
    follower.new("demo", "sh", "-c", f"{trap}; while :; do sleep 0.05; done")
    pair.eventually((tmp_path / "up").exists)
    follower.until("demo", "started")
    assert follower.ask("POST", "/v1/sessions/demo/jobs/sh/signal", {"signal": "USR1"})[0] in (200, 202)
    assert follower.until("demo")["outcome"]["code"] == 5
    assert (tmp_path / "got").exists()


def test_a_leader_that_stops_in_order_hands_over_without_a_wait(pair, tmp_path):
    pair.start()
    leader, follower = pair.leader(), pair.follower()
    leader.new("demo", *counting(tmp_path, "a"))
    leader.until("demo", "started")
    leader.stop()
    began = time.monotonic()
    pair.eventually(lambda: follower.leads, timeout_s=TERM_S - 1, what="the lead was handed over")
    assert time.monotonic() - began < TERM_S - 1
    (tmp_path / "a.end").touch()
    assert follower.until("demo")["outcome"]["code"] == 3
    assert starts(tmp_path, "a") == 1


def test_one_that_does_not_lead_may_die_unnoticed(pair, tmp_path):
    pair.start()
    leader, follower = pair.leader(), pair.follower()
    leader.new("demo", *counting(tmp_path, "a"))
    follower.kill()
    (tmp_path / "a.end").touch()
    assert leader.until("demo")["outcome"]["code"] == 3
    assert leader.leads
    assert leader.parent_pid is not None


@pytest.mark.requirement("L3.3", "S3.2")
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.timeout(240)
def test_either_is_killed_at_any_time_and_nothing_is_lost_or_done_twice(pair, tmp_path, seed):
    """kill -9 during creates, starts, ends and leases that run out; the jobs themselves count their starts."""
    rng = random.Random(seed)
    pair.start()
    made: dict[str, str] = {}
    asked: set[str] = set()
    stop = threading.Event()

    def create():
        number = 0
        mine = random.Random(seed * 100)
        while not stop.is_set():
            name, number = f"s{number}", number + 1
            body = {"alias": name, "job": job(*counting(tmp_path, name))}
            if number % 3 == 0:
                body |= {"lease_s": mine.choice([1.0, 2.0, 4.0])}
            asked.add(name)
            while not stop.is_set() or name not in made:
                with suppress(OSError, ValueError, AssertionError):
                    one = mine.choice(pair.both)
                    status, value = one.ask("POST", "/v1/sessions", body, Idempotency_Key=f"key-{name}")
                    if status == 201:
                        made[name] = value["id"]
                        break
                if stop.is_set():
                    break
                stop.wait(0.05)
            if mine.random() < 0.5:
                (tmp_path / f"{name}.end").touch()
            stop.wait(0.1)

    creating = threading.Thread(target=create)
    creating.start()
    try:
        for _ in range(6):
            threading.Event().wait(rng.uniform(0.2, 2.5))
            victim = rng.choice([one for one in pair.both if one.is_ready()])
            victim.kill()
            threading.Event().wait(rng.uniform(0.0, 1.5))
            victim.start()
    finally:
        stop.set()
        creating.join(60)
    leader = pair.leader()
    for name in made:
        (tmp_path / f"{name}.end").touch()
    for name, id in made.items():
        pair.eventually(
            lambda id=id: all(one["state"] == "ended" for one in leader.session(id)["jobs"]),
            timeout_s=60, what=f"the job of {name} has ended",
        )  # fmt: skip
    assert len(made) > 10
    for name, id in made.items():
        session = leader.session(id)
        (one,) = session["jobs"]
        was_late = session["lease_until"] is not None and one["outcome"]["cause"] == "it was stopped first"
        wanted = 0 if was_late else 1  # its lease may be over before anybody leads
        assert starts(tmp_path, name) == wanted, f"{name} {one} {leader.events(id)}"
        assert one["attempt"] == 1
        if session["lease_until"] is not None:
            pair.eventually(lambda id=id: leader.session(id)["state"] == "ended", what=f"the lease of {name} ended it")
            events = leader.events(id)
            ends = [event for event in events if event["kind"] == "session.end_asked"]
            assert len(ends) == 1
            assert ends[0]["time"] >= session["lease_until"]
        else:
            assert one["outcome"]["code"] == 3, (name, one)
        numbers = [event["seq"] for event in leader.events(id)]
        assert numbers == list(range(1, session["last_seq"] + 1)) or session["last_seq"] < len(numbers)
    everything = {one["alias"]: one["id"] for one in leader.get("/v1/sessions?state=all&limit=1000")["items"]}
    assert {name: everything[name] for name in made} == made, "a retried create made a second session"


def test_a_leader_that_hangs_is_replaced_and_does_nothing_when_it_goes_on(pair, tmp_path, eventually):
    pair.start()
    leader, follower = pair.leader(), pair.follower()
    leader.new("before", *counting(tmp_path, "before"))
    leader.until("before", "started")
    with stopped(leader.pid):
        eventually(lambda: follower.leads, timeout_s=TERM_S * 3, what="the other leads")
        follower.new("during", *counting(tmp_path, "during"))
        follower.until("during", "started")
    eventually(lambda: not leader.leads, what="it noticed")
    assert follower.leads
    for name in ("before", "during"):
        (tmp_path / f"{name}.end").touch()
        assert leader.until(name)["outcome"]["code"] == 3
        assert starts(tmp_path, name) == 1
    assert is_alive(leader.pid)


def test_a_database_that_cuts_everybody_leaves_one_leader(pair, tmp_path, eventually):
    pair.start()
    pair.leader().new("demo", *counting(tmp_path, "a"))
    for _ in range(3):
        with psycopg.connect(pair.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'hawse' AND datname = current_database()"
            )
        eventually(lambda: sum(one.leads for one in pair.both) == 1, what="one leads")
    follower = pair.follower()
    follower.until("demo", "started")
    (tmp_path / "a.end").touch()
    assert follower.until("demo")["outcome"]["code"] == 3
    assert starts(tmp_path, "a") == 1


def test_a_second_one_without_postgresql_is_refused(machine):
    machine.start()
    first = machine.process
    process = machine.launch(environ={"HAWSE_INSTANCE": "b"})
    assert process.wait(20) == 64
    assert "needs a store that two can use" in machine.said.read_text()
    machine.process = first
    machine.kill(signal.SIGTERM)


def test_the_same_name_twice_is_refused(pair):
    one = pair.both[1].start()
    first = one.process
    assert one.launch(*one.words).wait(20) == 69
    assert "already running" in one.said.read_text()
    one.process = first
