"""The index of a log segment: fixed records of 32 bytes, each with its own checksum.

    magic 1 | kind 1 | source 1 | flags 1 | length 4 | offset 8 | time 8 (ns, Unix) | crc 4 | own CRC-32 of the first 28

What `length` and `crc` mean depends on `kind`, see KINDS below. Source: spec 02, section 3.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from hawse.wire.errors import Malformed

RECORD = Struct(">BBBBIQQI")
_CHECK = Struct(">I")
RECORD_BYTES = RECORD.size + _CHECK.size
MAGIC = 0x68
BLOCK_BYTES_MAX = 64 * 1024
LENGTH_MAX = 2**32 - 1
_DIGITS = frozenset("0123456789abcdef")

OUTPUT = 1  # length bytes at offset, crc of them
RESIZE = 2  # crc = columns << 16 | rows, as of offset
GAP = 3  # length bytes before offset were never written (LENGTH_MAX: or more)
ATTEMPT = 4  # crc = number of the attempt that writes from offset on
CHECKPOINT = 5  # the terminal's state as of offset: length bytes of JSON, crc of them, in the MORE records that follow
MORE = 6  # 24 bytes of a checkpoint in place of length .. crc
KINDS = frozenset({OUTPUT, RESIZE, GAP, ATTEMPT, CHECKPOINT, MORE})

RECOVERED = 1  # flag: the crc was taken after a crash, not while writing

_MORE = Struct(">BBBB24s")
MORE_BYTES = 24
CHECKPOINT_BYTES_MAX = 4096


class Record:
    """One record of an index."""

    __slots__ = ("crc", "flags", "kind", "length", "more", "offset", "source", "time_ns")

    def __init__(
        self, kind: int, *, offset: int, time_ns: int, length: int = 0, crc: int = 0, source: int = 0, flags: int = 0,
        more: bytes = b"",
    ) -> None:  # fmt: skip
        self.kind = kind
        self.offset = offset
        self.time_ns = time_ns
        self.length = length
        self.crc = crc
        self.source = source
        self.flags = flags
        self.more = more

    @property
    def end(self) -> int:
        """Offset after the bytes of an OUTPUT record; the offset itself otherwise."""
        return self.offset + self.length if self.kind == OUTPUT else self.offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"

    __hash__ = None  # type: ignore[assignment]


def encode(record: Record) -> bytes:
    """The 32 bytes of a record."""
    if record.kind == MORE:
        first = _MORE.pack(MAGIC, MORE, record.source, record.flags, record.more)
    else:
        first = RECORD.pack(
            MAGIC, record.kind, record.source, record.flags, record.length, record.offset, record.time_ns, record.crc
        )
    return first + _CHECK.pack(crc32(first))


def output_record(offset: int, data: bytes | memoryview, *, time_ns: int, source: int, flags: int = 0) -> bytes:
    """The record of a block of output."""
    return encode(
        Record(OUTPUT, offset=offset, time_ns=time_ns, length=len(data), crc=crc32(data), source=source, flags=flags)
    )


def checkpoint_records(offset: int, state: bytes, *, time_ns: int) -> bytes:
    """A checkpoint and its continuation. Raises ValueError when the state is too long."""
    if len(state) > CHECKPOINT_BYTES_MAX:
        raise ValueError(f"a checkpoint of {len(state)} bytes; at most {CHECKPOINT_BYTES_MAX}")
    head = encode(Record(CHECKPOINT, offset=offset, time_ns=time_ns, length=len(state), crc=crc32(state)))
    parts = (state[at : at + MORE_BYTES].ljust(MORE_BYTES, b"\0") for at in range(0, len(state), MORE_BYTES))
    return head + b"".join(encode(Record(MORE, offset=0, time_ns=0, more=part)) for part in parts)


def decode(data: bytes | memoryview) -> Record:
    """One record. Raises Malformed (torn, damaged, of an unknown kind)."""
    if len(data) != RECORD_BYTES:
        raise Malformed("index: a record is torn")
    if crc32(data[: RECORD.size]) != _CHECK.unpack_from(data, RECORD.size)[0]:
        raise Malformed("index: the checksum of a record does not fit")
    magic, kind, source, flags, length, offset, time_ns, crc = RECORD.unpack_from(data)
    if magic != MAGIC or kind not in KINDS:
        raise Malformed("index: a record of an unknown kind")
    if kind == MORE:
        return Record(MORE, offset=0, time_ns=0, source=source, flags=flags, more=bytes(data[4 : 4 + MORE_BYTES]))
    return Record(kind, offset=offset, time_ns=time_ns, length=length, crc=crc, source=source, flags=flags)


def decode_all(data: bytes) -> tuple[list[Record], int]:
    """All good records of an index and the number of bad ones.

    Records have one size, so that a bad one costs itself only. A torn last one is not counted: it may be being written.
    """
    view = memoryview(data)
    records, bad = [], 0
    for at in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        try:
            records.append(decode(view[at : at + RECORD_BYTES]))
        except Malformed:
            bad += 1
    return records, bad


def last_checkpoint(records: list[Record], *, before: int) -> tuple[int, bytes] | None:
    """The newest whole checkpoint at or before an offset, as (offset, state)."""
    for at in range(len(records) - 1, -1, -1):
        head = records[at]
        if head.kind != CHECKPOINT or head.offset > before:
            continue
        count = -(-head.length // MORE_BYTES)
        rest = records[at + 1 : at + 1 + count]
        state = b"".join(record.more for record in rest if record.kind == MORE)[: head.length]
        if len(state) == head.length and crc32(state) == head.crc:
            return head.offset, state
    return None


def segment_name(offset: int) -> str:
    """The name, without its ending, of the segment that starts at `offset`."""
    return f"{offset:016x}"


def segment_start(name: str) -> int | None:
    """The start offset in the name of a `.seg` file; None for any other name."""
    stem, dot, ending = name.partition(".")
    if not dot or ending != "seg" or len(stem) != 16 or not set(stem) <= _DIGITS:
        return None
    return int(stem, 16)
