"""``Assignments``: what a worker gets to train, from a study's records and parameters."""

from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import Trial

from gantune.config import AnyConfig
from gantune.space import SearchSpace
from gantune.trial.records import Assignment, TrialRecord
from gantune.tuner.finals.finalists import PlannedFinal


class Assignments:
    """Makes the assignments of one search.

    ``resolve`` writes the true resolution, colour and path of the data into a config.
    ``judges_alone``: whether rules about pace judge each run without the others.
    """

    def __init__(
        self, space: SearchSpace, resolve: Callable[[AnyConfig], AnyConfig], *, judges_alone: bool
    ) -> None:
        self._space, self._resolve = space, resolve
        self._has_peers = space.compares_settings and not judges_alone

    def config_of(self, record: TrialRecord) -> AnyConfig:
        """The config of a trial, from its parameters."""
        return self._resolve(self._space.configs_of(record.params))

    def new(self, trial: Trial) -> Assignment:
        """A trial that begins or is unfinished: samples its parameters and stores its length."""
        config = self._resolve(self._space.sample_config(trial))
        trial.set_user_attr("budget_kimg", config.kimg)
        return self._made(f"trials/{trial.number:04d}", config, trial.params)

    def again(self, record: TrialRecord) -> Assignment:
        """A trial with all its parameters, as it was handed out before."""
        return self._made(record.name, self.config_of(record), record.params)

    def finalist(self, number: int, run: PlannedFinal, origin: TrialRecord) -> Assignment:
        """The config of a finalist's trial, with another seed and length."""
        config = self.config_of(origin).replaced(seed=run.seed, kimg=run.kimg)
        return self._made(f"finalists/{number:04d}", config, origin.params)

    def _made(self, name: str, config: AnyConfig, params: Mapping[str, Any]) -> Assignment:
        space = self._space
        decided = (params.get(decision.name) for decision in space.tree.decisions)
        taken = tuple(str(one) for one in decided if one is not None)
        rungs = (*space.pruning.shares, 1.0)
        return Assignment(name, config, rungs, space.stability, self._has_peers, taken)
