"""The synchronous client is the asyncio one, word for word."""

import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import hawse
from hawse.client import aio, api

ROOT = Path(__file__).resolve().parents[2]


def tool():
    spec = importlib.util.spec_from_file_location("twins", ROOT / "tools" / "twins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.requirement("S0.4")
def test_the_twins_are_up_to_date(capsys):
    assert tool().main(["--check"]) == 0, capsys.readouterr().err


def test_a_difference_is_found(tmp_path, monkeypatch, capsys):
    module = tool()
    for folder in ("_async", "_sync"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_async" / "a.py").write_text("async def f() -> None:\n    await g()\n")
    (tmp_path / "_sync" / "orphan.py").touch()
    monkeypatch.setattr(module, "CLIENT", tmp_path)
    assert module.main(["--check"]) == 1
    assert module.main([]) == 0
    assert module.main(["--check"]) == 0
    assert (tmp_path / "_sync" / "a.py").read_text().startswith("def f() -> None:\n    g()\n")
    assert not (tmp_path / "_sync" / "orphan.py").exists()


@pytest.mark.parametrize("name", ["Server", "Session", "Job", "Attachment"])
def test_both_have_the_same_names_and_parameters(name):
    words = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}
    asynchronous, synchronous = getattr(aio, name), getattr(api, name)
    theirs = {words.get(n, n): m for n, m in inspect.getmembers(asynchronous, inspect.isfunction)}
    ours = dict(inspect.getmembers(synchronous, inspect.isfunction))
    assert theirs.keys() == ours.keys()
    for method, mine in ours.items():
        assert list(inspect.signature(mine).parameters) == list(inspect.signature(theirs[method]).parameters)
        assert not inspect.iscoroutinefunction(mine)


def test_open_and_its_twin_take_the_same():
    assert inspect.signature(hawse.open).parameters.keys() == inspect.signature(hawse.aio.open).parameters.keys()
    assert inspect.signature(hawse.connect).parameters.keys() == inspect.signature(hawse.aio.connect).parameters.keys()


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_hawse_is_cheap():
    assert not loaded("import hawse") & {"asyncio", "socket", "h11", "dataclasses", "typing", "hawse.client.api"}


def test_the_synchronous_client_does_not_load_asyncio():
    assert not loaded("import hawse; hawse.open") & {"asyncio", "msgspec", "ssl", "click", "hawse.client._async"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="opne"):
        _ = hawse.opne
