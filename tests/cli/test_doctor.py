"""What the doctor says, for machines that this one is not."""

import json
from pathlib import Path

import pytest

from hawse.cli.doctor import logout, machine
from hawse.cli.doctor.finding import BAD, GOOD, NOTE
from hawse.cli.main import run
from hawse.client.places import make_all, own_places

HOST_KILLS = "[Login]\nKillUserProcesses=yes\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def level(root: Path, **known: object) -> str:
    (finding,) = logout.findings(str(root), user="ann", **known)
    return finding.level


@pytest.mark.requirement("S0.1")
def test_no_systemd_ends_nothing(tmp_path):
    assert level(tmp_path) == GOOD


def test_the_default_spares_jobs(root):
    assert level(root, in_scope=False) == GOOD


@pytest.mark.parametrize(
    ("linger", "scope", "expected"), [(False, False, BAD), (True, False, BAD), (False, True, BAD), (True, True, GOOD)]
)
def test_killing_needs_linger_and_a_scope(root, linger, scope, expected):
    write(root, "etc/systemd/logind.conf", HOST_KILLS)
    if linger:
        write(root, "var/lib/systemd/linger/ann", "")
    (finding,) = logout.findings(str(root), user="ann", in_scope=scope)
    assert finding.level == expected
    if expected == BAD:
        assert "LOGOUT WILL END YOUR JOBS" in finding.text
        assert ("loginctl enable-linger ann" in finding.advice) == (not linger)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Login]\n#KillUserProcesses=yes\n", GOOD),
        ("[Other]\nKillUserProcesses=yes\n", GOOD),
        (HOST_KILLS + "KillExcludeUsers=root ann\n", GOOD),
        (HOST_KILLS + "KillOnlyUsers=bob\n", GOOD),
        (HOST_KILLS + "KillOnlyUsers=ann\n", BAD),
        ("[Login]\n KillUserProcesses = true\n", BAD),
    ],
)
def test_settings(root, text, expected):
    write(root, "etc/systemd/logind.conf", text)
    assert level(root, in_scope=False) == expected


def test_drop_ins_win_in_the_order_of_their_names(root):
    write(root, "usr/lib/systemd/logind.conf", "[Login]\nKillUserProcesses=no\n")
    write(root, "usr/lib/systemd/logind.conf.d/50-site.conf", HOST_KILLS)
    assert level(root, in_scope=False) == BAD
    write(root, "etc/systemd/logind.conf.d/50-site.conf", "[Login]\n")
    assert level(root, in_scope=False) == GOOD
    write(root, "run/systemd/logind.conf.d/90-last.conf", HOST_KILLS)
    assert level(root, in_scope=False) == BAD


def test_places(places):
    where = own_places()
    assert {finding.level for finding in machine.places_findings(where)} <= {GOOD, NOTE}
    make_all(where)
    places.runtime.chmod(0o770)
    bad = [finding for finding in machine.places_findings(where) if finding.level == BAD]
    assert [(finding.subject, finding.advice) for finding in bad] == [("runtime", f"chmod 700 {places.runtime}")]


@pytest.mark.parametrize(("delegated", "expected"), [(True, GOOD), (False, NOTE)])
def test_cgroups(tmp_path, delegated, expected):
    write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpu")
    write(tmp_path, "proc/self/cgroup", "0::/user.slice/x\n")
    if delegated:
        write(tmp_path, "sys/fs/cgroup/user.slice/x/cgroup.procs", "")
    (finding,) = machine.cgroup_findings(str(tmp_path))
    assert finding.level == expected
    assert machine.cgroup_findings(str(tmp_path / "none"))[0].level == NOTE


def test_the_whole_thing(capfd):
    code = run(["doctor"])
    out = capfd.readouterr().out
    for subject in ("logout", "reboot", "coordinator", "engine", "state", "runtime", "disk", "limits", "locale"):
        assert f"  {subject} " in out
    assert run(["doctor", "--json"]) == code
    assert {entry["level"] for entry in json.loads(capfd.readouterr().out)} <= {GOOD, NOTE, BAD}
