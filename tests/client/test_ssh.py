"""Addresses, configuration and words of ssh, without any ssh; and what is made of what it says."""

import os

import pytest

from hawse.client import ssh, tunnel
from hawse.client.find import endpoint
from hawse.client.ssh import Place, far_command, parse_address, ssh_words
from hawse.client.ssh_says import explained
from hawse.client.tunnel import Tunnel
from hawse.domain.errors import Broken, Denied, Invalid, Unavailable

HERE = Place("there", user="ada", port=2222)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("ssh://host", ("", "host", 0, "")),
        ("ssh://host/", ("", "host", 0, "")),
        ("ssh://ada@login.example.org:2222", ("ada", "login.example.org", 2222, "")),
        ("ssh://ada@[::1]:22", ("ada", "::1", 22, "")),
        ("ssh://[fe80::1%eth0]", ("", "fe80::1%eth0", 0, "")),
        ("ssh://host/srv/hawse/coordinator.sock", ("", "host", 0, "/srv/hawse/coordinator.sock")),
    ],
)
def test_an_address(address, parts):
    place = parse_address(address)
    assert (place.user, place.host, place.port, place.path) == parts
    assert parse_address(str(place)).host == place.host


@pytest.mark.parametrize(
    "address",
    [
        "ssh:", "ssh://", "ssh:host", "ssh://@host", "ssh://-oProxyCommand=id", "ssh://-l@host", "ssh://a b",
        "ssh://a;b",
        "ssh://host:0", "ssh://host:65536", "ssh://host:x", "ssh://host\n", "ssh://h/a b", "ssh://h/'",
        "ssh://" + "a" * 300,
        "ssh://a@b@c", "ssh://[host", "ssh://$(id)", "ssh://host/../x?",
    ],
)  # fmt: skip
def test_what_is_no_address(address):
    with pytest.raises(Invalid):
        parse_address(address)


def test_a_password_is_refused_and_never_repeated():
    with pytest.raises(Invalid) as caught:
        endpoint("ssh://ada:tr0ub4dor@there")
    assert "tr0ub4dor" not in caught.value.detail + caught.value.next_step
    assert "password" in caught.value.detail


def test_the_words_end_before_the_host():
    words = ssh_words(HERE, "/c", batch=True)
    assert words[-2:] == ["--", "there"]
    assert words[words.index("-l") + 1] == "ada"
    assert words[words.index("-p") + 1] == "2222"
    assert "BatchMode=yes" in words
    assert "BatchMode=yes" not in ssh_words(HERE, "/c")


def test_the_far_command():
    assert far_command(["--start", "auto"], "/opt/hawse") == "/opt/hawse proxy --start auto"
    usual = far_command(["--start", "auto"], "")
    assert usual.startswith("sh -c '")
    assert usual.count("'") == 2  # no quoting within, for any shell


def test_what_the_user_says_comes_first():
    text = ssh.config_text(own="", multiplexed_in="/run/50%")
    lines = [line.strip() for line in text.splitlines()]
    assert lines.index('Include "~/.ssh/config"') < lines.index('Include "/etc/ssh/ssh_config"') < lines.index("Host *")
    assert 'ControlPath "/run/50%%/%C"' in lines
    assert "ControlMaster no" in ssh.config_text(own="/x", multiplexed_in="")


def test_settings_come_from_the_environment_then_from_the_file(places, monkeypatch):
    places.config.mkdir()
    (places.config / "config.toml").write_text('[ssh]\nremote_command = "/far/hawse"\nprogram = "/near/ssh"\n')
    monkeypatch.setenv("HAWSE_SSH", "/other/ssh")
    assert ssh.settings(os.environ) == {"remote_command": "/far/hawse", "program": "/other/ssh", "config": ""}
    for text in ("[ssh]\nprogram = 1\n", "ssh = 1\n", "[ssh\n"):
        (places.config / "config.toml").write_text(text)
        with pytest.raises(Invalid):
            ssh.settings(os.environ)
    monkeypatch.setenv("HAWSE_REMOTE_COMMAND", "a\nb")
    (places.config / "config.toml").unlink()
    with pytest.raises(Invalid, match="HAWSE_REMOTE_COMMAND"):
        ssh.settings(os.environ)


def test_a_runtime_folder_that_is_too_long_for_sockets_has_no_master(places, monkeypatch):
    assert endpoint("ssh://there").paths()["folder"].startswith(f"{places.runtime}/s/")
    assert endpoint("ssh://there").paths()["folder"] != endpoint("ssh://elsewhere").paths()["folder"]
    monkeypatch.setenv("HAWSE_RUNTIME_DIR", str(places.base / ("x" * 45)))
    paths = endpoint("ssh://there").paths()
    assert paths["folder"] == ""
    with open(paths["config"], encoding="utf-8") as file:
        assert "ControlMaster no" in file.read()


