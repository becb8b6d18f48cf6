"""What was acknowledged is there, and what is there is whole, whenever the process is killed or the disk fails."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hawse.adapters.clock import SystemClock
from hawse.adapters.store.postgres import PostgresStore
from hawse.adapters.store.sqlite import SqliteStore
from hawse.testing.check_store import check_replay

CHANGING = Path(__file__).parent / "changing.py"
TASKS = 6


def start(*arguments, before=()):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [*before, sys.executable, str(CHANGING), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    return process


def lines_of(data):
    """Whole lines only: the last one may be cut by the kill, which is harmless."""
    return data.decode().split("\n")[:-1]


def read_some(process, count):
    """Read until `count` changes were acknowledged."""
    data = b""
    while data.count(b"\n") < count:
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, process.stderr.read().decode()
        data += piece
    return data


async def check_all(store, acknowledged):
    """Replay, and: the log, the row and the outbox of each session tell the same."""
    try:
        await check_replay(store)

        def query(view):
            sessions = view.sessions(limit=1000)
            return [(one, view.events(one.id, after=1)) for one in sessions], view.effects_due(1e12, 10**6)

        found, effects = await store.read(query)
        stored = [event.after["description"] for _, events in found for event in events]
        assert sorted(stored) == sorted(pending.effect.attachment for pending in effects), "log and outbox differ"
        missing = set(acknowledged) - set(stored)
        assert not missing, f"acknowledged, but not there: {sorted(missing)[:5]}"
        for session, events in found:
            texts = [event.after["description"] for event in events]
            counts = [int(text.rpartition("-")[2]) for text in texts]
            assert counts == sorted(set(counts)), f"{session.id}: a change twice or in the wrong order"
            assert session.description == (texts[-1] if texts else "")
        return len(stored)
    finally:
        await store.aclose()


async def reopened(kind, target, acknowledged):
    opening = SqliteStore.open if kind == "sqlite" else PostgresStore.open
    return await check_all(await opening(target, SystemClock()), acknowledged)


def acknowledged_in(lines):
    return [line for line in lines if line not in ("open", "closed") and not line.startswith("!")]


@pytest.mark.requirement("S3.3")
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_killed_at_any_moment(kind, request, tmp_path):
    """SIGKILL after some acknowledgements, at moments that differ; the store goes on where it was."""
    target = tmp_path / "hawse.db" if kind == "sqlite" else request.getfixturevalue("postgres_database")
    acknowledged = []
    for turn in range(6):
        process = start(kind, target, TASKS)
        try:
            data = read_some(process, 10 + random.randrange(60) + turn)
        finally:
            process.send_signal(signal.SIGKILL)
            rest, _ = process.communicate(timeout=30)
        acknowledged += acknowledged_in(lines_of(data + rest))

        assert asyncio.run(reopened(kind, target, acknowledged)) >= len(acknowledged)


@pytest.mark.requirement("S3.3")
def test_the_database_server_pulls_its_plug(postgres, postgres_database):
    """A server that syncs is stopped as by a power cut, twice; its clients are told, what they had is there."""
    postgres.stop()
    postgres.start(durable=True)
    try:
        acknowledged = []
        for _ in range(2):
            process = start("postgres", postgres_database, TASKS)
            data = read_some(process, 30)
            postgres.stop("immediate")
            data += read_some(process, 3)
            process.kill()
            rest, _ = process.communicate(timeout=30)
            postgres.start(durable=True)
            lines = lines_of(data + rest)
            assert any(line.startswith("!") for line in lines)
            acknowledged += acknowledged_in(lines)
            assert asyncio.run(reopened("postgres", postgres_database, acknowledged)) >= len(acknowledged)
    finally:
        postgres.stop()
        postgres.start()


@pytest.mark.parametrize("when", [4, 5, 6, 9, 17])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_killed_within_a_commit(call, when, need, tmp_path):
    """SIGKILL at the n-th write or sync of the thread that commits."""
    strace = [need("strace"), "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:signal=KILL:when={when if call == 'fdatasync' else when * 7}"]
    process = start("sqlite", tmp_path / "hawse.db", TASKS, 500, before=[*strace, *inject])
    data, errors = process.communicate(timeout=90)
    lines = lines_of(data)
    assert "closed" not in lines, errors
    assert process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), errors
    if (tmp_path / "hawse.db").exists():
        asyncio.run(reopened("sqlite", tmp_path / "hawse.db", acknowledged_in(lines)))


@pytest.mark.requirement("S3.3")
@pytest.mark.parametrize(
    ("call", "error"), [("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fdatasync", "EIO"), ("fdatasync", "ENOSPC")]
)
def test_the_disk_fails_for_a_while(call, error, need, tmp_path):
    """Those who asked meanwhile are told; nothing of theirs stays by half; afterwards it goes on by itself."""
    strace = [need("strace"), "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:error={error}:when={'30..36' if call == 'fdatasync' else '200..206'}"]
    process = start("sqlite", tmp_path / "hawse.db", TASKS, 40, before=[*strace, *inject])
    data, errors = process.communicate(timeout=90)
    lines = lines_of(data)
    assert lines[-1:] == ["closed"], errors
    refused = [number for number, line in enumerate(lines) if line.startswith("!")]
    assert refused, "the fault was not noticed"
    assert refused[-1] < len(lines) - TASKS, "it did not recover"
    stored = asyncio.run(reopened("sqlite", tmp_path / "hawse.db", acknowledged_in(lines)))
    assert stored == len(acknowledged_in(lines)), "a change that was refused is there all the same"


def test_the_disk_is_full_when_the_store_is_made(need, tmp_path):
    """It says so; once there is room, the same file becomes a store."""
    strace = [need("strace"), "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64"]
    inject = ["-e", "inject=pwrite64:error=ENOSPC:when=20+"]
    process = start("sqlite", tmp_path / "hawse.db", TASKS, 1, before=[*strace, *inject])
    data, errors = process.communicate(timeout=90)
    assert data == b""
    assert b"the disk is full" in errors
    assert b"Unavailable" in errors
    assert asyncio.run(reopened("sqlite", tmp_path / "hawse.db", [])) == 0
