"""A discriminator that tells all images apart, tick after tick."""

from __future__ import annotations

from typing import ClassVar

from gantune.families import Family
from gantune.health.history import History
from gantune.health.rules.rule import Rule, Share, figure
from gantune.health.verdict import Kind, Verdict

__all__ = ["DiscriminatorWon"]


class DiscriminatorWon(Rule):
    """D's loss is next to nothing beside its neutral value, in four of five ticks of a long window.

    At 0.02 of it D errs on less than one image in twenty-five. Healthy runs pass through that early
    on, but there the loss leaps up again and again as G finds something new: hence four of five
    ticks, not the median, and the patience. A critic's loss near 0 says nothing.
    """

    name: ClassVar[str] = "discriminator_won"
    kind: ClassVar[Kind] = "collapsed"
    families: ClassVar[frozenset[Family]] = frozenset({"probability", "margin"})

    loss: Share
    """D's loss over its neutral value."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        neutral = history.facts.discriminator_neutral
        if window is None or window.upper > self.loss * neutral:
            return None
        return self.verdict(
            history,
            f"D loss at {figure(window.median / neutral)} of its neutral value "
            f"for {figure(window.kimg)} kimg",
        )
