"""Rule: the generated images have lost their variety."""

from gantune.health.course import Course, Need, either, every
from gantune.health.history import History
from gantune.health.rules.rule import Positive, Rule, Share, Verdict
from gantune.io.formatting import figure


class CollapsedSpread(Rule):
    """The spread of generated images is almost zero compared with that of real images.

    Measured in pixels at every tick, and in the features of the last two scores. An untrained
    generator may start like this. So a run that never reached twice the threshold is judged only
    after ``warm_up``, and never where its budget is unknown.
    """

    name = "collapsed_spread"
    kind = "collapsed"

    spread: Share
    """Spread of generated images over that of real ones."""
    warm_up: Share
    """Share of the budget in which a run may still develop variety."""
    shortest: Positive
    """The shortest warm-up in kimg, however short the budget is."""
    patience: Share
    """Length of the window as a share of the budget."""

    def need(self, course: Course) -> Need:
        seen = course.window("spread", self.patience)
        seen_before = course.window("spread", self.patience, before=1)
        warm = every(course.share(self.warm_up), course.place(self.shortest))
        return either(
            seen_before,
            every(seen, warm),
            every(course.trained_score(2), warm),
            course.trained_score(3),
        )

    def check(self, history: History) -> Verdict | None:
        window = history.window("spread", self.patience)
        if window is not None and window.upper <= self.spread:
            highest = history.highest("spread", until=window.begin) or 0.0
            lately = f"for {history.length_text(window.length)}"
            found = self._judge(history, window.median, highest, lately, window.begin)
            if found is not None:
                return found
        *earlier, last, now = [(0.0, 0.0), (0.0, 0.0), *_feature_spreads(history)]
        if not now[0] or not last[0] or max(last[1], now[1]) > self.spread:
            return None
        highest = max(spread for _, spread in earlier)
        return self._judge(history, now[1], highest, "in features at two scores", last[0])

    def _judge(
        self, history: History, spread: float, highest: float, lately: str, since: float
    ) -> Verdict | None:
        budget = history.budget
        is_warm = budget is not None and history.now >= max(self.warm_up * budget, self.shortest)
        if highest < 2 * self.spread and not is_warm:
            return None
        return self.verdict(
            history,
            f"spread of generated images at {figure(spread)} of the real images' {lately}, "
            f"at most {figure(highest)} before",
            since,
        )


def _feature_spreads(history: History) -> list[tuple[float, float]]:
    """Place and value of each feature spread of the trained generator."""
    found = [(point.at, point.values.get("feature_spread")) for point in history.scores]
    return [(at, spread) for at, spread in found if spread is not None and at > 0]
