"""What keeps the state: units of work over rows, events, outbox and answers.

A unit of work is a plain function that the store runs: it cannot await, so nothing slow can hide inside a transaction,
and a store may run many units in one commit. A unit either commits as a whole or leaves nothing behind.

One suite proves every store: `hawse.testing.check_store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hawse.domain.attachment import Attachment
from hawse.domain.audit import Entry
from hawse.domain.effect import Effect, Later
from hawse.domain.event import Event
from hawse.domain.grant import Grant
from hawse.domain.job import Job
from hawse.domain.project import Project, Use
from hawse.domain.session import Session
from hawse.domain.token import Token
from hawse.domain.user import User
from hawse.ports.meter import StoreMeter

T = TypeVar("T")
Row = Session | Job | Attachment | Grant
SiteRow = User | Token | Project  # of no session: what changes them is told in the audit log


@dataclass(frozen=True, slots=True)
class Order:
    """The private part of a job: what its runner needs and no event may show. Kept apart, removed when it can't be
    needed again.

    encoding: "utf-8", or "base64" when some string is not UTF-8 (then argv, env names and values and cwd are all
    base64). secret: hex, the key of the job's tickets. columns, rows: of the terminal, 0 when there is none. stdin:
    "null" or "open".
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    umask: int
    encoding: str
    secret: str
    columns: int = 0
    rows: int = 0
    stdin: str = "null"
    log_on_full: str = "block"
    log_bytes_max: int = 0  # 0: no bound
    leftovers: str = "end"


@dataclass(frozen=True, slots=True)
class Pending:
    """One stored effect. id: rises with time. attempts: how often it failed. due_at: Unix seconds, not before."""

    id: int
    session: str
    effect: Effect
    attempts: int
    due_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer to a request id. digest: of the request's body and path, so that a reused id is told."""

    principal: str
    request: str
    digest: str
    status: int
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Census:
    """How much there is. sessions, jobs: by state, ended ones too. attachments: living ones by (mode, state).

    leases: by project, how many living sessions end at a time, and the earliest of these times. waiting: stored
    effects. due: by kind of effect, how many should have been done by now, and when the oldest of them was due.
    """

    sessions: Mapping[str, int]
    jobs: Mapping[str, int]
    attachments: Mapping[tuple[str, str], int]
    leases: Mapping[str, tuple[int, float]]
    waiting: int
    due: Mapping[str, tuple[int, float]]


