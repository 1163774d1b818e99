"""Rule: a loss or a gradient norm exploded."""

import math

from gantune.health.course import Course, Need, either
from gantune.health.history import History, Window
from gantune.health.rules.rule import LABELS, Positive, Rule, Share, Verdict
from gantune.io.formatting import figure

_DOUBLED = 1.0  # rise of a critic's loss that has been above its bound from the first tick on


class Exploding(Rule):
    """The median of D's loss or of a gradient norm over a window is far above its scale.

    The scale of a probability or margin loss is its neutral value: above it D is worse than
    guessing. A critic has no neutral value, because weight clipping leaves its scale open. So its
    loss, and the gradients of all families, must both exceed a bound and have grown far beyond
    the run's opening. So must a loss of an unknown family. Of a loss with other terms only growth
    can be judged, so it must have grown by both bounds together. G's loss is not
    judged: a critic's mean output drifts freely, and in the other families G's loss explodes only
    if D's does or D has won.

    A run may have exploded before its opening is over, and a short one has few ticks. So the loss
    is also judged over the run so far, from the second tick on: if four of five ticks, or all of
    fewer than five, are above the bound. A critic's loss must then have doubled since the first
    third of these ticks: it may be large where weights are clipped at a large value, but it stops
    to grow there.
    """

    name = "exploding"
    kind = "diverged"

    loss: Positive
    """D's loss over its neutral value."""
    critic_loss: Positive
    """A critic's loss, or an unknown one. A critic of Lipschitz constant 1 cannot separate two
    sets of images in [-1, 1] by more than their diameter, 2 sqrt(C H W): 64 for 32x32 gray, 887
    for 256x256 colour."""
    gradient: Positive
    """Norm of a player's whole gradient."""
    growth: Positive
    """A critic's loss, or a gradient norm, over its median in the run's first five ticks."""
    patience: Share
    """Length of the window as a share of the budget."""

    def need(self, course: Course) -> Need:
        windows = [course.window(name, self.patience) for name in ("d_loss", "d_grad", "g_grad")]
        if course.budget is None and course.families != {"critic"}:
            return either(*windows)
        return either(course.whole("d_loss", self.patience), *windows)

    def check(self, history: History) -> Verdict | None:
        return self._over_window(history) or self._from_first_tick(history)

    def _from_first_tick(self, history: History) -> Verdict | None:
        """Judges D's loss where its scale is known without an opening."""
        whole = history.whole("d_loss", self.patience)
        if whole is None or history.is_scaled:
            return None
        sizes = Window([abs(value) for value in whole.values], whole.begin, whole.end)
        length = history.length_text(whole.length)
        if history.has_neutral:
            if history.budget is None:  # the first few steps may be a start that passes
                return None
            lowest = sizes.lower / history.facts.discriminator_neutral
            if lowest <= self.loss:
                return None
            level = figure(sizes.median / history.facts.discriminator_neutral)
            return self.verdict(
                history, f"D loss at {level} times its neutral value for {length}", 0.0
            )
        is_critic = history.facts.family == "critic"
        if not is_critic or sizes.lower <= self.critic_loss or sizes.rise < _DOUBLED:
            return None
        return self.verdict(
            history,
            f"D loss at {figure(sizes.values[0])} in the first tick and "
            f"{figure(sizes.values[-1])} after {length}, above {figure(self.critic_loss)} "
            "from the first tick on",
            0.0,
        )

    def _over_window(self, history: History) -> Verdict | None:
        for signal in ("d_loss", "d_grad", "g_grad"):
            window = history.window(signal, self.patience)
            if window is None:
                continue
            length = history.length_text(window.length)
            first = history.opening(signal)
            opening = first.size if first else 0.0
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
        if signal == "d_loss" and history.is_scaled:
            return self.critic_loss * self.growth * opening if opening else math.inf
        least = self.critic_loss if signal == "d_loss" else self.gradient
        return max(least, self.growth * opening)
