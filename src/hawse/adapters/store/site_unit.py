"""Views and units over what a site has of its own: users, tokens, projects, the audit log, who leads.

As in `unit`: a write checks everything that a caller may have got wrong before its first statement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from hawse.adapters.store import site_rows
from hawse.adapters.store.fields import check_text, to_json
from hawse.adapters.store.rows import Columns, Parameters
from hawse.adapters.store.site_rows import key_of, noun_of, parameters_of
from hawse.domain import token as tokens
from hawse.domain.audit import Entry
from hawse.domain.errors import Clash, Conflict, Fenced, InternalError, Invalid, NotFound
from hawse.domain.project import Project, Use
from hawse.domain.token import Token
from hawse.domain.user import User
from hawse.ports.store import SiteRow

PAGE_MAX = 1000
DROPPED_MAX = 1000


def check_page(limit: int) -> int:
    """Raises Invalid."""
    if not 1 <= limit <= PAGE_MAX:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_MAX}")
    return limit


class SiteView(ABC):
    """Reads; see ports/store.py."""

    @abstractmethod
    def _all(self, name: str, parameters: Parameters) -> list[Columns]:
        """All rows that a statement gives."""

    @abstractmethod
    def _one(self, name: str, parameters: Parameters) -> Columns | None:
        """The first row, if any."""

    def user(self, name: str) -> User:
        row = self._one("user_by_name", {"name": name})
        if row is None:
            raise NotFound(f"there is no user {name!r}", user=name)
        return site_rows.user_from(row)

    def user_of_uid(self, uid: int) -> User | None:
        row = self._one("user_of_uid", {"uid": uid})
        return None if row is None else site_rows.user_from(row)

    def users(self, *, after: str = "", limit: int = 100) -> list[User]:
        found = self._all("users_all", {"after": after, "limit": check_page(limit)})
        return [site_rows.user_from(row) for row in found]

    def token(self, id: str) -> Token:
        row = self._one("token_by_id", {"id": id})
        if row is None:
            raise NotFound(f"there is no token {id}", token=id)
        return site_rows.token_from(row)

    def tokens(self, user: str) -> list[Token]:
        return [site_rows.token_from(row) for row in self._all("tokens_of_user", {"user": user})]

    def project(self, name: str) -> Project:
        row = self._one("project_by_name", {"name": name})
        if row is None:
            raise NotFound(f"there is no project {name!r}", project=name)
        return site_rows.project_from(row)

    def projects(self, *, after: str = "", limit: int = 100) -> list[Project]:
        found = self._all("projects_all", {"after": after, "limit": check_page(limit)})
        return [site_rows.project_from(row) for row in found]

    def use_of(self, project: str) -> Use:
        return Use(self._count("project_sessions_count", project), self._count("project_jobs_count", project))

    def _count(self, name: str, project: str) -> int:
        row = self._one(name, {"project": project})
        return 0 if row is None else int(row[0])

    def audit(self, *, after: int = 0, limit: int = 100) -> list[Entry]:
        found = self._all("audit_page", {"after": after, "limit": check_page(limit)})
        return [site_rows.entry_from(row) for row in found]

    def last_audit(self) -> int:
        row = self._one("audit_last", {})
        return 0 if row is None else row[0] or 0

    def fence(self) -> int:
        row = self._one("leader_fence", {})
        return 0 if row is None else int(row[0])


class SiteUnit(SiteView):
    """Writes of one transaction; see ports/store.py."""

    @abstractmethod
    def _run(self, name: str, parameters: Parameters) -> int:
        """Run a statement that writes; return how many rows it touched."""

    @abstractmethod
    def _time(self) -> float:
        """What time it is, Unix seconds."""

    def put(self, before: SiteRow | None, after: SiteRow) -> SiteRow:
        if before is not None and (type(before) is not type(after) or key_of(before) != key_of(after)):
            raise InternalError(f"{key_of(before)} cannot become {key_of(after)}")
        if before == after:
            return after
        noun, parameters = noun_of(after), parameters_of(after)
        check_text(tuple(parameters.values()))
        self._check_site_unique(before, after)
        if before is None:
            self._run(f"{noun}_insert", parameters)
        else:
            self._check_present(noun, before)
            self._run(f"{noun}_update", {**parameters, "version": before.version})
        if isinstance(after, User):
            self._keep_uids(before.uids if isinstance(before, User) else (), after)
        return after if before is None else replace(after, version=before.version + 1)

    def _check_site_unique(self, before: SiteRow | None, after: SiteRow) -> None:
        noun, key = noun_of(after), key_of(after)
        if before is None and self._found(noun, key) is not None:
            raise Clash(f"there is a {noun} {key!r} already", next_step=f"hawse {noun} ls")
        if isinstance(after, User):
            for uid in after.uids:
                other = self.user_of_uid(uid)
                if other is not None and other.name != after.name:
                    raise Clash(f"uid {uid} is user {other.name}'s already", user=other.name)
        if isinstance(after, Token) and after.state == tokens.S.LIVE:
            self.user(after.user)
            for one in self.tokens(after.user):
                if one.state == tokens.S.LIVE and one.name == after.name and one.id != after.id:
                    raise Clash(
                        f"user {after.user} has a token {after.name!r} already",
                        next_step="revoke it first, or choose another name", token=one.id,
                    )  # fmt: skip

    def _check_present(self, noun: str, before: SiteRow) -> None:
        found = self._found(noun, key_of(before))
        if found is None:
            raise NotFound(f"there is no {noun} {key_of(before)!r} any more")
        if found != before.version:
            raise Conflict(
                f"{noun} {key_of(before)} was changed since version {before.version}", version=before.version
            )

    def _found(self, noun: str, key: str) -> int | None:
        """The version of what is there. It is the last column of each."""
        name, column = ("token_by_id", "id") if noun == "token" else (f"{noun}_by_name", "name")
        row = self._one(name, {column: key})
        return None if row is None else int(row[-1])

    def _keep_uids(self, before: tuple[int, ...], user: User) -> None:
        if before == user.uids:
            return
        self._run("user_uids_drop", {"name": user.name})
        for uid in user.uids:
            self._run("user_uid_add", {"uid": uid, "name": user.name})

    def claim_project(self, name: str) -> None:
        self._run("project_claim", {"name": name})

    def mark_used(self, token: str, *, at: float) -> None:
        self._run("token_used", {"id": token, "at": at})

    def write_audit(
        self, *, kind: str, noun: str, object: str, by: str, where: str = "", request: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> int:  # fmt: skip
        told = to_json(detail or {})
        check_text((kind, noun, object, by, where, request, *(detail or {}).values()))
        self._one("audit_lock", {})
        row = self._one("audit_next", {})
        assert row is not None
        seq = int(row[0])
        self._run(
            "audit_append",
            {
                "seq": seq, "time": self._time(), "kind": kind, "noun": noun, "object": object, "by": by,
                "where": where, "request": request, "detail": told,
            },
        )  # fmt: skip
        return seq

    def drop_audit_before(self, time: float) -> int:
        return self._run("audit_drop_before", {"time": time, "limit": DROPPED_MAX})

    def check_fence(self, fence: int) -> None:
        row = self._one("leader_fence_held", {})
        if row is None or row[0] != fence:
            raise Fenced("another coordinator leads now", fence=fence)