def test_a_folder_that_others_can_reach_is_refused(places):
    place = endpoint("ssh://there")
    place.paths()
    (places.runtime / "s").chmod(0o755)
    with pytest.raises(Denied, match="mode 0755"):
        endpoint("ssh://there").paths()


def test_a_job_is_an_id():
    with pytest.raises(Invalid, match="not the id of a job"):
        endpoint("ssh://there").tunnel(runner="../x")


@pytest.mark.parametrize(
    ("code", "said", "kind", "words"),
    [
        (255, "ssh: Could not resolve hostname x: Name or service not known", Unavailable, "cannot be reached"),
        (255, "ada@there: Permission denied (publickey).", Denied, "does not let you in"),
        (255, "Received disconnect: Too many authentication failures", Denied, "does not let you in"),
        (255, "Host key verification failed.", Denied, "the key of"),
        (255, "/x/config: line 1: Bad configuration option: y", Broken, "configuration is not usable"),
        (255, "ssh: connect to host there port 22: Connection timed out", Unavailable, "timed out"),
        (255, "Warning: Permanently added 'x' to the list\nkex_exchange: reset", Unavailable, "kex_exchange"),
        (255, "", Unavailable, "was lost"),
        (127, "sh: 1: exec: hawse: not found", Broken, "was not found"),
        (126, "hawse: Permission denied", Broken, "cannot be run"),
        (64, "Error: there is no command 'proxy'", Broken, "too old"),
        (3, "Traceback\nImportError: x", Broken, "exit code 3 and said: ImportError: x"),
        (-9, "", Unavailable, "signal 9"),
        (None, "", Broken, "closed the connection"),
    ],
)
def test_what_ssh_says_becomes_a_problem(code, said, kind, words):
    problem = explained(HERE, code, said, "")
    assert type(problem) is kind
    assert words in problem.detail
    assert "ssh://ada@there:2222" in problem.detail or "configuration" in problem.detail


def test_noise_tells_what_answered_instead():
    assert "said: This account is closed" in explained(HERE, 1, "", "Hello\nThis account is closed\n\n").detail


def stood_in(words: str) -> Tunnel:
    return Tunnel(HERE, ["/bin/sh", "-c", words])


def test_a_process_that_speaks_and_goes(eventually):
    made = stood_in("echo out; echo err >&2; exit 9")
    with made.socket:
        assert made.socket.recv(100) == b"out\n"
        assert made.socket.recv(100) == b""
        assert "exit code 9 and said: err" in made.failure().detail
    pid = made.pid
    made.release()
    made.release()
    assert not os.path.exists(f"/proc/{pid}")
    assert not tunnel._ended


def test_standard_error_without_end_waits_for_nobody_and_is_bounded():
    made = stood_in("yes err | head -c 1000000 >&2; echo done")
    with made.socket:
        assert made.socket.recv(100) == b"done\n"
    assert len(made.said()) <= tunnel.SAID_BYTES_MAX
    made.kill()


def test_who_goes_later_is_reaped_by_the_next(eventually):
    made = stood_in("read line; exit 0")
    pid = made.pid
    made.release()
    assert pid in tunnel._leaving
    made.socket.close()

    def gone() -> bool:
        tunnel._reap()
        return pid not in tunnel._leaving

    eventually(gone)
    assert not os.path.exists(f"/proc/{pid}")


def test_who_asks_on_the_terminal_is_known(eventually):
    leader, follower = os.openpty()
    path = os.ttyname(follower)
    made = stood_in(f"read line; exec 5<{path}; read line; exec 5<&-; read line; sh -c 'read line' <{path}; read line")
    try:
        for asks in (False, True, False, True):
            eventually(lambda asks=asks: made.asks is asks, what=f"asks: {asks}")
            made.socket.send(b"go on\n")
    finally:
        made.kill()
        made.socket.close()
        os.close(leader)
        os.close(follower)
    assert not made.asks


def test_it_hears_no_interrupt_and_ends_at_the_end_of_its_input(eventually):
    made = stood_in("kill -INT $$; kill -HUP $$; kill -QUIT $$; echo alive; cat")
    assert made.socket.recv(100) == b"alive\n"
    made.socket.close()
    assert tunnel._exit_code(made.pid, 20) == 0
    made.release()
