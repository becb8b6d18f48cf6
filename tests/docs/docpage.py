"""Read a page of the documentation as a reader does, do what it says in a real shell, and compare what it shows.

Theory of operation. A page is Markdown. What is done, in the order of the page:

* a fence ```console: each line that begins with `$ ` (and the lines with `> ` after it) is typed into bash on a
  terminal; the lines up to the next one are what the terminal must show afterwards. A line `...` stands for any lines.
* a fence with a title (```python title="count.py"): the file is written; the page shows all of it.
* a line of prose with <kbd>keys</kbd>: the keys are pressed. The command before is one that goes on by itself: its
  lines are awaited, then come the keys, and a console fence that does not begin with a command shows what they lead to.
* `<!-- a new window -->`: the terminal is closed while the command before goes on, as one closes a window, and another
  one is opened. `<!-- another window -->`: the first one stays open. `<!-- the first window -->`: back to it; a console
  fence that does not begin with a command is what it shows now.
* `<!-- varies: EXPRESSION -->`: what matches is the same to us. Ids, times, ages, process ids and sizes always are.
* `<!-- skip: reason -->` before a fence: not done here. Fences of any other kind are read by people only.

The terminal is pyte's, so that what is compared is what a person sees: colours, a restored screen and progress lines
included. With DOCS_UPDATE=1 differing output is written into the page (review the diff; the test fails all the
same).
"""

import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pyte

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 45.0
COLUMNS, ROWS = 120, 200
KEYS = {"Enter": "\r", "Tab": "\t", "Esc": "\x1b", "Space": " "}
_FENCE = re.compile(r"```(?P<kind>[\w-]*)(?:\s+title=\"(?P<title>[^\"]+)\")?\s*$")
_KBD = re.compile(r"<kbd>(.+?)</kbd>")
_WINDOWS = {"a new window": "close", "another window": "open", "the first window": "back"}
_COMMENT = re.compile(rf"<!-- (?P<what>skip|varies|{'|'.join(_WINDOWS)})(?:: (?P<rest>.*))? -->$")
_PROMPT = re.compile(rb"\x1b\]1337;hawse=(\d+)\x07")
_USUAL = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
    (r"\b(?=[0-9]*[a-f])[0-9a-f]{12}\b|\b[0-9]{12}\b", "<id>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}\b", "<id>"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "<time>"),
    (r"\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\b", "<time>"),
    (r"\b1\d{9}\.\d+\b", "<time>"),
    (r"\b\d+(?:\.\d)? (?:B|KiB|MiB|GiB|TiB)\b", "<size>"),
    (r"\b\d+[smhdy](?: \d+[smhdy])?\b", "<age>"),
    (r"(\bprocess:? +|\"pid\": ?|\"runner_pid\": ?)\d+", r"\1<pid>"),
    (r"\buid:\d+", "uid:<n>"),
    (r"\b0\.\d+\.\d+\b", "<version>"),
    (r"  +", "  "),
)


@dataclass(slots=True)
class Step:
    """One thing that a reader does. kind: type, press, file, close, open, back. shown: the page's lines for it.

    first, last: which lines of the page (0-based, half open) `shown` has. goes_on: it does not return by itself.
    """

    kind: str
    text: str
    line: int
    shown: list[str] = field(default_factory=list)
    first: int = 0
    last: int = 0
    goes_on: bool = False


@dataclass(slots=True)
class Page:
    """What a page asks for."""

    path: Path
    steps: list[Step]
    varies: list[re.Pattern[str]]
    other: list[tuple[str, str]]  # kind and text of the fences that are only read

    def plain(self, lines: list[str]) -> list[str]:
        """Lines without what is different each time."""
        return [self._plain(line) for line in lines]

    def _plain(self, line: str) -> str:
        for pattern in self.varies:
            line = pattern.sub("<varies>", line)
        for expression, name in _USUAL:
            line = re.sub(expression, name, line)
        return line.rstrip()


