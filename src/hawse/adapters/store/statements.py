"""The named statements of sql/*.sql, and the migrations of sql/migrations.

    -- columns: NAME      what `{NAME}` stands for in the statements of this dialect
    -- name: NAME         a statement, up to the next such line

Statements that both databases understand stand in sql/, the others in a folder of their dialect. Parameters are
`:name`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from hawse.domain.errors import NewerStore

FOLDER = Path(__file__).parent / "sql"
_HEAD = re.compile(r"^-- (name|columns): (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


_PARAMETER = re.compile(r"(?<!:):(\w+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with numbered places; binding by name costs a third more.

    names: what stands in the places; places(parameters): the values for them.
    """

    text: str
    names: tuple[str, ...]
    places: Callable[[Mapping[str, Any]], Sequence[Any]]

    @classmethod
    def of(cls, text: str, mark: str) -> Statement:
        """mark: "?" (SQLite) or "$" (PostgreSQL)."""
        names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        numbered = _PARAMETER.sub(lambda found: f"{mark}{names.index(found[1]) + 1}", text)
        return cls(numbered, names, itemgetter(*names) if len(names) > 1 else _one_or_none(names))


def _one_or_none(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    return lambda parameters: [parameters[name] for name in names]


@cache
def statements(dialect: str) -> dict[str, str]:
    """The text of all statements by name, for "sqlite" or "postgres"."""
    found: dict[str, str] = {}
    columns: dict[str, str] = {}
    for path in [*sorted(FOLDER.glob("*.sql")), *sorted((FOLDER / dialect).glob("*.sql"))]:
        parts = _HEAD.split(path.read_text(encoding="utf-8"))[1:]
        for kind, name, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            kept = columns if kind == "columns" else found
            if name in kept:
                raise ValueError(f"{path}: {name} is there twice")
            kept[name] = " ".join(_COMMENT.sub("", text).split())
    return {name: text.format_map(columns) for name, text in found.items()}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step forward. name: NN_pre_* (the last release can work on its result) or NN_post_* (it cannot)."""

    number: int
    name: str
    text: str


@cache
def migrations(dialect: str) -> tuple[Migration, ...]:
    """All steps in order."""
    paths = sorted((FOLDER / "migrations" / dialect).glob("*.sql"))
    return tuple(Migration(int(path.stem[:2]), path.stem, path.read_text(encoding="utf-8")) for path in paths)


def missing(dialect: str, found: int, what: str) -> tuple[Migration, ...]:
    """The steps that a store of version `found` lacks. what: the store's name for people. Raises NewerStore."""
    known = migrations(dialect)
    if found > known[-1].number:
        raise NewerStore(
            f"{what} has version {found}; this hawse knows versions up to {known[-1].number} and would damage it",
            next_step="install the newer hawse again, or restore a backup that this version wrote",
            found=found, known=known[-1].number,
        )  # fmt: skip
    return tuple(step for step in known if step.number > found)
