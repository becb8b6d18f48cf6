"""The files that say who runs an attempt and how it ended: claim.json, process.json, exit.json.

They are what is left when everybody died; the coordinator's launcher reads them too. Source: spec 04, section 4.
"""

from __future__ import annotations

import json
import os

from hawse.runner.log_file import opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE_BYTES_MAX = 1024 * 1024
CLAIM, PROCESS, EXIT = "claim.json", "process.json", "exit.json"


def attempt_dir(job_dir: str, attempt: int) -> str:
    """Where an attempt's files are."""
    return f"{job_dir}/attempt-{attempt}"


def log_dir(job_dir: str) -> str:
    """Where the segments of a job's log are, of all its attempts."""
    return f"{job_dir}/log"


def sync_dir(path: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_new(path: str, value: dict[str, Any], *, durable: bool) -> None:
    data = json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o660)
    try:
        while data:
            data = data[os.write(fd, data) :]
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def take(directory: str, value: dict[str, Any]) -> bool:
    """Claim an attempt, durably, before anything of it runs. False: somebody has it already.

    The file appears whole or not at all: it is written aside and linked, which fails when the name is taken (as
    O_EXCL).
    """
    aside = f"{directory}/.claim-{os.getpid()}"
    _write_new(aside, value, durable=True)
    try:
        os.link(aside, f"{directory}/{CLAIM}")
    except FileExistsError:
        return False
    finally:
        os.unlink(aside)
    sync_dir(directory)
    return True


def write(directory: str, name: str, value: dict[str, Any], *, durable: bool) -> None:
    """Write a file in one step: a reader sees the old one or the new one."""
    aside = f"{directory}/.{name}-{os.getpid()}"
    _write_new(aside, value, durable=durable)
    os.rename(aside, f"{directory}/{name}")
    if durable:
        sync_dir(directory)


def read(directory: str, name: str) -> dict[str, Any] | None:
    """What a file says; None when there is none. Raises OSError, and ValueError when it can't be read as an object."""
    try:
        fd = opened(f"{directory}/{name}")
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        try:
            value = json.loads(file.read(FILE_BYTES_MAX))
        except RecursionError as error:
            raise ValueError(f"{directory}/{name} is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{directory}/{name} does not hold a JSON object")
    return value


def make_dirs(job_dir: str, attempt: int) -> str:
    """The folders of a job and of one attempt, durable; who else may enter is the umask's to say (parent.py).

    Returns the attempt's.
    """
    directory = attempt_dir(job_dir, attempt)
    os.makedirs(log_dir(job_dir), mode=0o770, exist_ok=True)
    if not os.path.isdir(directory):
        os.makedirs(directory, mode=0o770, exist_ok=True)
        sync_dir(job_dir)
    return directory
