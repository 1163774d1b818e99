"""A generator that no gradient reaches any more."""

from __future__ import annotations

from typing import ClassVar

from gantune.health.history import History
from gantune.health.rules.rule import Positive, Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure


class GeneratorVanished(Rule):
    """G's gradient is next to 0, or its steps are next to nothing beside those it once made.

    In four of five ticks of a long window. Adam makes up for a small gradient until its elements
    come near the 1e-8 that it adds to its divisor (Kingma and Ba 2015, algorithm 1); below that its
    steps shrink with them. And it remembers larger ones for thousands of steps, which is how a
    saturating loss ends under a discriminator that has won (Goodfellow et al. 2014, section 3): the
    gradient falls a thousandfold, and the weights stand still. A learning rate that falls to 0 by
    schedule does not reach that before the last few percent of a run.
    """

    name: ClassVar[str] = "generator_vanished"
    kind: ClassVar[Kind] = "collapsed"

    gradient: Positive
    """Norm of G's whole gradient."""
    step: Share
    """Length of G's steps over the median length before the window."""
    patience: Share
    """Length of the gradient's window as a share of the budget."""
    step_patience: Share
    """Length of the steps' window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("g_grad", self.patience)
        if window is not None and window.upper <= self.gradient:
            return self.verdict(
                history,
                f"the gradient norm of G at {figure(window.median)} "
                f"for {in_words(window.length, history.unit)}",
                window.begin,
            )
        window = history.window("g_update", self.step_patience)
        before = history.before("g_update", window.begin) if window is not None else None
        if window is None or before is None or window.upper > self.step * before.median:
            return None
        return self.verdict(
            history,
            f"G's weights move by {figure(window.median)} of their norm a step for "
            f"{in_words(window.length, history.unit)}, where it was {figure(before.median)}",
            window.begin,
        )
