"""Many people, one owner, in virtual time: roles come and go, tickets are stolen; whose bytes reach the job is checked.

    simulation = SharingSimulation(seed)
    run_virtually(simulation.run(steps=300))       # raises AssertionError with the seed when a promise is broken

The services, the reconciler and the runners' own admission (`runner.admission`) are the real ones. The invariant, after
each step: no byte ever reached a terminal but from somebody who had job:control there when he typed it, or had it until
MOMENT_S before; no byte at all by a ticket that was not his to use, was used before, or only lets look.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

from hawse.domain.errors import Problem
from hawse.domain.grant import ROLES, Capability, Role
from hawse.ports.store import View
from hawse.runner.admission import Admission
from hawse.services import attachment as attachment_verbs
from hawse.services import grant as grant_verbs
from hawse.services import job as job_verbs
from hawse.services import session as session_verbs
from hawse.services.gate import is_permitted
from hawse.services.grant import Wish
from hawse.services.order import JobSpec
from hawse.services.reconcile import Reconciler
from hawse.services.world import Caller, World
from hawse.testing.memory_store import MemoryStore
from hawse.testing.sim import NoLogs
from hawse.testing.sim_host import SimHost
from hawse.testing.sim_launcher import SimLauncher
from hawse.testing.sim_loop import SimClock
from hawse.wire.errors import TicketRefused

OWNER = "uid:1000"
PEOPLE = tuple(f"uid:{2000 + n}" for n in range(6))
GROUPS = ("group:red", "group:blue")
JOBS = ("one", "two")
SESSION = "s"
MOMENT_S = 3.0  # a cut is an effect: a commit, a wake-up, at most a second on the simulated line, others before it
FOREVER_S = 1e9


@dataclass(slots=True)
class Client:
    """Somebody's connection to a runner, by whatever ticket. who: the one who really types."""

    who: str
    job: str
    attachment: str
    mode: str


@dataclass(slots=True)
class SimDoor:
    """What a real runner does where clients come in: its own admission, and the mode of the ticket."""

    admission: Admission
    present: dict[str, Client] = field(default_factory=dict)


@dataclass(slots=True)
class Bytes:
    """What reached a terminal."""

    at: float
    who: str
    job: str


class CuttingLauncher(SimLauncher):
    """Tells the doors what is cut."""

    def __init__(self, host: SimHost, rng: random.Random, *, trouble: float, doors: dict[str, SimDoor]) -> None:
        super().__init__(host, rng, trouble=trouble)
        self.clock: SimClock | None = None
        self.doors = doors

    async def cut(self, job: str, attachment: str, *, reason: str, message: str) -> None:
        await self._line()
        door = self.doors.get(job)
        if door is not None and self.clock is not None:
            door.admission.cut(attachment, now=self.clock.now())
            door.present.pop(attachment, None)
        self.host.unlink(job, attachment, reason)


