"""What keeps the coordinator from writing down what it knows: told from memory meanwhile, since the store cannot."""

from __future__ import annotations

from dataclasses import dataclass

from hawse.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Trouble:
    """The store does not take changes. since: Unix seconds."""

    cause: str
    since: float


class Troubles:
    """What waits for the store now. Nothing of it outlives the coordinator: the next one meets the same trouble."""

    def __init__(self) -> None:
        self._by_waiter: dict[object, Trouble] = {}

    @property
    def present(self) -> Trouble | None:
        """The oldest that is not over."""
        return min(self._by_waiter.values(), key=lambda trouble: trouble.since, default=None)

    def note(self, waiter: object, cause: str, clock: Clock) -> None:
        """Something of this waiter's could not be stored. Safe to repeat: it began with the first time."""
        begun = self._by_waiter.get(waiter)
        self._by_waiter[waiter] = Trouble(cause, begun.since if begun is not None else clock.now())

    def over(self, waiter: object) -> None:
        """It waits no longer. Safe to repeat."""
        self._by_waiter.pop(waiter, None)
