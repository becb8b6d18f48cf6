"""The detach key: what of the typed bytes is for us. Bytes in, actions out.

After the key (default Ctrl-\\): d detaches, t takes control, the key again types itself, ? asks for help; anything
else is typed as it is, key included, so that nothing is lost.
"""

from __future__ import annotations

from hawse.domain.errors import Invalid

KEY_DEFAULT = 0x1C  # Ctrl-\
TYPED, DETACH, TAKE, HELP = "typed", "detach", "take", "help"


class Keys:
    """Splits typed bytes. `key` None: everything is typed."""

    __slots__ = ("_armed", "_sign", "key")

    def __init__(self, key: int | None = KEY_DEFAULT) -> None:
        self.key = key
        self._sign = b"" if key is None else bytes([key])
        self._armed = False

    def is_plain(self, data: bytes) -> bool:
        """Is all of this simply typed? The short way of the common keystroke."""
        return not self._armed and (not self._sign or self._sign not in data)

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The actions in these bytes, in order."""
        if self.is_plain(data):
            return [(TYPED, data)]
        actions: list[tuple[str, bytes]] = []
        typed = bytearray()
        for byte in data:
            if not self._armed:
                if byte == self.key:
                    self._armed = True
                else:
                    typed.append(byte)
                continue
            self._armed = False
            if byte in b"dD\x04":  # d, D, Ctrl-d: whoever holds Ctrl a little longer means the same
                kind = DETACH
            elif byte in b"tT\x14":
                kind = TAKE
            elif byte == ord("?"):
                kind = HELP
            else:
                typed += self._sign if byte == self.key else self._sign + bytes([byte])
                continue
            if typed:
                actions.append((TYPED, bytes(typed)))
                typed.clear()
            actions.append((kind, b""))
        if typed:
            actions.append((TYPED, bytes(typed)))
        return actions


def parse_key(text: str) -> int | None:
    """A key as people write it: "C-a", "^A", "ctrl-]"; "none" for no key. Raises Invalid."""
    plain = text.strip()
    lower = plain.lower()
    if lower == "none":
        return None
    for prefix in ("ctrl-", "ctrl+", "c-", "^"):
        if lower.startswith(prefix) and len(plain) == len(prefix) + 1:
            code = ord(plain[-1].upper())
            if 0x40 <= code <= 0x5F:
                return code & 0x1F
    raise Invalid(f"detach key {text!r} is not valid", next_step="write it as C-a, C-] or C-\\; none: no key at all")


def key_name(key: int) -> str:
    """Ctrl-\\ for 0x1c."""
    return f"Ctrl-{chr(key | 0x40).lower()}"


def help_line(key: int) -> str:
    """What the keys do."""
    name = key_name(key)
    return f"{name} d: detach   {name} t: take control   {name} {name}: type {name}   {name} ?: this line"
