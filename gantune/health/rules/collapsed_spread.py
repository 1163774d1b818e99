"""Generated images that have lost their variety."""

from __future__ import annotations

from typing import ClassVar

from gantune.health.history import History
from gantune.health.rules.rule import Rule, Share, figure
from gantune.health.verdict import Kind, Verdict

__all__ = ["CollapsedSpread"]


class CollapsedSpread(Rule):
    """Generated images differ from each other by next to nothing beside real ones.

    An untrained generator may begin so. Hence a run that never had twice the spread in question is
    judged only after the ``warm_up``, or never where its budget is not known.
    """

    name: ClassVar[str] = "collapsed_spread"
    kind: ClassVar[Kind] = "collapsed"

    spread: Share
    """Spread of generated images over that of real ones."""
    warm_up: Share
    """Share of the budget that a run has for its images to begin to differ."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("spread", self.patience)
        if window is None or window.upper > self.spread:
            return None
        highest = history.highest("spread", until=window.begin) or 0.0
        if highest < 2 * self.spread and not self._is_warm(history):
            return None
        return self.verdict(
            history,
            f"generated images differ by {figure(window.median)} of what real ones do "
            f"for {figure(window.kimg)} kimg, by {figure(highest)} at most before",
        )

    def _is_warm(self, history: History) -> bool:
        budget = history.budget_kimg
        return budget is not None and history.kimg >= self.warm_up * budget
