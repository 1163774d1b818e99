"""A discriminator that tells all images apart, tick after tick."""

from __future__ import annotations

from typing import ClassVar

from gantune.families import Family
from gantune.health.history import History, Window
from gantune.health.rules.rule import Rule, Share, figure
from gantune.health.verdict import Kind, Verdict

__all__ = ["DiscriminatorWon"]


class DiscriminatorWon(Rule):
    """D's loss is next to nothing beside its neutral value, and the generated images stand still.

    At 0.02 of it D errs on fewer than one image in twenty-five. Healthy runs pass through that, for
    the non-saturating losses teach G even then. There the loss leaps up again and again as G finds
    something new, hence four of five ticks and not the median; and the spread of G's images moves
    or rises, which is asked where it is measured: DCGAN's own recipe may lie under such a D for a
    fifth of a short run while its images slowly come apart, and then recover. A critic's loss near
    0 says nothing.
    """

    name: ClassVar[str] = "discriminator_won"
    kind: ClassVar[Kind] = "collapsed"
    families: ClassVar[frozenset[Family]] = frozenset({"probability", "margin"})

    loss: Share
    """D's loss over its neutral value."""
    movement: Share
    """How far the spread of generated images ranges in the middle three fifths of the ticks, over
    their highest value; where it ranges further, G is still learning."""
    rise: Share
    """By how much the spread rises from the window's first third to its last; where it rises more,
    G is still learning, however slowly."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        floor = history.facts.discriminator_floor
        neutral = history.facts.discriminator_neutral - floor
        if window is None or window.upper - floor > self.loss * neutral:
            return None
        spread = history.window("spread", self.patience)
        if spread and (_movement(spread) > self.movement or spread.rise > self.rise):
            return None
        still = f", generated images at a spread of {figure(spread.median)}" if spread else ""
        return self.verdict(
            history,
            f"D loss at {figure((window.median - floor) / neutral)} of its neutral value "
            f"for {figure(window.kimg)} kimg{still}",
        )


def _movement(window: Window) -> float:
    return (window.upper - window.lower) / window.upper if window.upper > 0 else 0.0
