"""The ways of searching that are compared on recorded sweeps (``benchmarks/replay.py``)."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
from optuna.pruners import HyperbandPruner, MedianPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.storages import InMemoryStorage

from benchmarks.replay import UNKNOWN, Replay, Strategy
from benchmarks.sweep import TABLES
from gantune.errors import SpaceError
from gantune.run_folder.run import RunFolder
from gantune.scores import Score
from gantune.scores.score import Protocol
from gantune.space import SearchSpace
from gantune.space.settings import Pruning, Sampler
from gantune.trial.records import Assignment, Outcome, RungReport, TrialRecord
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.pruning import Halving, ties_at

__all__ = [
    "DEFAULT",
    "STRATEGIES",
    "WINNERS",
    "Whole",
    "gantune_search",
    "printed_winner",
]

DEFAULT = "gantune: TPE, halving (default)"
_TPE, _RANDOM = "sampler.name=tpe", "sampler.name=random"
_DEFAULT = (_TPE, "pruning={rule: halving}")
_HYPERBAND_STEP = 5  # percent; how often the plain script with Hyperband reports


class _Driver(Driver):
    """It leaves out each trial's ``config.yaml``, which takes most of a replay and is not read."""

    def write_configs(self) -> None:
        pass


class _Search:
    """gantune's own driver, with a replay in the place of training."""

    def __init__(self, replay: Replay, space: SearchSpace, folder: str) -> None:
        context = SearchContext(resolve=lambda config: config, protocol="replay")
        self.driver = _Driver(space, RunFolder(Path(folder)), InMemoryStorage(), context)
        self._replay = replay
        self.settings: dict[int, int] = {}
        """The recorded setting that each trial has got."""

    def step(self) -> bool:
        """Trains what the driver hands out next; returns whether there was something."""
        work = self.driver.next_assignment()
        if not isinstance(work, Assignment):
            return False
        if work.kind == "trial":
            self._train(work)
        else:
            origin = self.driver.finalists()[work.number].origin
            assert origin is not None
            value = self._replay.train_again(self.settings[origin])
            self._finish(work, _score(value, 0.0))
        return True

    def _train(self, work: Assignment) -> None:
        record, before = self.driver.trials()[work.number], 0
        if work.number not in self.settings:
            found = self._replay.nearest(dict(record.params))
            assert found is not None
            self.settings[work.number] = found
        for percent in (round(100 * share) for share in work.rungs):
            if percent in record.rungs:
                before = percent
                continue
            score = _score(*self._replay.train(self.settings[work.number], before, percent))
            before = percent
            if percent == 100:
                self._finish(work, score)
                return
            report = RungReport(percent / 100, self._replay.table.kimg * percent / 100, score)
            if not self.driver.report(work.name, report):
                self.driver.finish(work.name, Outcome("pruned", report.kimg))
                return

    def _finish(self, work: Assignment, score: Score) -> None:
        kimg = self._replay.table.kimg
        self.driver.report(work.name, RungReport(1.0, kimg, score))
        self.driver.finish(work.name, Outcome("completed", kimg, score=score))


def _score(value: float, error: float) -> Score:
    return replace(Score.external(value, Protocol.external("fid", "replay")), error=error)


# ---- Rules for scores that are too close to tell apart -------------------------------------------


class _BySamplingError(Halving):
    """Halving in which those go on from the last rung, at most as many again, that are worse than
    the last one by less than the standard error of the difference; none tie at other rungs."""

    def _last_tie(self, ranked: Sequence[TrialRecord], count: int, percent: int) -> int:
        if percent != self._percents[-1]:
            return count
        last = ranked[count - 1]
        return count + sum(ties_at(last, one, percent) for one in ranked[count : 2 * count])


def _rule(kind: type[Halving]) -> Callable[[Pruning], Halving]:
    return lambda pruning: kind(
        [round(100 * s) for s in pruning.shares], pruning.reduction_factor, noise=pruning.noise
    )


