"""Rule: the critic gives every image the same output."""

from gantune.health.course import Course, Need
from gantune.health.history import FEWEST_TICKS, History
from gantune.health.rules.rule import Rule, Share, Verdict
from gantune.io.formatting import figure


class CriticDead(Rule):
    """The critic's loss is almost zero compared with its own earlier size.

    A critic's loss is minus the difference between its outputs for real and generated images, and
    may be near 0 in a healthy run. A share of its earlier size below the precision of its outputs
    is not healthy. This happens to clipped critics: all weights lie at the clip value, and the
    output no longer depends on the image.
    """

    name = "critic_dead"
    kind = "collapsed"
    families = frozenset({"critic"})

    loss: Share
    """90th percentile of the loss's absolute value in the window, over that of all earlier
    ticks."""
    patience: Share
    """Length of the window as a share of the budget."""

    def need(self, course: Course) -> Need:
        return course.window("d_loss", self.patience, before=FEWEST_TICKS)

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        before = history.before("d_loss", window.begin) if window else None
        if window is None or before is None:
            return None
        if before.reach == 0 or window.reach > self.loss * before.reach:
            return None
        return self.verdict(
            history,
            f"critic loss at most {figure(window.reach)} for "
            f"{history.length_text(window.length)}, {figure(before.reach)} before",
            window.begin,
        )
