"""Rule: the discriminator separates all images, and the generator makes no progress."""

from gantune.health.course import Course, Need
from gantune.health.history import FEWEST_SCORES, History, Window
from gantune.health.rules.rule import Rule, Share, Verdict
from gantune.io.formatting import figure


class DiscriminatorWon(Rule):
    """D's loss is almost zero compared with its neutral value, and G does not improve.

    At 0.02 of the neutral value D misclassifies fewer than 1 image in 25. Healthy runs pass through
    such phases, because the non-saturating losses still give G a gradient there. In those phases
    the loss jumps up again and again when G finds something new. So the 80th percentile of the
    loss counts, not the median. A run is spared while its images change: their spread moves or
    rises (DCGAN's own recipe may stay in such a phase for a fifth of a short run while the spread
    slowly grows, and then recover), or the score improves. A critic's loss near 0 means nothing.
    """

    name = "discriminator_won"
    kind = "collapsed"
    families = frozenset({"probability", "margin"})

    loss: Share
    """D's loss over its neutral value."""
    movement: Share
    """Range of the spread of generated images, from the 20th to the 80th percentile, over the
    latter. Above it G is still learning."""
    rise: Share
    """Rise of the spread from the window's first third to its last, or fall of the best score.
    Above it G is still learning, however slowly."""
    progress: Share
    """Share of the budget in which the score must improve, where scores are taken."""
    patience: Share
    """Length of the window as a share of the budget."""

    def need(self, course: Course) -> Need:
        return course.window("d_loss", self.patience)

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        level = history.discriminator_level(window.upper) if window else None
        if window is None or level is None or level > self.loss:
            return None
        spread = history.window("spread", self.patience)
        if spread and (_movement(spread) > self.movement or spread.rise > self.rise):
            return None
        if self._is_improving(history, window):
            return None
        median = history.discriminator_level(window.median) or 0.0
        images = f", spread of generated images {figure(spread.median)}" if spread else ""
        return self.verdict(
            history,
            f"D loss at {figure(median)} of {history.level_reference} for "
            f"{history.length_text(window.length)}{images}",
            window.begin,
        )

    def _is_improving(self, history: History, window: Window) -> bool:
        """Whether the best score clearly improved in the last ``progress`` of the run, or whether
        there are too few scores to tell."""
        best = history.best_score()
        before = history.best_score(until=history.now - self.progress * history.extent)
        if best is None or before is None:
            return best is not None  # nothing to compare the best score with
        has_few = history.budget is None and len(history.scores) < FEWEST_SCORES
        if has_few and history.scores[-1].at > window.begin:
            return True
        return best.values["score"] < (1 - self.rise) * before.values["score"]


def _movement(window: Window) -> float:
    return window.width / window.upper if window.upper > 0 else 0.0