# ---- Until one of the best -----------------------------------------------------------------------


def gantune_search(*overrides: str, prior: float | None = None) -> Strategy:
    """A search by gantune that may begin every setting of the table.

    ``prior``: starts from the best three settings of an earlier search that has tried a third of
    the table on other data: the logarithms of its scores differ by noise of so many standard
    deviations.
    """

    def run(replay: Replay, seed: int) -> None:
        budget = f"budget.trials={len(replay.table.runs)}", "finalists.top=0"
        space = _space(replay, seed, *budget, *overrides)
        if prior is not None:
            space = space.model_copy(update={"points": _best_of_earlier(replay, prior, seed)})
        with tempfile.TemporaryDirectory() as folder:
            search = _Search(replay, space, folder)
            while not replay.has_best and search.step():
                pass

    return run


def _at_rungs(factor: int, percents: Sequence[int]) -> Strategy:
    """Halving at those of the rungs that a table's runs are long enough for, as by default."""

    def run(replay: Replay, seed: int) -> None:
        for first in range(len(percents)):
            rungs = ", ".join(f"{percent}%" for percent in percents[first:])
            pruning = f"pruning={{rule: halving, rungs: [{rungs}], factor: {factor}}}"
            try:
                _space(replay, seed, pruning)
            except SpaceError:
                continue
            gantune_search(_TPE, pruning)(replay, seed)
            return

    return run


def _space(replay: Replay, seed: int, *overrides: str) -> SearchSpace:
    return TABLES[replay.table.name].space(f"sampler.seed={seed}", "start=[]", *overrides)


