"""Rule: the score never improved on that of the untrained generator."""

import math

from gantune.health.course import Course, Need, every
from gantune.health.history import FEWEST_SCORES, History
from gantune.health.rules.rule import Positive, Rule, Share, Verdict
from gantune.io.formatting import figure

_STALE = 0.5  # share of a run of unknown length, its last part, without an improvement
_IMPROVED = 0.95  # of the earlier best: two scores of one generator differ as much by chance


class Stillborn(Rule):
    """The best score is far from what a learning run has reached by then.

    With a budget and a score of the untrained generator: the best score must stay below a straight
    line from that score to ``goal`` of it at the budget's end. A run is spared while the spread of
    its images rises, because its score follows later. The rule is checked only at scores, so it
    waits for a score that is due; at the budget's end nothing is left to save.

    Without these two: a FID of the Inception network is judged by its size once the second half of
    the run brought no improvement. Above 150, images resemble no data set at all.
    """

    name = "stillborn"
    kind = "stalled"

    goal: Share
    """Share of the untrained generator's score where the line ends."""
    after: Share
    """Share of the budget before which no run is judged."""
    shortest: Positive
    """Kimg before which no run is judged, however short its budget."""
    spread: Share
    """Spread of generated images over that of real ones, in pixels or in the score's features,
    above which a run is spared."""
    rise: Share
    """Rise of the spread in pixels from the window's first third to its last, above which a run is
    spared."""
    patience: Share
    """Length of that window as a share of the budget."""
    fid: Positive
    """FID of the Inception network that a run must have reached."""

    def need(self, course: Course) -> Need:
        if course.budget is None:
            return every(course.fid, course.score(FEWEST_SCORES))
        least = max(self.shortest, self.after * course.budget)
        score = Need(course.score(2, after=least).at, f"a score from {figure(least)} kimg on")
        return every(course.has_start, score)

    def check(self, history: History) -> Verdict | None:
        if not history.has_new_score:
            return None
        start = history.scores[0]
        if history.budget is not None and start.at == 0 and 0 < start.values["score"] < math.inf:
            return self._against_line(history, start.values["score"], history.budget)
        return self._by_size(history) if history.budget is None else None

    def _against_line(self, history: History, start: float, budget: float) -> Verdict | None:
        share = history.now / budget
        if not self.after <= share < 1 or history.now < self.shortest:
            return None
        later = [point.values["score"] for point in history.scores[1:]]
        best = min(filter(math.isfinite, later), default=math.inf)
        if best <= (1 - (1 - self.goal) * share) * start:
            return None
        if self._images_differ(history):
            return None
        reached = f"best score {figure(best)}" if best < math.inf else "no finite score"
        return self.verdict(
            history,
            f"{reached} by {history.length_text(history.now)}, "
            f"the untrained generator's {figure(start)}",
            0.0,
        )

    def _images_differ(self, history: History) -> bool:
        if history.scores[-1].values.get("feature_spread", 0.0) >= self.spread:
            return True
        window = history.window("spread", self.patience)
        return window is not None and (window.median >= self.spread or window.rise > self.rise)

    def _by_size(self, history: History) -> Verdict | None:
        best, earlier = history.best_score(), history.best_score(until=_STALE * history.now)
        if best is None or earlier is None or len(history.scores) < FEWEST_SCORES:
            return None
        fid, before = best.values.get("fid", 0.0), earlier.values["score"]
        if fid <= self.fid or best.values["score"] < _IMPROVED * before:
            return None
        return self.verdict(
            history,
            f"best FID {figure(fid)} by {history.length_text(history.now)}, "
            f"{figure(before)} already by {history.length_text(earlier.at)}",
            earlier.at,
        )
