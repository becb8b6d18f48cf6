"""What a site has of its own, in memory: users, tokens, projects, the audit log, who leads. See memory_store."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar, cast

from hawse.adapters.store.fields import check_text, from_json, to_json
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain import token as tokens
from hawse.domain.audit import Entry
from hawse.domain.errors import Clash, Conflict, Fenced, InternalError, Invalid, NotFound, Unavailable
from hawse.domain.job import Job
from hawse.domain.project import Project, Use
from hawse.domain.session import Session
from hawse.domain.token import Token
from hawse.domain.user import User
from hawse.ports.store import Row, SiteRow

P = TypeVar("P", User, Token, Project)
PAGE_MAX = 1000


@dataclass(slots=True)
class MemorySite:
    """What lasts. rows: by (kind, key). leader: the one who leads now; fence: how often that changed."""

    rows: dict[tuple[type[SiteRow], str], SiteRow] = field(default_factory=dict)
    audit: dict[int, Entry] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    fence: int = 0
    leader: MemoryTerm | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


def _key(row: SiteRow) -> str:
    return row.id if isinstance(row, Token) else row.name


def _page(found: list[P], after: str, limit: int) -> list[P]:
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")
    return list(islice((row for row in found if _key(row) > after), limit))


class MemorySiteView:
    """Reads; see ports/store.py."""

    _site: MemorySite
    _rows: dict[tuple[str, str], Row]

    def _site_row(self, kind: type[P], key: str) -> P:
        found = self._site.rows.get((kind, key))
        if found is None:
            raise NotFound(f"there is no {kind.__name__.lower()} {key!r}")
        return cast("P", found)

    def _site_rows(self, kind: type[P]) -> list[P]:
        return sorted((row for row in self._site.rows.values() if isinstance(row, kind)), key=_key)

    def user(self, name: str) -> User:
        return self._site_row(User, name)

    def user_of_uid(self, uid: int) -> User | None:
        return next((user for user in self._site_rows(User) if uid in user.uids), None)

    def users(self, *, after: str = "", limit: int = 100) -> list[User]:
        return _page(self._site_rows(User), after, limit)

    def token(self, id: str) -> Token:
        return self._site_row(Token, id)

    def tokens(self, user: str) -> list[Token]:
        return [token for token in self._site_rows(Token) if token.user == user]

    def project(self, name: str) -> Project:
        return self._site_row(Project, name)

    def projects(self, *, after: str = "", limit: int = 100) -> list[Project]:
        return _page(self._site_rows(Project), after, limit)

    def use_of(self, project: str) -> Use:
        rows = self._rows.values()
        living = {
            row.id for row in rows
            if isinstance(row, Session) and row.project == project and row.state in sessions.LIVING
        }  # fmt: skip
        count = sum(isinstance(row, Job) and row.session in living and row.state in jobs.LIVING for row in rows)
        return Use(len(living), count)

    def audit(self, *, after: int = 0, limit: int = 100) -> list[Entry]:
        if not 1 <= limit <= PAGE_MAX:
            raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")
        return [self._site.audit[seq] for seq in sorted(self._site.audit) if seq > after][:limit]

    def last_audit(self) -> int:
        return max(self._site.audit, default=0)

    def fence(self) -> int:
        return self._site.fence


class MemorySiteUnit(MemorySiteView, ABC):
    """Writes that can be undone."""

    _now: Callable[[], float]
    _absent: object

    @abstractmethod
    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Change one entry, so that it can be undone."""

    def put(self, before: SiteRow | None, after: SiteRow) -> SiteRow:
        if before is not None and (type(before) is not type(after) or _key(before) != _key(after)):
            raise InternalError(f"{_key(before)} cannot become {_key(after)}")
        if before == after:
            return after
        check_text(tuple(getattr(after, name) for name in after.__slots__))
        key = type(after), _key(after)
        present = self._site.rows.get(key)
        if before is None and present is not None:
            raise Clash(f"there is a {type(after).__name__.lower()} {key[1]!r} already")
        if before is not None and present is None:
            raise NotFound(f"there is no {type(after).__name__.lower()} {key[1]!r} any more")
        if before is not None and present is not None and present.version != before.version:
            raise Conflict(f"{key[1]} was changed since version {before.version}", version=before.version)
        self._check_site_unique(after)
        kept = after if before is None else replace(after, version=before.version + 1)
        if isinstance(kept, Token) and isinstance(present, Token):
            kept = replace(kept, used_at=present.used_at)
        self._put(self._site.rows, key, kept)
        return kept

    def _check_site_unique(self, after: SiteRow) -> None:
        if isinstance(after, User):
            for uid in after.uids:
                other = self.user_of_uid(uid)
                if other is not None and other.name != after.name:
                    raise Clash(f"uid {uid} is user {other.name}'s already", user=other.name)
        if isinstance(after, Token) and after.state == tokens.S.LIVE:
            self.user(after.user)
            for one in self.tokens(after.user):
                if one.state == tokens.S.LIVE and one.name == after.name and one.id != after.id:
                    raise Clash(f"user {after.user} has a token {after.name!r} already", token=one.id)

    def claim_project(self, name: str) -> None:
        """Units run one after the other here."""

    def mark_used(self, token: str, *, at: float) -> None:
        found = self._site.rows.get((Token, token))
        if isinstance(found, Token):
            self._put(self._site.rows, (Token, token), replace(found, used_at=at))

    def write_audit(
        self, *, kind: str, noun: str, object: str, by: str, where: str = "", request: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> int:  # fmt: skip
        told = from_json(to_json(detail or {}))
        check_text((kind, noun, object, by, where, request, *(detail or {}).values()))
        seq = self._site.numbers.get("audit", 0) + 1
        self._put(self._site.numbers, "audit", seq)
        self._put(self._site.audit, seq, Entry(seq, self._now(), kind, noun, object, by, where, request, told))
        return seq

    def drop_audit_before(self, time: float) -> int:
        old = [seq for seq, entry in sorted(self._site.audit.items()) if entry.time < time][:PAGE_MAX]
        for seq in old:
            self._put(self._site.audit, seq, self._absent)
        return len(old)

    def check_fence(self, fence: int) -> None:
        if fence != self._site.fence:
            raise Fenced("another coordinator leads now", fence=fence)


class MemoryTerm:
    """See Term of ports/store.py."""

    def __init__(self, site: MemorySite, fence: int) -> None:
        self._site = site
        self.fence = fence
        self._over = asyncio.Event()

    async def wait_over(self) -> None:
        await self._over.wait()

    async def aclose(self) -> None:
        self._over.set()
        if self._site.leader is self:
            self._site.leader = None
            self._site.changed.set()
            self._site.changed = asyncio.Event()


async def lead(site: MemorySite, is_closed: Callable[[], bool]) -> MemoryTerm:
    """See Store.lead."""
    while site.leader is not None:
        await site.changed.wait()
    if is_closed():
        raise Unavailable("the store is closed")
    site.fence += 1
    site.leader = MemoryTerm(site, site.fence)
    return site.leader
