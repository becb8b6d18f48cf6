"""Each how-to page is true: its commands, in a real shell on a terminal, show what the page says."""

import os
import signal
import subprocess
from contextlib import suppress

import pytest
from docpage import ROOT, read
from tests.site_service import serving

FOLDER = ROOT / "docs" / "how-to"
WITH_MORE = {"full-disks.md", "postgresql.md", "site-service.md", "site-users.md", "work-over-ssh.md"}
PAGES = sorted(path.name for path in FOLDER.glob("*.md") if path.name not in WITH_MORE | {"README.md"})


def follow(reader, name):
    differences = reader.follow(read(FOLDER / name))
    assert not differences, "\n\n".join(differences)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_shows_what_it_says(reader, name):
    follow(reader, name)


@pytest.fixture
def small_disk(places, need):
    """Four megabytes for the logs, of which something else has three."""
    jobs = places.state / "jobs"
    jobs.mkdir(parents=True, mode=0o700)
    places.state.chmod(0o700)
    if os.getuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    subprocess.run([need("mount"), "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", jobs], check=True)
    (jobs / "something-else").write_bytes(bytes(3 << 20))
    yield
    subprocess.run([need("umount"), "-l", jobs], check=True)


@pytest.mark.requirement("S3.3")
def test_full_disks(small_disk, reader):
    follow(reader, "full-disks.md")


@pytest.fixture
def postgres_by_environment(postgres, monkeypatch, need):
    """What a person has in the environment or gets by default: where the server is, and who they are there."""
    need("createdb")
    monkeypatch.setenv("PGHOST", str(postgres.folder))
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGPORT", "5432")
    yield
    postgres.drop_database("hawse")


def test_postgresql(postgres_by_environment, reader):
    follow(reader, "postgresql.md")


@pytest.fixture
def cluster(sshd, monkeypatch):
    """What a person has: an account that `ssh cluster` leads to."""
    sshd.account("cluster")
    monkeypatch.setenv("HAWSE_SSH_CONFIG", str(sshd.config))


@pytest.mark.xdist_group("sshd")
@pytest.mark.requirement("S1.1", "S2.1")
def test_work_over_ssh(cluster, reader):
    follow(reader, "work-over-ssh.md")


@pytest.fixture
def own_service(places, eventually):
    """After the page: the service that it started, and its runners' parent, have gone."""
    yield
    for pid in places.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not places.processes(), what="all processes have gone")


@pytest.mark.xdist_group("site-service-page")
@pytest.mark.requirement("S0.1")
def test_site_service(own_service, reader):
    follow(reader, "site-service.md")


@pytest.fixture
def site(places, monkeypatch):
    """What a person has: a service, and HAWSE_SERVER that says where."""
    if os.getuid() != 0:
        pytest.skip("the page is an admin's, and says so with root's uid")
    path = places.runtime / "coordinator.sock"
    monkeypatch.setenv("HAWSE_SERVER", f"unix:{path}")
    with serving(path):
        yield


def test_site_users(site, reader):
    follow(reader, "site-users.md")
