"""tools/requirements.py reads the list and the marks as a person would."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "requirements.py"
LIST = """
### S. Sessions (3)
- S0.1 One thing. [A] versus S0.2's other → this.
- S0.2 Two things. S1.10 A third (see S0.1).
- Facts without a number.

### L. Lifecycle (1)
- L5.1 Fast | wide.

## What survives what
- not numbered
"""


@pytest.fixture(scope="module")
def tool():
    specification = importlib.util.spec_from_file_location("requirements_tool", TOOL)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """A list and an empty folder of tests."""
    (tmp_path / "list.md").write_text(LIST)
    (tmp_path / "tests").mkdir()
    return tmp_path


def run(project, *options):
    command = [sys.executable, str(TOOL), "--list", str(project / "list.md"), "--tests", str(project / "tests")]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)


def test_several_numbers_in_a_line_are_found_and_references_are_not(tool):
    assert tool.read_list(LIST) == {
        "S0.1": "One thing. [A] versus S0.2's other → this.",
        "S0.2": "Two things.",
        "S1.10": "A third (see S0.1).",
        "L5.1": "Fast | wide.",
    }


def test_the_real_list_is_whole(tool):
    known = tool.read_list((ROOT / "docs" / "requirements.md").read_text())
    assert len(known) == 175
    assert next(iter(known)) == "S0.1"
    assert list(known)[-1] == "D2.8"
    assert {"L5.2", "L6.5", "L7.8", "F3.3", "F4.2", "X4.2", "D1.5"} <= known.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("### S. Sessions (2)\n- S0.1 One.\n", "heading says 2, the list has 1"),
        ("### S. Sessions (2)\n- S0.1 One.\n- S0.1 Again.\n", "defined twice"),
        ("- S0.1 One.\n", "heading says 0"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(tool, text, message):
    with pytest.raises(tool.ListError, match=message):
        tool.read_list(text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('@pytest.mark.requirement("S0.1", "S0.2")\ndef test_a(): ...', {("S0.1", "::test_a"), ("S0.2", "::test_a")}),
        ('@mark.requirement("S0.1")\nasync def test_a(): ...', {("S0.1", "::test_a")}),
        (
            'pytestmark = pytest.mark.requirement("S0.1")\ndef test_a(): ...\ndef help(): ...\ndef test_b(): ...',
            {("S0.1", "::test_a"), ("S0.1", "::test_b")},
        ),
        (
            'pytestmark = [pytest.mark.slow, pytest.mark.requirement("S0.1")]\ndef test_a(): ...',
            {("S0.1", "::test_a")},
        ),
        (
            '@pytest.mark.requirement("S0.1")\nclass TestA:\n'
            '    pytestmark = pytest.mark.requirement("S0.2")\n'
            '    @pytest.mark.requirement("L5.1")\n    def test_b(self): ...\n    def test_c(self): ...',
            {
                ("S0.1", "::TestA::test_b"),
                ("S0.1", "::TestA::test_c"),
                ("S0.2", "::TestA::test_b"),
                ("S0.2", "::TestA::test_c"),
                ("L5.1", "::TestA::test_b"),
            },
        ),
        (
            '@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.requirement("S0.1"))])\n'
            "def test_a(x): ...",
            {("S0.1", "::test_a")},
        ),
        ('@pytest.mark.requirement("S0.1")\nclass TestStore(CheckStore):\n    """All."""', {("S0.1", "::TestStore")}),
        ('pytestmark = pytest.mark.requirement("S0.1")\nimport kit', {("S0.1", "")}),
        ('def test_a():\n    text = "@pytest.mark.requirement(\'S0.1\')"', set()),
    ],
)
def test_marks_are_found_where_they_may_stand(tool, source, expected):
    marks, errors = tool.read_marks(source, "test_x.py")
    assert {(mark.number, mark.test.removeprefix("test_x.py")) for mark in marks} == expected
    assert not errors


@pytest.mark.parametrize("inside", ["", "NUMBER", '*["S0.1"]', '"S0.1", why="so"', "7"])
def test_a_mark_that_cannot_be_read_is_told(tool, inside):
    _, errors = tool.read_marks(f"@pytest.mark.requirement({inside})\ndef test_a(): ...", "test_x.py")
    assert len(errors) == 1
    assert errors[0].startswith("test_x.py:1: ")


def test_the_report_names_tests_and_what_is_missing(project):
    (project / "tests" / "test_a.py").write_text('@mark.requirement("S1.10")\ndef test_it(): ...\n')
    done = run(project)
    assert done.returncode == 0
    assert "S1.10  tests/test_a.py::test_it\n" in done.stdout
    assert "No test names:\n  S0.1 S0.2\n  L5.1\n" in done.stdout
    assert done.stdout.endswith("1 of 4 requirements have a test.\n")


def test_an_unknown_number_is_an_error(project):
    (project / "tests" / "test_a.py").write_text('\n@mark.requirement("S9.9")\ndef test_it(): ...\n')
    done = run(project)
    assert done.returncode == 1
    assert "tests/test_a.py:2: S9.9 is not in the list of requirements\n" in done.stderr


def test_a_file_that_is_no_python_is_an_error(project):
    (project / "tests" / "test_a.py").write_text("def test_it(:\n")
    done = run(project)
    assert done.returncode == 1
    assert "tests/test_a.py" in done.stderr


def test_json(project):
    (project / "tests" / "deep").mkdir()
    (project / "tests" / "deep" / "test_a.py").write_text('@mark.requirement("L5.1")\ndef test_it(): ...\n')
    report = json.loads(run(project, "--json").stdout)
    assert list(report) == ["S0.1", "S0.2", "S1.10", "L5.1"]
    assert report["L5.1"] == {"text": "Fast | wide.", "tests": ["tests/deep/test_a.py::test_it"]}


def test_markdown(project):
    table = run(project, "--markdown").stdout.splitlines()
    assert table[0] == "| number | requirement | tests |"
    assert table[5] == "| L5.1 | Fast \\| wide. | none |"


def test_the_marks_of_this_project_are_right():
    done = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
