"""A recorded sweep in the place of training.

A strategy proposes a setting, gets the nearest one in the table that was not proposed before, and
sees its recorded scores as far as it trains it. Scores are evenly spaced over a run; the first one
is of the untrained generator.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from scipy.stats import spearmanr

from benchmarks.curves import Curves, read_curves
from benchmarks.sweep import TABLES
from gantune.space import SearchSpace
from gantune.space.distributions import Range

__all__ = ["BEST", "UNKNOWN", "Recorded", "Replay", "Strategy", "Trace", "recorded", "replayed"]

BEST = {"digits": 3, "fashion": 3, "cifar": 2}
"""How many settings of each table count as the best."""
UNKNOWN = 1e9
"""The score of a setting whose images were not finite."""
_GOOD = 0.03


@dataclass(frozen=True)
class Recorded:
    """A table whose settings have their parameters on [0, 1]."""

    name: str
    runs: Sequence[Curves]
    """Every setting, on its first seed."""
    scaled: Sequence[dict[str, Any]]
    """Parameters of the settings: ranges as numbers in [0, 1], choices as text."""
    kimg: float
    """Length of a run."""
    space: SearchSpace
    best: int
    """How many settings count as the best."""
    again: Mapping[int, float] = field(default_factory=dict)
    """The last scores of the settings that were trained on a second seed, by place in ``runs``."""
    seconds: Mapping[int, Curves] = field(default_factory=dict)
    """Their second runs."""

    def scale(self, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters on [0, 1]."""
        return _scaled(self.space, params)


@cache
def recorded(name: str) -> Recorded:
    """A table by its name in ``benchmarks.sweep.TABLES``."""
    table = TABLES[name]
    every = list(read_curves(table.path)[1])
    runs = [run for run in every if run.seed == 0]
    seconds = {run.configuration: run for run in every if run.seed == 1}
    space = table.space()
    scaled = [_scaled(space, dict(run.params)) for run in runs]
    second_runs = {
        place: seconds[run.configuration]
        for place, run in enumerate(runs)
        if run.configuration in seconds
    }
    again = {place: _score_at(run, 100)[0] for place, run in second_runs.items()}
    return Recorded(name, runs, scaled, table.kimg, space, BEST[name], again, second_runs)


