"""What REST answers with about users, tokens, projects and the audit log, as typed objects. See records.py."""

from __future__ import annotations

from hawse.client.records import AttachmentInfo, Record, SessionInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Me(Record):
    """Who the coordinator takes us for. user: "" for a bare account. is_site: is it a site service?"""

    __slots__ = _fields = (
        "principal", "groups", "user", "project", "is_admin", "is_site", "read_only", "only_project",
    )  # fmt: skip
    _defaults = {
        "principal": "", "user": "", "project": "default", "is_admin": False, "is_site": False, "read_only": False,
    }  # fmt: skip
    principal: str
    groups: list[str]
    user: str
    project: str
    is_admin: bool
    is_site: bool
    read_only: bool
    only_project: str | None


class UserInfo(Record):
    """A user of a site. state: active, disabled, removed."""

    __slots__ = _fields = (
        "name", "state", "uids", "groups", "project", "is_admin", "about", "created_at", "created_by", "version",
    )  # fmt: skip
    _defaults = {
        "name": "", "state": "active", "project": "default", "is_admin": False, "about": "", "created_at": 0.0,
        "created_by": "", "version": 1,
    }  # fmt: skip
    name: str
    state: str
    uids: list[int]
    groups: list[str]
    project: str
    is_admin: bool
    about: str
    created_at: float
    created_by: str
    version: int


class Out:
    """A user who was shut out: whose attachments were cut, which living sessions of his stay."""

    __slots__ = ("attachments", "raw", "sessions", "user")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.user = UserInfo(raw.get("user") or {})
        self.attachments = [AttachmentInfo(one) for one in raw.get("attachments") or ()]
        self.sessions = [SessionInfo(one) for one in raw.get("sessions") or ()]


class TokenInfo(Record):
    """A token without its secret. used_at: about when it was used last."""

    __slots__ = _fields = (
        "id", "user", "name", "state", "created_at", "created_by", "expires_at", "project", "read_only", "used_at",
        "version",
    )  # fmt: skip
    _defaults = {
        "id": "", "user": "", "name": "", "state": "live", "created_at": 0.0, "created_by": "", "read_only": False,
        "version": 1,
    }  # fmt: skip
    id: str
    user: str
    name: str
    state: str
    created_at: float
    created_by: str
    expires_at: float | None
    project: str | None
    read_only: bool
    used_at: float | None
    version: int


class NewToken:
    """A token with its secret, which nobody tells again. Its repr does not show it."""

    __slots__ = ("info", "secret")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.info = TokenInfo(raw["token"])
        self.secret: str = raw["secret"]


class ProjectInfo(Record):
    """A project. sessions_max, jobs_max, lease_s, lease_s_max: None: no bound. sessions, jobs: what lives in it."""

    _fields = (
        "name", "state", "sessions_max", "jobs_max", "lease_s", "lease_s_max", "policies", "members", "about",
        "created_at", "created_by", "version",
    )  # fmt: skip
    __slots__ = (*_fields, "jobs", "sessions")
    _defaults = {
        "name": "", "state": "active", "about": "", "created_at": 0.0, "created_by": "", "version": 1,
    }  # fmt: skip
    name: str
    state: str
    sessions_max: int | None
    jobs_max: int | None
    lease_s: float | None
    lease_s_max: float | None
    policies: dict[str, Any]
    members: list[str]
    about: str
    created_at: float
    created_by: str
    version: int
    sessions: int
    jobs: int

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw["project"])
        self.raw = {**raw["project"], "use": raw["use"]}
        self.sessions = raw["use"]["sessions"]
        self.jobs = raw["use"]["jobs"]


class AuditInfo(Record):
    """An entry of the audit log."""

    __slots__ = _fields = ("seq", "time", "kind", "noun", "object", "by", "where", "request", "detail")
    _defaults = {
        "seq": 0, "time": 0.0, "kind": "", "noun": "", "object": "", "by": "", "where": "", "request": "",
    }  # fmt: skip
    seq: int
    time: float
    kind: str
    noun: str
    object: str
    by: str
    where: str
    request: str
    detail: dict[str, Any]
