import pytest

from hawse.domain.errors import Invalid
from hawse.domain.places import SOCKET_PATH_BYTES_MAX, places


def test_the_runtime_folder_follows_the_state():
    one, same = (
        places({"HOME": "/home/a"}, uid=5),
        places({"XDG_STATE_HOME": "/home/a/.local/state", "HOME": "/"}, uid=5),
    )
    other = places({"HOME": "/home/b"}, uid=5)
    assert one.state == "/home/a/.local/state/hawse"
    assert one.runtime == same.runtime != other.runtime
    assert one.runtime.startswith("/tmp/hawse-5/")
    assert one.socket == one.runtime + "/coordinator.sock"


def test_home_may_come_from_elsewhere():
    assert places({}, uid=5, home="/root").config == "/root/.config/hawse"


@pytest.mark.parametrize(
    "env", [{}, {"HOME": "x"}, {"HOME": "/h", "HAWSE_STATE_DIR": "x"}, {"HOME": "/h", "HAWSE_RUNTIME_DIR": "./x"}]
)
def test_a_place_is_absolute(env):
    with pytest.raises(Invalid):
        places(env, uid=5)


def test_every_socket_has_room():
    longest = SOCKET_PATH_BYTES_MAX - len("/r/" + 36 * "x")
    assert len(places({"HOME": "/h", "HAWSE_RUNTIME_DIR": "/" + "x" * (longest - 1)}, uid=5).runtime) == longest
    with pytest.raises(Invalid, match="bytes"):
        places({"HOME": "/h", "HAWSE_RUNTIME_DIR": "/" + "x" * longest}, uid=5)
    with pytest.raises(Invalid):
        places({"HOME": "/h", "HAWSE_RUNTIME_DIR": "/" + "é" * (longest // 2 + 1)}, uid=5)
