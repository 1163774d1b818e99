"""How well the rungs' cheap scores order trials, beside the full scores they stand in for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RungAgreement", "rung_agreement"]

_FEWEST = 5  # trials; of fewer, chance alone gives any order
_LEAST = 0.7


@dataclass(frozen=True)
class RungAgreement:
    """Spearman's rank correlation between the trials' best rung scores and their full scores."""

    trials: int
    correlation: float
    """In [-1, 1]; 1 where both give one order."""

    @property
    def is_low(self) -> bool:
        """Whether the rungs' order is not to be trusted; judged as it is shown, to hundredths."""
        return round(self.correlation, 2) < _LEAST

    def __str__(self) -> str:
        if self.is_low:
            return (
                f"! rung scores ordered {self.trials} finished trials unlike full ones: rank "
                f"correlation {self.correlation:.2f}, below {_LEAST}; what was pruned may have "
                "been good. Search again with more objective.rung_samples"
            )
        return (
            f"rung scores ordered {self.trials} finished trials like full ones: rank correlation "
            f"{self.correlation:.2f}"
        )


def rung_agreement(records: Iterable[TrialRecord]) -> RungAgreement | None:
    """Over the trials that have both: the best of a trial's rungs, which picked its checkpoint,
    beside its full score.

    ``None`` of fewer than five trials, where either side is the same for all, and of a trainer's
    own scores, where both sides are one number.
    """
    records = [r for r in records if r.score is None or not r.score.protocol.is_own]
    both = [(min(r.rungs.values()), r.value) for r in records if r.rungs and r.value is not None]
    if len(both) < _FEWEST or any(len(set(side)) < 2 for side in zip(*both, strict=True)):
        return None
    import numpy as np  # scipy.stats, which has it, takes seconds to import

    ranks = [_ranks(np.array(side)) for side in zip(*both, strict=True)]
    return RungAgreement(len(both), float(np.corrcoef(ranks[0], ranks[1])[0, 1]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places in order, equal values sharing the middle of theirs."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place])
