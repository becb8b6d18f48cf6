"""The whole system in one process and in virtual time: coordinator, runners, clients, and seeded faults.

    sim = Simulation(seed)
    run_virtually(sim.run(hours=24))        # raises AssertionError with the seed when a promise is broken

The coordinator is killed at commits (before and after them) and between; runners are killed; the host reboots; lines
fail. Clients create, run, attach, end, retry with the same request id after a crash, and follow the events from their
cursor. At the end the faults stop, everything settles, and the promises are checked; see `Simulation.check`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hawse.adapters.store.fields import fields_of
from hawse.domain import attachment as attachments
from hawse.domain import clock as clocks
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.effect import CheckClock
from hawse.domain.errors import Problem
from hawse.domain.event import Event, replay
from hawse.domain.job import OnError, OnLost, OutcomeKind
from hawse.domain.session import Lease
from hawse.ports.log import Piece, Screen, Timing
from hawse.ports.store import Row, Term, Unit, View
from hawse.services import attachment as attachment_verbs
from hawse.services import clock as clock_verbs
from hawse.services import event as event_verbs
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.order import JobSpec
from hawse.services.reconcile import Reconciler
from hawse.services.world import Answered, Caller, Request, World
from hawse.testing.memory_store import MemoryStore
from hawse.testing.sim_host import SimHost
from hawse.testing.sim_launcher import SimLauncher
from hawse.testing.sim_loop import SimClock

T = TypeVar("T")
OWNER = "uid:1000"


class Disconnected(Exception):
    """The coordinator died while it was asked: the client knows nothing of what became of its request."""


class NoLogs:
    """Logs are proved by the real runner's tests; here nobody prints."""

    def read(self, job: str, *, offset: int, bytes_max: int) -> Piece:
        return Piece(b"", offset, offset, offset)

    def offset_at(self, job: str, time: float) -> int:
        return 0

    def offset_of_tail(self, job: str, lines: int) -> int:
        return 0

    def timing(self, job: str, *, offset: int, skip: int, limit: int) -> Timing:
        return Timing((), offset, skip, offset)

    def screen(self, job: str, *, offset: int) -> Screen:
        return Screen(b"", offset, offset, 0, 0)


class CrashingStore:
    """A store that lets the coordinator die at the n-th commit from now: just before it, or just after."""

    def __init__(self, store: MemoryStore, crash: Callable[[], None]) -> None:
        self._store = store
        self._crash = crash
        self.fuse = -1
        self.before = True
        self.meter = store.meter

    async def write(self, verb: Callable[[Unit], T]) -> T:
        self.fuse -= 1
        if self.fuse == 0 and self.before:
            await self._die()
        result = await self._store.write(verb)
        if self.fuse == 0:
            await self._die()
        return result

    async def _die(self) -> None:
        self._crash()
        await asyncio.get_running_loop().create_future()  # a dead process does nothing more

    async def read(self, query: Callable[[View], T]) -> T:
        return await self._store.read(query)

    async def wait_event(self, session: str, *, after: int, timeout_s: float) -> int:
        return await self._store.wait_event(session, after=after, timeout_s=timeout_s)

    async def wait_effect(self, *, timeout_s: float) -> None:
        await self._store.wait_effect(timeout_s=timeout_s)

    async def lead(self) -> Term:
        return await self._store.lead()

    async def aclose(self) -> None:
        """The store outlives its users here."""


@dataclass(slots=True)
class Follower:
    """Somebody who reads a session's events from a cursor, through every crash."""

    session: str
    seen: list[Event] = field(default_factory=list)


