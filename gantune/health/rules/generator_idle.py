"""Rule: the generator's steps are too short for its budget."""

from gantune.health.course import Course, Need, every
from gantune.health.history import History
from gantune.health.rules.rule import Positive, Rule, Share, Verdict
from gantune.io.formatting import figure


class GeneratorIdle(Rule):
    """At the current step length G's weights cannot move by half of their norm in the budget.

    The sum of the step lengths bounds how far the weights can move, if all steps had one
    direction. A network whose weights stay near their initial values draws about what it drew
    initially. The rule needs the budget, the length of steps and their number. It waits while the
    step length still rises, as in a warm-up, and does not judge budgets of a few kimg.
    """

    name = "generator_idle"
    kind = "stalled"

    distance: Positive
    """Sum of all step lengths at the end of the budget, over the norm of G's weights."""
    rise: Share
    """Rise of the step length from the window's first third to its last, above which the rule
    waits."""
    after: Share
    """Share of the budget before which no run is judged."""
    shortest: Positive
    """Budget in kimg below which no run is judged."""
    patience: Share
    """Length of the window as a share of the budget."""

    def need(self, course: Course) -> Need:
        return every(
            course.length(self.shortest),
            course.tick("step"),
            course.window("g_update", self.patience),
            course.share(self.after),
        )

    def check(self, history: History) -> Verdict | None:
        window = history.window("g_update", self.patience)
        if history.budget is None or window is None or window.rise > self.rise:
            return None
        taken = history.ticks[-1].values.get("step", 0.0)
        if not taken or history.now < self.after * history.budget:
            return None
        if history.budget < self.shortest:
            return None
        whole = history.before("g_update", history.now)
        assert whole is not None
        steps = taken * history.budget / history.now
        distance = whole.mean * steps
        if distance > self.distance:
            return None
        pace = figure(whole.mean)
        return self.verdict(
            history,
            f"G hardly moves: its weights change by {pace} of their norm a step, by at most "
            f"{figure(distance)} in all {figure(steps)} steps of "
            f"{history.length_text(history.budget)}",
            0.0,
        )
