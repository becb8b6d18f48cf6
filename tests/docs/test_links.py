"""What the documentation points to is there: files, headings, tests. And nothing in it belongs to one place only."""

import re
from urllib.parse import unquote

import pytest
from docpage import ROOT

PAGES = sorted(
    path for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if "plan" not in path.parts
)  # fmt: skip
_LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])+\]\(([^)\s]+)\)")
_FENCES = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def name(path):
    return path.relative_to(ROOT).as_posix()


def anchors(text):
    """As Markdown viewers make them from headings."""
    headings = re.findall(r"^#+ +(.+)$", _FENCES.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for link in _LINK.findall(_FENCES.sub("", text)):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        target, _, anchor = unquote(link).partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{name(path)}: {link}"
        assert ROOT in there.parents, f"{name(path)}: {link} leads out of the project"
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{name(path)}: {link}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_named_tests_exist(path):
    text = path.read_text(encoding="utf-8")
    for file, function in re.findall(r"`(tests/[\w/]+\.py)::(\w+)", text):
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"def {function}\(", source), f"{name(path)}: {file}::{function}"


def test_every_page_can_be_reached_from_the_readme():
    todo, seen = [ROOT / "README.md"], set()
    while todo:
        path = todo.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        for link in _LINK.findall(_FENCES.sub("", path.read_text(encoding="utf-8"))):
            target = (path.parent / link.partition("#")[0]).resolve()
            todo += sorted(target.glob("*.md")) if target.is_dir() else [target] if target.exists() else []
    assert not [name(path) for path in PAGES if path not in seen]


def test_the_check_of_links_can_fail():
    text = "see [a](b.md#c-d) and [`x [y]`](z.md)\n```\n[no](link)\n```\n"
    assert _LINK.findall(_FENCES.sub("", text)) == ["b.md#c-d", "z.md"]
    assert anchors("# One `two` (three)\n## C d\n") == {"one-two-three", "c-d"}