class Simulation:
    """One seeded run. clients, hours: how much happens; trouble: how often lines fail (0 to 1)."""

    def __init__(self, seed: int, *, clients: int = 6, trouble: float = 0.1) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = SimClock(seed + 1)
        self.host = SimHost(seed + 2)
        self.store = MemoryStore(self.clock)
        self.clients = clients
        self.trouble = trouble
        self.crashes = 0
        self.followers: list[Follower] = []
        self.created: dict[str, int] = {}  # request id -> how many sessions its client wanted: always 1
        self._world: World | None = None
        self._crashing: CrashingStore | None = None
        self._crashed = asyncio.Event()
        self._up = asyncio.Event()
        self._calls: dict[asyncio.Task[Any], None] = {}  # in order: who is cut off first goes on first, in every run
        self._faults = True
        self._readers: asyncio.TaskGroup | None = None
        self._following: list[asyncio.Task[None]] = []

    # -- the run
    # ------------------------------------------------------------------------------------------------------------

    async def run(self, *, hours: float) -> None:
        """Everything for some virtual hours, then calm, then the check."""
        try:
            async with asyncio.timeout(hours * 3600 + 40 * 86400):
                async with asyncio.TaskGroup() as group:
                    keeper = group.create_task(self._keep_coordinator())
                    self._readers = group
                    async with asyncio.TaskGroup() as actors:
                        until = self.clock.monotonic() + hours * 3600
                        for number in range(self.clients):
                            actors.create_task(self._client(number, until))
                        actors.create_task(self._fault(until))
                    self._faults = False
                    await self._calm()
                    await self.check()
                    for task in (keeper, *self._following):
                        task.cancel()
        except BaseExceptionGroup as errors:
            raise AssertionError(f"simulation {self.seed} failed; Simulation({self.seed}) runs it again") from errors
        finally:
            await self.host.aclose()

    async def _keep_coordinator(self) -> None:
        """Start the coordinator, and again whenever it died: as its users' next command would."""
        while True:
            self._crashed.clear()
            launcher = SimLauncher(
                self.host, random.Random(self.rng.random()), trouble=self.trouble if self._faults else 0.0
            )
            self._crashing = CrashingStore(self.store, self._crashed.set)
            self._world = World(store=self._crashing, launcher=launcher, clock=self.clock, logs=NoLogs())
            life = asyncio.get_running_loop().create_task(Reconciler(self._world).run())
            if self._faults and self.rng.random() < 0.7:
                self._crashing.fuse, self._crashing.before = self.rng.randint(1, 60), self.rng.random() < 0.5
            self._up.set()
            dead = asyncio.get_running_loop().create_task(self._crashed.wait())
            try:
                await asyncio.wait([life, dead], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._up.clear()
                for task in (life, dead, *self._calls):
                    task.cancel()
                results = await asyncio.gather(life, dead, return_exceptions=True)
                await launcher.aclose()
            if isinstance(results[0], BaseException) and not isinstance(results[0], asyncio.CancelledError):
                raise results[0]
            self.crashes += 1
            await asyncio.sleep(self.rng.choice([0.0, 0.2, 5.0]))

    async def _fault(self, until: float) -> None:
        while self.clock.monotonic() < until:
            await asyncio.sleep(self.rng.uniform(1, 1800))
            match self.rng.choice(["crash", "crash", "runner", "reboot", "clock"]):
                case "crash":
                    self._crashed.set()
                case "runner":
                    alive = [key for key, runner in self.host.runners.items() if runner.alive]
                    if alive:
                        self.host.kill_runner(self.rng.choice(alive))
                case "reboot" if self.rng.random() < 0.2:
                    self._crashed.set()
                    self.host.reboot()
                case "clock":
                    self.clock.skew_s += self.rng.uniform(-30, 30)

    async def _calm(self) -> None:
        """No more faults: the present coordinator goes, a healthy one takes over, and time passes."""
        self._crashed.set()
        await asyncio.sleep(3600)

    # -- clients
    # ------------------------------------------------------------------------------------------------------------

    async def call(self, verb: Callable[[World], Awaitable[T]]) -> T:
        """One request to the coordinator of now. Raises Disconnected when it died meanwhile."""
        await self._up.wait()
        assert self._world is not None
        task = asyncio.ensure_future(verb(self._world))
        self._calls[task] = None
        try:
            return await task
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            raise Disconnected from None
        finally:
            self._calls.pop(task, None)

    async def insist(self, verb: Callable[[World], Awaitable[T]]) -> T | None:
        """Ask until there is an answer, with the same request id. None: it was answered before we were cut off."""
        while True:
            try:
                return await self.call(verb)
            except Disconnected:
                await asyncio.sleep(0.1)
            except Answered:
                return None

    def _caller(self) -> Caller:
        id = f"r{self.rng.getrandbits(64):016x}"
        return Caller(
            OWNER, request=Request(id, "digest", lambda result: (201, json.dumps(str(type(result))).encode()))
        )

    async def _client(self, number: int, until: float) -> None:
        rng = random.Random(self.rng.random())
        life = 0
        while self.clock.monotonic() < until:
            with suppress(Problem):
                await self._session_life(rng, f"s{number}-{life}")
            await asyncio.sleep(rng.uniform(0, 1800))
            life += 1

    async def _session_life(self, rng: random.Random, alias: str) -> None:
        caller = self._caller()
        spec = _spec(rng)
        lease, until = self._lease(rng)
        new = session_verbs.NewSession(
            alias=alias,
            lease=lease,
            lease_until=until,
            policies=_policies(rng),
            job=rng.choice([None, spec, spec]),
        )
        self.created[alias] = 1
        await self.insist(lambda world: session_verbs.create(world, caller, new))
        follower = Follower(alias)
        self.followers.append(follower)
        assert self._readers is not None
        self._following.append(self._readers.create_task(self._follow(follower)))
        for _ in range(rng.randint(0, 8)):
            await asyncio.sleep(rng.choice([0, 0.01, 1, 600]))
            with suppress(Problem):
                await self._act(rng, alias)
        if rng.random() < 0.7:
            await self.insist(
                lambda world: session_verbs.end(world, self._caller(), alias, grace_s=rng.choice([0, 1, 30]))
            )

    def _lease(self, rng: random.Random) -> tuple[Lease, float | None]:
        lease = rng.choice(list(Lease))
        left_s = rng.choice([40, 300, 1000, 4000, 30_000])
        return lease, self.clock.now() + left_s if lease == Lease.UNTIL else None

    async def _act(self, rng: random.Random, alias: str) -> None:
        caller = self._caller()
        match rng.choice(["run", "run", "attach", "describe", "stop", "end twice", "lease", "extend", "policy"]):
            case "lease":
                lease = self._lease(rng)
                await self.insist(lambda world: session_verbs.describe(world, caller, alias, lease=lease))
            case "extend":
                by_s = rng.choice([1.0, 600.0, 7200.0])
                await self.insist(lambda world: session_verbs.extend(world, caller, alias, by_s=by_s))
            case "policy":
                policies = _policies(rng) | rng.choice([{}, {"on_disconnect": None}])
                await self.insist(lambda world: session_verbs.describe(world, caller, alias, policies=policies))
            case "run":
                spec = _spec(rng)
                await self.insist(lambda world: job_verbs.run(world, caller, alias, spec))
            case "describe":
                await self.insist(
                    lambda world: session_verbs.describe(world, caller, alias, description=f"{rng.random()}")
                )
            case "stop":
                view = await self.insist(lambda world: session_verbs.get(world, caller, alias))
                if view and view.jobs:
                    job = rng.choice(view.jobs)
                    await self.insist(
                        lambda world: job_verbs.stop(world, caller, alias, job.id, grace_s=rng.choice([None, 0.5]))
                    )
            case "end twice" if rng.random() < 0.2:
                for _ in range(2):
                    await self.insist(lambda world: session_verbs.end(world, self._caller(), alias))
            case "attach":
                await self._attach(rng, caller, alias)

    async def _attach(self, rng: random.Random, caller: Caller, alias: str) -> None:
        admission = await self.insist(
            lambda world: attachment_verbs.attach(world, caller, alias, job=None, mode="control", where="sim")
        )
        if admission is None or admission.attachment is None:
            return
        id = admission.attachment.id
        self.host.link(admission.job.id, id)
        await asyncio.sleep(rng.choice([0, 1, 30, 600]))
        match rng.choice(["asked", "lost", "verb", "stay"]):
            case "verb":
                await self.insist(lambda world: attachment_verbs.detach(world, caller, alias, id))
            case "asked" | "lost" as reason:
                self.host.unlink(admission.job.id, id, reason)

    async def _follow(self, follower: Follower) -> None:
        """Read all events until the session is over, from the cursor, whatever dies."""
        while True:
            try:
                if not await self._read_on(follower):
                    return
            except Disconnected:
                await asyncio.sleep(0.5)

    async def _read_on(self, follower: Follower) -> bool:
        caller, name = Caller(OWNER), follower.session
        after = follower.seen[-1].seq if follower.seen else 0
        found, more = await self.call(lambda world: event_verbs.page(world, caller, name, after=after, limit=7))
        follower.seen += found
        if more and not found:
            await self.call(lambda world: event_verbs.wait(world, caller, name, after=after, timeout_s=1800))
        return more

    # -- promises
    # -----------------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """What must hold after any faults, once things are calm."""
        view_jobs, view_sessions, leftover = await self.store.read(
            lambda view: (view.living_jobs(), view.sessions(limit=1000), view.effects_due(float("inf"), 1000))
        )
        leftover = [one for one in leftover if not isinstance(one.effect, CheckClock)]
        assert not leftover, f"effects were never done: {leftover[:3]}"
        assert len(self.host.started) == len(set(self.host.started)), "an attempt was started twice"
        assert not [r.start.job for r in self.host.runners.values() if r.has_leftover], "what was left was never swept"
        aliases = [session.alias for session in view_sessions]
        assert sorted(map(str, aliases)) == sorted(set(map(str, aliases))), "a retried create made a second session"
        assert set(self.created) == set(aliases), "a session was forgotten"
        running = {r.start.job for r in self.host.runners.values() if r.alive and r.exit is None}
        assert running == {job.id for job in view_jobs}, "a job runs that nobody knows, or is known and does not run"
        for session in view_sessions:
            await self._check_session(session)
        for follower in self.followers:
            session = next(session for session in view_sessions if session.alias == follower.session)
            last = await self._last_seq(session.id)
            numbers = [event.seq for event in follower.seen]
            assert numbers == list(range(1, last + 1)), f"the follower of {follower.session} saw {numbers} of {last}"

    async def _last_seq(self, id: str) -> int:
        return await self.store.read(lambda view: view.last_seq(id))

    async def _check_session(self, session: sessions.Session) -> None:
        their_jobs, their_attachments, events = await self.store.read(
            lambda view: (
                view.jobs(session.id),
                view.attachments(session.id, living=False),
                view.events(session.id, limit=1000),
            )
        )
        rows: list[Row] = [session, *their_jobs, *their_attachments]
        present = {(type(row).__name__.lower(), row.id): fields_of(row) for row in rows}
        assert replay(events) == present, f"replaying the events of {session.name} does not give its state"
        for job in their_jobs:
            self._check_job(job)
        await self._check_clocks(session, events)
        if session.state == sessions.S.ENDED:
            assert all(job.state == jobs.S.ENDED for job in their_jobs), f"{session.name} ended before its jobs"
            assert all(a.state == attachments.S.DETACHED for a in their_attachments), (
                f"{session.name} ended with an attachment"
            )
        assert session.state != sessions.S.DRAINING, f"{session.name} drains for ever"

    async def _check_clocks(self, session: sessions.Session, events: list[Event]) -> None:
        """Nothing ended or warned early, nothing twice, nothing forgotten."""
        now = self.clock.now()
        facts, checks = await self.store.read(
            lambda view: (clock_verbs.facts_of(view, session), view.clock_checks(session.id))
        )
        stored = sorted((one.effect.clock, one.effect.at) for one in checks if isinstance(one.effect, CheckClock))
        wanted = []
        for clock in clocks.clocks(facts):
            at = clocks.next_milestone(clock, after=now)
            if clock.name in clocks.DEADLINED and at is not None and at > now:
                wanted.append((clock.name, at))
            if clock.then == clocks.Then.END:
                assert not clocks.is_over(clock, now=now), f"{session.name}: its clock {clock.name} never ended it"
        assert [name for name, _ in stored] == sorted(name for name, _ in wanted), f"{session.name}: {stored}, {wanted}"
        until: float | None = None
        told: set[tuple[str, float, float]] = set()
        for event in events:
            until = event.after.get("lease_until", until) if event.noun == "session" else until
            if event.kind == "session.policy_set":
                told.clear()  # whoever sets the clock back and then changes what is to be told may be told again
            elif event.kind == "session.warned":
                detail = event.detail
                left_s = detail["deadline"] - event.time
                assert detail["clock"] != clocks.Name.LEASE or detail["deadline"] == until, f"{session.name}: {event}"
                assert left_s > 0, f"{session.name} was warned after its end: {event}"
                due = min((one for one in (1800.0, 600.0, 120.0) if one >= detail["left_s"]), default=0.0)
                key = detail["clock"], detail["deadline"], due
                assert due, f"{session.name} was warned early: {event}"
                assert key not in told, f"{session.name} was warned twice: {event}"
                told.add(key)
            elif event.kind == "session.end_asked" and str(event.after.get("end_reason")).startswith("its lease"):
                assert until is not None, f"{session.name} ended without a lease"
                assert event.time >= until, f"{session.name} ended {until - event.time} s early"

    def _check_job(self, job: jobs.Job) -> None:
        runner = self.host.runners.get((job.id, job.attempt))
        if job.state == jobs.S.ENDED:
            assert job.outcome is not None, f"job {job.name} ended and nobody says how"
            if runner is not None and runner.exit is not None and job.outcome.kind != OutcomeKind.LOST:
                assert job.outcome == runner.exit.outcome, f"job {job.name} ended otherwise than recorded"


def _spec(rng: random.Random) -> JobSpec:
    return JobSpec(
        argv=("work",),
        env={"A": "1"},
        cwd="/",
        umask=0o22,
        tty=rng.random() < 0.5,
        on_lost=rng.choice(list(OnLost)),
        grace_s=rng.choice([0.0, 1.0, 10.0]),
        on_error=rng.choice([None, None, *OnError]),
        retries_max=rng.choice([0, 1, 3]),
    )


def _policies(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {}
    return {
        "connect_by_s": rng.choice([0, 0, 30, 400]),
        "on_disconnect": rng.choice(["keep", "end", "signal"]),
        "on_disconnect_s": rng.choice([0, 1, 500]),
        "on_error": rng.choice(["report", "restart", "end"]),
    }
