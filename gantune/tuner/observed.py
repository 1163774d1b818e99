"""Optuna's study with the trials that its sampler learns from, its samplers, and a trial that is
drawn again after a kill."""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence
from copy import copy
from heapq import nsmallest
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

_MOST = 500
"""Trials that a sampler sees: of more, the best, the latest, and an even choice of the others."""
_BEST = 25  # the most trials that Optuna's TPE counts as good ones


class _Observation(NamedTuple):
    source: FrozenTrial
    seen: FrozenTrial
    rank: tuple[float, ...] | None
    """Smaller is better, in the order of Optuna's TPE; ``None`` while it runs."""


class ObservedStudy(optuna.Study):
    """Optuna's study as samplers see it.

    A paused trial, which is a running one in the study, is a pruned one for them, so that they
    learn from its rungs. What a suggestion costs does not grow with the study: TPE divides trials
    into at most 25 good ones, all of which it sees, and the rest, of which it sees a part.
    """

    def __init__(self, name: str, storage: optuna.storages.BaseStorage) -> None:
        super().__init__(name, storage)
        self._observations: dict[int, _Observation] = {}

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials as they are."""
        return super()._get_trials(deepcopy, states)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        """Only samplers call it. Between two trials nothing changes that they may see."""
        if self._thread_local.cached_all_trials is None:
            self._thread_local.cached_all_trials = self._observe()
        return super()._get_trials(deepcopy, states, use_cache=True)

    def _observe(self) -> list[FrozenTrial]:
        found = []
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
            known = self._observations.get(trial.number)
            if known is None or known.source is not trial:
                known = self._observations[trial.number] = _observation(trial)
            found.append(known)
        return [one.seen for one in _selected(found)]


class OneSpaceTPESampler(TPESampler):
    """Optuna's TPE for the trials of one space, where a parameter has one range.

    It draws the same. Which parameters all trials share is told by their names alone, as comparing
    all their ranges takes as long as all the rest.
    """

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        ended = study._get_trials(deepcopy=False, states=states, use_cache=True)
        if not ended:
            return {}
        ranges = ended[-1].distributions
        shared = set(ranges).intersection(*(one.distributions for one in ended))
        return {name: ranges[name] for name in sorted(shared) if not ranges[name].single()}


class NumberedQMCSampler(QMCSampler):
    """Optuna's quasi-random sequence, of which each trial takes the point of its own number.

    Optuna stores the next point in the study, so a driver that is killed while it draws a trial
    would take two. ``seed`` is the sequence's; ``own_seed``, the trial's, draws what the sequence
    does not: the first trial, and parameters that the first trial did not have.
    """

    def __init__(self, number: int, seed: int, own_seed: int) -> None:
        with warnings.catch_warnings(
            action="ignore", category=optuna.exceptions.ExperimentalWarning
        ):
            super().__init__(
                scramble=True,
                seed=seed,
                independent_sampler=RandomSampler(seed=own_seed),
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        self._number = number

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        earlier = study._get_trials(deepcopy=False, use_cache=True)
        spaces = (one.distributions for one in earlier if one.number < self._number)
        return dict(next(filter(None, spaces), {}))

    def _find_sample_id(
        self, study: optuna.Study, search_space: dict[str, BaseDistribution]
    ) -> int:
        return self._number


class RedrawnTrial(Trial):
    """A trial whose driver was killed while it drew the parameters.

    Those that are stored stay, and are drawn once more, so that the sampler's random numbers for
    the others are those of a driver that was not killed.
    """

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        is_stored = name in self.distributions
        is_given = self._is_fixed_param(name, distribution) or distribution.single()
        if is_stored and not is_given and not self._is_relative_param(name, distribution):
            sampler, seen = self.study.sampler, self._get_latest_trial()
            sampler.sample_independent(self.study, seen, name, distribution)
        return super()._suggest(name, distribution)


def _observation(trial: FrozenTrial) -> _Observation:
    seen = trial
    if trial.state == TrialState.RUNNING and trial.user_attrs.get("paused"):
        seen = copy(trial)
        seen.state = TrialState.PRUNED
    return _Observation(trial, seen, _rank(seen))


def _rank(trial: FrozenTrial) -> tuple[float, ...] | None:
    violation = sum(value for value in trial.constraints.values() if value > 0)
    if trial.state == TrialState.COMPLETE:
        place = (0.0, 0.0, trial.value or 0.0)
    elif trial.state == TrialState.PRUNED:
        percent, value = max(trial.intermediate_values.items(), default=(-1, 0.0))
        place = (1.0, -percent, value)
    else:
        return None
    return (2.0, violation) if violation else place


def _selected(found: Sequence[_Observation]) -> list[_Observation]:
    """At most ``_MOST`` of those that have ended, and all others, in the same order."""
    ended = [number for number, one in enumerate(found) if one.rank is not None]
    if len(ended) <= _MOST:
        return list(found)
    best = set(nsmallest(_BEST, ended, key=lambda number: found[number].rank or ()))
    others = [number for number in ended if number not in best]
    latest = (_MOST - _BEST) // 2
    older, room = others[:-latest], _MOST - _BEST - latest
    spread = [older[k * len(older) // room] for k in range(room)]
    kept = best.union(spread, others[-latest:])
    return [one for number, one in enumerate(found) if one.rank is None or number in kept]
