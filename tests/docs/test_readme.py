"""The README is true: its session, in a real shell on a terminal, shows what it says; its first commands exist."""

import re

from docpage import ROOT, read

FIRST = ["make demo", "make test"]


def test_the_readme_shows_what_it_says(reader):
    differences = reader.follow(read(ROOT / "README.md"))
    assert not differences, "\n\n".join(differences)


def test_it_begins_with_the_two_commands():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "```"
    assert [" ".join(line.split()[:2]) for line in lines[1:3]] == FIRST
    assert lines[3] == "```"


def test_every_make_command_of_the_documentation_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        fences = "\n".join(re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL))
        named = re.findall(r"^(?:\$ )?make ([a-z]+)", fences, re.MULTILINE) + re.findall(r"`make ([a-z]+)", text)
        assert set(named) <= targets, path
