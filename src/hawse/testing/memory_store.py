"""A store without a disk, for the simulator and as the model that other stores are compared with.

The tables are a `MemoryDisk`; several stores on one disk behave like several coordinators on one database. Units run at
once, in the event loop; each puts back what it overwrote when it fails. Nothing here reads the wall clock or a thread.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar, cast

from hawse.adapters.store.fields import (
    NOUNS,
    check_text,
    effect_from_json,
    effect_to_json,
    fields_of,
    from_json,
    order_from_json,
    order_to_json,
    session_of,
    to_json,
)
from hawse.adapters.store.wakeups import Wakeups
from hawse.domain import attachment as attachments
from hawse.domain import grant as grants
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.attachment import Attachment
from hawse.domain.effect import CheckClock, Effect, Later
from hawse.domain.errors import Clash, Conflict, IllegalMove, InternalError, Invalid, NotFound, Unavailable
from hawse.domain.event import Event, difference
from hawse.domain.grant import Grant
from hawse.domain.ids import SessionId
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.clock import Clock
from hawse.ports.meter import StoreMeter
from hawse.ports.store import Answer, Census, Order, Pending, Row, Unit, View
from hawse.testing.memory_census import census
from hawse.testing.memory_site import MemorySite, MemorySiteUnit, MemorySiteView, MemoryTerm, lead

T = TypeVar("T")
R = TypeVar("R", Session, Job, Attachment, Grant)
PAGE_MAX = 1000
_ABSENT = object()


@dataclass(slots=True)
class MemoryDisk:
    """What lasts. rows: by (noun, id). of_session: ids by (noun, session)."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    of_session: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    events: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    orders: dict[str, bytes] = field(default_factory=dict)
    effects: dict[int, Pending] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    site: MemorySite = field(default_factory=MemorySite)
    stores: list[MemoryStore] = field(default_factory=list)


def _paged(found: Iterable[T], limit: int) -> list[T]:
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")
    return list(islice(found, limit))


def _checked(result: T) -> T:
    if inspect.iscoroutine(result):
        result.close()
        raise InternalError("units and queries are plain functions; they cannot await")
    return result


