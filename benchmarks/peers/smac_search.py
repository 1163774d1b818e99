"""SMAC3's multi-fidelity facade: Hyperband with a random forest.

Its defaults: a factor of 3, a random initial design of ten settings a parameter but at most a
quarter of all. Loss-dependent parameters are conditions of its ConfigSpace. It trains a promoted
setting again from its start; here it gets the benefit of going on.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import smac
from smac.runhistory import TrialValue

from benchmarks.peers.client import Search
from benchmarks.peers.configspace import make_space


def main() -> None:
    """Searches until the benchmark ends it."""
    search = Search()
    facade = getattr(smac, sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        scenario = smac.Scenario(
            make_space(search.parameters, search.seed),
            output_directory=Path(folder),
            deterministic=True,
            n_trials=search.settings,
            min_budget=search.percents[0],
            max_budget=search.percents[-1],
            seed=search.seed,
        )
        optimizer = facade(scenario, None, logging_level=False, overwrite=True)
        numbers: dict[object, int] = {}
        while True:
            trial = optimizer.ask()
            number = numbers.setdefault(trial.config, len(numbers))
            score = search.train(number, dict(trial.config), trial.budget)
            optimizer.tell(trial, TrialValue(cost=score), save=False)


if __name__ == "__main__":
    main()
