"""The greeting of `hawse proxy`: one line before the stream, behind whatever a far shell's start-up files print.

`HAWSE-PROXY/1 STATUS VERSION[ JSON]\\n`. After `ready` every byte belongs to the stream; after any other status nothing
follows. Source: spec 09, section 2.
"""

from __future__ import annotations

from hawse.wire.errors import Malformed

MARK = b"HAWSE-PROXY/"
PROTOCOL = 1
READY, ABSENT, REFUSED = "ready", "absent", "refused"
NOISE_BYTES_MAX = 64 * 1024  # a message of the day is a screenful; more is no login that we understand
LINE_BYTES_MAX = 8 * 1024
WORD_CHARACTERS_MAX = 64
DETAIL_CHARACTERS_MAX, NEXT_CHARACTERS_MAX = 900, 300  # each may be six bytes of JSON


class Greeting:
    """What a proxy says first.

    status: READY; ABSENT (nobody listens where it was asked to go); REFUSED (code, detail and next_step say why).
    """

    __slots__ = ("code", "detail", "next_step", "protocol", "status", "version")

    def __init__(
        self, status: str, version: str, *, protocol: int = PROTOCOL, code: str = "", detail: str = "",
        next_step: str = "",
    ) -> None:  # fmt: skip
        self.status = status
        self.version = version
        self.protocol = protocol
        self.code = code
        self.detail = detail
        self.next_step = next_step

    def line(self) -> bytes:
        """The line as it is sent."""
        words = f"{self.protocol} {self.status} {self.version}".encode("ascii", "replace")
        if self.status != REFUSED:
            return MARK + words + b"\n"
        from hawse.wire import fields  # JSON only where something is wrong: a proxy's start is part of every link

        said = fields.pack(
            code=self.code[:WORD_CHARACTERS_MAX],
            detail=self.detail[:DETAIL_CHARACTERS_MAX],
            next=self.next_step[:NEXT_CHARACTERS_MAX],
        )
        return MARK + words + b" " + said + b"\n"


class GreetingReader:
    """Finds the greeting in what comes. noise: what stood before it; rest: what came behind it."""

    __slots__ = ("_buffer", "noise", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self.noise = b""
        self.rest = b""

    def feed(self, data: bytes) -> Greeting | None:
        """The greeting, once it is whole. Raises Malformed: too much noise, or a line that is none."""
        self._buffer += data
        at = self._buffer.find(MARK)
        if at < 0:
            self.noise = self._buffer
            if len(self._buffer) > NOISE_BYTES_MAX:
                raise Malformed(f"no greeting in the first {NOISE_BYTES_MAX} bytes")
            return None
        self.noise = self._buffer[:at]
        line, end, rest = self._buffer[at + len(MARK) :].partition(b"\n")
        if len(line) > LINE_BYTES_MAX:
            raise Malformed(f"the greeting has more than {LINE_BYTES_MAX} bytes")
        if not end:
            return None
        self.rest = rest
        return parse(line)


def parse(line: bytes) -> Greeting:
    """The greeting in a line without its mark and its end. Raises Malformed.

    Of another protocol only its number and its version are read: the rest may mean anything.
    """
    words = line.rstrip(b"\r").split(b" ", 3)
    try:
        protocol, status, version = int(words[0]), words[1].decode("ascii"), words[2].decode("ascii")
    except (IndexError, ValueError) as error:
        raise Malformed("the greeting is not PROTOCOL STATUS VERSION") from error
    if len(version) > WORD_CHARACTERS_MAX or len(status) > WORD_CHARACTERS_MAX:
        raise Malformed("a word of the greeting is too long")
    if protocol != PROTOCOL:
        return Greeting(status, version, protocol=protocol)
    if status in (READY, ABSENT):
        return Greeting(status, version)
    if status != REFUSED:
        raise Malformed(f"the greeting's status {status!r} is not known")
    from hawse.wire import fields

    said = fields.unpack(words[3] if len(words) > 3 else b"{}", "greeting")
    return Greeting(
        status,
        version,
        code=fields.text(said, "code", "greeting", characters_max=WORD_CHARACTERS_MAX),
        detail=fields.text(said, "detail", "greeting", characters_max=DETAIL_CHARACTERS_MAX),
        next_step=fields.text(said, "next", "greeting", characters_max=NEXT_CHARACTERS_MAX, default=""),
    )