def read(path: Path) -> Page:
    """Take a page apart. Raises ValueError for one that cannot be followed."""
    lines = path.read_text(encoding="utf-8").split("\n")
    page = Page(path, [], [], [])
    skip, at = False, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if comment := _COMMENT.match(line):
            if comment["what"] == "varies":
                page.varies.append(re.compile(comment["rest"]))
            elif comment["what"] == "skip":
                skip = True
            else:
                kind = _WINDOWS[comment["what"]]
                page.steps[-1].goes_on = page.steps[-1].goes_on or kind != "back"
                page.steps.append(Step(kind, comment["what"], at))
        elif fence := _FENCE.match(line):
            end = lines.index("```", at)
            if skip:
                page.other.append((fence["kind"], "\n".join(lines[at:end])))
            elif fence["title"]:
                page.steps.append(Step("file", fence["title"], at, lines[at:end], at, end))
            elif fence["kind"] == "console":
                _console(page, lines, at, end)
            else:
                page.other.append((fence["kind"], "\n".join(lines[at:end])))
            skip, at = False, end + 1
        elif keys := _KBD.findall(line):
            if not page.steps or page.steps[-1].kind not in ("type", "press"):
                raise ValueError(f"{path}:{at}: keys without a command to press them in")
            page.steps[-1].goes_on = True
            page.steps.append(Step("press", "".join(map(key, keys)), at))
    return page


def _console(page: Page, lines: list[str], at: int, end: int) -> None:
    while at < end:
        if lines[at].startswith("$ "):
            text, step_line = lines[at][2:], at + 1
            at += 1
            while at < end and lines[at].startswith("> "):
                text += "\n" + lines[at][2:]
                at += 1
            page.steps.append(Step("type", text, step_line, first=at, last=at))
        elif not page.steps or page.steps[-1].kind == "file":
            raise ValueError(f"{page.path}:{at + 1}: output without a command")
        step, first = page.steps[-1], at
        while at < end and not lines[at].startswith("$ "):
            at += 1
        step.first, step.last, step.shown = first, at, lines[first:at]


def key(name: str) -> str:
    r"""What a terminal sends for Ctrl-\, Enter, q."""
    if name.startswith("Ctrl-") and len(name) == 6:
        return chr(ord(name[5].upper()) & 0x1F)
    if len(name) == 1 or name in KEYS:
        return KEYS.get(name, name)
    raise ValueError(f"there is no key {name!r}")


class Window:
    """A terminal window with bash in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environ = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PROMPT_COMMAND")}
        environ |= {"PS1": "", "PS2": "", "PROMPT_COMMAND": r"printf '\e]1337;hawse=%s\a' $?", "TERM": "xterm-256color"}
        environ |= {"HISTFILE": "", "SHELL": "/bin/bash", "COLUMNS": str(COLUMNS)}
        self.bash = pexpect.spawn(
            "bash", ["--noprofile", "--norc", "--noediting", "-i"], cwd=str(folder), env=environ, echo=False,
            dimensions=(ROWS, COLUMNS), timeout=TIMEOUT_S,
        )  # fmt: skip
        self.bash.delaybeforesend = None
        self.bash.delayafterclose = self.bash.delayafterterminate = 0.05
        self._raw = b""
        self._clear()
        self.until_prompt()

    @property
    def is_idle(self) -> bool:
        """Does bash wait for a command?"""
        return _PROMPT.search(self._raw) is not None

    def _clear(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def _take(self) -> None:
        try:
            data = self.bash.read_nonblocking(1 << 16, 0.05)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            raise AssertionError("the shell has ended") from None
        self._raw += data
        # pyte does not know '>' or '?' in "ESC [ > 4 m" and takes it for underlining
        self._stream.feed(re.sub(rb"\x1b\[[>?][0-9;]*m", b"", data))

    @property
    def lines(self) -> list[str]:
        """What the window shows."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    def type(self, command: str) -> None:
        """Type a command into an empty window."""
        self._clear()
        self.press(command + "\n")

    def press(self, keys: str) -> None:
        """Press keys; the window keeps what it shows."""
        self._raw = b""
        self.bash.send(keys)

    def until_prompt(self, *, timeout_s: float = TIMEOUT_S) -> list[str]:
        """Wait until bash waits for a command; what the window shows."""
        deadline = time.monotonic() + timeout_s
        while not self.is_idle:
            assert time.monotonic() < deadline, "no prompt came; the window shows:\n" + indented(self.lines)
            self._take()
        return self.lines

    def until(self, condition: Callable[[list[str]], bool], *, timeout_s: float = TIMEOUT_S) -> list[str]:
        """Wait until the window shows what it should; what it shows then, or at the end of our patience."""
        deadline = time.monotonic() + timeout_s
        while not condition(self.lines) and time.monotonic() < deadline and not self.is_idle:
            self._take()
        return self.lines

    def close(self) -> None:
        """As one closes a window: SIGHUP for what runs in it."""
        self.bash.close(force=True)


