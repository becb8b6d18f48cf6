"""The import contracts in pyproject.toml can fail: each one, on a house that breaks it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = "domain wire ports services overlay runner adapters client api cli daemons testing".split()


@pytest.fixture
def house(tmp_path):
    """An empty house with our contracts."""
    for name in FLOORS:
        (tmp_path / "src" / "hawse" / name).mkdir(parents=True)
        (tmp_path / "src" / "hawse" / name / "__init__.py").touch()
    (tmp_path / "src" / "hawse" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    return tmp_path


def lint(house):
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house, env={**os.environ, "PYTHONPATH": f"{house}/src:{house}", "NO_COLOR": "1"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_an_empty_house_keeps_all(house):
    done = lint(house)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("domain.a", "hawse.wire", "Floors: imports go down BROKEN"),
        ("api.a", "hawse.daemons", "Floors: imports go down BROKEN"),
        ("services.a", "hawse.adapters", "Floors: imports go down BROKEN"),
        ("services.a", "hawse.runner", "Floors: imports go down BROKEN"),
        ("wire.a", "hawse.ports", "Floors: imports go down BROKEN"),
        ("client.a", "hawse.adapters", "Floors: imports go down BROKEN"),
        ("cli.a", "hawse.api", "Floors: imports go down BROKEN"),
        ("attic.a", "sys", "Floors: imports go down BROKEN"),
        ("services.a", "hawse.testing", "Test kits are for tests BROKEN"),
        ("cli.a", "hawse.services", "The command line speaks client BROKEN"),
        ("client.a", "hawse.ports", "The client speaks REST and wire BROKEN"),
        ("api.a", "hawse.adapters", "Only daemons name adapters BROKEN"),
        ("wire.a", "hawse.domain", "Wire and runner do not know the domain BROKEN"),
        ("runner.a", "hawse.domain", "Wire and runner do not know the domain BROKEN"),
        ("domain.a", "msgspec", "Domain, wire, ports and runner need nothing but Python BROKEN"),
        ("runner.a", "uvloop.loop", "Domain, wire, ports and runner need nothing but Python BROKEN"),
        ("domain.a", "time", "The domain has no clock, no chance, no input and no output BROKEN"),
        ("domain.a", "os.path", "The domain has no clock, no chance, no input and no output BROKEN"),
        ("wire.a", "socket", "Wire does no input and no output BROKEN"),
    ],
)
def test_a_wrong_import_breaks_its_contract(house, module, imported, contract):
    path = house / "src" / "hawse" / Path(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {imported}\n")
    done = lint(house)
    assert done.returncode == 1, done.stdout
    assert contract in done.stdout
