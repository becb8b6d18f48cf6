"""Places that others could reach are refused."""

import os

import pytest

from hawse.client.places import check_private, check_runtime, environ_of, make_all, own_places
from hawse.domain.errors import Denied


def test_made_for_the_user_alone(places):
    where = own_places()
    make_all(where)
    make_all(where)
    assert where.runtime == str(places.runtime)
    for path in (where.state, where.runtime):
        assert os.stat(path).st_mode & 0o777 == 0o700
    assert own_places(environ_of(where)) == where


def test_a_symbolic_link_is_refused(places, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    places.runtime.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Denied, match="symbolic link"):
        check_runtime(own_places())


def test_others_could_reach_it(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(Denied, match="mode 0755") as caught:
        check_private(str(tmp_path / "open"), what="the runtime directory")
    assert caught.value.next_step == (
        f"set HAWSE_RUNTIME_DIR to a directory of your own, or close this one: chmod 700 {tmp_path / 'open'}"
    )


def test_nobody_is_told_to_close_a_directory_that_others_use(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    with pytest.raises(Denied, match="is shared with others") as caught:
        check_private(str(tmp_path / "shared"), what="the runtime directory")
    assert caught.value.next_step == "set HAWSE_RUNTIME_DIR to a directory of your own"


def test_somebody_elses(tmp_path):
    with pytest.raises(Denied, match="belongs to user"):
        check_private(str(tmp_path), what="it", uid=os.getuid() + 1)


def test_no_directory(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Denied, match="not a directory"):
        check_private(str(tmp_path / "file"), what="it")
