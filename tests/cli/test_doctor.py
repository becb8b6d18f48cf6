"""What the doctor says, for machines that this one is not."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hawse.cli.doctor import logout, machine
from hawse.cli.doctor.finding import BAD, GOOD, NOTE, Finding
from hawse.cli.main import run
from hawse.client.places import make_all, own_places

KILLS, SPARES = {"KillUserProcesses": "yes"}, {"KillUserProcesses": "no"}
LOGIN = "/user.slice/user-1000.slice/session-3.scope"
SCOPE = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put(root: Path, process: int | str, path: str) -> None:
    write(root, f"proc/{process}/cgroup", f"9:name=systemd:/\n0::{path}\n")


def find(root: Path, settings: dict[str, str], **known: object) -> Finding:
    (finding,) = logout.findings(str(root), user="ann", settings=settings, **known)
    return finding


def linger(root: Path) -> None:
    write(root, "var/lib/systemd/linger/ann", "")


@pytest.mark.requirement("S0.1")
def test_no_systemd_ends_nothing(tmp_path):
    assert find(tmp_path, KILLS).level == GOOD


@pytest.mark.parametrize("has_linger", [False, True])
@pytest.mark.parametrize(
    ("path", "settings", "expected"),  # expected: without lingering, with it
    [
        (LOGIN, SPARES, (GOOD, GOOD)),
        (LOGIN, KILLS, (BAD, BAD)),
        (SCOPE, SPARES, (BAD, GOOD)),
        (SCOPE, KILLS, (BAD, GOOD)),
        ("/system.slice/cron.service", KILLS, (GOOD, GOOD)),
    ],
)
def test_where_it_runs_decides(root, path, settings, expected, has_linger):
    """As seen on a machine that runs systemd 252."""
    put(root, 7, path)
    if has_linger:
        linger(root)
    finding = find(root, settings, processes={"": 7}, scope=True)
    assert finding.level == expected[has_linger]
    if finding.level == BAD:
        assert "LOGOUT WILL END YOUR JOBS" in finding.text
        assert ("loginctl enable-linger ann" in finding.advice) == (not has_linger)
        assert ("hawse down" in finding.advice) == (path == LOGIN), "a scope is saved by lingering alone"


def test_without_a_coordinator_it_tells_of_the_next(root):
    put(root, "self", LOGIN)
    assert find(root, SPARES, scope=False).level == GOOD
    assert find(root, SPARES, scope=True).level == BAD
    finding = find(root, KILLS, scope=False)
    assert finding.level == BAD
    assert "install systemd-run" in finding.advice


def test_jobs_from_before_are_named(root):
    """A coordinator that has moved to a safe place leaves its older jobs where they are."""
    linger(root)
    put(root, 7, SCOPE)
    put(root, 8, SCOPE + "/hawse-x")
    put(root, 9, LOGIN)
    finding = find(root, KILLS, processes={"": 7, "a/new": 8, "b/old": 9}, scope=True)
    assert finding.level == BAD
    assert "hawse down, then start anew" in finding.advice
    assert "LOGOUT WILL END b/old: " in finding.text
    assert finding.facts["ended"] == ["b/old"]
    put(root, 9, SCOPE)
    assert find(root, KILLS, processes={"": 7, "a/new": 8, "b/old": 9}).level == GOOD


def test_places(places):
    where = own_places()
    assert {finding.level for finding in machine.places_findings(where)} <= {GOOD, NOTE}
    make_all(where)
    places.runtime.chmod(0o770)
    bad = [finding for finding in machine.places_findings(where) if finding.level == BAD]
    assert [finding.subject for finding in bad] == ["runtime"]
    assert bad[0].advice.startswith("set HAWSE_RUNTIME_DIR to a directory of your own")
    assert bad[0].advice.endswith(f"chmod 700 {places.runtime}")
    places.state.chmod(0o1770)
    assert "set HAWSE_STATE_DIR to a directory of your own" in [f.advice for f in machine.places_findings(where)]


@pytest.mark.parametrize(("delegated", "expected"), [(True, GOOD), (False, NOTE)])
def test_cgroups(tmp_path, delegated, expected):
    write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpu")
    write(tmp_path, "proc/self/cgroup", "0::/user.slice/x\n")
    if delegated:
        write(tmp_path, "sys/fs/cgroup/user.slice/x/cgroup.procs", "")
    (finding,) = machine.cgroup_findings(str(tmp_path))
    assert finding.level == expected
    assert machine.cgroup_findings(str(tmp_path / "none"))[0].level == NOTE


def test_the_cgroup_that_counts_is_the_coordinators(tmp_path):
    write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpu")
    write(tmp_path, "sys/fs/cgroup/scope/cgroup.procs", "")
    put(tmp_path, "self", "/login")
    put(tmp_path, 7, "/scope")
    assert machine.cgroup_findings(str(tmp_path))[0].level == NOTE
    assert machine.cgroup_findings(str(tmp_path), process=7)[0].level == GOOD


def test_the_whole_thing(capfd):
    code = run(["doctor"])
    out = capfd.readouterr().out
    for subject in ("logout", "reboot", "coordinator", "engine", "state", "runtime", "disk", "limits", "locale"):
        assert f"  {subject} " in out
    assert run(["doctor", "--json"]) == code
    assert {entry["level"] for entry in json.loads(capfd.readouterr().out)} <= {GOOD, NOTE, BAD}


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"]])
def test_an_engine_that_is_not_known_is_your_mistake(hawse, words):
    hawse.environ["HAWSE_ENGINE"] = "bogus"
    done = hawse.run(*words)
    assert done.returncode == 64
    assert "HAWSE_ENGINE is 'bogus'; it may be python, compiled or auto" in done.stderr
    assert "mistake" not in done.stderr
    del hawse.environ["HAWSE_ENGINE"]


def store_of(hawse) -> dict:
    done = hawse.run("doctor", "--json")
    (found,) = [one for one in json.loads(done.stdout) if one["subject"] == "store"]
    assert (done.returncode == 1) >= (found["level"] == BAD)
    return found


def test_a_store_that_will_not_work_is_found_before_a_coordinator_is_started(hawse, places):
    """Without one running, and without changing anything."""
    assert store_of(hawse)["level"] == GOOD
    assert not places.state.exists()
    hawse("ls")
    hawse("down")
    path = places.state / "hawse.db"
    assert "sqlite, version " in store_of(hawse)["text"]
    good = path.read_bytes()
    files = sorted(places.state.iterdir())
    for data, words in ((good[: len(good) // 2], "damaged"), (b"no database" * 1000, "damaged")):
        path.write_bytes(data)
        found = store_of(hawse)
        assert (found["level"], words in found["text"]) == (BAD, True), found
        assert path.read_bytes() == data
    path.write_bytes(good)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO schema_version VALUES (999, 'of tomorrow')")
    found = store_of(hawse)
    assert (found["level"], "version 999" in found["text"]) == (BAD, True), found
    assert found["advice"]
    path.write_bytes(good)
    places.config.mkdir(exist_ok=True)
    (places.config / "config.toml").write_text('[store]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n')
    found = store_of(hawse)
    assert (found["level"], "PostgreSQL" in found["text"]) == (BAD, True), found
    (places.config / "config.toml").unlink()
    assert sorted(places.state.iterdir()) == files
