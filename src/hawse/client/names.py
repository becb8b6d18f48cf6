"""Names for people: what was perhaps meant, and names for sessions that nobody named."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# A harbour's words: short, plain ASCII, no two alike when spoken.
_FIRST = (
    "amber brisk calm clear coral dawn deep distant early fair fresh gentle golden grand green grey high idle keen late"
    " level light long low mild new north old open pale quick quiet rapid ready silver slow small south steady still"
    " stout swift tall true warm west white wide wild young"
).split()
_SECOND = (
    "anchor bay beacon boat bollard bow brig buoy cape cleat coast cove crew current cutter deck dock estuary ferry"
    " fjord gale galley gull harbour helm hull inlet island jetty keel lagoon lantern mast mole oar pier port quay reef"
    " rudder sail shore skiff sloop sound spar tide tug wake wharf yawl"
).split()


def quoted(name: str) -> str:
    """A name as a part of a URL's path; also one that came from bytes which are no text (then nothing has it)."""
    from urllib.parse import quote

    return quote(name.encode("utf-8", "surrogateescape"), safe="")


def friendly_name() -> str:
    """A name such as "quiet-harbour"; with a number where the two words alone may well be taken."""
    a, b, c = os.urandom(3)
    return f"{_FIRST[a % len(_FIRST)]}-{_SECOND[b % len(_SECOND)]}-{c % 100:02d}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ ", did you mean ...?" or nothing."""
    from difflib import get_close_matches

    near = get_close_matches(name, dict.fromkeys(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