class MemoryView(MemorySiteView):
    """Reads; see ports/store.py."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self._site = disk.site
        self._rows = disk.rows

    def _get(self, kind: type[R], id: str) -> R:
        noun = NOUNS[kind]
        row = self._disk.rows.get((noun, id))
        if row is None:
            raise NotFound(f"there is no {noun} {id}")
        return cast("R", row)

    def _every(self, kind: type[R]) -> list[R]:
        found = [row for row in self._disk.rows.values() if isinstance(row, kind)]
        return sorted(found, key=lambda row: row.id)

    def _within(self, kind: type[R], session: str) -> list[R]:
        noun = NOUNS[kind]
        ids = sorted(self._disk.of_session.get((noun, session), ()))
        return [cast("R", self._disk.rows[noun, id]) for id in ids]

    def session(self, id: str) -> Session:
        return self._get(Session, id)

    def session_named(self, project: str, alias: str) -> Session:
        named = [s for s in self._every(Session) if s.project == project and s.alias == alias]
        if not named:
            raise NotFound(f"there is no session {alias!r} in project {project!r}")
        living = [s for s in named if s.state in sessions.LIVING]
        return living[0] if living else max(named, key=lambda s: (s.ended_at or 0.0, s.id))

    def sessions(
        self, *, project: str | None = None, living: bool | None = None, after: str = "", limit: int = 100
    ) -> list[Session]:
        found = (
            s for s in self._every(Session)
            if s.id > after and project in (None, s.project) and living in (None, s.state in sessions.LIVING)
        )  # fmt: skip
        return _paged(found, limit)

    def sessions_of(
        self, owner: str, principals: Sequence[str], *, project: str, now: float, own: bool = True, shared: bool = True,
        living: bool | None = None, after: str = "", limit: int = 100,
    ) -> list[Session]:  # fmt: skip
        live = [g for g in self._every(Grant) if g.state in grants.LIVING and not grants.is_expired(g, now=now)]
        granted = {grant.session for grant in live if grant.principal in principals}
        found = (
            s for s in self._every(Session)
            if s.id > after and living in (None, s.state in sessions.LIVING)
            and project in ("", s.project)
            and ((own and s.owner == owner) or (shared and s.owner != owner and s.id in granted))
        )  # fmt: skip
        return _paged(found, limit)

    def session_ids_ended_before(self, time: float, limit: int) -> list[str]:
        ended = [(s.ended_at, s.id) for s in self._every(Session) if s.ended_at is not None and s.ended_at < time]
        return [id for _, id in sorted(ended)[:limit]]

    def job(self, id: str) -> Job:
        return self._get(Job, id)

    def job_named(self, session: str, name: str) -> Job:
        for job in self._within(Job, session):
            if job.name == name:
                return job
        raise NotFound(f"there is no job {name!r} in session {session}")

    def jobs(self, session: str) -> list[Job]:
        return self._within(Job, session)

    def jobs_of(self, sessions: Sequence[str]) -> dict[str, list[Job]]:
        return {session: self._within(Job, session) for session in sessions}

    def living_jobs(self) -> list[Job]:
        return [job for job in self._every(Job) if job.state in jobs.LIVING]

    def order(self, job: str) -> Order:
        if job not in self._disk.orders:
            raise NotFound(f"there is no order of job {job}")
        return order_from_json(self._disk.orders[job])

    def attachment(self, id: str) -> Attachment:
        return self._get(Attachment, id)

    def attachments(self, session: str, *, living: bool = True) -> list[Attachment]:
        return [a for a in self._within(Attachment, session) if not living or a.state in attachments.LIVING]

    def attachments_of(self, sessions: Sequence[str]) -> dict[str, list[Attachment]]:
        return {session: self.attachments(session) for session in sessions}

    def attachments_of_job(self, job: str) -> list[Attachment]:
        return [a for a in self._every(Attachment) if a.job == job and a.state in attachments.LIVING]

    def attachments_of_principal(self, who: str) -> list[Attachment]:
        return [a for a in self._every(Attachment) if a.who == who and a.state in attachments.LIVING]

    def last_fence(self, job: str) -> int:
        return max((a.fence for a in self._every(Attachment) if a.job == job), default=0)

    def last_detached_at(self, session: str) -> float | None:
        gone = [a.detached_at for a in self._within(Attachment, session) if a.link_at > a.created_at]
        return max((at for at in gone if at is not None), default=None)

    def grant(self, id: str) -> Grant:
        return self._get(Grant, id)

    def grants(self, session: str, *, live: bool = True) -> list[Grant]:
        return [grant for grant in self._within(Grant, session) if not live or grant.state in grants.LIVING]

    def secret(self, owner: str) -> bytes:
        if owner not in self._disk.secrets:
            raise NotFound(f"there is no secret of {owner}")
        return self._disk.secrets[owner]

    def stale_attachments(self, limit: int) -> list[Attachment]:
        stale = [a for a in self._every(Attachment) if a.state == attachments.S.STALE]
        return sorted(stale, key=lambda a: (a.link_at, a.id))[:limit]

    def events(self, session: str, *, after: int = 0, limit: int = PAGE_MAX) -> list[Event]:
        return _paged(self._disk.events.get(session, ())[max(0, after) :], limit)

    def last_seq(self, session: str) -> int:
        self.session(session)
        return len(self._disk.events[session])

    def effects_due(self, now: float, limit: int) -> list[Pending]:
        due = [effect for effect in self._disk.effects.values() if effect.due_at <= now]
        page = sorted(due, key=lambda effect: (effect.due_at, effect.id))[:limit]
        return sorted(page, key=lambda effect: effect.id)

    def next_effect_at(self, after: float) -> float | None:
        return min((effect.due_at for effect in self._disk.effects.values() if effect.due_at > after), default=None)

    def clock_checks(self, session: str) -> list[Pending]:
        stored = self._disk.effects.values()
        found = [one for one in stored if one.session == session and isinstance(one.effect, CheckClock)]
        return sorted(found, key=lambda pending: pending.id)

    def answer(self, principal: str, request: str) -> Answer | None:
        return self._disk.answers.get((principal, request))

    def census(self, now: float) -> Census:
        return census(self._disk.rows.values(), self._disk.effects.values(), now)


class MemoryUnit(MemoryView, MemorySiteUnit):
    """Writes that can be undone; see ports/store.py."""

    _absent = _ABSENT

    def __init__(self, disk: MemoryDisk, now: Callable[[], float]) -> None:
        super().__init__(disk)
        self._now = now
        self._overwritten: list[tuple[dict[Any, Any], Any, Any]] = []
        self.last_seqs: dict[str, int | None] = {}
        self.effects = False
        self.events_written = 0

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._overwritten.append((table, key, table.get(key, _ABSENT)))
        if value is _ABSENT:
            table.pop(key, None)
        else:
            table[key] = value

    def undo(self) -> None:
        """Put back everything, newest first."""
        for table, key, value in reversed(self._overwritten):
            if value is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = value

    @property
    def wrote(self) -> bool:
        return bool(self._overwritten)

    # -- one change -------------------------------------------------------------------------------------------------

    def change(
        self,
        before: Row | None,
        after: Row | None,
        *,
        kind: str,
        by: str,
        effects: Sequence[Effect | Later] = (),
        request: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> Row | None:
        row = before if after is None else after
        if row is None:
            raise InternalError(f"{kind}: a change needs an object")
        if before is not None and after is not None:
            if type(before) is not type(after) or before.id != after.id:
                raise InternalError(f"{kind}: {before.id} cannot become {after.id}")
            if before == after and not effects:
                return before
        was, becomes = difference(
            None if before is None else fields_of(before), None if after is None else fields_of(after)
        )
        check_text((*becomes.values(), kind, by, request))
        noun, session = NOUNS[type(row)], session_of(row)
        if before is None:
            self._check_new(row)
        else:
            self._check_present(noun, before, after)
        if after is not None:
            self._check_unique(after)
        kept = after if before is None or after is None else replace(after, version=before.version + 1)
        self._put(self._disk.rows, (noun, row.id), _ABSENT if kept is None else kept)
        self._file(noun, session, row.id, present=kept is not None)
        if before is not None and after is None:
            self.drop_order(before.id)
        self._append(session, kind, noun, row.id, was, becomes, by, request, detail or {})
        self.add_effects(session, effects)
        return kept

    def _append(
        self, session: str, kind: str, noun: str, object: str, was: Mapping[str, object],
        becomes: Mapping[str, object], by: str, request: str, detail: Mapping[str, object],
    ) -> int:  # fmt: skip
        log = self._disk.events.get(session, ())
        event = Event(
            SessionId(session), len(log) + 1, self._now(), kind, noun, object, from_json(to_json(was)),
            from_json(to_json(becomes)), by, request, from_json(to_json(detail)),
        )  # fmt: skip
        self._put(self._disk.events, session, (*log, event))
        self.last_seqs[session] = event.seq
        self.events_written += 1
        return event.seq

    def note(
        self, session: str, *, kind: str, noun: str, object: str, by: str, detail: Mapping[str, object],
        effects: Sequence[Effect | Later] = (), request: str = "",
    ) -> int:  # fmt: skip
        if noun not in NOUNS.values():
            raise InternalError(f"{kind}: there is no noun {noun!r}")
        check_text((*detail.values(), kind, object, by, request))
        self.session(session)
        seq = self._append(session, kind, noun, object, {}, {}, by, request, detail)
        self.add_effects(session, effects)
        return seq

    def add_effects(self, session: str, effects: Sequence[Effect | Later]) -> None:
        for given in effects:
            effect, due_at = (given.effect, given.at) if isinstance(given, Later) else (given, self._now())
            self._add(session, effect, due_at)

    def _check_new(self, row: Row) -> None:
        if (NOUNS[type(row)], row.id) in self._disk.rows:
            raise Clash(f"{NOUNS[type(row)]} {row.id} exists already")
        if isinstance(row, Session):
            self._check_alias(row)
            return
        self.session(row.session)
        if isinstance(row, Job) and any(job.name == row.name for job in self._within(Job, row.session)):
            raise Clash(f"session {row.session} has a job {row.name!r} already")
        if isinstance(row, Attachment) and self.job(row.job).session != row.session:
            raise NotFound(f"session {row.session} has no job {row.job}")

    def _check_unique(self, row: Row) -> None:
        """What the databases' partial unique indexes hold."""
        taken = False
        if isinstance(row, Attachment) and row.holds and row.state in attachments.LIVING:
            taken = any(other.holds and other.id != row.id for other in self.attachments_of_job(row.job))
        elif isinstance(row, Grant) and row.principal is not None and row.state in grants.LIVING:
            live = self.grants(row.session)
            taken = any(other.principal == row.principal and other.id != row.id for other in live)
        if taken:
            raise InternalError(f"{NOUNS[type(row)]} {row.id} would be the second where there is one")

    def _check_present(self, noun: str, before: Row, after: Row | None) -> None:
        if isinstance(before, Session) and after is None:
            raise InternalError(f"session {before.id}: its events go with it; use remove_session")
        if isinstance(before, Job) and isinstance(after, Job) and before.name != after.name:
            raise InternalError(f"job {before.id}: a job keeps its name")
        if isinstance(before, Session) and isinstance(after, Session) and before.alias != after.alias:
            self._check_alias(after)
        present = self._disk.rows.get((noun, before.id))
        if present is None:
            raise NotFound(f"there is no {noun} {before.id} any more")
        if present.version != before.version:
            raise Conflict(f"{noun} {before.id} was changed since version {before.version}", version=before.version)

    def _check_alias(self, session: Session) -> None:
        if session.alias is None or session.state not in sessions.LIVING:
            return
        for other in self._every(Session):
            same = other.project == session.project and other.alias == session.alias and other.id != session.id
            if same and other.state in sessions.LIVING:
                raise Clash(f"alias {session.alias!r} is taken by the living session {other.id}", session=other.id)

    def _file(self, noun: str, session: str, id: str, *, present: bool) -> None:
        """Keep the index of a session's objects."""
        filed = self._disk.of_session.get((noun, session), ())
        if present != (id in filed):
            self._put(
                self._disk.of_session,
                (noun, session),
                (*filed, id) if present else tuple(other for other in filed if other != id),
            )

    def _add(self, session: str, effect: Effect, due_at: float) -> None:
        number = self._disk.numbers.get("effect", 0) + 1
        self._put(self._disk.numbers, "effect", number)
        stored = effect_from_json(*effect_to_json(effect))
        self._put(self._disk.effects, number, Pending(number, session, stored, 0, due_at))
        self.effects = True

    # -- the rest ---------------------------------------------------------------------------------------------------

    def keep_secret(self, owner: str, hash: bytes) -> None:
        if owner in self._disk.secrets:
            raise Conflict(f"{owner} has a secret already")
        self._put(self._disk.secrets, owner, hash)

    def drop_secret(self, owner: str) -> None:
        self._put(self._disk.secrets, owner, _ABSENT)

    def keep_order(self, job: str, order: Order) -> None:
        self.job(job)
        self._put(self._disk.orders, job, order_to_json(order))

    def drop_order(self, job: str) -> None:
        self._put(self._disk.orders, job, _ABSENT)

    def effect_done(self, id: int) -> bool:
        was_there = id in self._disk.effects
        self._put(self._disk.effects, id, _ABSENT)
        return was_there

    def effect_failed(self, id: int, *, due_at: float) -> None:
        pending = self._disk.effects.get(id)
        if pending is not None:
            self._put(self._disk.effects, id, replace(pending, attempts=pending.attempts + 1, due_at=due_at))

    def keep_answer(self, answer: Answer) -> None:
        check_text((answer.principal, answer.request, answer.digest))
        key = (answer.principal, answer.request)
        if key in self._disk.answers:
            raise Conflict(f"request {answer.request!r} was answered meanwhile", request=answer.request)
        self._put(self._disk.answers, key, answer)

    def drop_answers_before(self, time: float) -> int:
        old = [key for key, answer in self._disk.answers.items() if answer.at < time]
        for key in old:
            self._put(self._disk.answers, key, _ABSENT)
        return len(old)

    def remove_session(self, id: str) -> None:
        session = self.session(id)
        if session.state in sessions.LIVING:
            raise IllegalMove(f"session {session.name} is {session.state}; only an ended session can be removed")
        for noun in ("job", "attachment", "grant"):
            for object in self._disk.of_session.get((noun, id), ()):
                self.drop_order(object)
                self.drop_secret(object)
                self._put(self._disk.rows, (noun, object), _ABSENT)
            self._put(self._disk.of_session, (noun, id), _ABSENT)
        self._put(self._disk.of_session, ("session", id), _ABSENT)
        self._put(self._disk.rows, ("session", id), _ABSENT)
        self._put(self._disk.events, id, _ABSENT)
        self.last_seqs[id] = None


