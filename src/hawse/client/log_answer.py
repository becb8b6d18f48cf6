"""An answer of GET .../logs/{job} as chunks: its headers say what the bytes are.

Hawse-Log-From, -Next, -End: offsets. Hawse-Log-Spans: "offset+length:source ...". Hawse-Log-Damaged: "offset+length
cause; ..." with causes percent-encoded. Source: the REST reference, read_log.
"""

from __future__ import annotations

from urllib.parse import unquote

from hawse.client.records import Chunk, LogPiece, ShownScreen
from hawse.domain.errors import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class LogAnswer(Protocol):
        """An answer of either transport."""

        @property
        def headers(self) -> dict[str, str]: ...
        @property
        def body(self) -> bytes: ...


_WORDS = {
    "removed": "were removed by the log's retention",
    "missing": "are not there: they never reached the disk, or were removed since",
    "dropped": "were not kept, since the disk was full",
    "checksum": "are damaged (their checksum does not fit)",
}
UNVERIFIED = "what follows cannot be checked: its checksums (the log's index) are missing or damaged"


def log_piece(answer: LogAnswer) -> LogPiece:
    """The piece of a log that an answer carries; each hole is told by the chunk behind it. Raises Broken."""
    headers, data = answer.headers, answer.body
    try:
        first, after, end = (int(headers[f"hawse-log-{name}"]) for name in ("from", "next", "end"))
        spans = [_span(text) for text in headers.get("hawse-log-spans", "").split()]
        holes = [_hole(text) for text in headers.get("hawse-log-damaged", "").split("; ") if text]
    except (KeyError, ValueError) as error:
        raise Broken(f"the coordinator's answer about a log is not readable: {error}") from error
    chunks = [Chunk(offset, b"", problem=told) for offset, told in holes]
    at = 0
    for offset, length, source in spans or [(first, len(data), 1)]:
        chunks.append(Chunk(offset, data[at : at + length], source))
        at += length
    chunks.sort(key=lambda chunk: chunk.offset)
    return LogPiece([chunk for chunk in chunks if chunk.data or chunk.problem], after, end)


def shown_screen(answer: LogAnswer) -> ShownScreen:
    """The screen that an answer of GET .../screen carries. Raises Broken."""
    headers = answer.headers
    try:
        columns, rows = (int(number) for number in headers.get("hawse-terminal", "0x0").split("x"))
        return ShownScreen(answer.body, int(headers["hawse-log-next"]), columns, rows)
    except (KeyError, ValueError) as error:
        raise Broken(f"the coordinator's answer about a screen is not readable: {error}") from error


def _span(text: str) -> tuple[int, int, int]:
    offset, _, rest = text.partition("+")
    length, _, source = rest.partition(":")
    return int(offset), int(length), int(source)


def _hole(text: str) -> tuple[int, str]:
    place, _, cause = text.partition(" ")
    offset, _, length = place.partition("+")
    word = unquote(cause)
    if word == "unverified":
        return int(offset), UNVERIFIED
    return int(offset), f"{int(length)} bytes from offset {int(offset)} on {_WORDS.get(word, f'are missing: {word}')}"
