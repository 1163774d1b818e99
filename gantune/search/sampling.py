"""The samplers by name, seeded per trial so that a restart changes nothing that is drawn."""

from __future__ import annotations

import warnings

import numpy as np
import optuna
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler, TPESampler

from gantune.space import Sampler

__all__ = ["make_sampler"]


def make_sampler(sampler: Sampler, number: int) -> BaseSampler:
    """The sampler that draws trial ``number``.

    TPE and random draws get a seed of their own for every trial, so what is drawn depends on the
    study alone and not on when its driver was started. QMC's points are one sequence of one seed;
    how far it is stands in the study.
    """
    seed = int(np.random.SeedSequence([sampler.seed, number]).generate_state(1)[0])
    if sampler.name == "random":
        return RandomSampler(seed=seed)
    if sampler.name == "qmc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return QMCSampler(
                scramble=True,
                seed=sampler.seed,
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
    return TPESampler(seed=seed)
