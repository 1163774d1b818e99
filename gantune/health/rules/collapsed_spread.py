"""Generated images that have lost their variety."""

from __future__ import annotations

from typing import ClassVar

from gantune.health.history import History
from gantune.health.rules.rule import Positive, Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure


class CollapsedSpread(Rule):
    """Generated images differ from each other by next to nothing beside real ones.

    In pixels at every tick, and in the features of the last two scores. An untrained generator may
    begin so. Hence a run that never had twice the spread in question is judged only after the
    ``warm_up``, or never where its budget is not known.
    """

    name: ClassVar[str] = "collapsed_spread"
    kind: ClassVar[Kind] = "collapsed"

    spread: Share
    """Spread of generated images over that of real ones."""
    warm_up: Share
    """Share of the budget that a run has for its images to begin to differ."""
    shortest: Positive
    """Kimg that it has for it at least, however short its budget."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("spread", self.patience)
        if window is not None and window.upper <= self.spread:
            highest = history.highest("spread", until=window.begin) or 0.0
            lately = f"for {in_words(window.length, history.unit)}"
            found = self._judged(history, window.median, highest, lately, window.begin)
            if found is not None:
                return found
        *earlier, last, now = [(0.0, 0.0), (0.0, 0.0), *_feature_spreads(history)]
        if not now[0] or not last[0] or max(last[1], now[1]) > self.spread:
            return None
        highest = max(spread for _, spread in earlier)
        return self._judged(history, now[1], highest, "in features at two scores", last[0])

    def _judged(
        self, history: History, spread: float, highest: float, lately: str, since: float
    ) -> Verdict | None:
        budget = history.budget
        is_warm = budget is not None and history.now >= max(self.warm_up * budget, self.shortest)
        if highest < 2 * self.spread and not is_warm:
            return None
        return self.verdict(
            history,
            f"generated images differ by {figure(spread)} of what real ones do {lately}, "
            f"by {figure(highest)} at most before",
            since,
        )


def _feature_spreads(history: History) -> list[tuple[float, float]]:
    """Where it was measured on a trained generator, and how large it was."""
    found = [(point.at, point.values.get("feature_spread")) for point in history.scores]
    return [(at, spread) for at, spread in found if spread is not None and at > 0]
