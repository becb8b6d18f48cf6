"""Which coordinator is meant."""

import pytest
from fake_server import FakeServer, answers

from hawse.client import find
from hawse.client._sync.transport import Transport
from hawse.client.find import Endpoint, endpoint
from hawse.client.places import make_all, own_places
from hawse.domain.errors import Denied, Invalid, Unavailable


def test_the_users_own_by_default(places):
    found = endpoint()
    assert found.path == f"{places.runtime}/coordinator.sock"
    assert found.where is not None


def test_a_given_socket_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("HAWSE_SERVER", "unix:/a")
    assert endpoint().path == "/a"
    assert endpoint("unix:/b").path == "/b"


@pytest.mark.parametrize("address", ["unix:relative", "ssh://the re", "http://there", "nonsense"])
def test_addresses_that_are_not_possible(address):
    with pytest.raises(Invalid) as caught:
        endpoint(address)
    assert caught.value.next_step or "absolute" in caught.value.detail


def test_start_is_one_of_three():
    with pytest.raises(Invalid, match="auto, never, always"):
        endpoint(start="perhaps")


@pytest.mark.requirement("S0.2")
def test_never_starts_none(places):
    with pytest.raises(Unavailable, match="no coordinator is running"):
        Transport(endpoint(start="never")).request("GET", "/v1/status")
    assert not places.state.exists()


def test_an_unsafe_runtime_directory_is_not_used(places):
    make_all(own_places())
    places.runtime.chmod(0o777)
    with pytest.raises(Denied, match="mode 0777"):
        Transport(endpoint(start="never")).request("GET", "/v1/status")


def test_somebody_elses_coordinator_is_not_used(places, monkeypatch):
    where = own_places()
    make_all(where)
    with FakeServer(places.runtime / "coordinator.sock", [answers(200, {})]):
        monkeypatch.setattr(find, "peer", lambda link: (1, 4711, 4711))
        with pytest.raises(Denied, match="belongs to user 4711"):
            Transport(Endpoint(where.socket, start="never", where=where)).request("GET", "/x")