class View(Protocol):
    """Reads, consistent among themselves. Unknown ids raise NotFound."""

    def session(self, id: str) -> Session: ...
    def session_named(self, project: str, alias: str) -> Session:
        """The living session with this alias, else the one that ended last. Raises NotFound."""
        ...

    def sessions(
        self, *, project: str | None = None, living: bool | None = None, after: str = "", limit: int = 100
    ) -> list[Session]:
        """By id, ascending, ids greater than `after`; living None: all. 1 <= limit <= 1000, else Invalid."""
        ...

    def sessions_of(
        self, owner: str, principals: Sequence[str], *, project: str, now: float, own: bool = True, shared: bool = True,
        living: bool | None = None, after: str = "", limit: int = 100,
    ) -> list[Session]:  # fmt: skip
        """As `sessions`: those that `owner` has (own), and those of others in which a live grant names one of the
        principals and is not over at `now` (shared). project "": of any."""
        ...

    def session_ids_ended_before(self, time: float, limit: int) -> list[str]:
        """Longest ended first."""
        ...

    def job(self, id: str) -> Job: ...
    def job_named(self, session: str, name: str) -> Job: ...
    def jobs(self, session: str) -> list[Job]:
        """By id, that is by age."""
        ...

    def jobs_of(self, sessions: Sequence[str]) -> dict[str, list[Job]]:
        """The same for many sessions in one query; every asked id is a key."""
        ...

    def living_jobs(self) -> list[Job]:
        """Every job that is not ended, of all sessions."""
        ...

    def order(self, job: str) -> Order: ...
    def attachment(self, id: str) -> Attachment: ...
    def attachments(self, session: str, *, living: bool = True) -> list[Attachment]: ...
    def attachments_of_job(self, job: str) -> list[Attachment]:
        """The living ones, by age."""
        ...

    def last_fence(self, job: str) -> int:
        """The highest fence that any attachment of this job ever had; 0 when there was none."""
        ...

    def last_detached_at(self, session: str) -> float | None:
        """When the last attachment that had been linked was detached; None: there was none."""
        ...

    def attachments_of(self, sessions: Sequence[str]) -> dict[str, list[Attachment]]:
        """Living ones of many sessions in one query; every asked id is a key."""
        ...

    def stale_attachments(self, limit: int) -> list[Attachment]:
        """The ones without a link, longest first."""
        ...

    def grant(self, id: str) -> Grant: ...
    def grants(self, session: str, *, live: bool = True) -> list[Grant]:
        """By age; links too. live False: all that there ever were."""
        ...

    def secret(self, owner: str) -> bytes:
        """The keyed hash that was kept for a link or token. Raises NotFound."""
        ...

    def events(self, session: str, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with seq > after, ascending; none for an unknown session. 1 <= limit <= 1000, else Invalid."""
        ...

    def last_seq(self, session: str) -> int: ...
    def clock_checks(self, session: str) -> list[Pending]:
        """The stored CheckClock effects of a session, oldest first, due or not."""
        ...

    def effects_due(self, now: float, limit: int) -> list[Pending]:
        """Oldest first."""
        ...

    def next_effect_at(self, after: float) -> float | None:
        """The earliest due time that is greater than `after`."""
        ...

    def answer(self, principal: str, request: str) -> Answer | None: ...
    def attachments_of_principal(self, who: str) -> list[Attachment]:
        """The living ones of somebody, in all sessions, by age."""
        ...

    def user(self, name: str) -> User:
        """Removed ones, too."""
        ...

    def user_of_uid(self, uid: int) -> User | None: ...
    def users(self, *, after: str = "", limit: int = 100) -> list[User]:
        """By name, names greater than `after`; removed ones, too. 1 <= limit <= 1000, else Invalid."""
        ...

    def token(self, id: str) -> Token: ...
    def tokens(self, user: str) -> list[Token]:
        """One user's, by age; revoked ones, too."""
        ...

    def project(self, name: str) -> Project: ...
    def projects(self, *, after: str = "", limit: int = 100) -> list[Project]:
        """By name, names greater than `after`. 1 <= limit <= 1000, else Invalid."""
        ...

    def use_of(self, project: str) -> Use:
        """What lives in a project now."""
        ...

    def audit(self, *, after: int = 0, limit: int = 100) -> list[Entry]:
        """Entries with seq > after, ascending. Whoever has read one finds, later, only greater ones new.

        1 <= limit <= 1000, else Invalid.
        """
        ...

    def last_audit(self) -> int:
        """The highest seq; 0 when there is none."""
        ...

    def fence(self) -> int:
        """How often the leader of this store has changed; 0 for a store that only one coordinator can use."""
        ...

    def census(self, now: float) -> Census:
        """Counts of everything, as of `now` (Unix seconds). States without a row are left out."""
        ...


class Unit(View, Protocol):
    """Writes of one transaction; it sees its own writes.

    NotFound, Conflict, Clash, Invalid and IllegalMove are raised before anything is written: a verb that catches one
    can go on. What else a write raises (Unavailable, Broken, InternalError) fails the unit, caught or not.
    """

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
        """Insert (before None), update or remove (after None) one object, and append its event and its effects.

        The row is written only if its version is still `before.version`; the returned object carries the next version.
        `before == after` with no effects writes nothing. The event holds the difference; the version is not part of it.
        A session is not removed by a change (`remove_session` does it); a job keeps its name.
        Raises Conflict (the version moved), Clash (the alias or the name is taken), NotFound (the row is gone, or what
        it belongs to is not there), Invalid (a text that cannot be stored: NUL, half of a surrogate pair).
        """
        ...

    def note(
        self, session: str, *, kind: str, noun: str, object: str, by: str, detail: Mapping[str, object],
        effects: Sequence[Effect | Later] = (), request: str = "",
    ) -> int:  # fmt: skip
        """Append an event of something that changed no object (a refusal, a warning); returns its number.

        noun: one of the objects' nouns. Raises NotFound (no such session), Invalid.
        """
        ...

    def add_effects(self, session: str, effects: Sequence[Effect | Later]) -> None:
        """Store effects without a change and without an event."""
        ...

    def keep_secret(self, owner: str, hash: bytes) -> None:
        """Keep a link's or token's keyed hash. Raises Conflict when there is one."""
        ...

    def drop_secret(self, owner: str) -> None:
        """Safe to repeat."""
        ...

    def keep_order(self, job: str, order: Order) -> None:
        """Store or replace. Raises NotFound: the job comes first."""
        ...

    def drop_order(self, job: str) -> None:
        """Safe to repeat."""
        ...

    def effect_done(self, id: int) -> bool:
        """Was it still to do? Safe to repeat; of several at once one is told so."""
        ...

    def effect_failed(self, id: int, *, due_at: float) -> None:
        """Count the attempt and put it off. One that is done already: no error."""
        ...

    def keep_answer(self, answer: Answer) -> None:
        """Raises Conflict when the request has an answer.

        Of units that look for an answer and keep their own at once, one commits; the others are run again and see it.
        """
        ...

    def drop_answers_before(self, time: float) -> int:
        """How many were dropped."""
        ...

    def put(self, before: SiteRow | None, after: SiteRow) -> SiteRow:
        """Insert (before None) or update something of the site; no event: no session has it.

        Written only if its version is still `before.version`; the returned object carries the next version.
        Raises Conflict (the version moved), Clash (the name, or a uid of a user's, is taken), NotFound, Invalid.
        """
        ...

    def claim_project(self, name: str) -> None:
        """Of units that claim one project, each sees what the others before it committed there, so that a quota that
        was looked at in a unit still holds when it commits. A project that is not there: no error."""
        ...

    def mark_used(self, token: str, *, at: float) -> None:
        """Note about when a token was used; its version stays. One that is not there: no error."""
        ...

    def write_audit(
        self, *, kind: str, noun: str, object: str, by: str, where: str = "", request: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> int:  # fmt: skip
        """Append an entry of the audit log; returns its seq. Raises Invalid (a text that cannot be stored)."""
        ...

    def drop_audit_before(self, time: float) -> int:
        """How many were dropped, at most 1000 at a time."""
        ...

    def check_fence(self, fence: int) -> None:
        """Let the unit commit only if nobody has taken the lead since `fence`. Raises Fenced."""
        ...

    def remove_session(self, id: str) -> None:
        """Everything of one ended session: rows, events, orders, secrets of its links. For the end of retention only.

        Effects stay: what must be done outlives what it was for. Raises NotFound, IllegalMove (it lives).
        """
        ...


class Term(Protocol):
    """A time of leading. fence: for `Unit.check_fence` in everything that only the leader may do."""

    @property
    def fence(self) -> int: ...

    async def wait_over(self) -> None:
        """Return when this handle does not lead any more, or cannot be sure of it. By then nobody else has begun, as
        long as what is under way stops within STEP_DOWN_S."""
        ...

    async def aclose(self) -> None:
        """Give the lead up, so that the next one need not wait. Call it when nothing is done any more.

        Safe to repeat.
        """
        ...


STEP_DOWN_S = 1.0  # to stop what only a leader may do


class Store(Protocol):
    """Where the truth is. meter: what this handle did."""

    @property
    def meter(self) -> StoreMeter: ...

    async def write(self, verb: Callable[[Unit], T]) -> T:
        """Run the verb in one durable transaction and return its result once that is committed.

        What the verb raises rolls back this unit alone, and is raised here. A store may call the verb again after a
        serialisation failure, or when it turns out to be long: it must have no effect but through the unit.
        Raises Unavailable (the store cannot be written now: full disk, lost connection; ask again), LimitReached (too
        much is waiting), Broken (the store is damaged).
        If cancelled: the change may or may not have been committed.
        """
        ...

    async def read(self, query: Callable[[View], T]) -> T:
        """Run the query on one consistent snapshot. May run it again: it must have no effect but its result.

        A short query may be answered without giving other tasks their turn. Raises Unavailable, LimitReached, Broken.
        If cancelled, nothing is left behind.
        """
        ...

    async def wait_event(self, session: str, *, after: int, timeout_s: float) -> int:
        """Wait until the session has an event with seq > after; return its last seq, or `after` when the time is over.

        "*" as session waits for any session; then `after` is a count of commits that this store has seen (0 at first),
        and the new count is returned. May return early. Knows of commits by other processes on the same store.
        Raises NotFound (the session is not there, or is removed meanwhile), Unavailable.
        """
        ...

    async def wait_effect(self, *, timeout_s: float) -> None:
        """Return when an effect was stored since the last call returned, or after the time. May return early.

        One caller at a time. An effect stored between two calls makes the second return at once: nothing is missed.
        """
        ...

    async def lead(self) -> Term:
        """Wait until this handle leads. Of all handles on one store at most one does; a store that several processes
        cannot serve from leads at once. If cancelled, nothing is left behind. Raises Unavailable when it is closed.
        """
        ...

    async def aclose(self) -> None:
        """Finish what was queued and close. Safe to call twice."""
        ...
