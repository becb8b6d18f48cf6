"""Identifiers: UUIDv7, so that they sort by creation time; and the rules for names.

An id is a name, never a secret.
"""

from __future__ import annotations

import re
from typing import NewType

from hawse.domain.errors import Invalid

SessionId = NewType("SessionId", str)
JobId = NewType("JobId", str)
AttachmentId = NewType("AttachmentId", str)
GrantId = NewType("GrantId", str)
TokenId = NewType("TokenId", str)

RANDOM_BYTES = 10
NAME_LENGTH_MAX = 64  # long enough for a path-like name, short enough for a table column
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._+-]*"  # for programs; people get the sentence of checked_name
_NAME = re.compile(NAME_PATTERN)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def uuid7(now: float, random: bytes) -> str:
    """A UUIDv7 of time `now` (Unix seconds) and 10 random bytes.

    Source: RFC 9562, section 5.7.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a UUIDv7 needs {RANDOM_BYTES} random bytes, not {len(random)}")
    ms = int(now * 1000) & (1 << 48) - 1
    bits = int.from_bytes(random, "big")
    rand_a, rand_b = bits >> 68, bits & (1 << 62) - 1
    value = ms << 80 | 0x7 << 76 | (rand_a & 0xFFF) << 64 | 0b10 << 62 | rand_b
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_uuid(text: str) -> bool:
    """Is this text an id (and therefore never an alias)?"""
    return _UUID.fullmatch(text) is not None


def checked_name(name: str, what: str) -> str:
    """The name, if it may be an alias or a job's name; raises Invalid with the rule otherwise."""
    if len(name) > NAME_LENGTH_MAX:
        raise Invalid(f"{what} has {len(name)} characters; at most {NAME_LENGTH_MAX} are allowed")
    shown = storable(name, characters_max=NAME_LENGTH_MAX)
    if is_uuid(name):
        raise Invalid(f"{what} {shown!r} looks like an id; an id always wins over a name, so it can't be one")
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{what} {shown!r} is not valid: letters, digits, '.', '_', '+' and '-' are allowed, and it starts with a"
            " letter or a digit"
        )
    return name


def checked_text(text: str, what: str) -> str:
    """The text, if every store can keep it; raises Invalid otherwise. PostgreSQL's texts hold no NUL."""
    if "\0" in text:
        raise Invalid(f"{what} holds a NUL character")
    return text


def storable(text: str, *, characters_max: int) -> str:
    """The text as every store can keep it and people can read it: no NUL, no half of a surrogate pair, not too long."""
    return _UNSTORABLE.sub("\ufffd", text[:characters_max])
