"""Rule: the generator's gradient has vanished."""

from gantune.health.course import Course, Need, either
from gantune.health.history import FEWEST_TICKS, History
from gantune.health.rules.rule import Positive, Rule, Share, Verdict
from gantune.io.formatting import figure


class GeneratorVanished(Rule):
    """G's gradient is almost 0, or its steps are tiny compared with its earlier steps.

    In four of five ticks of a long window. Adam compensates for a small gradient until its elements
    come near the 1e-8 that Adam adds to the divisor (Kingma and Ba 2015, algorithm 1); below that
    the steps shrink too. Adam also averages larger gradients over thousands of steps. This is how
    a saturating loss ends under a discriminator that has won (Goodfellow et al. 2014, section 3):
    the gradient falls a thousandfold, and the weights no longer move. A learning rate schedule that
    ends at 0 gets there only in the last few percent of a run.
    """

    name = "generator_vanished"
    kind = "collapsed"

    gradient: Positive
    """Norm of G's whole gradient."""
    step: Share
    """Length of G's steps over the median length before the window."""
    patience: Share
    """Length of the gradient's window as a share of the budget."""
    step_patience: Share
    """Length of the steps' window as a share of the budget."""

    def need(self, course: Course) -> Need:
        steps = course.window("g_update", self.step_patience, before=FEWEST_TICKS)
        return either(course.window("g_grad", self.patience), steps)

    def check(self, history: History) -> Verdict | None:
        window = history.window("g_grad", self.patience)
        if window is not None and window.upper <= self.gradient:
            return self.verdict(
                history,
                f"the gradient norm of G at {figure(window.median)} "
                f"for {history.length_text(window.length)}",
                window.begin,
            )
        window = history.window("g_update", self.step_patience)
        before = history.before("g_update", window.begin) if window is not None else None
        if window is None or before is None or window.upper > self.step * before.median:
            return None
        length = history.length_text(window.length)
        return self.verdict(
            history,
            f"G's weights move by {figure(window.median)} of their norm a step for "
            f"{length}, by {figure(before.median)} before",
            window.begin,
        )
