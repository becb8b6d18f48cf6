"""What the Tab key offers for a word: names from the coordinator, signals, folders, and behind `--` what a shell would.

Imported only when a shell asks. Nobody waits long for it: without an answer in time nothing is offered.
"""

from __future__ import annotations

import os
import time

from click.shell_completion import CompletionItem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hawse.client.records import SessionInfo

WAIT_S = 1.0  # a shell that waits longer for its Tab key feels broken
PAGE = 1000
SESSIONS_MAX = 10_000


def sessions(incomplete: str) -> list[CompletionItem[str]]:
    """Names of living sessions that begin so, the newest first."""
    living = list(_living())
    return _items([(info.name, info.description or info.state) for info in reversed(living)], incomplete)


def targets(incomplete: str) -> list[CompletionItem[str]]:
    """Names of living sessions; behind a slash those of the named session's jobs, also when it has ended."""
    name, slash, _ = incomplete.partition("/")
    if not slash:
        return sessions(incomplete)
    from hawse.cli.words import job_state
    from hawse.client.names import quoted
    from hawse.client.records import SessionInfo

    found = _asked(f"/v1/sessions/{quoted(name)}", {}, WAIT_S) if name else None
    jobs = SessionInfo(found).jobs if found is not None else []
    return _items([(f"{name}/{job.name}", job_state(job)) for job in reversed(jobs)], incomplete)


def signals(incomplete: str) -> list[CompletionItem[str]]:
    """Names of signals, with SIG where one began with it."""
    import signal

    start = incomplete.upper()
    names = [known.name for known in signal.Signals]
    if not start.startswith("SIG"):
        names = [name.removeprefix("SIG") for name in names]
    return [CompletionItem(name) for name in names if name.startswith(start)]


def command_line(before: tuple[str, ...], incomplete: str) -> list[CompletionItem[str]]:
    """Behind `--`: programs for the first word, else files. The shell itself completes files."""
    if not before and incomplete and "/" not in incomplete:
        found = sorted(_programs(incomplete))
        if found:
            return [CompletionItem(name) for name in found]
    return [CompletionItem(incomplete, type="file")]


def _programs(start: str) -> set[str]:
    found: set[str] = set()
    for folder in os.get_exec_path():
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.name.startswith(start)]
        except OSError:
            continue
        found.update(name for name in names if os.access(os.path.join(folder, name), os.X_OK))
    return found


def named(path: str, field: str, incomplete: str, *, within: str = "") -> list[CompletionItem[str]]:
    """What a list of the site names so. within: the part of each item that has the name."""
    page = _asked(path, {"limit": PAGE}, WAIT_S)
    items = page.get("items", []) if page is not None else []
    return _items([(str((one[within] if within else one)[field]), "") for one in items], incomplete)


def _items(found: list[tuple[str, str]], incomplete: str) -> list[CompletionItem[str]]:
    return [CompletionItem(text, help=told) for text, told in found if text.startswith(incomplete)]


def _living() -> Iterator[SessionInfo]:
    """By age, as far as they come in time."""
    from hawse.client.records import SessionInfo

    deadline = time.monotonic() + WAIT_S
    after, count = None, 0
    while (left := deadline - time.monotonic()) > 0 and count < SESSIONS_MAX:
        page = _asked("/v1/sessions", {"state": "living", "limit": PAGE, "after": after}, left)
        items = page.get("items", []) if page is not None else []
        yield from map(SessionInfo, items)
        count += len(items)
        after = page.get("next") if page is not None else None
        if not after:
            return


def _asked(path: str, query: dict[str, Any], wait_s: float) -> dict[str, Any] | None:
    """An answer of a coordinator that runs; None when there is none in time."""
    from hawse.client._sync.server import Server
    from hawse.client.find import endpoint
    from hawse.domain.errors import Problem

    try:
        with Server(endpoint(start="never", batch=True)) as server:
            answer: dict[str, Any] = server.transport.request("GET", path, query=query, wait_s=wait_s).json()
            return answer
    except (Problem, OSError, ValueError):
        return None
