"""What is said about control of a job: who has it, and how to take it, with the key and with the command."""

from __future__ import annotations

import re

from hawse.cli.attach.keys import key_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UID = re.compile(r"\buid:([0-9]{1,10})\b")


class Words:
    """For one view. key: the detach key, None where there is none. is_far: uids are those of another machine."""

    def __init__(self, name: str, *, key: int | None, is_far: bool) -> None:
        self._name = name
        self._key = key
        self._is_far = is_far

    @property
    def how(self) -> str:
        """How to take control."""
        command = f"hawse take {self._name}"
        return command if self._key is None else f"{key_name(self._key)} t, or {command}"

    def looks_on(self, who: str) -> str:
        """For who came second."""
        return f"{self.named(who) or 'somebody else'} has control and you look on; take it: {self.how}"

    def notice(self, said: dict[str, Any]) -> str:
        """A NOTICE of the runner about control."""
        detail = self.named(str(said.get("detail") or said.get("kind")))
        if said.get("kind") == "no_control":
            return f"{detail}; take control: {self.how}"
        return detail if said.get("holds") else f"{detail}; take it back: {self.how}"

    def named(self, text: str) -> str:
        """With the names of this machine's users."""
        return text if self._is_far else people(text)


def people(text: str) -> str:
    """The text with users' names in the place of uids, as far as this machine knows them."""

    def name(found: re.Match[str]) -> str:
        import pwd

        try:
            return pwd.getpwuid(int(found[1])).pw_name
        except (KeyError, OverflowError):
            return found[0]

    return _UID.sub(name, text)
