"""A generator that no gradient reaches."""

from __future__ import annotations

from typing import ClassVar

from gantune.health.history import History
from gantune.health.rules.rule import Positive, Rule, Share, figure
from gantune.health.verdict import Kind, Verdict

__all__ = ["GeneratorVanished"]


class GeneratorVanished(Rule):
    """The norm of G's whole gradient is next to 0 in four of five ticks of a long window.

    Adam makes up for a small gradient until its elements come near the 1e-8 that it adds to its
    divisor (Kingma and Ba 2015, algorithm 1); below that its steps shrink with them.
    """

    name: ClassVar[str] = "generator_vanished"
    kind: ClassVar[Kind] = "stalled"

    gradient: Positive
    """Norm of G's whole gradient."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("g_grad", self.patience)
        if window is None or window.upper > self.gradient:
            return None
        return self.verdict(
            history,
            f"the gradient norm of G at {figure(window.median)} for {figure(window.kimg)} kimg",
        )
