"""NePS: Hyperband, its default for a space with a fidelity and no prior, or PriorBand.

Defaults: a factor of 3. PriorBand gets no prior, because no other search here starts from one.
ifBO, its freeze-thaw method, downloads its model when it is first used, so it takes no part.
Spaces of parameters know no conditions: all are drawn, and those that do not matter are ignored.
"""

from __future__ import annotations

import random
import sys

import neps
import numpy as np
import torch

from benchmarks.peers.client import Parameter, Search

_FIDELITY = "percent"


def _domain(parameter: Parameter) -> object:
    if parameter.choices:
        return neps.Categorical(choices=tuple(parameter.choices))
    make = neps.Integer if parameter.whole else neps.Float
    return make(lower=parameter.low, upper=parameter.high, log=parameter.log)


def main() -> None:
    """Searches until the benchmark ends it."""
    search = Search()
    random.seed(search.seed)
    np.random.seed(search.seed)
    torch.manual_seed(search.seed)
    torch.set_num_threads(1)
    names = {f"parameter_{k}": one for k, one in enumerate(search.parameters)}
    domains = {name: _domain(parameter) for name, parameter in names.items()}
    first, last = search.percents[0], search.percents[-1]
    fidelity = {_FIDELITY: neps.IntegerFidelity(lower=first, upper=last)}
    space = type("Space", (neps.PipelineSpace,), domains | fidelity)()
    optimizer = neps.AskAndTell(getattr(neps.algorithms, sys.argv[1])(space))
    numbers: dict[str, int] = {}
    while True:
        trial = optimizer.ask()
        setting = trial.metadata.id.partition("_")[0]
        number = numbers.setdefault(setting, len(numbers))
        values = {one.name: trial.config[name] for name, one in names.items()}
        optimizer.tell(trial, search.train(number, values, trial.config[_FIDELITY]))


if __name__ == "__main__":
    main()
