"""Whose bytes reach a terminal, in virtual time, with seeds. A failing seed is printed and runs again."""

import os
import subprocess
import sys

import pytest

from hawse.runner.admission import Admission
from hawse.testing.sim_loop import run_virtually
from hawse.testing.sim_sharing import SharingSimulation

SEEDS = int(os.environ.get("HAWSE_SIM_SEEDS", "16"))


@pytest.mark.requirement("S7.2", "S8.1", "S8.3", "S8.4", "S6.2")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_byte_reaches_a_terminal_from_who_may_not(seed: int) -> None:
    simulation = SharingSimulation(seed)
    run_virtually(simulation.run(steps=300))
    assert simulation.refused


@pytest.mark.parametrize("seed", range(100, 104))
def test_nor_when_the_line_to_the_runner_fails(seed: int) -> None:
    run_virtually(SharingSimulation(seed, trouble=0.3).run(steps=200))


def test_people_really_type() -> None:
    simulations = [SharingSimulation(seed) for seed in range(4)]
    for simulation in simulations:
        run_virtually(simulation.run(steps=300))
    assert len({one.who for simulation in simulations for one in simulation.reached}) > 3


def test_the_invariant_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a runner that forgets what was cut."""
    monkeypatch.setattr(Admission, "cut", lambda self, attachment, *, now: None)
    failed = 0
    for seed in range(8):
        try:
            run_virtually(SharingSimulation(seed).run(steps=300))
        except AssertionError:
            failed += 1
    assert failed


DIGEST = """
from hawse.testing.sim_loop import run_virtually
from hawse.testing.sim_sharing import SharingSimulation
simulation = SharingSimulation(5)
run_virtually(simulation.run(steps=150))
print(simulation.reached, simulation.refused)
"""


def test_a_seed_is_the_same_run_in_every_process() -> None:
    """Else a seed that failed says nothing: the order of a set of words is another one in each process."""
    told = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True,
            text=True, check=True, timeout=60,
        ).stdout
        for seed in range(1, 4)
    }  # fmt: skip
    assert len(told) == 1
