"""The parameters of a search as a ConfigSpace, with their conditions."""

from __future__ import annotations

from collections.abc import Sequence

from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer

from benchmarks.peers.client import Parameter

__all__ = ["make_space"]


def make_space(parameters: Sequence[Parameter], seed: int) -> ConfigurationSpace:
    """The parameters with their conditions."""
    space = ConfigurationSpace(seed=seed)
    for parameter in parameters:
        if parameter.choices:
            space.add(Categorical(parameter.name, list(parameter.choices)))
        else:
            make = Integer if parameter.whole else Float
            ends = (parameter.low, parameter.high)
            space.add(make(parameter.name, ends, log=parameter.log))
    for parameter in parameters:
        for other, values in parameter.when.items():
            space.add(InCondition(space[parameter.name], space[other], list(values)))
    return space