class Replay:
    """A table of settings with their recorded scores, and what a strategy has trained so far."""

    def __init__(self, table: Recorded) -> None:
        self.table = table
        settings = range(len(table.runs))
        ranked = sorted(settings, key=lambda number: self.score(number, 100)[0])
        self.best = set(ranked[: table.best])
        self._rank = {number: place for place, number in enumerate(ranked, start=1)}
        self._free = set(settings)
        self._reached: dict[int, int] = {}
        self.spent = 0.0
        """Kimg trained so far."""
        self.has_best = False
        """Whether one of the best settings was trained to its end."""
        self.progress: list[tuple[float, int]] = []
        """The kimg trained when a setting reached its end that is better than all before it, and
        its rank among all settings; 1 is the best."""

    def nearest(self, params: dict[str, Any]) -> int | None:
        """The nearest setting that was not taken before; ``None`` where all were."""
        scaled = self.table.scale(params)
        if not self._free:
            return None
        found = min(
            self._free, key=lambda number: (_distance(scaled, self.table.scaled[number]), number)
        )
        self._free.remove(found)
        return found

    def train(self, number: int, before: int, percent: int) -> tuple[float, float]:
        """Trains a setting from one percentage of its length to another: score and error there.

        Where no score was recorded, as in a run with longer ticks, it is trained to the next one.
        """
        run = self.table.runs[number]
        steps = _place(run, percent) - _place(run, before)
        self.spent += self.table.kimg * steps / (len(run.scores) - 1)
        self._reached[number] = percent
        if percent == 100:
            self.has_best |= number in self.best
            if not self.progress or self._rank[number] < self.progress[-1][1]:
                self.progress.append((self.spent, self._rank[number]))
        return self.score(number, percent)

    def train_again(self, number: int) -> float:
        """Trains a setting whole on another seed: its score. Where no second seed was recorded, it
        is that of the first."""
        self.spent += self.table.kimg
        return self.table.again.get(number, self.score(number, 100)[0])

    def reached(self, percent: int) -> set[int]:
        """The settings that were trained so far."""
        return {number for number, at in self._reached.items() if at >= percent}

    def agreement(self, percents: Sequence[int]) -> dict[int, float]:
        """The rank correlation of all settings' scores at rungs with those at the end."""
        settings = range(len(self.table.runs))
        end = [self.score(number, 100)[0] for number in settings]
        return {
            percent: float(spearmanr([self.score(n, percent)[0] for n in settings], end).statistic)
            for percent in percents
        }

    def seed_difference(self, percent: int) -> float:
        """The median ratio of two seeds' scores at a share of a run, the larger one to the smaller,
        less 1."""
        ratios = []
        for number, run in self.table.seconds.items():
            first, _ = self.score(number, percent)
            second, _ = _score_at(run, percent)
            if UNKNOWN not in (first, second):
                ratios.append(max(first, second) / min(first, second))
        return statistics.median(ratios) - 1

    def best_by_mean(self) -> list[int]:
        """The best 3% of all settings by the mean of their recorded seeds."""
        ranked = self.by_mean()
        return ranked[: max(1, round(_GOOD * len(ranked)))]

    def by_mean(self) -> list[int]:
        """All settings by the mean of their recorded seeds, best first."""
        return sorted(range(len(self.table.runs)), key=self._mean)

    def _mean(self, number: int) -> float:
        again = self.table.again.get(number)
        known = [self.score(number, 100)[0], *([] if again is None else [again])]
        return statistics.fmean(known)

    def score(self, number: int, percent: int) -> tuple[float, float]:
        """A recorded score and its standard error: the first one at ``percent`` or later."""
        return _score_at(self.table.runs[number], percent)


Strategy = Callable[[Replay, int], None]
"""Trains on a replay, with a seed, until the replay has one of the best or the search ends."""


@dataclass(frozen=True)
class Trace:
    """What one search has trained, and found."""

    kimg: float
    """Until it has trained one of the best settings to its end; infinite if it ends before."""
    progress: tuple[tuple[float, int], ...]
    """See ``Replay.progress``."""


def replayed(table: str, strategy: Strategy, seed: int) -> Trace:
    """One search by a strategy on a table."""
    replay = Replay(recorded(table))
    strategy(replay, seed)
    return Trace(replay.spent if replay.has_best else math.inf, tuple(replay.progress))


def _score_at(run: Curves, percent: int) -> tuple[float, float]:
    return _score(run.scores[_place(run, percent)])


def _place(run: Curves, percent: int) -> int:
    """The place of the first score at ``percent`` of a run or later."""
    return math.ceil(percent * (len(run.scores) - 1) / 100)


def _score(line: Mapping[str, float | None]) -> tuple[float, float]:
    value, error = line["value"], line.get("error")
    if value is None or not math.isfinite(value):
        return UNKNOWN, 0.0
    return value, error or 0.0


def _distance(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Squared, over parameters on [0, 1]: a choice that differs or is missing counts as 1."""
    total = 0.0
    for name in first.keys() | second.keys():
        if name not in first or name not in second:
            total += 1
        elif isinstance(first[name], float) and isinstance(second[name], float):
            total += (first[name] - second[name]) ** 2
        else:
            total += first[name] != second[name]
    return total


def _scaled(space: SearchSpace, params: dict[str, Any]) -> dict[str, Any]:
    """Ranges as numbers in [0, 1] on their own scale; choices as they are."""
    scaled: dict[str, Any] = {}
    for name, distribution in space.parameters().items():
        if name not in params:
            continue
        value = params[name]
        if not isinstance(distribution, Range):
            scaled[name] = str(value)
            continue
        ends = distribution.low, value, distribution.high
        low, at, high = (math.log(one) if distribution.log else float(one) for one in ends)
        scaled[name] = (at - low) / (high - low)
    return scaled
