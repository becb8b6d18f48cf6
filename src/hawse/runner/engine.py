"""Which engine moves a runner's bytes: the compiled core where it was built, else Python. Both do exactly the same.

HAWSE_ENGINE=python|compiled|auto chooses, in the environment of the runners' parent; "compiled" without a compiled core
is an ImportError, never a silent change.
"""

from __future__ import annotations

import os

from hawse.runner import relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hawse import _core

WANTED = os.environ.get("HAWSE_ENGINE") or "auto"
ENGINE = "python"

Relay = relay.Relay
Poller: type[_core.Poller] | None = None  # select.epoll does
sequences: Callable[[bytes, int], list[int]] | None = None  # a regular expression does


class Tail:
    """What every keystroke needs of a log. The compiled twin keeps the hot fields where C finds them."""


class Seat:
    """What every keystroke needs of an attachment."""

    __slots__ = ("cursor", "fd", "typed_ns")


if WANTED not in ("python", "compiled", "auto"):
    raise ImportError(f"HAWSE_ENGINE is {WANTED!r}; it may be python, compiled or auto")
if not TYPE_CHECKING and WANTED != "python":
    try:
        from hawse._core import Poller, Relay, Seat, Tail, sequences

        ENGINE = "compiled"
    except ImportError:
        if WANTED == "compiled":
            raise

__all__ = ["ENGINE", "Poller", "Relay", "Seat", "Tail", "sequences"]
