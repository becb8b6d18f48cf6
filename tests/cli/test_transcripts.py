"""Transcripts: commands with their whole output, as text that is reviewed as a diff.

Each `$ ` line of tests/transcripts/*.txt is run by a shell; what it prints on both streams, and its exit code when
that is not 0, must be what follows. Ids, times, process ids and places are replaced by words.
REWRITE_TRANSCRIPTS=1 writes the files anew.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "transcripts"
REPLACED = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "<time>"),
    (r"\b(process:? +)\d+", r"\1<pid>"),
    (r"\b(for|ran) \d+s\b", r"\1 <n>s"),
    (r"\b\d+s ago", "<n>s ago"),
    (r"uid:\d+", "uid:<n>"),
    (r'"(\w+_at|time|since)": ?\d+\.\d+', r'"\1": <time>'),
    (r'"(pid|log_end)": ?\d+', r'"\1": <n>'),
    (r'"incarnation": ?"[0-9a-f]+"', '"incarnation": "<hex>"'),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}(?=  )", "<id>"),
    (r"(host: +).*", r"\1<host>"),
    (r'("last_seq": |  events: +)\d+', r"\1<n>"),  # a short job's start may be told with its end, in one event less
    (r"(engine: +).*", r"\1<engine>"),
    (r"(version: +).*", r"\1<version>"),
    (r"(sqlite, version )\d+", r"\1<n>"),
    (r"(RAN .*\n(?:.*\n)*?.*<time> +)\d+s", r"\1<n>s"),
)  # fmt: skip
pytestmark = pytest.mark.xdist_group("cli")


def normal(text: str, places: Any) -> str:
    """The text without what differs from run to run."""
    for name in ("state", "runtime", "home", "base"):
        text = text.replace(str(getattr(places, name)), f"<{name}>")
    for pattern, word in REPLACED:
        text = re.sub(pattern, word, text)
    return "\n".join(re.sub(r"  \d+s( {2,}|$)", "  <n>s  ", line).rstrip() for line in text.splitlines())


def said(command: str, environ: dict[str, str], places: Any) -> str:
    """A command's whole output and its exit code."""
    done = subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ,
        timeout=60,
    )
    code = f"\n[exit code {done.returncode}]" if done.returncode else ""
    return (normal(done.stdout, places) + code).strip("\n")


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_transcript(name, hawse, places):
    path = FOLDER / f"{name}.txt"
    (places.base / "bin").mkdir()
    program = places.base / "bin" / "hawse"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hawse.cli "$@"\n')
    program.chmod(0o755)
    environ = hawse.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    before = path.read_text(encoding="utf-8")
    head, *parts = re.split(r"^\$ ", before, flags=re.M)
    commands = [part.split("\n", 1)[0] for part in parts]
    after = (
        head + "\n\n".join(f"$ {command}\n{said(command, environ, places)}".rstrip("\n") for command in commands) + "\n"
    )
    if os.environ.get("REWRITE_TRANSCRIPTS"):
        path.write_text(after, encoding="utf-8")
    else:
        assert after == before
