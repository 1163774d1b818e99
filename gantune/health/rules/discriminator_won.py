"""A discriminator that tells all images apart, tick after tick."""

from __future__ import annotations

from typing import ClassVar

from gantune.config.loss_families import Family
from gantune.health.history import FEWEST_SCORES, History, Window
from gantune.health.rules.rule import Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure


class DiscriminatorWon(Rule):
    """D's loss is next to nothing beside its neutral value, and G gets nowhere under it.

    At 0.02 of it D errs on fewer than one image in twenty-five. Healthy runs pass through that, for
    the non-saturating losses teach G even then. There the loss leaps up again and again as G finds
    something new, hence four of five ticks and not the median. What G makes is asked where it is
    measured: the spread of its images moves or rises (DCGAN's own recipe may lie under such a D for
    a fifth of a short run while its images slowly come apart, and then recover), or the score
    still gets better. A critic's loss near 0 says nothing.
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
    """By how much the spread rises from the window's first third to its last, or by how
    much the best score falls; where it is more, G is still learning, however slowly."""
    progress: Share
    """Share of the budget in which the score, where it is taken, must get better."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        level = history.discriminator_level(window.upper) if window else None
        if window is None or level is None or level > self.loss:
            return None
        spread = history.window("spread", self.patience)
        if spread and (_movement(spread) > self.movement or spread.rise > self.rise):
            return None
        if self._gets_better(history, window):
            return None
        median = history.discriminator_level(window.median) or 0.0
        still = f", generated images at a spread of {figure(spread.median)}" if spread else ""
        return self.verdict(
            history,
            f"D loss at {figure(median)} of {history.level_in_words} for "
            f"{in_words(window.length, history.unit)}{still}",
            window.begin,
        )

    def _gets_better(self, history: History, window: Window) -> bool:
        """Whether the best score is clearly below the best one before the last ``progress``, or the
        scores are too young to say."""
        best = history.best_score()
        before = history.best_score(until=history.now - self.progress * history.extent)
        if best is None or before is None:
            return best is not None  # there is none to compare with
        is_young = history.budget is None and len(history.scores) < FEWEST_SCORES
        if is_young and history.scores[-1].at > window.begin:
            return True
        return best.values["score"] < (1 - self.rise) * before.values["score"]


def _movement(window: Window) -> float:
    return (window.upper - window.lower) / window.upper if window.upper > 0 else 0.0
