"""Where the token comes from, to whom it is shown, and that nobody else sees it."""

import os

import pytest
from fake_server import FakeServer, answers

from hawse.client._sync.transport import Transport
from hawse.client.find import endpoint
from hawse.client.token import token_from
from hawse.domain.errors import Denied, Invalid, Unavailable

TOKEN = "hwt_" + "0" * 32 + "_" + "A" * 43


def written(path, text=TOKEN + "\n", mode=0o600):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_it_comes_from_the_variable_the_named_file_or_the_configuration(places, tmp_path, monkeypatch):
    assert token_from(os.environ) == ""
    written(places.config / "token", "kept\n")
    assert token_from(os.environ) == "kept"
    monkeypatch.setenv("HAWSE_TOKEN_FILE", written(tmp_path / "t", "named\n"))
    assert token_from(os.environ) == "named"
    monkeypatch.setenv("HAWSE_TOKEN", f" {TOKEN} ")
    assert token_from(os.environ) == TOKEN


def test_a_file_that_others_read_is_refused_and_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("HAWSE_TOKEN_FILE", written(tmp_path / "t", mode=0o640))
    with pytest.raises(Denied, match="can be read by others") as caught:
        endpoint("unix:/s")
    assert TOKEN not in str(caught.value)
    monkeypatch.setenv("HAWSE_TOKEN_FILE", str(tmp_path / "absent"))
    with pytest.raises(Unavailable, match="can't be read"):
        endpoint("unix:/s")


@pytest.mark.parametrize("text", ["two words", "ü", "a\nb", "x" * 5000, "a\x7fb"])
def test_what_can_be_no_header_is_refused_and_not_shown(monkeypatch, text):
    monkeypatch.setenv("HAWSE_TOKEN", text)
    with pytest.raises(Invalid) as caught:
        endpoint("unix:/s")
    assert text not in str(caught.value)


def test_it_is_shown_to_a_named_server_with_the_project_and_to_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setenv("HAWSE_TOKEN", TOKEN)
    monkeypatch.setenv("HAWSE_PROJECT", "ci")
    with FakeServer(tmp_path / "s", [answers(200, {})]) as server:
        transport = Transport(endpoint(f"unix:{tmp_path / 's'}"))
        transport.request("GET", "/v1/me")
        transport.close()
    sent = dict(server.requests[0][0].headers)
    assert (sent[b"authorization"], sent[b"hawse-project"]) == (f"Bearer {TOKEN}".encode(), b"ci")
    assert endpoint().token == "", "one's own coordinator asks the kernel"
    assert endpoint("ssh://there").token == "", "and who logs in there is known there"


def test_a_project_that_is_no_name_is_told(monkeypatch):
    monkeypatch.setenv("HAWSE_PROJECT", "no way")
    with pytest.raises(Invalid, match="HAWSE_PROJECT"):
        endpoint()