class SharingSimulation:
    """One seeded run. trouble: how often the line to a runner fails (0 to 1); then a cut may take longer."""

    def __init__(self, seed: int, *, trouble: float = 0.0) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = SimClock(seed + 1)
        self.host = SimHost(seed + 2, lives_s=FOREVER_S)
        self.doors: dict[str, SimDoor] = {}
        self.launcher = CuttingLauncher(self.host, random.Random(seed + 3), trouble=trouble, doors=self.doors)
        self.launcher.clock = self.clock
        self.moment_s = MOMENT_S if trouble == 0 else 120.0  # with back-off, tried again until it is done
        self.world = World(MemoryStore(self.clock), self.launcher, self.clock, NoLogs(), owner=OWNER, key=b"k" * 32)
        self.members = {who: frozenset(g for g in GROUPS if self.rng.random() < 0.4) for who in PEOPLE}
        self.tickets: list[tuple[str, str, str]] = []  # (for whom, job, text): lying about, for everybody to steal
        self.secrets: list[str] = []
        self.reached: list[Bytes] = []
        self.refused = 0
        self.could_until: dict[tuple[str, str], float] = {}  # (who, job): when he last had job:control

    async def run(self, *, steps: int) -> None:
        """All steps, the invariant after each. Raises AssertionError with the seed."""
        task = asyncio.get_running_loop().create_task(Reconciler(self.world).run())
        try:
            await self._begin()
            for number in range(steps):
                await self._note_who_can()
                before = len(self.reached)
                with suppress(Problem):
                    await self._step()
                await self._check(self.reached[before:], number)
                await asyncio.sleep(self.rng.choice([0.0, 0.1, 1.0, self.rng.uniform(0, 30)]))
            await self._calm()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.launcher.aclose()
            await self.host.aclose()

    async def _begin(self) -> None:
        me = self._as(OWNER)
        await session_verbs.create(self.world, me, session_verbs.NewSession(alias=SESSION))
        for name in JOBS:
            spec = JobSpec(argv=("work",), env={}, cwd="/", umask=0o22, name=name, tty=True)
            job = await job_verbs.run(self.world, me, SESSION, spec)
            order = await self.world.store.read(lambda view, id=job.id: view.order(id))  # type: ignore[misc]
            self.doors[job.id] = SimDoor(
                Admission(job=job.id, attempt=1, secret=bytes.fromhex(order.secret), nonces_max=4096, cuts_max=4096)
            )

    def _as(self, who: str) -> Caller:
        return Caller(who, groups=self.members.get(who, frozenset()), now=self.clock.now())

    # -- steps --------------------------------------------------------------------------------------------------------

    async def _step(self) -> None:
        act = self.rng.choice(
            [self._share, self._share, self._unshare, self._link, self._redeem, self._ask, self._ask, self._enter,
             self._enter, self._type, self._type, self._type, self._leave]
        )  # fmt: skip
        await act()

    async def _share(self) -> None:
        """The owner, or anybody who thinks he may."""
        giver = self.rng.choice([*(OWNER,) * 6, *PEOPLE])
        await grant_verbs.share(self.world, self._as(giver), SESSION, self.rng.choice([*PEOPLE, *GROUPS]), self._wish())

    def _wish(self) -> Wish:
        role = self.rng.choice(list(Role))
        all_of_it = sorted(ROLES[role])  # sorted: a set's order differs between two processes, and a seed must not
        names = [c.value for c in all_of_it] + [f"{c}@{self.rng.choice(JOBS)}" for c in all_of_it if "job:" in c]
        can = self.rng.sample([n for n in names if n != f"{Capability.JOB_RUN}@one"], k=min(3, len(names)))
        can = [name for name in can if not name.startswith("job:run@")]
        until = self.rng.choice([None, None, self.clock.now() + self.rng.uniform(1, 60)])
        return Wish(role, tuple(can) if self.rng.random() < 0.4 else (), until)

    async def _unshare(self) -> None:
        taker = self.rng.choice([OWNER, OWNER, *PEOPLE])
        live = await grant_verbs.page(self.world, self._as(OWNER), SESSION)
        if live:
            one = self.rng.choice(live)
            await grant_verbs.unshare(
                self.world, self._as(taker), SESSION, self.rng.choice([one.id, one.principal or one.id])
            )

    async def _link(self) -> None:
        maker = self._as(self.rng.choice([OWNER, *PEOPLE]))
        made = await grant_verbs.link(self.world, maker, SESSION, self._wish())
        self.secrets.append(await grant_verbs.new_secret(self.world, maker, made.id))

    async def _redeem(self) -> None:
        if self.secrets:
            secret = self.rng.choice(self.secrets)
            if self.rng.random() < 0.3:
                secret = secret[:-3] + "AAA"
            await grant_verbs.redeem(self.world, self._as(self.rng.choice(PEOPLE)), secret)

    async def _ask(self) -> None:
        who, job = self.rng.choice(PEOPLE), self.rng.choice(JOBS)
        mode = self.rng.choice(["control", "control", "watch", "read"])
        got = await attachment_verbs.attach(self.world, self._as(who), SESSION, job=job, mode=mode, where="sim")
        if got.ticket:
            self.tickets.append((who, got.job.id, got.ticket))
            if self.rng.random() < 0.6:
                await asyncio.sleep(self.rng.choice([0.0, 0.3, 20.0]))
                self._show(who, got.job.id, got.ticket)

    async def _enter(self) -> None:
        """By one's own newest ticket, or by any old, used, altered or other job's one."""
        if not self.tickets:
            return
        for_whom, job, text = self.rng.choice(self.tickets[-8:])
        match self.rng.choice(["own", "own", "own", "other job", "forged"]):
            case "other job":
                job = self.rng.choice(sorted(self.doors))
            case "forged":
                text = text[: self.rng.randrange(len(text))] + "A" + text[-20:]
        self._show(for_whom, job, text)

    def _show(self, who: str, job: str, text: str) -> None:
        door = self.doors[job]
        try:
            ticket = door.admission.admit(text, now=self.clock.now())
        except TicketRefused:
            self.refused += 1
            return
        door.present[ticket.attachment] = Client(who, job, ticket.attachment, ticket.mode)
        self.host.link(job, ticket.attachment)

    async def _type(self) -> None:
        """Everybody who is connected types, whatever his mode: a hand-written client."""
        for door in self.doors.values():
            for client in door.present.values():
                if client.mode == "control":
                    self.reached.append(Bytes(self.clock.now(), client.who, client.job))

    async def _leave(self) -> None:
        for job, door in self.doors.items():
            if door.present:
                id = self.rng.choice(sorted(door.present))
                del door.present[id]
                self.host.unlink(job, id, self.rng.choice(["asked", "lost"]))

    # -- the invariant ------------------------------------------------------------------------------------------------

    async def _note_who_can(self) -> None:
        def query(view: View) -> list[tuple[str, str]]:
            session = view.session_named("default", SESSION)
            jobs = [(job.id, job.name) for job in view.jobs(session.id)]
            return [
                (who, id)
                for who in PEOPLE
                for id, name in jobs
                if is_permitted(view, self._as(who), session, Capability.JOB_CONTROL, job=name)
            ]

        for key in await self.world.store.read(query):
            self.could_until[key] = self.clock.now()

    async def _check(self, new: list[Bytes], number: int) -> None:
        await self._note_who_can()
        for one in new:
            until = self.could_until.get((one.who, one.job), -FOREVER_S)
            assert one.at - until <= self.moment_s, (
                f"SharingSimulation({self.seed}), step {number}: {one.who} typed into {one.job} at {one.at:.3f};"
                f" he could until {until:.3f}"
            )

    async def _calm(self) -> None:
        """Nobody's grant is left: then nobody types, however long he was connected, whatever he shows again."""
        for grant in await grant_verbs.page(self.world, self._as(OWNER), SESSION):
            with suppress(Problem):
                await grant_verbs.unshare(self.world, self._as(OWNER), SESSION, grant.id)
        await asyncio.sleep(self.moment_s)
        before = len(self.reached)
        for _, job, text in self.tickets:
            with suppress(TicketRefused):
                ticket = self.doors[job].admission.admit(text, now=self.clock.now())
                raise AssertionError(f"SharingSimulation({self.seed}): ticket of {ticket.attachment} is still good")
        await self._type()
        assert len(self.reached) == before, f"SharingSimulation({self.seed}): {self.reached[-1]} after the last grant"
