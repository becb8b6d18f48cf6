"""The console script. `hawse proxy` is started for every link over ssh, so it goes past click and all behind it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """One command, to its exit code."""
    words = sys.argv[1:]
    if words[:1] == ["proxy"] and "--help" not in words and "-h" not in words:
        from hawse.cli.proxy.run import main as proxy

        proxy(words[1:])
    from hawse.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
