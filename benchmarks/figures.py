"""Figures and the one table that shows them: who, how much, and the ratio to what a user would pick instead."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from dataclasses import asdict, dataclass, field


@dataclass
class Figure:
    """One measured value.

    ratios: name of the other -> this value / the other's. goal: in words; met: None when there is none.
    """

    section: str
    what: str
    who: str
    value: float
    unit: str
    ratios: dict[str, float] = field(default_factory=dict)
    goal: str = ""
    met: bool | None = None


def add_ratios(figures: list[Figure], to: tuple[str, ...]) -> None:
    """Fill in the ratios among figures of the same section and name."""
    for one in figures:
        for other in figures:
            same = (one.section, one.what) == (other.section, other.what)
            if same and other.who in to and other.who != one.who and other.value:
                one.ratios[other.who] = one.value / other.value


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: list[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def parser(about: str) -> argparse.ArgumentParser:
    """The options that every benchmark script has."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    made.add_argument("--json", action="store_true", help="print the figures as a JSON list")
    return made


def end_in_order() -> None:
    """From here on a script that is ended (SIGTERM, SIGHUP, Ctrl-C) ends first what it started, as when it fails."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def ended(number: int, _: object) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)  # a second one must not cut the first one's work
        sys.exit(128 + number)

    for number in numbers:
        signal.signal(number, ended)


def note(text: str) -> None:
    """Progress, for a person who waits."""
    print(f"  {text}", file=sys.stderr, flush=True)


def show(figures: list[Figure], *, as_json: bool = False) -> None:
    """Print the table, or the JSON that `benchmarks/run` collects."""
    if as_json:
        json.dump([asdict(one) for one in figures], sys.stdout)
        print()
        return
    rows, section = [], ""
    for one in figures:
        if one.section != section:
            section = one.section
            rows.append([f"\n{section}", "", "", "", "", ""])
        rows.append(_row(one))
    widths = [max((len(row[at]) for row in rows if row[2]), default=0) for at in range(6)]
    for row in rows:
        if row[2]:
            cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]), row[3].ljust(widths[3])]
            print(f"  {'  '.join([*cells, row[4].ljust(widths[4]), row[5]])}".rstrip())
        else:
            print(row[0])


def _row(one: Figure) -> list[str]:
    ratios = "  ".join(f"{ratio:.2f} x {who}" for who, ratio in one.ratios.items())
    verdict = {None: "", True: ": met", False: ": MISSED"}[one.met]
    return [one.what, one.who, number(one.value), one.unit, ratios, f"[{one.goal}{verdict}]" if one.goal else ""]


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def main(paths: list[str]) -> None:
    """One table from the JSON of several scripts; a script that failed left none."""
    figures: list[Figure] = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                figures += [Figure(**one) for one in json.load(file)]
        except (FileNotFoundError, ValueError):
            continue
    show(figures)


if __name__ == "__main__":
    main(sys.argv[1:])
