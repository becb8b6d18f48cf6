"""The fixtures that every other test leans on."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent


def run_pytest(folder: Path, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this source as a test file of hawse, in a pytest of its own."""
    file = folder / "test_inner.py"
    file.write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "conftest", "-p", "no:cacheprovider",
         str(file)],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_places_are_short_and_empty(places):
    assert len(str(places.runtime)) <= 60
    assert os.environ["HAWSE_STATE_DIR"] == str(places.state)
    assert not places.state.exists()
    assert not places.runtime.exists()
    assert {name for name in os.environ if name.startswith("HAWSE_")} == {
        "HAWSE_STATE_DIR",
        "HAWSE_RUNTIME_DIR",
        "HAWSE_CONFIG_DIR",
    }


def test_a_process_left_behind_is_killed_and_told(tmp_path):
    source = """
        import subprocess
        def test_leaves():
            process = subprocess.Popen(["sh", "-c", "setsid sleep 1000 & echo $!"], stdout=subprocess.PIPE)
            print("left", process.stdout.readline().decode())
            process.stdout.close()
            process.wait()
    """
    done = run_pytest(tmp_path, "\n".join(line[8:] for line in source.splitlines()))
    assert done.returncode == 1, done.stdout
    assert "processes were left behind" in done.stdout
    assert "sleep 1000" in done.stdout
    left = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("left "))
    assert not (Path("/proc") / left).exists() or "sleep" not in Path(f"/proc/{left}/cmdline").read_text()


def test_a_fork_left_behind_is_killed_and_told(tmp_path):
    source = "import os, signal\ndef test_leaves():\n    if os.fork() == 0:\n        signal.pause()\n"
    done = run_pytest(tmp_path, source)
    assert done.returncode == 1, done.stdout
    assert "processes were left behind" in done.stdout


def test_a_process_that_ends_by_itself_is_no_offence(tmp_path):
    source = (
        "import subprocess\n"
        "def test_ends():\n"
        "    subprocess.run(['sh', '-c', 'setsid sleep 0.2 >/dev/null 2>&1 &'], check=True)\n"
    )
    done = run_pytest(tmp_path, source)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("marks", ['"S0.1", "S99.1"', "", '"S0.1", why="because"'])
def test_a_mark_with_a_wrong_number_fails(tmp_path, marks):
    done = run_pytest(tmp_path, f"import pytest\n@pytest.mark.requirement({marks})\ndef test_claims():\n    pass\n")
    assert done.returncode == 1, done.stdout
    assert "requirement mark" in done.stdout


def test_a_missing_program_fails_in_ci_and_is_skipped_elsewhere(tmp_path):
    source = "def test_needs(need):\n    need('no-such-program')\n"
    elsewhere = run_pytest(tmp_path, source, CI="")
    assert elsewhere.returncode == 0
    assert "1 skipped" in elsewhere.stdout
    in_ci = run_pytest(tmp_path, source, CI="true")
    assert in_ci.returncode == 1
    assert "no-such-program is missing" in in_ci.stdout


def test_eventually_returns_what_was_waited_for(eventually):
    answers = iter([0, None, "", "there"])
    assert eventually(lambda: next(answers)) == "there"


def test_eventually_gives_up(eventually):
    started = time.monotonic()
    with pytest.raises(pytest.fail.Exception, match="the moon"):
        eventually(lambda: False, timeout_s=0.05, what="the moon")
    assert time.monotonic() - started >= 0.05


def test_eventually_lets_the_loop_go_on(eventually):
    async def main() -> bool:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, done.set)

        async def is_done() -> bool:
            return done.is_set()

        assert await eventually.wait(done.is_set)
        return await eventually.wait(is_done)

    assert asyncio.run(main())


def test_each_test_has_a_database_of_its_own(postgres, postgres_database):
    with psycopg.connect(postgres_database) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    other = postgres.new_database()
    try:
        with psycopg.connect(postgres.conninfo(other)) as connection:
            assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    finally:
        postgres.drop_database(other)