def _best_of_earlier(replay: Replay, noise: float, seed: int) -> tuple[dict[str, Any], ...]:
    runs, rng = replay.table.runs, np.random.default_rng(seed)
    tried = rng.choice(len(runs), len(runs) // 3, replace=False)
    scores = np.log([replay.score(number, 100)[0] for number in range(len(runs))])
    scores += noise * np.std(scores[scores < math.log(UNKNOWN)]) * rng.normal(size=len(runs))
    ranked = sorted(tried, key=lambda number: scores[number])
    return tuple(dict(runs[number].params) for number in ranked[:3])


def _with_sampler(make: Callable[[int], BaseSampler]) -> Strategy:
    """The default search by gantune, with another sampler for each trial."""

    def sampler(settings: Sampler, number: int) -> BaseSampler:
        state = np.random.SeedSequence([settings.seed, number]).generate_state(1)
        with warnings.catch_warnings(
            action="ignore", category=optuna.exceptions.ExperimentalWarning
        ):
            return make(int(state[0]))

    def run(replay: Replay, seed: int) -> None:
        with patch("gantune.tuner.driver.make_sampler", sampler):
            gantune_search(*_DEFAULT)(replay, seed)

    return run


def _with_rule(kind: type[Halving]) -> Strategy:
    """The default search by gantune, with another kind of halving."""

    def run(replay: Replay, seed: int) -> None:
        with patch("gantune.tuner.driver.make_rule", _rule(kind)):
            gantune_search(*_DEFAULT)(replay, seed)

    return run


def _optuna(pruner: Callable[[], Any], steps: Sequence[int]) -> Strategy:
    """A plain script: Optuna's TPE with its defaults and one of its pruners."""

    def run(replay: Replay, seed: int) -> None:
        space = replay.table.space
        name = f"replay {seed}"  # HyperbandPruner chooses brackets by it
        study = optuna.create_study(sampler=TPESampler(seed=seed), pruner=pruner(), study_name=name)

        def objective(trial: optuna.Trial) -> float:
            space.sample_config(trial)
            number = replay.nearest(dict(trial.params))
            if number is None:
                study.stop()
                raise optuna.TrialPruned
            before = 0
            for percent in (*steps, 100):
                value, _ = replay.train(number, before, percent)
                before = percent
                if percent < 100:
                    trial.report(value, percent)
                    if trial.should_prune():
                        raise optuna.TrialPruned
            if replay.has_best:
                study.stop()
            return value

        study.optimize(objective)

    return run


STRATEGIES: dict[str, Strategy] = {
    "random": gantune_search(_RANDOM, "pruning.rule=none"),
    "Optuna: TPE, median pruner": _optuna(MedianPruner, (25, 50, 75)),
    "Optuna: TPE, Hyperband pruner": _optuna(
        lambda: HyperbandPruner(min_resource=_HYPERBAND_STEP, max_resource=100),
        range(_HYPERBAND_STEP, 100, _HYPERBAND_STEP),
    ),
    "gantune: TPE, median": gantune_search(_TPE, "pruning.rule=median"),
    DEFAULT: gantune_search(*_DEFAULT),
    "the same, factor 4 at 5, 15, 45%": _at_rungs(4, (5, 15, 45)),
    "the same, hyperband": gantune_search(_TPE, "pruning={rule: hyperband}"),
    "the same, random settings": gantune_search(_RANDOM, "pruning={rule: halving}"),
    "the same, independent TPE": _with_sampler(
        lambda seed: TPESampler(seed=seed, multivariate=False)
    ),
    "the same, grouped TPE": _with_sampler(
        lambda seed: TPESampler(seed=seed, multivariate=True, group=True)
    ),
    "the same, Gaussian process": _with_sampler(lambda seed: GPSampler(seed=seed)),
    "the same, without ties": gantune_search(_TPE, "pruning={rule: halving, noise: 0}"),
    "the same, ties of the last rung by the sampling error": _with_rule(_BySamplingError),
    "the same from an earlier search": gantune_search(*_DEFAULT, prior=0.5),
    "the same from an earlier search whose scores are chance": gantune_search(*_DEFAULT, prior=1e6),
}
"""Each way of searching by name. "The same" is gantune's default but for what follows."""


# ---- What a search prints as its winner ----------------------------------------------------------


@dataclass(frozen=True)
class Whole:
    """A search by gantune with a budget and finals."""

    overrides: tuple[str, ...] = _DEFAULT
    finalists: int = 2
    rule: type[Halving] = Halving
    share: float = 60 / 304
    """Of a table's settings, as many trials."""

    def trials_of(self, settings: int) -> int:
        """How many trials it begins on a table."""
        return round(self.share * settings)


WINNERS: dict[str, Whole] = {
    "random, all to their ends": Whole((_RANDOM, "pruning.rule=none")),
    "gantune: TPE, median": Whole((_TPE, "pruning.rule=median")),
    DEFAULT: Whole(),
    "the same, 1 finalist": Whole(finalists=1),
    "the same, 3 finalists": Whole(finalists=3),
    "the same, 4 finalists": Whole(finalists=4),
    "the same, a third fewer trials": Whole(share=40 / 304),
    "the same, a third more trials": Whole(share=80 / 304),
    "the same, two thirds more trials": Whole(share=100 / 304),
    "the same, without ties": Whole((_TPE, "pruning={rule: halving, noise: 0}")),
    "the same, ties of the last rung by the sampling error": Whole(rule=_BySamplingError),
}
"""Whole searches by name. "The same" is gantune's default but for what follows."""


def printed_winner(replay: Replay, whole: Whole, seed: int) -> int | None:
    """The setting that a whole search prints as its winner, after finals on one more seed."""
    trials = whole.trials_of(len(replay.table.runs))
    finals = f"finalists.top={whole.finalists}", "finalists.seeds=1"
    space = _space(replay, seed, f"budget.trials={trials}", *whole.overrides, *finals)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        if whole.rule is not Halving:
            stack.enter_context(patch("gantune.tuner.driver.make_rule", _rule(whole.rule)))
        search = _Search(replay, space, folder)
        while search.step():
            pass
        winner = search.driver.state().winner
    return None if winner is None else search.settings[winner.origin]
