"""The bound of the runners' common log, with a writer that holds it open."""

import os
import stat

from hawse.adapters.launch.runner_log import keep_within


def test_a_writer_goes_on_in_the_new_beginning(tmp_path):
    path = tmp_path / "runner.log"
    writer = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(writer, b"old\n" * 100)
    assert not keep_within(str(path), 400)
    assert keep_within(str(path), 399)
    os.write(writer, b"new\n")
    os.close(writer)
    assert path.read_text() == f"hawse: what was here before is in {path}.1\nnew\n"
    assert (tmp_path / "runner.log.1").read_text() == "old\n" * 100
    assert stat.S_IMODE((tmp_path / "runner.log.1").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["runner.log", "runner.log.1"]


def test_only_one_older_file_is_kept(tmp_path):
    path = tmp_path / "runner.log"
    for word in ("first", "second"):
        path.write_text(word * 100)
        assert keep_within(str(path), 10)
    assert (tmp_path / "runner.log.1").read_text() == "second" * 100


def test_a_log_that_cannot_be_kept_is_no_reason_to_fail(tmp_path):
    assert not keep_within(str(tmp_path / "none"), 0)
    path = tmp_path / "runner.log"
    path.write_text("x" * 100)
    (tmp_path / "runner.log.1").mkdir()
    assert not keep_within(str(path), 10)
    assert path.read_text() == "x" * 100
    assert sorted(os.listdir(tmp_path)) == ["runner.log", "runner.log.1"]
