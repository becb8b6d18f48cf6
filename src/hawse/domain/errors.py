"""Every error that hawse tells, by what the caller can do about it.

    Problem
    ├── Invalid           your mistake: the request itself is wrong
    │   ├── TooLarge      ... it is bigger than a stated limit
    │   └── IllegalMove   ... the object is in no state for this
    ├── NotFound          your mistake: no such object
    ├── Denied            your mistake: you may not
    │   └── Unproven      ... it is not known who you are
    ├── Clash             your mistake: the name is taken by a living object
    ├── Conflict          the race: somebody moved the object first
    │   ├── Fenced        ... you are an old holder
    │   └── RequestReused ... this request id was used for something else
    ├── Broken            the world: data or a peer is damaged or speaks nonsense
    │   └── NewerStore    ... a newer version wrote this store
    ├── Unavailable       the world: not now, ask again
    ├── Expired           the world: its time is over
    ├── LimitReached      the world: a quota or a bound is reached
    └── InternalError     our bug

REST, the command line and the compatibility views read the columns `code`, `http`, `exit` and `retry`; none has a
table of its own. Exit codes 64, 69, 75 and 77 are those of BSD's sysexits(3).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class Problem(Exception):
    """Something went wrong that the caller should know about."""

    code: ClassVar[str] = "problem"
    http: ClassVar[int] = 500
    exit: ClassVar[int] = 1
    retry: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, next_step: str = "", **facts: object) -> None:
        """detail: one sentence with the ids a person needs; next_step: what to do now; facts: fields for programs."""
        self.detail = detail or _first_line(type(self))
        self.next_step = next_step
        self.facts = facts
        super().__init__(self.detail)


class Invalid(Problem):
    """The request is not valid."""

    code, http, exit = "invalid", 422, 64


class TooLarge(Invalid):
    """The request is larger than the limit."""

    code, http = "too_large", 413


class IllegalMove(Invalid):
    """The object is not in a state that allows this."""

    code, http, exit = "illegal_move", 409, 1


class NotFound(Problem):
    """There is no such object."""

    code, http, exit = "not_found", 404, 1


class Denied(Problem):
    """You are not permitted to do this."""

    code, http, exit = "denied", 403, 77


class Unproven(Denied):
    """Who asks is not known."""

    code, http = "unproven", 401


class Clash(Problem):
    """The name is taken by a living object."""

    code, http, exit = "clash", 409, 1


class Conflict(Problem):
    """Somebody moved the object first; read it again."""

    code, http, exit, retry = "conflict", 412, 75, True


class Fenced(Conflict):
    """You are an old holder; somebody else holds it now."""

    code, http, retry = "fenced", 409, False


class RequestReused(Conflict):
    """This request id was used for a different request."""

    code, http, retry = "request_reused", 422, False


class Broken(Problem):
    """Data or a peer is damaged."""

    code, http, exit = "broken", 502, 1


class NewerStore(Broken):
    """A newer version of hawse wrote this store; this version would damage it."""

    code, http, exit = "newer_store", 500, 69


class Unavailable(Problem):
    """Not available now; ask again."""

    code, http, exit, retry = "unavailable", 503, 69, True


class Expired(Problem):
    """Its time is over."""

    code, http, exit = "expired", 410, 1


class LimitReached(Problem):
    """A limit is reached."""

    code, http, exit, retry = "limit_reached", 429, 75, True


class InternalError(Problem):
    """hawse made a mistake; please report it."""

    code, http, exit = "internal", 500, 70


def _first_line(kind: type[Problem]) -> str:
    """What a class says of itself. A subclass without words has those of its nearest ancestor.

    Not inspect.getdoc: importing inspect takes longer than all else that `hawse proxy` imports.
    """
    said = next((each.__doc__ for each in kind.__mro__ if each.__doc__), "")
    return said.strip().split("\n", 1)[0]
