"""The lab as fixtures, for this folder and for any other conftest that imports them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from site_lab import SiteLab
from sshd import Lab, install


def _folder(prefix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))


def _or_skip() -> None:
    reason = Lab.why_not()
    if reason and os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def far_hawse() -> Iterator[Path]:
    """A folder with hawse that every user of this machine can run: far_hawse / "bin" / "hawse"."""
    _or_skip()
    folder = _folder("hwfar")
    try:
        yield install(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sshd(places: object, far_hawse: Path) -> Iterator[Lab]:
    """A running sshd without accounts yet. After the test its accounts and all that they ran are gone."""
    folder = _folder("hwssh")
    try:
        with Lab(folder, far=far_hawse) as lab:
            yield lab
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(places: object, far_hawse: Path) -> Iterator[SiteLab]:
    """A running service of a site whose jobs run as their owners. After the test nothing of it is left."""
    folder = _folder("hwst")
    try:
        with SiteLab(folder, far_hawse) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
