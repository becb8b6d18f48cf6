#!/usr/bin/env python3
"""Say which tests show which requirement to hold, and which requirements no test names.

Theory of operation. The numbered list is `docs/requirements.md`; a test names its numbers with
`@pytest.mark.requirement("S5.3", ...)` on itself, on a parameter, on its class, or for a whole file with `pytestmark`.
The tests are read, never imported or run: what a broken or unfinished test says still counts as said, and the answer
takes a fraction of a second. So the numbers in a mark must stand there as plain strings.

Exit code: 0, whether or not each requirement has a test; 1 when a mark is wrong (unknown number, not a plain string) or
a file cannot be read.
"""

import argparse
import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "docs" / "requirements.md"
TESTS = ROOT / "tests"

_HEADING = re.compile(r"^### (?P<letter>[A-Z])\. .*\((?P<count>\d+)\)$")
# A number defines when it opens a bullet or a sentence; anywhere else ("versus S0.1", "(D1.5)") it only refers.
_NUMBER = re.compile(r"(?:^- |(?<=[.)\]] ))(?P<number>[A-Z]\d+\.\d+) ")


class ListError(ValueError):
    """The numbered list contradicts itself."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A test names a number: where, and in which line the mark stands."""

    number: str
    test: str
    line: int


def read_list(text: str) -> dict[str, str]:
    """Return number -> text, in the order of the list.

    Several numbers may share one line. A heading like `### S. Session use cases (44)` says how many must be found.
    Raises ListError: a number defined twice, or a count that is not what the heading says.
    """
    found: dict[str, str] = {}
    promised: dict[str, int] = {}
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            promised[heading["letter"]] = int(heading["count"])
        if not line.startswith("- "):
            continue
        matches = list(_NUMBER.finditer(line))
        ends = [match.start() for match in matches[1:]] + [len(line)]
        for match, end in zip(matches, ends, strict=False):         # a line without a number has an end all the same
            number = match["number"]
            if number in found:
                raise ListError(f"{number} is defined twice")
            found[number] = line[match.end() : end].strip()
    counted = Counter(number[0] for number in found)
    for letter in promised.keys() | counted.keys():
        if promised.get(letter, 0) != counted[letter]:
            raise ListError(f"{letter}: the heading says {promised.get(letter, 0)}, the list has {counted[letter]}")
    return found


def read_marks(source: str, name: str) -> tuple[list[Mark], list[str]]:
    """Return the marks of one test file and what is wrong with them.

    name: the file's name as it shall be printed.     Raises SyntaxError when the file is no Python.
    """
    tree = ast.parse(source, filename=name)
    errors: list[str] = []
    marks: list[Mark] = []

    def numbers(*places: ast.AST) -> list[tuple[str, int]]:
        said: list[tuple[str, int]] = []
        for call in (node for place in places for node in ast.walk(place) if isinstance(node, ast.Call)):
            if not (isinstance(call.func, ast.Attribute) and call.func.attr == "requirement"):
                continue
            if not call.args or call.keywords:
                errors.append(f"{name}:{call.lineno}: a requirement mark takes numbers, at least one")
            for argument in call.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    said.append((argument.value, argument.lineno))
                else:
                    errors.append(f"{name}:{argument.lineno}: {ast.unparse(argument)} is not a plain string")
        return said

    def visit(body: list[ast.stmt], title: str, inherited: list[tuple[str, int]]) -> None:
        own = inherited + [said for statement in body if _is_pytestmark(statement) for said in numbers(statement)]
        tests = [node for node in body if _is_test(node)]
        if not tests:                                       # its tests come from a class or a kit that it inherits
            marks.extend(Mark(number, title, line) for number, line in own)
        for node in tests:
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            said = own + numbers(*node.decorator_list)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{title}::{node.name}", said)
            else:
                marks.extend(Mark(number, f"{title}::{node.name}", line) for number, line in said)

    visit(tree.body, name, [])
    return marks, errors


def _is_pytestmark(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets)


def _is_test(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return node.name.startswith("Test")
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")


def files_with_tests(folder: Path) -> Iterator[Path]:
    """Yield the files that hold tests, by name."""
    yield from sorted([*folder.rglob("test_*.py"), *folder.rglob("*_test.py")])


def collect(known: dict[str, str], folder: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return number -> tests (every known number is a key), and what is wrong."""
    tests: dict[str, set[str]] = {number: set() for number in known}
    errors: list[str] = []
    for path in files_with_tests(folder):
        name = path.relative_to(folder.parent).as_posix()
        try:
            marks, wrong = read_marks(path.read_text(encoding="utf-8"), name)
        except (SyntaxError, UnicodeDecodeError) as error:
            errors.append(f"{name}: {error}")
            continue
        errors.extend(wrong)
        for mark in marks:
            if mark.number in known:
                tests[mark.number].add(mark.test)
            else:
                errors.append(f"{name}:{mark.line}: {mark.number} is not in the list of requirements")
    return {number: sorted(names) for number, names in tests.items()}, sorted(set(errors))


def as_text(tests: dict[str, list[str]]) -> str:
    """Each number with its tests, then the numbers that have none."""
    shown = [f"{number:6} {test}" for number, names in tests.items() for test in names]
    missing = [number for number, names in tests.items() if not names]
    if missing:
        shown += ["", "No test names:"]
        for letter in dict.fromkeys(number[0] for number in missing):
            shown += _wrapped([number for number in missing if number[0] == letter])
    shown += ["", f"{len(tests) - len(missing)} of {len(tests)} requirements have a test."]
    return "\n".join(shown).lstrip("\n")


def _wrapped(words: list[str], per_line: int = 14) -> list[str]:
    return ["  " + " ".join(words[start : start + per_line]) for start in range(0, len(words), per_line)]


def as_markdown(known: dict[str, str], tests: dict[str, list[str]]) -> str:
    """One table: number, text, tests."""
    rows = ["| number | requirement | tests |", "|---|---|---|"]
    for number, text in known.items():
        names = "<br>".join(f"`{test}`" for test in tests[number]) or "none"
        rows.append(f"| {number} | {text.replace('|', chr(92) + '|')} | {names} |")
    return "\n".join(rows)


def as_json(known: dict[str, str], tests: dict[str, list[str]]) -> str:
    """An object: number -> text and tests."""
    return json.dumps({number: {"text": known[number], "tests": tests[number]} for number in known}, indent=2)


def main(arguments: list[str] | None = None) -> int:
    """Print the report; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs: number -> text and tests")
    form.add_argument("--markdown", action="store_true", help="one table")
    parser.add_argument("--list", type=Path, default=LIST, metavar="FILE", help="the numbered list")
    parser.add_argument("--tests", type=Path, default=TESTS, metavar="FOLDER", help="the folder of the tests")
    options = parser.parse_args(arguments)
    try:
        known = read_list(options.list.read_text(encoding="utf-8"))
    except (OSError, ListError) as error:
        print(f"{options.list}: {error}", file=sys.stderr)
        return 1
    tests, errors = collect(known, options.tests)
    if options.json:
        print(as_json(known, tests))
    elif options.markdown:
        print(as_markdown(known, tests))
    else:
        print(as_text(tests))
    for wrong in errors:
        print(wrong, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
