"""Server-sent events: a byte stream to messages. Source: WHATWG HTML, 9.2.6, "Interpreting an event stream"."""

from __future__ import annotations

from hawse.domain.errors import Broken


class EventStream:
    """Feed bytes, get (id, event, data) messages. A message without data (a keep-alive comment) is not given out."""

    __slots__ = ("_buffer", "_data", "_event", "_id", "message_bytes_max")

    def __init__(self, *, message_bytes_max: int) -> None:
        self.message_bytes_max = message_bytes_max
        self._buffer = b""
        self._data: list[str] = []
        self._event = ""
        self._id = ""

    def feed(self, data: bytes) -> list[tuple[str, str, str]]:
        """Raises Broken for a message over the limit."""
        messages: list[tuple[str, str, str]] = []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._line(line.removesuffix(b"\r").decode("utf-8", "replace"), messages)
        if len(self._buffer) + sum(map(len, self._data)) > self.message_bytes_max:
            raise Broken(f"the event feed sent a message of more than {self.message_bytes_max} bytes")
        return messages

    def _line(self, line: str, messages: list[tuple[str, str, str]]) -> None:
        if not line:
            if self._data:
                messages.append((self._id, self._event, "\n".join(self._data)))
            self._data, self._event = [], ""
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id":
            self._id = value
