"""What every verb needs: the ports, and who asks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hawse.domain.errors import RequestReused
from hawse.domain.project import DEFAULT
from hawse.ports.clock import Clock
from hawse.ports.launcher import Launcher
from hawse.ports.log import LogReader
from hawse.ports.meter import EffectMeter
from hawse.ports.store import Answer, Store, Unit
from hawse.services.attempt import Attempts
from hawse.services.refusal import Refusals
from hawse.services.trouble import Troubles

T = TypeVar("T")
PROJECT_DEFAULT = DEFAULT
NOBODY = -1  # the uid of who comes over the network


@dataclass(frozen=True, slots=True)
class Site:
    """How a site service lets people in. local_accounts: may every account of this host come, or only those that a
    user names? admins: uids that may do what admins may, to begin with. token_s_max: how long a token may be good, from
    when it is made, seconds; None: as long as its maker likes.
    """

    local_accounts: bool = False
    admins: frozenset[int] = frozenset({0})
    token_s_max: float | None = None


class Lead:
    """Is it this coordinator that does what only one may do?"""

    __slots__ = ("is_ours",)

    def __init__(self) -> None:
        self.is_ours = True


@dataclass(frozen=True, slots=True)
class World:
    """The ports behind all verbs. One per coordinator.

    owner: the only principal who may start sessions, since all jobs run as him; empty: everybody may. key: for the
    keyed hashes of links; one that was not given lasts as long as this object. refusals: what was refused lately.
    lease_s_max: how long a session may live, seconds from its creation; None: as long as its owner likes.
    effects: by kind, how they were done by this process. site: None on a user's own coordinator. attempts: tokens that
    opened nothing lately. lead: does this coordinator do the effects, and follow the runners?
    """

    store: Store
    launcher: Launcher
    clock: Clock
    logs: LogReader
    lease_s_max: float | None = None
    owner: str = ""
    key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    refusals: Refusals = field(default_factory=Refusals, repr=False)
    troubles: Troubles = field(default_factory=Troubles)
    effects: dict[str, EffectMeter] = field(default_factory=dict)
    site: Site | None = None
    attempts: Attempts = field(default_factory=Attempts, repr=False)
    lead: Lead = field(default_factory=Lead)

    def effect_meter(self, kind: str) -> EffectMeter:
        """The meter of one kind of effect."""
        return self.effects.setdefault(kind, EffectMeter())


@dataclass(frozen=True, slots=True)
class Request:
    """A request id with what it was for. encode: how the result becomes the answer that a retry gets (status, body)."""

    id: str
    digest: str
    encode: Callable[[Any], tuple[int, bytes]]


class Trail:
    """What a request turned out to concern, for its line in the log. session: an id, "" when there is none."""

    __slots__ = ("session",)

    def __init__(self) -> None:
        self.session = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """principal: who asks ("uid:1000"). groups: "group:staff" ... request: given when the caller may retry.

    where: from where, as far as the coordinator itself knows (the peer's process, an address). now: when this was
    asked, Unix seconds; what has expired by then counts no more (so, when it is not given, nothing that may expire).
    trail: where the gate notes which session it was. is_admin: of the site. read_only, only_project: what a token is
    narrowed to (domain/token.py). project_is_given: does the
    request say the project? token: the id of the token that was shown, if one was.
    also: what else names him, as which nothing of his is kept: the account of a user who came by it.
    """

    principal: str
    project: str = PROJECT_DEFAULT
    request: Request | None = None
    groups: frozenset[str] = frozenset()
    where: str = ""
    now: float = math.inf
    trail: Trail | None = field(default=None, compare=False, repr=False)
    is_admin: bool = False
    read_only: bool = False
    only_project: str | None = None
    project_is_given: bool = False
    token: str = ""
    also: frozenset[str] = frozenset()

    def about(self, session: str) -> None:
        """Note which session this request concerns."""
        if self.trail is not None:
            self.trail.session = session

    @property
    def principals(self) -> frozenset[str]:
        """All that a grant may name."""
        return self.groups | self.also | {self.principal}

    @property
    def request_id(self) -> str:
        return self.request.id if self.request else ""


class Answered(Exception):
    """This request id was answered before; here is the first answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"request {answer.request} was answered before")
        self.answer = answer


async def once(world: World, caller: Caller, verb: Callable[[Unit], T]) -> T:
    """Commit the verb at most once per request id.

    Raises Answered with the first answer when the id was used for the same request, RequestReused when it was for
    another; and what the verb raises (then nothing is recorded: asking again is a new try).
    If cancelled: the change may or may not have been committed; asking again with the same id is harmless.
    """
    request = caller.request
    if request is None:
        return await world.store.write(verb)

    def recorded(unit: Unit) -> T:
        known = unit.answer(caller.principal, request.id)
        if known is not None:
            if known.digest != request.digest:
                raise RequestReused(f"request id {request.id!r} was used for a different request; make a new one")
            raise Answered(known)
        result = verb(unit)
        status, body = request.encode(result)
        unit.keep_answer(Answer(caller.principal, request.id, request.digest, status, body, world.clock.now()))
        return result

    return await world.store.write(recorded)
