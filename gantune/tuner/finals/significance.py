"""Which finalists differ significantly, and how far a single seed can be trusted.

The spread of a distance over seeds is proportional to its size: it is larger around 400 than around
40. So means are compared as ratios, by Student's t on the logarithms of the seeds' scores. Scores
that may be 0 or negative, such as an external trainer's, are compared as differences.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from gantune.tuner.finals.finalists import FinalistResult

_LEVEL = 0.05
_NEAR = 1.5  # times the first's score


@dataclass(frozen=True)
class Comparison:
    """A finalist compared with the first."""

    origin: int
    is_ratio: bool
    """Whether the numbers are ratios to the first's score, or else differences from it."""
    value: float
    factor: float | None
    """The ratio of the two means, as both are shown; ``None`` where scores have no ratio."""
    low: float | None
    """Simultaneous 95% interval over all finalists (Bonferroni); ``None`` where neither of the two
    has two seeds with a score, so that their spread is unknown."""
    high: float | None

    @property
    def is_tie(self) -> bool:
        """Whether the difference is not significant."""
        same = 1.0 if self.is_ratio else 0.0
        return self.low is None or self.high is None or self.low <= same <= self.high


@dataclass(frozen=True)
class SeedNoise:
    """How much the scores of the best finalists vary over seeds."""

    is_ratio: bool
    deviation: float
    """Standard deviation over seeds, of the score or of its logarithm."""
    least: float
    """The least significant difference of two trainings with one seed each (95%): as a ratio to the
    better score, or to be added to it."""


def compare_with_best(ranking: Sequence[FinalistResult]) -> list[Comparison]:
    """Every other finalist compared with the first."""
    found = []
    for other in ranking[1:]:
        is_ratio, groups, spread, degrees = _pool([ranking[0], other])
        gap = statistics.fmean(groups[1]) - statistics.fmean(groups[0])
        ends: tuple[float | None, float | None] = None, None
        if degrees:
            error = spread * math.sqrt(sum(1 / len(group) for group in groups))
            reach = _t(_LEVEL / (len(ranking) - 1), degrees) * error
            ends = gap - reach, gap + reach
            if is_ratio:
                ends = math.exp(gap - reach), math.exp(gap + reach)
        value, factor = gap, None
        if is_ratio:
            value, factor = math.exp(gap), other.mean / ranking[0].mean
        found.append(Comparison(other.origin, is_ratio, value, factor, *ends))
    return found


def seed_noise(ranking: Sequence[FinalistResult]) -> SeedNoise | None:
    """From the first finalist and its ties; ``None`` where none of them has two seeds.

    Excludes ties that only a high variance causes.
    """
    close = [*ranking[:1]]
    for other, one in zip(ranking[1:], compare_with_best(ranking), strict=True):
        if one.is_tie and (one.value <= _NEAR or not one.is_ratio):
            close.append(other)
    is_ratio, _, spread, degrees = _pool(close)
    if not degrees or spread == 0:
        return None
    least = _t(_LEVEL, degrees) * spread * math.sqrt(2)
    return SeedNoise(is_ratio, spread, math.exp(least) if is_ratio else least)


def _pool(ranking: Sequence[FinalistResult]) -> tuple[bool, list[list[float]], float, int]:
    """Whether all scores are positive, then each finalist's scores (as logarithms if so), one
    standard deviation within all finalists, and its degrees of freedom."""
    is_ratio = all(value > 0 for ranked in ranking for value in ranked.values)
    groups = [[math.log(v) if is_ratio else v for v in ranked.values] for ranked in ranking]
    degrees = sum(len(group) - 1 for group in groups)
    squares = sum((len(g) - 1) * statistics.variance(g) for g in groups if len(g) > 1)
    return is_ratio, groups, math.sqrt(squares / degrees) if degrees else 0.0, degrees


def _t(level: float, degrees: int) -> float:
    """Two-sided quantile of Student's t, in standard errors."""
    from scipy.special import stdtrit  # scipy.stats takes seconds to import

    return float(stdtrit(degrees, 1 - level / 2))
