"""Showing a terminal what a program printed before.

Replayed bytes lose what must not happen twice: questions to the terminal (its answers would be typed into the program),
bells, clipboard writes, notifications, window operations. Source: xterm's ctlseqs.
"""

from __future__ import annotations

import re

# Everything off, the screen's cells gone, cursor home; the user's scrollback stays as it is: [2J would add a screen of
# empty lines to that of some terminals (VTE), [J does not.
RESET = (
    b"\x1b[!p\x1b[?1049l\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?2004l"
    b"\x1b[?1l\x1b[?5l\x1b[?6l\x1b[?7h\x1b[?25h\x1b[4l\x1b>\x1b(B\x1b)B\x0f\x1b[r\x1b[m\x1b[H\x1b[J"
)

_ONCE = re.compile(
    rb"(?P<keep>\x1b\](?!52;|9;|99;|777;|(?:4|5|1[0-9]);[^\x07\x1b]*\?(?:\x07|\x1b\\))[^\x07\x1b]*(?:\x07|\x1b\\))"
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: clipboard, notifications, questions for colours
    rb"|\x1bP[$+][qp][^\x1b]*\x1b\\"  # DECRQSS, XTGETTCAP
    rb"|\x1b_G[^\x1b]*a=q[^\x1b]*\x1b\\"  # kitty: can you show pictures?
    rb"|\x1b\[[>=?]?[0-9;]*c|\x1bZ"  # DA1, DA2, DA3, DECID
    rb"|\x1b\[\??[0-9;]*n"  # DSR
    rb"|\x1b\[\??[0-9;]*\$p"  # DECRQM
    rb"|\x1b\[>[0-9]*q"  # XTVERSION
    rb"|\x1b\[\?u"  # kitty: which keyboard mode?
    rb"|\x1b\[(?!2[23])[0-9;]*t"  # window operations and reports, but the title's stack
    rb"|\x1b\[[0-9;]*\*y|\x1b\[[0-9;]*x|\x1b\[[0-9;]*\$w|\x1b\[\??[0-9;]*i"  # DECRQCRA, DECREQTPARM, DECRQPSR, printing
    rb"|[\x05\x07]"  # ENQ, BEL
)
# What may be the beginning of a sequence, at the end of a part: it waits for the next part.
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?)?\Z")
UNFINISHED_BYTES_MAX = 4096


def replayable(data: bytes) -> bytes:
    """`data` without what must not happen twice."""
    return _ONCE.sub(lambda match: match.group("keep") or b"", data)


class Replayable:
    """The same for a stream that comes in parts, however it is split."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What may be shown of it by now; an unfinished sequence is kept, up to UNFINISHED_BYTES_MAX."""
        whole = self._rest + data
        found = _UNFINISHED.search(whole, max(0, len(whole) - UNFINISHED_BYTES_MAX))
        cut = found.start() if found is not None else len(whole)
        self._rest = whole[cut:]
        return replayable(whole[:cut])

    def flush(self) -> bytes:
        """What was kept: nothing follows it."""
        rest, self._rest = self._rest, b""
        return replayable(rest)