class MemoryStore:
    """See ports/store.py. disk: shared by several stores, or this one's own."""

    def __init__(self, clock: Clock, disk: MemoryDisk | None = None) -> None:
        self._clock = clock
        self._wakeups = Wakeups()
        self._closed = False
        self._term: MemoryTerm | None = None
        self.meter = StoreMeter()
        self.disk = MemoryDisk() if disk is None else disk
        self.disk.stores.append(self)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    async def write(self, verb: Callable[[Unit], T]) -> T:
        self._check_open()
        unit = MemoryUnit(self.disk, self._clock.now)
        try:
            result = _checked(verb(unit))
        except BaseException:
            unit.undo()
            raise
        if unit.wrote:
            self.meter.committed(unit.events_written, 0.0)
            for store in self.disk.stores:
                store._wakeups.committed(unit.last_seqs, effects=unit.effects)
        return result

    async def read(self, query: Callable[[View], T]) -> T:
        self._check_open()
        self.meter.read_s.observe(0.0)
        return _checked(query(MemoryView(self.disk)))

    async def wait_event(self, session: str, *, after: int, timeout_s: float) -> int:
        self._check_open()
        return await self._wakeups.wait_event(session, after=after, timeout_s=timeout_s, last_seq=self._last_seq)

    async def _last_seq(self, session: str) -> int:
        return await self.read(lambda view: view.last_seq(session))

    async def wait_effect(self, *, timeout_s: float) -> None:
        self._check_open()
        await self._wakeups.wait_effect(timeout_s=timeout_s)

    async def lead(self) -> MemoryTerm:
        self._check_open()
        self._term = await lead(self.disk.site, lambda: self._closed)
        return self._term

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            if self._term is not None:
                await self._term.aclose()
            self.disk.stores.remove(self)
            self._wakeups.foreign()
