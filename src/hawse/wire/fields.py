"""Read fields out of JSON that somebody else wrote, each with its kind and its limits.

Every function raises Malformed with the message's name, the field's name and what was expected.
"""

from __future__ import annotations

import json

from hawse.wire.errors import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INTEGER_MAX = 2**63 - 1


def pack(**fields: Any) -> bytes:
    """A JSON object as UTF-8 (ASCII, in fact: a lone surrogate stays an escape and never fails to encode)."""
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def unpack(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `body`. Invalid UTF-8, deep nesting and anything but an object are Malformed."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{what}: the body is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Malformed(f"{what}: the body is not a JSON object")
    return value


def text(value: dict[str, Any], key: str, what: str, *, characters_max: int, default: str | None = None) -> str:
    """A string field."""
    found = value.get(key, default)
    if not isinstance(found, str) or len(found) > characters_max:
        raise Malformed(f"{what}: {key} must be a string of at most {characters_max} characters")
    return found


def integer(
    value: dict[str, Any], key: str, what: str, *, low: int = 0, high: int = INTEGER_MAX, default: int | None = None
) -> int:
    """An integer field; true and false are not integers."""
    found = value.get(key, default)
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise Malformed(f"{what}: {key} must be an integer from {low} to {high}")
    return found


def number(
    value: dict[str, Any], key: str, what: str, *, low: float, high: float, default: float | None = None
) -> float:
    """A number field, whole or not."""
    found = value.get(key, default)
    if not isinstance(found, (int, float)) or isinstance(found, bool) or not low <= found <= high:
        raise Malformed(f"{what}: {key} must be a number from {low:g} to {high:g}")
    return float(found)


def choice(value: dict[str, Any], key: str, what: str, *, of: tuple[str, ...], default: str | None = None) -> str:
    """A string field with a closed set of values."""
    found = value.get(key, default)
    if found not in of:
        raise Malformed(f"{what}: {key} must be one of {', '.join(of)}")
    return str(found)


def digits(value: dict[str, Any], key: str, what: str, *, bytes_max: int, default: str | None = None) -> bytes:
    """A field of hexadecimal digits, as bytes."""
    found = text(value, key, what, characters_max=2 * bytes_max, default=default)
    try:
        return bytes.fromhex(found)
    except ValueError as error:
        raise Malformed(f"{what}: {key} must be hexadecimal digits") from error


def mapping(value: dict[str, Any], key: str, what: str) -> dict[str, Any]:
    """A field that is an object itself."""
    found = value.get(key)
    if not isinstance(found, dict):
        raise Malformed(f"{what}: {key} must be an object")
    return found
