"""Views and units over named statements; what SQLite and PostgreSQL have in common.

A database gives three plain functions (`_one`, `_all`, `_run`); everything else is here, so that both behave alike.
A change checks everything that a caller may have got wrong before its first write: what raises leaves the unit usable.
What the database itself refuses (a constraint, a full disk) dooms the unit, even if the verb catches it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, TypeVar

from hawse.adapters.store import rows
from hawse.adapters.store.census import census
from hawse.adapters.store.fields import (
    NOUNS,
    changed,
    check_text,
    effect_to_json,
    order_from_json,
    order_to_json,
    session_of,
    to_json,
    with_version,
)
from hawse.adapters.store.rows import Columns, Parameters
from hawse.adapters.store.site_unit import SiteUnit, SiteView, check_page
from hawse.domain import session as sessions
from hawse.domain.attachment import Attachment
from hawse.domain.effect import Effect, Later
from hawse.domain.errors import Clash, Conflict, IllegalMove, InternalError, NotFound
from hawse.domain.event import Event
from hawse.domain.grant import Grant
from hawse.domain.job import Job
from hawse.domain.session import Session
from hawse.ports.store import Answer, Census, Order, Pending, Row

T = TypeVar("T")
PAGE_MAX = 1000
INDEXED = frozenset({"alias", "state", "ended_at"})  # of sessions: the fields that an index holds
_REMOVALS = (
    "orders_remove", "attachments_remove", "secrets_remove", "grants_remove", "jobs_remove", "events_remove",
    "session_remove",
)  # fmt: skip
_PARAMETERS: dict[type[Row], Callable[[Any], Parameters]] = {
    Session: rows.session_parameters,
    Job: rows.job_parameters,
    Attachment: rows.attachment_parameters,
    Grant: rows.grant_parameters,
}


class SqlView(SiteView):
    """Reads; see ports/store.py."""

    @abstractmethod
    def _all(self, name: str, parameters: Parameters) -> list[Columns]:
        """All rows that a statement gives."""

    def _one(self, name: str, parameters: Parameters) -> Columns | None:
        """The first row, if any."""
        found = self._all(name, parameters)
        return found[0] if found else None

    def session(self, id: str) -> Session:
        row = self._one("session_by_id", {"id": id})
        if row is None:
            raise NotFound(f"there is no session {id}", session=id)
        return rows.session_from(row)

    def session_named(self, project: str, alias: str) -> Session:
        named = {"project": project, "alias": alias}
        row = self._one("session_living_named", named) or self._one("session_ended_named", named)
        if row is None:
            raise NotFound(f"there is no session {alias!r} in project {project!r}", project=project, alias=alias)
        return rows.session_from(row)

    def sessions(
        self, *, project: str | None = None, living: bool | None = None, after: str = "", limit: int = 100
    ) -> list[Session]:
        name = "sessions_all" if living is None else "sessions_living" if living else "sessions_ended"
        parameters: dict[str, Any] = {"after": after, "limit": check_page(limit)}
        if project is not None:
            name, parameters["project"] = f"project_{name}", project
        return [rows.session_from(row) for row in self._all(name, parameters)]

    def sessions_of(
        self, owner: str, principals: Sequence[str], *, project: str, now: float, own: bool = True, shared: bool = True,
        living: bool | None = None, after: str = "", limit: int = 100,
    ) -> list[Session]:  # fmt: skip
        name = "sessions_of_all" if living is None else "sessions_of_living" if living else "sessions_of_ended"
        parameters = {
            "owner": owner, "principals": to_json(sorted(principals)), "project": project, "now": now, "own": own,
            "shared": shared, "after": after, "limit": check_page(limit),
        }  # fmt: skip
        return [rows.session_from(row) for row in self._all(name, parameters)]

    def session_ids_ended_before(self, time: float, limit: int) -> list[str]:
        found = self._all("session_ids_ended_before", {"time": time, "limit": limit})
        return [row[0] for row in found]

    def job(self, id: str) -> Job:
        row = self._one("job_by_id", {"id": id})
        if row is None:
            raise NotFound(f"there is no job {id}", job=id)
        return rows.job_from(row)

    def job_named(self, session: str, name: str) -> Job:
        row = self._one("job_named", {"session": session, "name": name})
        if row is None:
            raise NotFound(f"there is no job {name!r} in session {session}", session=session, job=name)
        return rows.job_from(row)

    def jobs(self, session: str) -> list[Job]:
        return [rows.job_from(row) for row in self._all("jobs_of_session", {"session": session})]

    def jobs_of(self, sessions: Sequence[str]) -> dict[str, list[Job]]:
        found: dict[str, list[Job]] = {session: [] for session in sessions}
        for row in self._all("jobs_of_sessions", {"sessions": to_json(list(found))}) if found else ():
            job = rows.job_from(row)
            found[job.session].append(job)
        return found

    def living_jobs(self) -> list[Job]:
        return [rows.job_from(row) for row in self._all("jobs_living", {})]

    def order(self, job: str) -> Order:
        row = self._one("order_of_job", {"job": job})
        if row is None:
            raise NotFound(f"there is no order of job {job}", job=job)
        return order_from_json(row[0])

    def attachment(self, id: str) -> Attachment:
        row = self._one("attachment_by_id", {"id": id})
        if row is None:
            raise NotFound(f"there is no attachment {id}", attachment=id)
        return rows.attachment_from(row)

    def attachments(self, session: str, *, living: bool = True) -> list[Attachment]:
        found = self._all("attachments_living" if living else "attachments_all", {"session": session})
        return [rows.attachment_from(row) for row in found]

    def attachments_of(self, sessions: Sequence[str]) -> dict[str, list[Attachment]]:
        found: dict[str, list[Attachment]] = {session: [] for session in sessions}
        for row in self._all("attachments_of_sessions", {"sessions": to_json(list(found))}) if found else ():
            attachment = rows.attachment_from(row)
            found[attachment.session].append(attachment)
        return found

    def attachments_of_job(self, job: str) -> list[Attachment]:
        return [rows.attachment_from(row) for row in self._all("attachments_of_job", {"job": job})]

    def last_fence(self, job: str) -> int:
        row = self._one("attachment_fence", {"job": job})
        return 0 if row is None else row[0] or 0

    def last_detached_at(self, session: str) -> float | None:
        row = self._one("attachment_last_detached", {"session": session})
        return None if row is None else row[0]

    def grant(self, id: str) -> Grant:
        row = self._one("grant_by_id", {"id": id})
        if row is None:
            raise NotFound(f"there is no grant {id}", grant=id)
        return rows.grant_from(row)

    def grants(self, session: str, *, live: bool = True) -> list[Grant]:
        found = self._all("grants_live" if live else "grants_all", {"session": session})
        return [rows.grant_from(row) for row in found]

    def secret(self, owner: str) -> bytes:
        row = self._one("secret_of", {"owner": owner})
        if row is None:
            raise NotFound(f"there is no secret of {owner}")
        return bytes(row[0])

    def attachments_of_principal(self, who: str) -> list[Attachment]:
        return [rows.attachment_from(row) for row in self._all("attachments_of_principal", {"who": who})]

    def stale_attachments(self, limit: int) -> list[Attachment]:
        return [rows.attachment_from(row) for row in self._all("attachments_stale", {"limit": limit})]

    def events(self, session: str, *, after: int = 0, limit: int = PAGE_MAX) -> list[Event]:
        found = self._all("events_of_session", {"session": session, "after": after, "limit": check_page(limit)})
        return [rows.event_from(row) for row in found]

    def last_seq(self, session: str) -> int:
        row = self._one("event_last_seq", {"session": session})
        if row is None:
            raise NotFound(f"there is no session {session}", session=session)
        return int(row[0])

    def effects_due(self, now: float, limit: int) -> list[Pending]:
        found = [rows.pending_from(row) for row in self._all("effects_due", {"now": now, "limit": limit})]
        return sorted(found, key=lambda pending: pending.id)

    def next_effect_at(self, after: float) -> float | None:
        row = self._one("effect_next_at", {"after": after})
        return None if row is None else row[0]

    def clock_checks(self, session: str) -> list[Pending]:
        return [rows.pending_from(row) for row in self._all("clock_checks_of_session", {"session": session})]

    def answer(self, principal: str, request: str) -> Answer | None:
        row = self._one("answer_of_request", {"principal": principal, "request": request})
        return None if row is None else rows.answer_from(row)

    def census(self, now: float) -> Census:
        return census(self._all, now)


class SqlUnit(SqlView, SiteUnit):
    """Writes of one transaction; see ports/store.py. last_seqs, effects, events_written: what it changed."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.last_seqs: dict[str, int | None] = {}
        self.effects = False
        self.events_written = 0

    @abstractmethod
    def _run(self, name: str, parameters: Parameters) -> int:
        """Run a statement that writes; return how many rows it touched."""

    @abstractmethod
    def _take(self, name: str, parameters: Parameters, session: str) -> int | None:
        """Run a statement that raises `last_seq` of this session; return the new one, or None if it found no row."""

    def _time(self) -> float:
        return self._now()

    def _spend(self, count: int) -> None:
        """Tell how many rows the next statement may touch, where a database cares."""

    def last_seq(self, session: str) -> int:
        """Known without asking when this unit has changed the session: nobody else can, until it is through."""
        return self.last_seqs.get(session) or super().last_seq(session)

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
        if before is not None and (type(before) is not type(row) or before.id != row.id):
            raise InternalError(f"{kind}: {before.id} cannot become {row.id}")
        was, becomes = changed(before, after)
        if not becomes and not was and not effects:
            return before
        check_text((*becomes.values(), kind, by, request))
        if before is None:
            seq = self._insert(row)
        elif after is None:
            seq = self._remove(before)
        else:
            seq = self._update(before, after, becomes.keys())
        session = session_of(row)
        self._append(session, seq, kind, NOUNS[type(row)], row.id, was, becomes, by, request, detail or {})
        self.add_effects(session, effects)
        if before is None or after is None:
            return after
        return with_version(after, before.version + 1)

    def _append(
        self, session: str, seq: int, kind: str, noun: str, object: str, was: Mapping[str, object],
        becomes: Mapping[str, object], by: str, request: str, detail: Mapping[str, object],
    ) -> None:  # fmt: skip
        self._run(
            "event_append",
            {
                "session": session, "seq": seq, "time": self._now(), "kind": kind, "noun": noun, "object": object,
                "before": to_json(was), "after": to_json(becomes), "by": by, "request": request,
                "detail": to_json(detail),
            },
        )  # fmt: skip
        self.last_seqs[session] = seq
        self.events_written += 1

    def note(
        self, session: str, *, kind: str, noun: str, object: str, by: str, detail: Mapping[str, object],
        effects: Sequence[Effect | Later] = (), request: str = "",
    ) -> int:  # fmt: skip
        if noun not in NOUNS.values():
            raise InternalError(f"{kind}: there is no noun {noun!r}")
        check_text((*detail.values(), kind, object, by, request))
        to_json(detail)
        seq = self._number(session)
        self._append(session, seq, kind, noun, object, {}, {}, by, request, detail)
        self.add_effects(session, effects)
        return seq

    def add_effects(self, session: str, effects: Sequence[Effect | Later]) -> None:
        for given in effects:
            effect, due_at = (given.effect, given.at) if isinstance(given, Later) else (given, self._now())
            name, body = effect_to_json(effect)
            self._run("effect_add", {"session": session, "kind": name, "body": body, "due_at": due_at})
            self.effects = True

    def _insert(self, row: Row) -> int:
        """Returns the number of its event."""
        if isinstance(row, Session):
            self._check_alias(row)
            self._run("session_insert", rows.session_parameters(row))
            return 1
        if isinstance(row, Job) and self._one("job_named", {"session": row.session, "name": row.name}):
            raise Clash(f"session {row.session} has a job {row.name!r} already", session=row.session, job=row.name)
        if isinstance(row, Attachment) and self.job(row.job).session != row.session:
            raise NotFound(f"session {row.session} has no job {row.job}", session=row.session, job=row.job)
        seq = self._number(row.session)
        self._run(f"{NOUNS[type(row)]}_insert", _PARAMETERS[type(row)](row))
        return seq

    def _update(self, before: Row, after: Row, names: Set[str]) -> int:
        noun = NOUNS[type(after)]
        parameters = dict(_PARAMETERS[type(after)](after), version=before.version)
        if isinstance(before, Session) and isinstance(after, Session):
            if before.alias != after.alias:
                self._check_alias(after)
            seq = self._take(
                "session_update" if names.isdisjoint(INDEXED) else "session_update_indexed", parameters, before.id
            )
            if seq is None:
                raise self._moved(noun, before)
            return seq
        if isinstance(before, Job) and isinstance(after, Job) and before.name != after.name:
            raise InternalError(f"job {before.id}: a job keeps its name")
        if not self._run(f"{noun}_update", parameters):
            raise self._moved(noun, before)
        return self._number(session_of(before))

    def _remove(self, before: Row) -> int:
        noun = NOUNS[type(before)]
        if isinstance(before, Session):
            raise InternalError(f"session {before.id}: its events go with it; use remove_session")
        if isinstance(before, Job):
            self.drop_order(before.id)
        if not self._run(f"{noun}_remove", {"id": before.id, "version": before.version}):
            raise self._moved(noun, before)
        return self._number(before.session)

    def _check_alias(self, session: Session) -> None:
        if session.alias is None or session.state not in sessions.LIVING:
            return
        row = self._one("session_living_named", {"project": session.project, "alias": session.alias})
        if row is not None and row[0] != session.id:
            raise Clash(
                f"alias {session.alias!r} is taken by the living session {row[0]}",
                next_step=f"attach to it, end it, or take another alias than {session.alias!r}",
                alias=session.alias, session=row[0],
            )  # fmt: skip

    def _number(self, session: str) -> int:
        """The next event number of a session whose row stays as it is."""
        seq = self._take("event_number_taken", {"session": session}, session)
        if seq is None:
            raise NotFound(f"there is no session {session}", session=session)
        return seq

    def _moved(self, noun: str, before: Row) -> Conflict | NotFound:
        """Why an update found no row."""
        if self._one(f"{noun}_by_id", {"id": before.id}) is None:
            return NotFound(f"there is no {noun} {before.id} any more")
        return Conflict(f"{noun} {before.id} was changed since version {before.version}", version=before.version)

    # -- the rest ---------------------------------------------------------------------------------------------------

    def keep_secret(self, owner: str, hash: bytes) -> None:
        if self._one("secret_of", {"owner": owner}) is not None:
            raise Conflict(f"{owner} has a secret already")
        self._run("secret_keep", {"owner": owner, "hash": hash})

    def drop_secret(self, owner: str) -> None:
        self._run("secret_drop", {"owner": owner})

    def keep_order(self, job: str, order: Order) -> None:
        self.job(job)
        self._run("order_keep", {"job": job, "body": order_to_json(order)})

    def drop_order(self, job: str) -> None:
        self._run("order_drop", {"job": job})

    def effect_done(self, id: int) -> bool:
        return self._run("effect_done", {"id": id}) > 0

    def effect_failed(self, id: int, *, due_at: float) -> None:
        self._run("effect_failed", {"id": id, "due_at": due_at})

    def keep_answer(self, answer: Answer) -> None:
        check_text((answer.principal, answer.request, answer.digest))
        if self.answer(answer.principal, answer.request) is not None:
            raise Conflict(f"request {answer.request!r} was answered meanwhile", request=answer.request)
        self._run(
            "answer_keep",
            {
                "principal": answer.principal, "request": answer.request, "digest": answer.digest,
                "status": answer.status, "body": answer.body, "at": answer.at,
            },
        )  # fmt: skip

    def drop_answers_before(self, time: float) -> int:
        counted = self._one("answers_before", {"time": time, "limit": PAGE_MAX})
        self._spend(counted[0] if counted else 0)
        return self._run("answers_drop_before", {"time": time})

    def remove_session(self, id: str) -> None:
        session = self.session(id)
        if session.state in sessions.LIVING:
            raise IllegalMove(f"session {session.name} is {session.state}; only an ended session can be removed")
        self._spend(self.last_seq(id))
        for name in _REMOVALS:
            self._run(name, {"session": id})
        self.last_seqs[id] = None
