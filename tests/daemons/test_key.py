"""daemons/key.py: one key for ever, read by its user alone."""

import os

import pytest

from hawse.daemons.key import KEY_BYTES, kept_key
from hawse.domain.errors import Broken, Denied, Unavailable


@pytest.mark.requirement("S7.2")
def test_it_is_made_once_and_is_private(tmp_path):
    path = tmp_path / "key"
    key = kept_key(str(path))
    assert len(key) == KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept_key(str(path)) == key
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_what_others_could_read_or_have_put_there_is_refused(tmp_path):
    path = tmp_path / "key"
    kept_key(str(path))
    os.chmod(path, 0o640)
    with pytest.raises(Denied, match="not yours alone"):
        kept_key(str(path))
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(Denied):
        kept_key(str(link))
    short = tmp_path / "short"
    short.write_bytes(b"x")
    short.chmod(0o600)
    with pytest.raises(Broken, match="32 bytes"):
        kept_key(str(short))
    with pytest.raises(Unavailable):
        kept_key(str(tmp_path / "no" / "folder"))
