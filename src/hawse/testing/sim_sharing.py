"""Many people, one owner, in virtual time: roles and control come and go, tickets are stolen; whose bytes reach the
job is checked.

    simulation = SharingSimulation(seed)
    run_virtually(simulation.run(steps=300))       # raises AssertionError with the seed when a promise is broken

The services, the reconciler and the runners' own admission and token (`runner.admission`, `runner.token`) are the real
ones. The invariants, after each step: no byte ever reached a terminal but from somebody who had job:control there when
he typed it, or had it until MOMENT_S before, by the attachment that had control then or until MOMENT_S before; none by
a ticket that was not his to use, was used before, or only lets look; and one attachment of a job at most has control.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

from hawse.domain.attachment import Attachment, Mode, S
from hawse.domain.errors import Problem
from hawse.domain.event import Event
from hawse.domain.grant import ROLES, Capability, Role
from hawse.domain.policy import Attach
from hawse.ports.launcher import Quiet
from hawse.ports.store import View
from hawse.runner.admission import Admission
from hawse.runner.token import Token
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
    """What a real runner does where clients come in: its own admission and token, and the mode of the ticket."""

    admission: Admission
    present: dict[str, Client] = field(default_factory=dict)
    token: Token = field(default_factory=Token)


@dataclass(slots=True)
class Bytes:
    """What reached a terminal."""

    at: float
    who: str
    job: str
    attachment: str


class CuttingLauncher(SimLauncher):
    """Tells the doors what is cut, and who has control."""

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

    async def control(self, job: str, attachment: str, *, fence: int, who: str, message: str) -> None:
        await self._line()
        if job in self.doors:
            self.doors[job].token.change(attachment, fence, who)

    async def activity(self, job: str) -> dict[str, Quiet]:
        return dict(await super().activity(job))


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
        self.held_until: dict[str, float] = {}  # attachment: when it last had control of its job
        self.changes = 0  # of control
        self.seen_seq = 0  # of the session's events

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
        received = self.rng.choice([Attach.SHARE, Attach.SHARE, Attach.STEAL, Attach.REJECT])
        policies = {"control_idle_s": self.rng.choice([0, 5, 60]), "attach": received.value}
        await session_verbs.create(self.world, me, session_verbs.NewSession(alias=SESSION, policies=policies))
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
            [self._share, self._share, self._unshare, self._link, self._redeem, self._ask, self._ask, self._ask,
             self._enter, self._enter, self._type, self._type, self._type, self._leave, self._take, self._take]
        )  # fmt: skip
        await act()

    async def _share(self) -> None:
        """The owner, or anybody who thinks he may."""
        giver = self.rng.choice([*(OWNER,) * 6, *PEOPLE])
        await grant_verbs.share(self.world, self._as(giver), SESSION, self.rng.choice([*PEOPLE, *GROUPS]), self._wish())

    def _wish(self) -> Wish:
        role = self.rng.choice([Role.OPERATOR, Role.OPERATOR, *Role])  # who may type is to be in others' way
        all_of_it = sorted(ROLES[role])  # sorted: a set's order differs between two processes, and a seed must not
        names = [c.value for c in all_of_it] + [f"{c}@{self.rng.choice(JOBS)}" for c in all_of_it if "job:" in c]
        can = self.rng.sample([n for n in names if n != f"{Capability.JOB_RUN}@one"], k=min(3, len(names)))
        can = [name for name in can if not name.startswith("job:run@")]
        until = self.rng.choice([None, None, None, None, self.clock.now() + self.rng.uniform(1, 60)])
        return Wish(role, tuple(can) if self.rng.random() < 0.25 else (), until)

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
        policy = self.rng.choice([None, None, *Attach]) if mode == "control" else None
        got = await attachment_verbs.attach(
            self.world, self._as(who), SESSION, job=job, mode=mode, where="sim", policy=policy
        )
        if got.ticket:
            self.tickets.append((who, got.job.id, got.ticket))
            if self.rng.random() < 0.8:
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
        if ticket.fence:
            door.token.change(ticket.attachment, ticket.fence, ticket.who)
        self.host.link(job, ticket.attachment)

    async def _take(self) -> None:
        """Somebody takes control, for his own attachment or for another's."""
        living = await self._living()
        if living:
            one = self.rng.choice(living)
            who = self.rng.choice([one.who, one.who, one.who, *PEOPLE])
            await attachment_verbs.take(self.world, self._as(who), SESSION, one.id)

    async def _living(self) -> list[Attachment]:
        return await self.world.store.read(
            lambda view: view.attachments(view.session_named("default", SESSION).id)  # only living ones
        )

    async def _type(self) -> None:
        """Everybody who is connected types, whatever his mode: a hand-written client."""
        for door in self.doors.values():
            for client in door.present.values():
                self.host.type(client.job, client.attachment)  # in vain or not, it is activity
                if client.mode == "control" and door.token.holder == client.attachment:
                    self.reached.append(Bytes(self.clock.now(), client.who, client.job, client.attachment))

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
        for event in await self.world.store.read(self._news):
            self.seen_seq = event.seq
            if event.noun == "attachment" and event.after.get("holds"):
                self.changes += 1
            elif event.noun == "attachment" and event.before.get("holds"):
                self.held_until[event.object] = event.time  # between two steps, too
        for one in await self._living():
            if one.holds:
                self.held_until[one.id] = self.clock.now()

    def _news(self, view: View) -> list[Event]:
        return view.events(view.session_named("default", SESSION).id, after=self.seen_seq)

    async def _check(self, new: list[Bytes], number: int) -> None:
        await self._note_who_can()
        for one in new:
            until = self.could_until.get((one.who, one.job), -FOREVER_S)
            assert one.at - until <= self.moment_s, (
                f"SharingSimulation({self.seed}), step {number}: {one.who} typed into {one.job} at {one.at:.3f};"
                f" he could until {until:.3f}"
            )
            held = self.held_until.get(one.attachment, -FOREVER_S)
            assert one.at - held <= self.moment_s, (
                f"SharingSimulation({self.seed}), step {number}: {one.attachment} typed into {one.job} at {one.at:.3f};"
                f" it had control until {held:.3f}"
            )
        await self._check_holders(number)

    async def _check_holders(self, number: int) -> None:
        living = await self._living()
        for job in self.doors:
            holders = [one for one in living if one.job == job and one.holds]
            linked = [one for one in living if one.job == job and one.state == S.ATTACHED and one.mode == Mode.CONTROL]
            seed = f"SharingSimulation({self.seed}), step {number}"
            assert len(holders) <= 1, f"{seed}: {len(holders)} have control of {job}"
            assert holders or not linked, f"{seed}: nobody has control of {job}, and {linked[0].id} is there"

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
