"""What REST answers with, as typed objects.

A record takes the fields it knows from a JSON object and keeps the whole object in `raw`, so that an answer from a
newer coordinator is never an error and `--json` shows all of it. A field that is missing has its default. Records are
snapshots: read them, do not change them. Source: docs/reference/rest.md.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar

_NEVER_SHARED = {
    "labels": dict, "policies": dict, "before": dict, "after": dict, "detail": dict, "of": list, "holders": list,
    "warnings": list, "uids": list, "groups": list, "members": list,
}  # fmt: skip


class Record:
    """A JSON object with typed fields."""

    __slots__ = ("raw",)
    _fields: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    raw: dict[str, Any]

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        defaults = self._defaults
        for name in self._fields:
            value = raw.get(name)
            if value is None:
                value = _NEVER_SHARED[name]() if name in _NEVER_SHARED else defaults.get(name)
            setattr(self, name, value)

    def __repr__(self) -> str:
        known = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields[:5])
        return f"{type(self).__name__}({known})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and type(other) is type(self) and other.raw == self.raw

    __hash__ = None  # type: ignore[assignment]


class Outcome(Record):
    """How a job ended. kind: exited (code), signalled (signal), lost (cause), failed (cause, code): it never ran."""

    __slots__ = _fields = ("kind", "code", "signal", "cause")
    _defaults = {"kind": "lost", "cause": ""}
    kind: str
    code: int | None
    signal: int | None
    cause: str

    @property
    def exit_code(self) -> int:
        """The code that a shell would show: 126 not executable, 127 not found, 128 + n for signal n; 1 for a lost job.

        Source: POSIX shell, 2.8.2.
        """
        if self.kind == "signalled":
            return 128 + (self.signal or 0)
        if self.kind == "failed":
            return 126 if self.code is None else self.code
        return 1 if self.code is None or self.kind == "lost" else self.code


class LogInfo(Record):
    """A job's output log as its runner last told of it.

    state: ok, blocked (waits for room), dropping (bytes are lost).
    """

    __slots__ = _fields = ("state", "cause", "since", "bytes_dropped")
    _defaults = {"state": "ok", "cause": "", "bytes_dropped": 0}
    state: str
    cause: str
    since: float | None
    bytes_dropped: int


class JobInfo(Record):
    """A job. state: pending, starting, running, stopping, lost, ended. Times are Unix seconds."""

    _fields = (
        "id", "session", "name", "state", "command", "tty", "created_at", "on_lost", "placement", "attempt",
        "incarnation", "pid", "version", "started_at", "ended_at", "grace_s", "stop_reason", "log_end",
        "on_error", "retries_max", "start_at",
    )  # fmt: skip
    __slots__ = (*_fields, "left_behind", "log", "outcome")
    _defaults = {
        "id": "", "session": "", "name": "", "state": "pending", "tty": False, "created_at": 0.0, "on_lost": "report",
        "placement": "local", "attempt": 1, "incarnation": "", "version": 1, "grace_s": 10.0, "stop_reason": "",
        "retries_max": 0,
    }  # fmt: skip
    id: str
    session: str
    name: str
    state: str
    command: list[str]
    tty: bool
    created_at: float
    on_lost: str
    placement: str
    attempt: int
    incarnation: str
    pid: int | None
    version: int
    started_at: float | None
    ended_at: float | None
    grace_s: float
    stop_reason: str
    on_error: str | None
    retries_max: int
    start_at: float | None
    outcome: Outcome | None
    log: LogInfo
    log_end: int | None
    left_behind: list[dict[str, Any]]

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.command = list(raw.get("command") or ())
        self.left_behind = list(raw.get("left_behind") or ())
        self.log = LogInfo(raw.get("log") or {})
        outcome = raw.get("outcome")
        self.outcome = Outcome(outcome) if outcome else None

    @property
    def is_over(self) -> bool:
        """Has it ended?"""
        return self.state == "ended"


class AttachmentInfo(Record):
    """An attachment. state: stale (no link now), attached, detached (reason says why). holds: it has control."""

    __slots__ = _fields = (
        "id", "session", "job", "who", "where", "mode", "state", "created_at", "link_at", "cursor", "version",
        "detached_at", "reason", "holds", "fence", "active_at", "typed_at", "detached_by", "via",
    )  # fmt: skip
    _defaults = {
        "id": "", "session": "", "job": "", "who": "", "where": "", "mode": "", "state": "", "created_at": 0.0,
        "link_at": 0.0, "cursor": 0, "version": 1, "holds": False, "fence": 0, "detached_by": "",
    }  # fmt: skip
    id: str
    session: str
    job: str
    who: str
    where: str
    mode: str
    state: str
    created_at: float
    link_at: float
    cursor: int
    version: int
    detached_at: float | None
    reason: str | None
    holds: bool
    fence: int
    active_at: float | None
    typed_at: float | None
    detached_by: str
    via: str | None


class Control:
    """Who has control of a job now, and who had it before (None: nobody)."""

    __slots__ = ("attachment", "before")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.attachment = AttachmentInfo(raw["attachment"])
        self.before = AttachmentInfo(raw["before"]) if raw.get("before") else None


class Trouble(Record):
    """Why the coordinator cannot write down what it knows: what it shows may be old. since: Unix seconds."""

    __slots__ = _fields = ("cause", "since")
    _defaults = {"cause": "", "since": 0.0}
    cause: str
    since: float


class ClockInfo(Record):
    """One clock of a session. deadline: when it runs out; None: it does not run. then: what follows (end, signal).

    source: where its policy was set. of: jobs that it is about. holders: who has the link or the control.
    """

    __slots__ = _fields = ("name", "since", "deadline", "warnings", "then", "source", "of", "holders")
    _defaults = {"name": "", "then": ""}
    name: str
    since: float | None
    deadline: float | None
    warnings: list[float]
    then: str
    source: str | None
    of: list[str]
    holders: list[str]


class PolicyInfo(Record):
    """A policy: its value, and where that was set: default, project, session, command."""

    __slots__ = _fields = ("name", "value", "source", "what")
    _defaults = {"name": "", "source": "default", "what": ""}
    name: str
    value: Any
    source: str
    what: str


class SessionInfo(Record):
    """A session with its jobs (by age), living attachments and clocks.

    state: new, waiting, active, draining, ended. lease_until: when it ends, Unix seconds (lease "until").
    """

    _fields = (
        "id", "project", "alias", "owner", "state", "created_at", "description", "labels", "policies", "lease", "epoch",
        "version", "ended_at", "end_reason", "ended_by", "last_seq",
        "lease_until", "policies_at",
    )  # fmt: skip
    __slots__ = (*_fields, "attachments", "clocks", "jobs", "trouble")
    _defaults = {
        "id": "", "project": "default", "owner": "", "state": "new", "created_at": 0.0, "description": "",
        "lease": "never", "epoch": 1, "version": 1, "end_reason": "", "ended_by": "", "last_seq": 0,
    }  # fmt: skip
    id: str
    project: str
    alias: str | None
    owner: str
    state: str
    created_at: float
    description: str
    labels: Mapping[str, str]
    policies: Mapping[str, Any]
    lease: str
    epoch: int
    version: int
    ended_at: float | None
    end_reason: str
    ended_by: str
    last_seq: int
    lease_until: float | None
    policies_at: float | None
    jobs: list[JobInfo]
    attachments: list[AttachmentInfo]
    clocks: list[ClockInfo]
    trouble: Trouble | None

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.jobs = [JobInfo(job) for job in raw.get("jobs") or ()]
        self.attachments = [AttachmentInfo(a) for a in raw.get("attachments") or ()]
        self.clocks = [ClockInfo(clock) for clock in raw.get("clocks") or ()]
        self.trouble = Trouble(raw["trouble"]) if raw.get("trouble") else None

    @property
    def name(self) -> str:
        """What a person types: the alias, or the id when there is none."""
        return self.alias or self.id

    @property
    def is_over(self) -> bool:
        """Has it ended?"""
        return self.state == "ended"


class EventInfo(Record):
    """One numbered change. seq: 1, 2, 3 ... per session. before, after: the changed fields of the object.

    detail: facts of what happened that no object keeps, such as of a refusal, or the command that a warning
    suggests.
    """

    __slots__ = _fields = (
        "session", "seq", "time", "kind", "noun", "object", "before", "after", "by", "request", "detail",
    )  # fmt: skip
    _defaults = {"session": "", "seq": 0, "time": 0.0, "kind": "", "noun": "", "object": "", "by": "", "request": ""}
    session: str
    seq: int
    time: float
    kind: str
    noun: str
    object: str
    before: dict[str, Any]
    after: dict[str, Any]
    by: str
    request: str
    detail: dict[str, Any]


class GrantInfo(Record):
    """What somebody may do. principal: None for a link. can: narrows the role. state: live, used, revoked, expired."""

    _fields = (
        "id", "session", "principal", "role", "state", "created_at", "created_by", "version", "expires_at", "uses",
        "uses_max", "via",
    )  # fmt: skip
    __slots__ = (*_fields, "can")
    _defaults = {
        "id": "", "session": "", "role": "observer", "state": "live", "created_at": 0.0, "created_by": "", "version": 1,
        "uses": 0,
    }  # fmt: skip
    id: str
    session: str
    principal: str | None
    role: str
    state: str
    created_at: float
    created_by: str
    version: int
    expires_at: float | None
    uses: int
    uses_max: int | None
    via: str | None
    can: list[str]

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.can = list(raw.get("can") or ())

    @property
    def is_link(self) -> bool:
        """Is it a link, good for whoever shows its secret?"""
        return self.principal is None


class Link:
    """A link with its secret, which nobody tells again. Its repr does not show it."""

    __slots__ = ("info", "secret")

    def __init__(self, info: GrantInfo, secret: str) -> None:
        self.info = info
        self.secret = secret


class Taken:
    """What was taken back, and whose attachments were cut with it."""

    __slots__ = ("attachments", "grants")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.grants = [GrantInfo(one) for one in raw.get("grants") or ()]
        self.attachments = [AttachmentInfo(one) for one in raw.get("attachments") or ()]


class Status(Record):
    """A coordinator, as it sees itself."""

    _fields = (
        "version", "pid", "started_at", "store", "store_version", "engine", "state_dir", "sessions", "jobs", "host",
        "boot_id", "instance", "leads",
    )  # fmt: skip
    __slots__ = (*_fields, "trouble")
    _defaults = {
        "version": "", "pid": 0, "started_at": 0.0, "store": "", "engine": "", "state_dir": "", "sessions": 0,
        "jobs": 0, "host": "", "boot_id": "", "instance": "", "leads": True,
    }  # fmt: skip
    version: str
    pid: int
    started_at: float
    store: str
    store_version: Any
    engine: str
    state_dir: str
    sessions: int
    jobs: int
    host: str
    boot_id: str
    instance: str
    leads: bool
    trouble: Trouble | None

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.trouble = Trouble(raw["trouble"]) if raw.get("trouble") else None


class Admission(Record):
    """What a client needs to reach a job's runner. address is empty when the job has ended: read its log instead.

    holder: who has control of the job, when this attachment does not.
    """

    __slots__ = ("address", "attachment", "holder", "job", "ticket")
    attachment: AttachmentInfo | None
    holder: AttachmentInfo | None
    job: JobInfo
    address: str
    ticket: str

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        attachment = raw.get("attachment")
        self.attachment = AttachmentInfo(attachment) if attachment else None
        self.holder = AttachmentInfo(raw["holder"]) if raw.get("holder") else None
        self.job = JobInfo(raw.get("job") or {})
        self.address = raw.get("address") or ""
        self.ticket = raw.get("ticket") or ""


class Chunk:
    """A piece of a job's output. offset: of its first byte. source: 1 stdout or terminal, 2 stderr.

    problem: empty, or why the bytes before this piece are missing or these are not to be trusted (a gap, a bad
    checksum).
    """

    __slots__ = ("data", "offset", "problem", "source")

    def __init__(self, offset: int, data: bytes, source: int = 1, problem: str = "") -> None:
        self.offset = offset
        self.data = data
        self.source = source
        self.problem = problem

    def __repr__(self) -> str:
        return f"Chunk(offset={self.offset}, {len(self.data)} bytes, source={self.source}, problem={self.problem!r})"


class LogPiece:
    """One answer of a job's log. next: where to go on; end: the log's end as of now."""

    __slots__ = ("chunks", "end", "next")

    def __init__(self, chunks: list[Chunk], next: int, end: int) -> None:
        self.chunks = chunks
        self.next = next
        self.end = end


class Moment:
    """One thing that happened to a job's output. kind: output, resize, gap, attempt; the rest as REST tells it."""

    __slots__ = ("attempt", "cause", "columns", "kind", "length", "offset", "rows", "source", "time")

    def __init__(self, value: dict[str, Any]) -> None:
        self.kind: str = value["kind"]
        self.offset: int = value["offset"]
        self.time: float = value["time"]
        self.length: int = value.get("length", 0)
        self.source: int = value.get("source", 1)
        self.columns: int = value.get("columns", 0)
        self.rows: int = value.get("rows", 0)
        self.attempt: int = value.get("attempt", 0)
        self.cause: str = value.get("cause", "")

    def __repr__(self) -> str:
        return f"Moment({self.kind}, offset={self.offset}, length={self.length}, time={self.time})"


class ShownScreen:
    """What brings a terminal to where a job's was. next: the log offset to go on with. columns, rows: 0: unknown."""

    __slots__ = ("columns", "data", "next", "rows")

    def __init__(self, data: bytes, next: int, columns: int, rows: int) -> None:
        self.data = data
        self.next = next
        self.columns = columns
        self.rows = rows
