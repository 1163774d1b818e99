"""Which finalists differ significantly, and how well rung scores predict full scores.

The spread of a distance over seeds is proportional to its size: it is larger around 400 than around
40. So means are compared as ratios, by Student's t on the logarithms of the seeds' scores. Scores
that may be 0 or negative, such as an external trainer's, are compared as differences.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gantune.trial.records import TrialRecord
from gantune.tuner.finalists import FinalistResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_LEVEL = 0.05
_NEAR = 1.5  # times the first's score
_FEWEST = 5  # trials for a rank correlation; with fewer, chance gives any order
_LEAST = 0.7  # rank correlation of rungs that can be trusted


@dataclass(frozen=True)
class Comparison:
    """A finalist compared with the first."""

    origin: int
    is_ratio: bool
    """Whether the numbers are ratios to the first's score, or else differences from it."""
    value: float
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
    if len(ranking) < 2:
        return []
    level = _LEVEL / (len(ranking) - 1)
    return [_against(ranking[0], other, level) for other in ranking[1:]]


def seed_noise(ranking: Sequence[FinalistResult]) -> SeedNoise | None:
    """From the first finalist and its ties; ``None`` where none of them has two seeds.

    Excludes ties that only a high variance causes.
    """
    ties = {
        one.origin
        for one in compare_with_best(ranking)
        if one.is_tie and (one.value <= _NEAR or not one.is_ratio)
    }
    close = [r for r in ranking if r is ranking[0] or r.origin in ties]
    if not close:
        return None
    is_ratio = _is_positive(close)
    spread, degrees = _pooled([_scale(ranked.values, is_ratio) for ranked in close])
    if not degrees or spread == 0:
        return None
    least = _t(_LEVEL, degrees) * spread * math.sqrt(2)
    return SeedNoise(is_ratio, spread, math.exp(least) if is_ratio else least)


def _against(first: FinalistResult, other: FinalistResult, level: float) -> Comparison:
    is_ratio = _is_positive([first, other])
    groups = [_scale(ranked.values, is_ratio) for ranked in (first, other)]
    spread, degrees = _pooled(groups)
    gap = statistics.fmean(groups[1]) - statistics.fmean(groups[0])
    value = math.exp(gap) if is_ratio else gap
    if not degrees:
        return Comparison(other.origin, is_ratio, value, None, None)
    reach = _t(level, degrees) * spread * math.sqrt(sum(1 / len(group) for group in groups))
    low, high = gap - reach, gap + reach
    if is_ratio:
        low, high = math.exp(low), math.exp(high)
    return Comparison(other.origin, is_ratio, value, low, high)


def _is_positive(ranking: Sequence[FinalistResult]) -> bool:
    return all(value > 0 for ranked in ranking for value in ranked.values)


def _scale(values: Sequence[float], is_ratio: bool) -> list[float]:
    return [math.log(value) for value in values] if is_ratio else list(values)


def _pooled(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """One standard deviation within all groups, and its degrees of freedom."""
    several = [group for group in groups if len(group) > 1]
    degrees = sum(len(group) - 1 for group in several)
    if not degrees:
        return 0.0, 0
    squares = sum((len(group) - 1) * statistics.variance(group) for group in several)
    return math.sqrt(squares / degrees), degrees


def _t(level: float, degrees: int) -> float:
    """Two-sided quantile of Student's t, in standard errors."""
    from scipy.special import stdtrit  # scipy.stats takes seconds to import

    return float(stdtrit(degrees, 1 - level / 2))


@dataclass(frozen=True)
class RungAgreement:
    """Spearman's rank correlation between the trials' best rung scores and their full scores."""

    trials: int
    correlation: float
    """In [-1, 1]; 1 where both rank the trials alike."""

    @property
    def is_low(self) -> bool:
        """Whether rung scores should not be trusted; judged as shown, to hundredths."""
        return round(self.correlation, 2) < _LEAST

    def __str__(self) -> str:
        trials, correlation = self.trials, f"rank correlation {self.correlation:.2f}"
        if not self.is_low:
            return f"Rung scores ranked {trials} finished trials like full scores: {correlation}."
        return (
            f"Rung scores ranked {trials} finished trials differently from full scores: "
            f"{correlation}, below {_LEAST}; good trials may have been pruned. Search again with "
            "more objective.rung_samples."
        )


def rung_agreement(records: Iterable[TrialRecord]) -> RungAgreement | None:
    """Compares each trial's best rung score, which chose its checkpoint, with its full score.

    ``None`` for fewer than five such trials, where one kind of score is the same for all, and for a
    trainer that scores itself, where both are the same number.
    """
    records = [r for r in records if r.score is None or not r.score.protocol.is_external]
    both = [(min(r.rungs.values()), r.value) for r in records if r.rungs and r.value is not None]
    if len(both) < _FEWEST or any(len(set(side)) < 2 for side in zip(*both, strict=True)):
        return None
    import numpy as np  # scipy.stats, which has it, takes seconds to import

    ranks = [_ranks(np.array(side)) for side in zip(*both, strict=True)]
    return RungAgreement(len(both), float(np.corrcoef(ranks[0], ranks[1])[0, 1]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks; equal values share the mean of theirs."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place])
