"""How well the scores at rungs predict the full scores."""

from collections.abc import Iterable
from dataclasses import dataclass

from gantune.trial.records import TrialRecord

_FEWEST = 5  # trials for a rank correlation; with fewer, chance gives any order
_LEAST = 0.7  # rank correlation of rungs that can be trusted


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

    @property
    def text(self) -> str:
        """What it means for the search."""
        trials = f"{self.trials} finished trials"
        if not self.is_low:
            return f"Rung scores ranked {trials} like full scores."
        return (
            f"Rung scores ranked {trials} differently from full scores; good trials may have been "
            "pruned. Search again with more objective.rung_samples."
        )

    @property
    def details(self) -> str:
        """The number behind it."""
        below = f", below {_LEAST}" if self.is_low else ""
        return f"Spearman's rank correlation {self.correlation:.2f}{below}."

    def __str__(self) -> str:
        return f"{self.text} {self.details}"


def rung_agreement(records: Iterable[TrialRecord]) -> RungAgreement | None:
    """Compares each trial's best rung score, which chose its checkpoint, with its full score.

    ``None`` for fewer than five such trials, where one kind of score is the same for all, and for a
    trainer that scores itself, where both are the same number.
    """
    records = [r for r in records if r.score is None or not r.score.protocol.is_external]
    both = [(min(r.rungs.values()), r.value) for r in records if r.rungs and r.value is not None]
    if len(both) < _FEWEST or any(len(set(side)) < 2 for side in zip(*both, strict=True)):
        return None
    import pandas as pd  # scipy.stats, which has it too, takes seconds to import

    correlation = pd.DataFrame(both).corr(method="spearman").iat[0, 1]
    return RungAgreement(len(both), float(correlation))
