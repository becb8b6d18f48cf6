"""tools/reference.py: the same code gives the same pages, a stale page is found, and the pages say what they must."""

import importlib.util
import sys
from pathlib import Path

import pytest

from hawse.cli.main import COMMANDS
from hawse.domain import errors
from hawse.domain.job import JOB

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("hawse_tools_reference", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(tool):
    return tool.made()


def test_the_same_code_gives_the_same_pages(tool, pages):
    assert tool.made() == pages


def test_a_terminal_or_an_environment_changes_nothing(tool, pages, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("HOME", "/somewhere/else")
    assert tool.made() == pages


def test_writing_then_checking_then_a_stale_page(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "reference")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    (tmp_path / "reference" / "cli.md").write_text("old")
    (tmp_path / "reference" / "gone.md").write_text("no longer made")
    capsys.readouterr()
    assert tool.main(["--check"]) == 1
    assert "cli.md, gone.md" in capsys.readouterr().err
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    assert not (tmp_path / "reference" / "gone.md").exists()


def test_every_command_is_told(pages):
    for name in COMMANDS:
        assert f"\n## hawse {name}\n" in pages["cli.md"]


def test_every_operation_and_every_object_is_told(tool, pages):
    document = tool.openapi()
    for path, operations in document["paths"].items():
        for verb in operations:
            assert f"\n## {verb.upper()} {path}\n" in pages["rest.md"]
    for name in document["components"]["schemas"]:
        assert f"\n## {name}\n" in pages["rest.md"]


def test_every_move_and_every_error_is_told(pages):
    for (state, event), after in JOB.items():
        assert f"| {state} | {event} | {'stays' if state == after else after} |" in pages["states.md"]
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.Problem) and kind is not errors.Problem:
            row = f"| `{kind.code}` | {kind.__name__} | {kind.http} | {kind.exit} |"
            assert row in pages["states.md"]


def test_every_public_method_is_told(pages):
    from hawse.client.api import Job, Server, Session

    for kind in (Server, Session, Job):
        for name in vars(kind):
            if not name.startswith("_") and callable(getattr(kind, name)):
                assert f"\n### {kind.__name__}.{name}\n" in pages["python.md"]


def test_an_event_kind_without_a_description_is_an_error(tool, monkeypatch):
    monkeypatch.delitem(tool.KINDS, "job.ended")
    with pytest.raises(SystemExit, match=r"job\.ended"):
        tool.events_page()