class Reader:
    """Follows pages in an environment of its own.

    stands_for: what a path of this machine is called on the page.
    """

    def __init__(self, folder: Path, stands_for: dict[str, str]) -> None:
        self.folder = folder
        self._windows = [Window(folder)]
        node = platform.node()
        self._stands_for = sorted((stands_for | {node: "laptop"}).items(), key=lambda pair: -len(pair[0]))

    @property
    def window(self) -> Window:
        """The one in front."""
        return self._windows[-1]

    def follow(self, page: Page) -> list[str]:
        """Do all of it; what differs, as text."""
        differences, changes = [], []
        for step in page.steps:
            try:
                seen = self._named(self._do(step, page))
            except AssertionError as error:
                raise AssertionError(f"{page.path.relative_to(ROOT)}:{step.line}: {step.text!r}: {error}") from None
            if step.kind not in ("type", "press", "back") or is_like(page.plain(step.shown), page.plain(seen)):
                continue
            changes.append((step, seen))
            differences.append(
                f"{page.path.relative_to(ROOT)}:{step.line}: {step.text!r}\nthe page says:\n"
                + indented(step.shown) + "\nthe terminal shows:\n" + indented(seen)
            )  # fmt: skip
            if step.goes_on:
                break  # the keys that follow would go nowhere
        if changes and os.environ.get("DOCS_UPDATE"):
            rewrite(page.path, changes)
        return differences

    def _do(self, step: Step, page: Page) -> list[str]:
        if step.kind == "file":
            path = self.folder / step.text
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(step.shown) + "\n", encoding="utf-8")
            return []
        if step.kind in ("close", "open"):
            if step.kind == "close":
                self._windows.pop().close()
            self._windows.append(Window(self.folder))
            return []
        if step.kind == "back":
            self._windows.pop().close()
            return self._awaited(step, page) if step.shown else []
        (self.window.type if step.kind == "type" else self.window.press)(step.text)
        return self._awaited(step, page) if step.goes_on else self.window.until_prompt()

    def _awaited(self, step: Step, page: Page) -> list[str]:
        wanted = page.plain(step.shown)
        return self.window.until(lambda lines: is_like(wanted, page.plain(self._named(lines))))

    def _named(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        for path, name in self._stands_for:
            text = re.sub(rf"{re.escape(path)}(?![\w-])", name, text)
        return text.split("\n") if text else []

    def close(self) -> None:
        """Close all windows."""
        while self._windows:
            self._windows.pop().close()


def is_like(wanted: list[str], seen: list[str]) -> bool:
    """Is this what was wanted, where `...` stands for any lines? Empty lines at the ends do not count."""
    wanted, seen = trimmed(wanted), trimmed(seen)
    if "..." not in wanted:
        return wanted == seen
    *parts, last = split(wanted)
    head, *middle = parts
    if seen[: len(head)] != head or len(seen) < len(head) + len(last) or (last and seen[-len(last) :] != last):
        return False
    at, end = len(head), len(seen) - len(last)
    for part in middle:
        while seen[at : at + len(part)] != part:
            at += 1
            if at + len(part) > end:
                return False
        at += len(part)
    return at <= end


def split(wanted: list[str]) -> Iterator[list[str]]:
    """The pieces between the `...` lines."""
    piece: list[str] = []
    for line in wanted:
        if line == "...":
            yield piece
            piece = []
        else:
            piece.append(line)
    yield piece


def trimmed(lines: list[str]) -> list[str]:
    """Without empty lines at the ends."""
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return lines[first:last]


def indented(lines: list[str]) -> str:
    """For a message; the middle of very many is left out."""
    lines = lines if len(lines) <= 60 else [*lines[:30], "(...)", *lines[-30:]]
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"


def rewrite(path: Path, changes: list[tuple[Step, list[str]]]) -> None:
    """Put what was seen into the page."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for step, seen in sorted(changes, key=lambda change: -change[0].first):
        if step.first:
            lines[step.first : step.last] = trimmed(seen)
    path.write_text("\n".join(lines), encoding="utf-8")
