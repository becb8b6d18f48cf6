"""Which processes logind ends: its settings, and the places that a process can be in."""

import os
from pathlib import Path

import pytest

from hawse.client import logind
from hawse.client.logind import MANAGER, OUTSIDE, SESSION
from hawse.client.start import scope_prefix

HOST_KILLS = "[Login]\nKillUserProcesses=yes\n"


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def kills(root: Path, user: str = "ann") -> bool:
    return logind.kills(logind.read_files(str(root)), user)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        (HOST_KILLS, True),
        ("[Login]\n#KillUserProcesses=yes\n", False),
        ("[Other]\nKillUserProcesses=yes\n", False),
        ("[Login]\n KillUserProcesses = true\n", True),
        (HOST_KILLS + "KillExcludeUsers=root ann\n", False),
        (HOST_KILLS + "KillOnlyUsers=bob\n", False),
        (HOST_KILLS + "KillOnlyUsers=ann\n", True),
        ("[Login]\nKillOnlyUsers=ann\n", True),  # the list overrides the switch
        ("[Login]\nKillOnlyUsers=ann\nKillExcludeUsers=ann\n", False),  # and this list that one
        ("[Login]\nKillOnlyUsers=ann\nKillOnlyUsers=bob\n", True),  # lists add up
        ("[Login]\nKillOnlyUsers=ann\nKillOnlyUsers=\n", False),
    ],
)
def test_settings(tmp_path, text, expected):
    """As seen on a machine that runs systemd 252."""
    write(tmp_path, "etc/systemd/logind.conf", text)
    assert kills(tmp_path) == expected


def test_root_is_spared_unless_the_list_is_emptied(tmp_path):
    write(tmp_path, "etc/systemd/logind.conf", HOST_KILLS)
    assert not kills(tmp_path, "root")
    write(tmp_path, "etc/systemd/logind.conf", HOST_KILLS + "KillExcludeUsers=\n")
    assert kills(tmp_path, "root")


def test_drop_ins_win_in_the_order_of_their_names(tmp_path):
    write(tmp_path, "usr/lib/systemd/logind.conf", "[Login]\nKillUserProcesses=no\n")
    write(tmp_path, "usr/lib/systemd/logind.conf.d/50-site.conf", HOST_KILLS)
    assert kills(tmp_path)
    write(tmp_path, "etc/systemd/logind.conf.d/50-site.conf", "[Login]\n")
    assert not kills(tmp_path)
    write(tmp_path, "run/systemd/logind.conf.d/90-last.conf", HOST_KILLS)
    assert kills(tmp_path)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"type":"b","data":true}\n{"type":"as","data":[]}\n{"type":"as","data":["ann","bob"]}\n',
         {"KillUserProcesses": "yes", "KillExcludeUsers": "ann bob"}),
        ('{"type":"b","data":false}\n{"type":"as","data":["ann"]}\n{"type":"as","data":[]}\n',
         {"KillUserProcesses": "no", "KillOnlyUsers": "ann"}),
        ('{"type":"b","data":false}\n', {}),
        ("b false\n", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_the_running_logind_is_asked(tmp_path, monkeypatch, answer, expected):
    """What it says counts; what stands in a file may not be in force yet."""
    write(tmp_path, "answer", answer)
    write(tmp_path, "busctl", f"#!/bin/sh\nexec cat {tmp_path}/answer\n")
    (tmp_path / "busctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert logind.asked() == expected


def test_nobody_to_ask(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert logind.asked() == {}
    write(tmp_path, "busctl", "#!/bin/sh\nexit 1\n")
    (tmp_path / "busctl").chmod(0o755)
    assert logind.asked() == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0::/user.slice/user-1000.slice/session-3.scope\n", SESSION),
        ("0::/user.slice/user-1000.slice/session-c1.scope/below\n", SESSION),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope/hawse-x\n", MANAGER),
        ("0::/user.slice/user-1000.slice/user@1000.service\n", MANAGER),
        ("0::/system.slice/ssh.service\n", OUTSIDE),
        ("4:memory:/user.slice/user-1000.slice/session-3.scope\n0::/\n", OUTSIDE),
        ("1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n", SESSION),
        ("", OUTSIDE),
    ],
)
def test_places(tmp_path, text, expected):
    write(tmp_path, "proc/7/cgroup", text)
    assert logind.place(7, str(tmp_path)) == expected
    assert logind.place(8, str(tmp_path)) == OUTSIDE


@pytest.mark.parametrize("where", [SESSION, MANAGER, OUTSIDE])
@pytest.mark.parametrize("kills", [False, True])
@pytest.mark.parametrize("lingers", [False, True])
def test_a_scope_never_ends_what_would_have_lived(where, kills, lingers):
    if logind.is_scope_better(where, kills=kills, lingers=lingers):
        assert not logind.ends(MANAGER, kills=kills, lingers=lingers) or logind.ends(
            where, kills=kills, lingers=lingers
        )
    else:
        assert not logind.ends(where, kills=kills, lingers=lingers), "where a scope could save it, it gets one"


def test_lingering_is_always_used():
    assert all(logind.is_scope_better(where, kills=True, lingers=True) for where in (SESSION, MANAGER, OUTSIDE))


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """A machine with a user manager and its programs; returns what sets who is ended."""
    write(tmp_path, "systemd/private", "")
    for program in ("systemd-run", "busctl"):
        write(tmp_path, program, "#!/bin/sh\nexit 1\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(logind, "runs", lambda: True)

    def set_up(where: str, *, kills: bool, lingers: bool) -> None:
        monkeypatch.setattr(logind, "place", lambda: where)
        monkeypatch.setattr(logind, "settings", lambda: {"KillOnlyUsers": logind.user_name() if kills else "bob"})
        monkeypatch.setattr(logind, "lingers", lambda user: lingers)

    return set_up


@pytest.mark.parametrize(
    ("where", "kills", "lingers", "expected"),
    [
        (SESSION, False, False, False),  # as most machines are: the scope would end with the last login
        (SESSION, False, True, True),
        (SESSION, True, False, True),
        (SESSION, True, True, True),
        (MANAGER, False, False, True),
        (OUTSIDE, True, False, False),
    ],
)
def test_the_coordinator_gets_a_scope_where_that_is_better(manager, monkeypatch, where, kills, lingers, expected):
    monkeypatch.setattr(os, "getuid", lambda: 1000)  # root is not killed by that list alone
    manager(where, kills=kills, lingers=lingers)
    assert bool(scope_prefix()) == expected


def test_no_scope_where_there_is_no_manager(manager, tmp_path):
    manager(SESSION, kills=True, lingers=True)
    assert "--property=Delegate=yes" in scope_prefix()
    (tmp_path / "systemd/private").unlink()
    assert scope_prefix() == []
