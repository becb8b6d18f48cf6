"""daemons/folders.py and domain/places.py: made, checked, claimed."""

import fcntl
import os
import stat

import pytest

from hawse.daemons import folders
from hawse.domain.errors import Denied, Unavailable
from hawse.domain.places import places as coordinator_places


def test_missing_folders_are_made_private(places):
    where = coordinator_places(os.environ, uid=os.getuid())
    folders.prepare(where, uid=os.getuid())
    for path in (where.state, where.runtime, where.jobs, where.runners):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_a_folder_of_mine_that_others_can_read_is_closed(places):
    places.state.mkdir(mode=0o755)
    folders.private_folder(str(places.state), uid=os.getuid())
    assert stat.S_IMODE(places.state.stat().st_mode) == 0o700


def test_a_folder_that_is_shared_with_others_is_left_as_it_is(places):
    (places.base / "shared").mkdir()
    (places.base / "shared").chmod(0o1777)
    with pytest.raises(Denied, match="is shared with others") as caught:
        folders.private_folder(str(places.base / "shared"), uid=os.getuid())
    assert "of your own" in caught.value.next_step
    assert stat.S_IMODE((places.base / "shared").stat().st_mode) == 0o1777


def test_a_file_a_link_and_somebody_elses_folder_are_refused(places):
    (places.base / "file").write_text("")
    (places.base / "real").mkdir()
    (places.base / "link").symlink_to(places.base / "real")
    for name in ("file", "link"):
        with pytest.raises(Denied):
            folders.private_folder(str(places.base / name), uid=os.getuid())
    for variable in (folders.STATE, folders.RUNTIME):
        with pytest.raises(Denied, match="belongs to uid") as caught:
            folders.private_folder(str(places.base / "real"), uid=os.getuid() + 1, chosen_by=variable)
        assert variable in caught.value.next_step
    with pytest.raises(Unavailable):
        folders.private_folder(str(places.base / "file" / "below"), uid=os.getuid())


def test_a_claim_is_exclusive_and_ends_with_its_holder(places):
    path = str(places.base / "lock")
    held = folders.claim(path, "taken")
    with pytest.raises(Unavailable, match="taken"):
        folders.claim(path, "taken")
    held.release()
    folders.claim(path, "taken").release()
    (places.base / "trap").symlink_to(places.base / "target")
    with pytest.raises(Denied, match="symbolic link"):
        folders.claim(str(places.base / "trap"), "")
    assert not (places.base / "target").exists()


def test_the_socket_is_for_its_owner(places):
    path = str(places.base / "s")
    made = folders.listening_socket(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    made.close()
    folders.listening_socket(path).close()  # a stale one is replaced
    os.unlink(path)
    os.mkdir(path)
    with pytest.raises(Denied, match="is not a socket"):
        folders.listening_socket(path)


def test_a_runtime_folder_is_kept_from_those_who_clean_up(places):
    """systemd-tmpfiles passes over a folder that it cannot lock; a second coordinator is not stopped here."""
    where = coordinator_places(os.environ, uid=os.getuid())
    folders.prepare(where, uid=os.getuid())
    kept = [folders.keep_from_cleaners(where.runtime) for _ in range(2)]
    cleaner = os.open(where.runtime, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for claim in kept:
            claim.release()
        fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(cleaner)
    with pytest.raises(Unavailable):
        folders.keep_from_cleaners(where.runtime + "/absent")
