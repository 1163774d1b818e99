"""Rule: the score has become much worse than the best one, and stays so."""

import math
import statistics
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from gantune.health.course import Course, Need
from gantune.health.history import History, Point
from gantune.health.rules.rule import Rule, Share, Verdict
from gantune.io.formatting import figure

_ERRORS = 2.0  # standard errors of the mean of the last scores' noise, below ``lasting``

Factor = Annotated[float, Field(gt=1)]


class Worsened(Rule):
    """All of the last scores are far above the best one, and some even farther.

    Scores of healthy runs jump as well: of 23 published runs, none had two scores in a row above
    1.24 times its best, or a single one above 1.48 times. A stopped run keeps its best checkpoint.
    So the rule costs nothing at the end of the budget, where it says that the best is long past;
    of a single score that is as high, ``remark`` tells.

    A score that jumps up and down on its way to the best one needs more than ``scores``: as many
    as make the mean of their noise small beside ``lasting``. The noise is how far the ratios of
    successive scores differ from their median, so that a steady fall is none.
    """

    name = "worsened"
    kind = "collapsed"
    judges_end = True

    lasting: Factor
    """Multiple of the best score that all of the last scores exceed."""
    highest: Factor
    """Multiple of the best score that at least one of them exceeds."""
    scores: Annotated[int, Field(ge=2)]
    """How many of the last scores must be that high, at least."""
    patience: Share
    """The least share of the budget that the last scores span, counted from the score before."""

    def need(self, course: Course) -> Need:
        return course.score(self.scores + 1, patience=self.patience)

    def check(self, history: History) -> Verdict | None:
        if not history.has_new_score or len(history.scores) <= self.scores:
            return None
        best = history.best_score()
        if best is None or best.values["score"] <= 0:
            return None
        count = max(self.scores, self._enough(history, best))
        if len(history.scores) <= count:
            return None
        begin = min(history.scores[-1 - count].at, history.now - self.patience * history.extent)
        if best.at > begin or begin < 0:
            return None
        recent = [point.values["score"] for point in history.scores if point.at > begin]
        value = best.values["score"]
        if min(recent) <= self.lasting * value or max(recent) <= self.highest * value:
            return None
        finite = [score for score in recent if math.isfinite(score)]
        lowest = f"at least {figure(min(finite))}" if finite else "not finite"
        return self.verdict(
            history,
            f"the last {len(recent)} scores {lowest}, the best "
            f"{figure(value)} at {history.length_text(best.at)}",
            best.at,
        )

    def _enough(self, history: History, best: Point) -> int:
        """How many scores in a row cannot be noise, by the scores up to the best one."""
        scores = [p.values["score"] for p in history.scores if 0 < p.at <= best.at]
        logs = [math.log(score) for score in scores if 0 < score < math.inf]
        steps = [later - earlier for earlier, later in pairwise(logs)]
        if len(steps) < 2:
            return 0
        middle = statistics.median(steps)
        noise = math.sqrt(statistics.fmean((step - middle) ** 2 for step in steps))
        return math.ceil((_ERRORS * noise / math.log(self.lasting)) ** 2)

    def remark(self, history: History) -> str:
        """What the last score of a run says that has no verdict: how far it is above the best."""
        best = history.best_score()
        if best is None or best is history.scores[-1]:
            return ""
        last, value = history.scores[-1].values["score"], best.values["score"]
        if value <= 0 or not self.lasting * value < last < math.inf:
            return ""
        at, end = history.length_text(best.at), history.length_text(history.scores[-1].at)
        return f"the best score, {figure(value)}, is of {at}; the last is {figure(last)}, of {end}"
