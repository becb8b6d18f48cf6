"""What REST answers with about channels and notices, as typed objects. See records.py."""

from __future__ import annotations

from hawse.client.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ChannelInfo(Record):
    """A way in which one wants to be told. means: webhook, mail, command, desktop. state: on, off.

    settings: by means. kinds: of notices that it wants. sessions: patterns; none: all. waiting, failed: how many of its
    notices. secret: a webhook's signing key, when it was just made; "" otherwise.
    """

    _fields = ("id", "principal", "name", "means", "state", "created_at", "version", "waiting", "failed", "secret")
    __slots__ = (*_fields, "kinds", "sessions", "settings")
    _defaults = {
        "id": "", "principal": "", "name": "", "means": "", "state": "on", "created_at": 0.0, "version": 1,
        "waiting": 0, "failed": 0, "secret": "",
    }  # fmt: skip
    id: str
    principal: str
    name: str
    means: str
    state: str
    created_at: float
    version: int
    waiting: int
    failed: int
    secret: str
    settings: dict[str, Any]
    kinds: list[str]
    sessions: list[str]

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.settings = dict(raw.get("settings") or {})
        self.kinds = list(raw.get("kinds") or ())
        self.sessions = list(raw.get("sessions") or ())


class NoticeInfo(Record):
    """One thing told over one channel. state: waiting, sent, failed, withdrawn. Times are Unix seconds.

    subject, text: for people; command: what to type. body: session, job, event and detail, for programs. attempts: how
    often it was tried; due_at: when it is tried next; cause: why the last try failed, or why it was withdrawn.
    """

    _fields = (
        "id", "channel", "principal", "kind", "session", "seq", "state", "created_at", "due_at", "since", "subject",
        "text", "command", "attempts", "cause", "sent_at", "version",
    )  # fmt: skip
    __slots__ = (*_fields, "body")
    _defaults = {
        "id": "", "channel": "", "principal": "", "kind": "", "session": "", "seq": 0, "state": "waiting",
        "created_at": 0.0, "due_at": 0.0, "since": 0.0, "subject": "", "text": "", "command": "", "attempts": 0,
        "cause": "", "version": 1,
    }  # fmt: skip
    id: str
    channel: str
    principal: str
    kind: str
    session: str
    seq: int
    state: str
    created_at: float
    due_at: float
    since: float
    subject: str
    text: str
    command: str
    attempts: int
    cause: str
    sent_at: float | None
    version: int
    body: dict[str, Any]

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self.body = dict(raw.get("body") or {})

    def has_outcome(self, tries: int = 0) -> bool:
        """Is it over, or was it put off after more than so many tries?"""
        is_trying = self.cause == "its last try was cut short"
        return self.state != "waiting" or (self.attempts > tries and not is_trying)
