"""What share of a search's time its scores took."""

from __future__ import annotations

from dataclasses import dataclass

from gantune.io.formatting import share
from gantune.tuner.state import RunState

__all__ = ["ScoringShare", "scoring_share"]

_MOST = 0.1


@dataclass(frozen=True)
class ScoringShare:
    """Shares of the whole search, from the making of the extractor to its end, in [0, 1]."""

    total: float
    """Over the whole time of all workers; checkpoints and sample grids included."""
    preparing: float
    """The part of it before the first trial: the extractor and the real images' features are made,
    for which all workers wait, and each worker reads them and takes a score to warm up."""

    def __str__(self) -> str:
        text = f"Scoring took {share(self.total)} of the search's time"
        if self.total <= _MOST:
            return f"{text}."
        return (
            f"{text}, {share(self.preparing)} before the first trial: over {_MOST:.0%}. Longer "
            "trials, or fewer objective.rung_samples and samples, make it less."
        )


def scoring_share(state: RunState) -> ScoringShare | None:
    """What scoring took of the search so far; ``None`` before any time has passed.

    Of a search that went on with another number of workers it is an estimate.
    """
    spent = state.spent
    whole = spent.workers * (spent.seconds + spent.preparing_seconds)
    if whole <= 0:
        return None
    outcomes = [record.outcome for record in (*state.trials, *state.finalists)]
    preparing = spent.workers * spent.preparing_seconds + spent.readying_seconds
    scoring = preparing + sum(o.scoring_seconds for o in outcomes if o is not None)
    return ScoringShare(min(scoring / whole, 1.0), preparing / whole)
