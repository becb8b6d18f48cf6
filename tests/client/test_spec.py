"""The caller's surroundings as a JobSpec."""

import os
from base64 import b64decode

import pytest

from hawse.client.spec import current_umask, job_spec
from hawse.domain.errors import Invalid


def test_the_callers_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o027)
    try:
        spec = job_spec(["make", "-j8"])
    finally:
        os.umask(before)
    assert spec["argv"] == ["make", "-j8"]
    assert spec["cwd"] == str(tmp_path)
    assert spec["umask"] == 0o027
    assert spec["env"] == {**os.environ}
    assert spec["encoding"] == "utf-8"
    assert "tty" not in spec


def test_what_is_not_utf8_goes_as_base64():
    spec = job_spec([b"cat", b"\xff"], env={b"NAME\xfe": b"v"}, cwd="/")
    assert spec["encoding"] == "base64"
    assert [b64decode(word) for word in spec["argv"]] == [b"cat", b"\xff"]
    assert {b64decode(k): b64decode(v) for k, v in spec["env"].items()} == {b"NAME\xfe": b"v"}
    assert b64decode(spec["cwd"]) == b"/"


@pytest.mark.parametrize(("tty", "told"), [(True, {"columns": 80, "rows": 24}), ((0, 0), {"columns": 0, "rows": 0})])
def test_a_terminal_has_a_size_and_no_stdin_of_its_own(tty, told):
    spec = job_spec(["x"], tty=tty, stdin="open")
    assert (spec["tty"], spec["stdin"]) == (told, "null")


def test_one_string_is_no_command():
    with pytest.raises(Invalid, match="one string"):
        job_spec("make -j8")


def test_a_directory_that_is_gone(monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(Invalid, match="does not exist any more"):
        job_spec(["x"])
    monkeypatch.chdir("/")


def test_the_umask_is_read_without_changing_it():
    before = os.umask(0o077)
    os.umask(before)
    assert current_umask() == before
