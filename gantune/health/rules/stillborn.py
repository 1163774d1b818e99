"""A run whose score never left where it began."""

from __future__ import annotations

import math
from typing import ClassVar

from gantune.health.history import FEWEST_SCORES, History
from gantune.health.rules.rule import Positive, Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure

_SEEN = 0.5  # share of a run of unknown length in which nothing may have got better
_BETTER = 0.95  # of the earlier best: chance does as much between two scores of one generator


class Stillborn(Rule):
    """The best score is far from what a run that gets anywhere has by then.

    With a budget and a score of the untrained generator the best score must keep to a straight line
    from there to ``goal`` of it at the budget's end; a run whose images differ more and more is
    spared, for its score follows. Judged at scores alone, so that a score that is due is waited
    for; at the end there is nothing left to save.

    Without these two a FID of the Inception network is judged by its own size, once the second half
    of what was seen brought nothing better: over 150, images have nothing of any data set in them.
    """

    name: ClassVar[str] = "stillborn"
    kind: ClassVar[Kind] = "stalled"

    goal: Share
    """Share of the untrained generator's score that the line ends at."""
    after: Share
    """Share of the budget before which no run is judged."""
    shortest: Positive
    """Kimg before which no run is judged, however short its budget: a first look is no failure."""
    spread: Share
    """Spread of generated images over that of real ones, in pixels or in the score's features, from
    which a run is spared."""
    rise: Share
    """By how much the spread in pixels rises from the window's first third to its last, where a run
    is spared."""
    patience: Share
    """Length of that window as a share of the budget."""
    fid: Positive
    """FID of the Inception network that a run must have come below."""

    def check(self, history: History) -> Verdict | None:
        if not history.has_new_score:
            return None
        start = history.scores[0]
        if history.budget is not None and start.at == 0 and 0 < start.values["score"] < math.inf:
            return self._beside_the_start(history, start.values["score"], history.budget)
        return self._by_size(history) if history.budget is None else None

    def _beside_the_start(self, history: History, start: float, budget: float) -> Verdict | None:
        share = history.now / budget
        if not self.after <= share < 1 or history.now < self.shortest:
            return None
        later = [point.values["score"] for point in history.scores[1:]]
        best = min(filter(math.isfinite, later), default=math.inf)
        if best <= (1 - (1 - self.goal) * share) * start:
            return None
        if self._images_differ(history):
            return None
        reached = f"best score {figure(best)}" if best < math.inf else "no finite score"
        return self.verdict(
            history,
            f"{reached} by {in_words(history.now, history.unit)}, "
            f"against {figure(start)} of the untrained generator",
            0.0,
        )

    def _images_differ(self, history: History) -> bool:
        if history.scores[-1].values.get("feature_spread", 0.0) >= self.spread:
            return True
        window = history.window("spread", self.patience)
        return window is not None and (window.median >= self.spread or window.rise > self.rise)

    def _by_size(self, history: History) -> Verdict | None:
        best, earlier = history.best_score(), history.best_score(until=_SEEN * history.now)
        if best is None or earlier is None or len(history.scores) < FEWEST_SCORES:
            return None
        fid, before = best.values.get("fid", 0.0), earlier.values["score"]
        if fid <= self.fid or best.values["score"] < _BETTER * before:
            return None
        return self.verdict(
            history,
            f"best FID {figure(fid)} by {in_words(history.now, history.unit)}, "
            f"{figure(before)} by {in_words(earlier.at, history.unit)}",
            earlier.at,
        )
