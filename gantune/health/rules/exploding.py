"""Losses or gradients that left all bounds."""

from __future__ import annotations

import math
from typing import ClassVar

from gantune.health.history import History
from gantune.health.rules.rule import LABELS, Positive, Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure


class Exploding(Rule):
    """D's loss or a gradient norm is far above its scale, in the median over a window.

    The scale of a probability's or a margin's loss is its neutral value: above it D does worse than
    if it knew nothing. A critic has none, for weight clipping leaves its scale open; its loss, and
    the gradients of all families, must therefore both pass a bound and have grown far beyond the
    run's own opening. Of a loss whose scale nobody knows (of an unknown family, or one that holds
    other terms) nothing but its growth can be judged, so it must have grown by both bounds
    together. G's loss is not judged: a critic's mean drifts freely, and in the other
    families it cannot explode unless D's does or D has won.
    """

    name: ClassVar[str] = "exploding"
    kind: ClassVar[Kind] = "diverged"

    loss: Positive
    """D's loss over its neutral value."""
    critic_loss: Positive
    """D's loss of a critic. One of Lipschitz constant 1 cannot part two sets of images in [-1, 1]
    by more than their diameter, 2 sqrt(C H W): 64 for 32x32 gray, 887 for 256x256 colour."""
    gradient: Positive
    """Norm of a player's whole gradient."""
    growth: Positive
    """A critic's loss, or a gradient norm, over its median in the run's first five ticks."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        for signal in ("d_loss", "d_grad", "g_grad"):
            window = history.window(signal, self.patience)
            if window is None:
                continue
            length = in_words(window.length, history.unit)
            opening = history.opening(signal) or 0.0
            if signal == "d_loss" and history.has_neutral:
                level = window.size / history.facts.discriminator_neutral
                if level > self.loss:
                    sentence = f"D loss at {figure(level)} times its neutral value for {length}"
                    return self.verdict(history, sentence, window.begin)
            elif window.size > self._bound(signal, opening, history):
                return self.verdict(
                    history,
                    f"{LABELS[signal]} at {figure(window.size)} for {length}, "
                    f"up from {figure(opening)} in the first ticks",
                    window.begin,
                )
        return None

    def _bound(self, signal: str, opening: float, history: History) -> float:
        if signal != "d_loss":
            return max(self.gradient, self.growth * opening)
        if history.facts.family == "critic" and not history.is_scaled:
            return max(self.critic_loss, self.growth * opening)
        return self.critic_loss * self.growth * opening if opening else math.inf
