"""Both engines, seen from outside: the same job, the same typing, the same bytes; and how one is chosen."""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hawse.wire import terminal

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
CHOICES = ["python", "compiled"]


def has_core():
    found = importlib.util.find_spec("hawse._core")
    return found is not None and found.origin is not None


@pytest.fixture(params=CHOICES)
def engine_rig(request, bare_rig, monkeypatch):
    """A rig whose runners run the given engine."""
    if request.param == "compiled" and not has_core():
        pytest.skip("the compiled core was not built")
    monkeypatch.setenv("HAWSE_ENGINE", request.param)
    bare_rig.start_parent()
    return bare_rig


def test_typing_cut_anywhere_reaches_the_program_whole(engine_rig):
    attempt = engine_rig.spawn("sh", "-c", "stty raw -echo; echo ready; exec cat", tty=(80, 24))
    link = attempt.attach(columns=80, rows=24)
    link.until_output(b"ready")
    chance = random.Random(3)
    typed = bytes(chance.randrange(32, 127) for _ in range(3000))
    frames, at = b"", 0
    while at < len(typed):
        size = chance.choice([1, 1, 2, 7, 300])
        frames += terminal.input_frames(typed[at : at + size])
        at += size
    at = 0
    while at < len(frames):
        size = chance.choice([1, 3, 6, 11, 500])
        link.send(frames[at : at + size])
        at += size
        if chance.random() < 0.3:
            link.read_once(0.001)
    link.until_output(typed)
    assert attempt.read_log()[0].endswith(typed)


def test_a_burst_for_clients_of_every_speed(engine_rig):
    attempt = engine_rig.spawn("sh", "-c", "read go; seq 1 60000; echo done; read end", tty=(80, 24))
    quick, slow, typing = (attempt.attach(columns=80, rows=24) for _ in range(3))
    for link in (quick, slow, typing):
        assert link.welcome
    typing.type(b"\r")
    quick.until_output(b"done\r\n")
    slow.until_output(b"done\r\n")
    typing.until_output(b"done\r\n")
    assert quick.output == slow.output == typing.output == attempt.read_log()[0]


def test_output_and_typing_while_another_reads_nothing(engine_rig):
    attempt = engine_rig.spawn("sh", "-c", "stty raw -echo; echo ready; exec cat", tty=(80, 24))
    link, deaf = attempt.attach(columns=80, rows=24), attempt.attach(mode="watch")
    link.until_output(b"ready")
    for turn in range(300):
        link.type(b"%05d" % turn * 200)
        link.until_output(b"%05d" % turn * 200)
    deaf.until(lambda: len(deaf.output) >= 300_000)
    assert deaf.output == link.output[-len(deaf.output) :]


@pytest.mark.parametrize("module", ["hawse.runner.engine", "hawse.cli.attach.engine"])
@pytest.mark.parametrize("wanted", ["", "auto", "python", "compiled", "fast"])
def test_the_environment_chooses(module, wanted):
    program = f"import sys; sys.path.insert(0, {SOURCE!r}); from {module} import ENGINE; print(ENGINE)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        env={**os.environ, "HAWSE_ENGINE": wanted},
        capture_output=True,
        text=True,
    )
    best = "compiled" if has_core() else "python"
    if wanted == "fast":
        assert "HAWSE_ENGINE is 'fast'" in done.stderr
    elif wanted == "compiled" and not has_core():
        assert "ImportError" in done.stderr
    else:
        assert done.stdout.strip() == (wanted if wanted in CHOICES else best)
