"""The whole system in virtual time with seeded faults. A failing seed is printed; Simulation(seed) runs it again."""

import os

import pytest

from hawse.testing.sim import Simulation
from hawse.testing.sim_loop import run_virtually

SEEDS = int(os.environ.get("HAWSE_SIM_SEEDS", "16"))


@pytest.mark.requirement("S0.3", "S2.6", "S3.2", "S4.1", "S4.3", "L3.3")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_whatever_dies(seed: int) -> None:
    simulation = Simulation(seed)
    run_virtually(simulation.run(hours=12))
    assert simulation.followers


def test_the_faults_really_happen() -> None:
    simulations = [Simulation(seed) for seed in range(1000, 1004)]
    for simulation in simulations:
        run_virtually(simulation.run(hours=12))
    assert sum(simulation.crashes for simulation in simulations) > 20
    assert any(not runner.alive for simulation in simulations for runner in simulation.host.runners.values())


def test_a_seed_gives_the_same_run() -> None:
    traces = []
    for _ in range(2):
        simulation = Simulation(7)
        run_virtually(simulation.run(hours=6))
        traces.append(
            (simulation.crashes, simulation.host.started, [[e.seq for e in f.seen] for f in simulation.followers])
        )
    assert traces[0] == traces[1]
