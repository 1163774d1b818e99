"""A run whose score never left where it began."""

from __future__ import annotations

import math
from typing import ClassVar

from gantune.health.history import History
from gantune.health.rules.rule import Positive, Rule, Share, figure
from gantune.health.verdict import Kind, Verdict

__all__ = ["Stillborn"]


class Stillborn(Rule):
    """Well into the budget the best score is still about that of the untrained generator.

    Needs the budget and a score at kimg 0, and judges at scores alone, so that a score that is due
    is waited for.
    """

    name: ClassVar[str] = "stillborn"
    kind: ClassVar[Kind] = "stalled"

    score: Share
    """Best score over the starting score; lower is better."""
    after: Share
    """Share of the budget after which a run is judged."""
    shortest: Positive
    """Kimg before which no run is judged, however short its budget: a first look is no failure."""

    def check(self, history: History) -> Verdict | None:
        scores, budget = history.scores, history.budget_kimg
        if budget is None or not scores:
            return None
        if scores[-1].kimg < max(self.after * budget, self.shortest):
            return None
        start = scores[0].values["score"]
        if scores[0].kimg > 0 or not 0 < start < math.inf:
            return None
        later = [point.values["score"] for point in scores[1:]]
        best = min(filter(math.isfinite, later), default=math.inf)
        if best <= self.score * start:
            return None
        reached = f"best score {figure(best)}" if best < math.inf else "no finite score"
        return self.verdict(
            history,
            f"{reached} by {figure(scores[-1].kimg)} kimg, "
            f"against {figure(start)} of the untrained generator",
        )
