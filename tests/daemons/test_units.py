"""daemons/units.py and notify.py: units that systemd understands, a snippet that logrotate does, and READY=1."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hawse.daemons.notify import READY, notify, reloading
from hawse.daemons.site import SiteConfig, UnixListener
from hawse.daemons.units import HELPER, SERVICE, units, write_units

SITE = SiteConfig(
    file="/etc/hawse/site.toml",
    state="/var/lib/hawse",
    runtime="/run/hawse/private",
    unix=UnixListener("/run/hawse/hawse.sock"),
    helper="/run/hawse-as-user/socket",
    log="/var/log/hawse/coordinator.log",
)
OWN = SiteConfig(file="/etc/hawse/site.toml", state="/var/lib/hawse", runtime="/run/hawse/private")


@pytest.fixture
def made(tmp_path):
    """Units whose programs exist here, so that systemd-analyze has nothing to miss."""
    program = tmp_path / "hawse"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    def written(site):
        return {
            os.path.basename(path): path
            for path in write_units(site, str(tmp_path), program=str(program), python=sys.executable)
        }

    return written


@pytest.mark.requirement("S0.1")
@pytest.mark.parametrize("site", [SITE, OWN], ids=["owners", "own"])
def test_systemd_understands_them(made, need, site):
    paths = [path for name, path in made(site).items() if name.endswith(".service")]
    assert len(paths) == (2 if site.helper else 1)
    done = subprocess.run([need("systemd-analyze"), "verify", "--man=no", *paths], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "hawse" in line]
    assert done.returncode == 0, done.stderr
    assert not said, said


def test_a_shut_in_coordinator_is_shut_in(made, need):
    path = made(SITE)[SERVICE]
    words = [need("systemd-analyze"), "security", "--offline=yes", "--no-pager", path]
    done = subprocess.run(words, capture_output=True, text=True)
    level = re.search(r"Overall exposure level for hawse.service: ([0-9.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) < 3.5, done.stdout


def test_what_starts_jobs_forbids_them_nothing():
    """Each restriction would be the jobs' too."""
    forbids = re.compile(
        r"^(Protect|Private|Restrict|NoNewPrivileges|CapabilityBoundingSet|SystemCall|Lock|Memory)", re.M
    )
    told = {"program": "/h", "python": "/p", "source": "/s"}
    assert forbids.search(units(SITE, **told)[SERVICE])
    assert not forbids.search(units(SITE, **told)[HELPER])
    assert not forbids.search(units(OWN, **told)[SERVICE])
    for text in (units(SITE, **told)[SERVICE], units(SITE, **told)[HELPER], units(OWN, **told)[SERVICE]):
        assert "KillMode=process" in text  # stopping ends no job


def test_logrotate_understands_its_snippet(made, need, tmp_path):
    path = made(SITE)["hawse.logrotate"]
    text = re.sub(r"su .*\n", "", Path(path).read_text())  # the account is not there
    (tmp_path / "snippet").write_text(text)
    os.chmod(tmp_path / "snippet", 0o644)
    words = [need("logrotate"), "--debug", "--state", str(tmp_path / "state"), str(tmp_path / "snippet")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower(), done.stderr
    assert "--signal=HUP" in text


def test_the_manager_is_told(tmp_path, monkeypatch):
    path = str(tmp_path / "n")[:107]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0hawse-test-{os.getpid()}")
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@hawse-test-{os.getpid()}")
        assert notify(READY, "STATUS=x")
        assert manager.recv(1000) == b"READY=1\nSTATUS=x"
        assert reloading()
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(1000))
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert not notify(READY)  # it is gone: no reason to fail
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not notify(READY)
