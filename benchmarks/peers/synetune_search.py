"""Syne Tune's asynchronous successive halving with one of its searchers.

Its documentation recommends ASHA-CQR for several fidelities (Getting started). A run reports each
recorded score and goes on until the scheduler stops it. Defaults: a first rung after the first
report, a factor of 3, one bracket. Its spaces know no conditions: all parameters are drawn, and
those that do not matter are ignored.
"""

from __future__ import annotations

import random
import sys
from datetime import datetime

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, loguniform, randint, uniform
from syne_tune.optimizer import baselines
from syne_tune.optimizer.scheduler import SchedulerDecision

from benchmarks.peers.client import Parameter, Search


def _domain(parameter: Parameter) -> object:
    if parameter.choices:
        return choice(list(parameter.choices))
    make = randint if parameter.whole else loguniform if parameter.log else uniform
    return make(parameter.low, parameter.high)


def main() -> None:
    """Searches until the benchmark ends it."""
    search = Search()
    random.seed(search.seed)
    np.random.seed(search.seed)  # its random searcher draws from NumPy's global generator
    method = getattr(baselines, sys.argv[1])
    scheduler = method(
        {parameter.name: _domain(parameter) for parameter in search.parameters},
        metric="score",
        time_attr="step",
        max_t=len(search.percents),
        random_seed=search.seed,
    )
    for number in range(search.settings + 1):
        config = scheduler.suggest().config
        trial = Trial(number, config, datetime.now())
        scheduler.on_trial_add(trial)
        for step, percent in enumerate(search.percents, 1):
            result = {"score": search.train(number, config, percent), "step": step}
            if step == len(search.percents):
                scheduler.on_trial_complete(trial, result)
            elif scheduler.on_trial_result(trial, result) == SchedulerDecision.STOP:
                scheduler.on_trial_remove(trial)
                break


if __name__ == "__main__":
    main()
