"""Make the synchronous client from the asyncio one: src/hawse/client/_async/*.py -> _sync/*.py.

    python tools/twins.py            write what changed
    python tools/twins.py --check    write nothing; exit 1 when something would change

Words are replaced, lines never move, so a traceback in one twin leads to the same line of the other.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[1] / "src" / "hawse" / "client"
NOTICE = "# Generated from {} by tools/twins.py; edit that file, not this one.\n"
WORDS = {
    "_async": "_sync",
    "link_async": "link_sync",
    "AsyncIterator": "Iterator",
    "AsyncGenerator": "Generator",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aclosing": "closing",
    "asyncio": "synchronous",
}
_DROPPED = re.compile(r"\b(?:async (?=def|with|for)|await )")
_REPLACED = re.compile(r"\b(?:" + "|".join(map(re.escape, WORDS)) + r")\b")
_TWO_TYPES = re.compile(r"\bGenerator\[([^\[\]]+), None\]")


def sync(source: str) -> str:
    """The synchronous twin of asyncio source."""
    text = _REPLACED.sub(lambda found: WORDS[found[0]], _DROPPED.sub("", source))
    return _TWO_TYPES.sub(r"Generator[\1, None, None]", text)


def main(arguments: list[str]) -> int:
    """See the module."""
    check = arguments == ["--check"]
    different = []
    sources = sorted((CLIENT / "_async").glob("*.py"))
    for path in sources:
        twin = CLIENT / "_sync" / path.name
        text = sync(path.read_text(encoding="utf-8"))
        if path.name == "__init__.py":
            text = '"""The synchronous client, generated from the asyncio one by tools/twins.py."""\n'
        else:
            text = text.rstrip("\n") + "\n" + NOTICE.format(f"_async/{path.name}")
        if not twin.exists() or twin.read_text(encoding="utf-8") != text:
            different.append(twin)
            if not check:
                twin.write_text(text, encoding="utf-8")
    for orphan in sorted(set((CLIENT / "_sync").glob("*.py")) - {CLIENT / "_sync" / path.name for path in sources}):
        different.append(orphan)
        if not check:
            orphan.unlink()
    for path in different:
        print(f"{path}: {'differs from its source; run tools/twins.py' if check else 'written'}", file=sys.stderr)
    return 1 if check and different else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
