"""Commands of the user's: what they get, how long they may take, and that nothing of them stays."""

import asyncio
import json
import os
import sys
import time

import pytest
from tests.adapters.notify.conftest import ID, parcel

from hawse.adapters.notify import command
from hawse.adapters.notify.command import Command
from hawse.adapters.notify.program import SAID_BYTES_MAX, environment, run
from hawse.domain.channel import Means
from hawse.domain.errors import Unavailable

ENV = environment({})


async def sent(*argv: str, **fields) -> None:
    async with asyncio.timeout(20):
        await Command().send(parcel(Means.COMMAND, {"argv": list(argv)}, secret=None, **fields))


def test_it_gets_json_and_variables_and_no_secret_of_ours(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HAWSE_TOKEN", "hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://x:hunter2@y/z")
    asyncio.run(sent("sh", "-c", f"cat > {tmp_path}/json; env > {tmp_path}/env; pwd > {tmp_path}/cwd"))
    told = json.loads((tmp_path / "json").read_text())
    assert (told["id"], told["command"], told["detail"]) == (ID, "hawse logs train/main", {"code": 3})
    env = (tmp_path / "env").read_text()
    assert f"HAWSE_NOTICE_ID={ID}\n" in env
    assert "HAWSE_NOTICE_COMMAND=hawse logs train/main\n" in env
    assert "HAWSE_NOTICE_SESSION=train\n" in env
    assert "HAWSE_NOTICE_JOB=main\n" in env
    assert "hunter2" not in env
    assert (tmp_path / "cwd").read_text().strip() == os.path.realpath(os.environ["HOME"])


def test_a_home_folder_that_is_not_there_keeps_nobody_from_being_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    asyncio.run(sent("sh", "-c", f"pwd > {tmp_path}/cwd"))
    assert (tmp_path / "cwd").read_text() == "/\n"


def test_words_are_arguments_and_never_a_shell_s(tmp_path) -> None:
    asyncio.run(sent("touch", f"{tmp_path}/a; touch b $(touch c)", subject="$(touch d)"))
    assert [path.name for path in tmp_path.iterdir()] == ["a; touch b $(touch c)"]


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["false"], "false ended with 1"), (["sh", "-c", "echo no room >&2; exit 75"], "sh ended with 75: no room"),
        (["sh", "-c", "kill -9 $$"], "sh was killed by signal 9"),
        (["/no/such"], "/no/such cannot be started: No such"), (["/"], "/ cannot be started"),
    ],
)  # fmt: skip
def test_another_end_than_0_is_a_failure_with_what_it_said(argv: list[str], why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        asyncio.run(sent(*argv))


def test_it_need_not_read() -> None:
    body = {"session": None, "job": None, "event": None, "detail": {"cause": "x" * 200_000}}
    asyncio.run(sent("true", body=body))
    asyncio.run(sent("sh", "-c", "exec <&-; exit 0", body=body))


def test_what_it_says_is_bounded_and_plain() -> None:
    with pytest.raises(Unavailable) as caught:
        asyncio.run(sent("sh", "-c", "yes \"$(printf '\\033[31mred')\" | head -c 5000000; exit 1"))
    assert len(caught.value.detail) < SAID_BYTES_MAX + 100
    assert caught.value.detail.isprintable()


def test_one_that_hangs_is_killed_with_all_it_started(monkeypatch, tmp_path, eventually) -> None:
    monkeypatch.setattr(command, "COMMAND_S", 0.5)
    with pytest.raises(Unavailable, match=r"did not end within 0\.5 s"):
        asyncio.run(sent("sh", "-c", f"trap '' TERM HUP; sleep 1000 & echo $$ $! > {tmp_path}/pids; wait; wait"))
    pids = (tmp_path / "pids").read_text().split()
    eventually(lambda: not any(is_alive(pid) for pid in pids), what="the group is gone")


def test_a_cancelled_one_is_killed(tmp_path, eventually) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(sent("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 1000"))
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    eventually(lambda: not is_alive((tmp_path / "pid").read_text().strip()), what="it is gone")


def test_a_child_that_keeps_the_pipe_does_not_hold_us_up() -> None:
    began = time.monotonic()
    asyncio.run(sent("sh", "-c", "sleep 1000 & exit 0"))
    assert time.monotonic() - began < 10


def test_no_descriptor_of_ours_is_inherited(tmp_path) -> None:
    script = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    with open(tmp_path / "secret", "w") as kept:
        os.set_inheritable(kept.fileno(), False)
        argv = ["sh", "-c", f"{sys.executable} -c \"{script}\" > {tmp_path}/fds"]
        asyncio.run(run(argv, env=ENV, timeout_s=20))
        held = kept.fileno()
    assert str(held) not in (tmp_path / "fds").read_text() or held < 4


def is_alive(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
