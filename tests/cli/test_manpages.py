"""Man pages come from the commands' own help."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

from hawse.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("manpages", ROOT / "tools" / "manpages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_for_each_command(tool, tmp_path):
    assert tool.main([str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"hawse.1", *(f"hawse-{name}.1" for name in COMMANDS)}


def test_man_reads_them_without_complaint(tool, tmp_path, need):
    groff = need("groff")
    for name, text in tool.pages().items():
        done = subprocess.run(
            [groff, "-man", "-Tutf8", "-ww", "-z"], input=text, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), name


def test_what_roff_would_take_for_its_own_is_quoted(tool):
    assert tool.quoted("Ctrl-\\ d\n.ls") == "Ctrl\\-\\e d\n\\&.ls"
    assert ".nf" in tool.paragraphs("One.\n\n\b\nhawse ls\n")
