"""A score that is worse for good than it once was."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field

from gantune.health.history import History
from gantune.health.rules.rule import Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure

Factor = Annotated[float, Field(gt=1)]


class Worsened(Rule):
    """The last scores are all far above the best one, and some are twice as far.

    Scores of healthy runs jump as well: of 23 published ones, none had two in a row over 1.24 times
    its best, nor a single one over 1.48 times. A run that is stopped keeps its best checkpoint.
    """

    name: ClassVar[str] = "worsened"
    kind: ClassVar[Kind] = "collapsed"

    lasting: Factor
    """Score over the best one, which all of the last scores exceed."""
    highest: Factor
    """Score over the best one, which some of them exceed."""
    scores: Annotated[int, Field(ge=2)]
    """How many last scores, at least."""
    patience: Share
    """Share of the budget that the last scores span, at least, counted from the one before."""

    def check(self, history: History) -> Verdict | None:
        if not history.has_new_score or len(history.scores) <= self.scores:
            return None
        best = history.best_score()
        begin = min(
            history.scores[-1 - self.scores].at, history.now - self.patience * history.extent
        )
        if best is None or best.at > begin or begin < 0:
            return None
        recent = [point.values["score"] for point in history.scores if point.at > begin]
        value = best.values["score"]
        if value <= 0 or min(recent) <= self.lasting * value or max(recent) <= self.highest * value:
            return None
        finite = [score for score in recent if math.isfinite(score)]
        least = f"at least {figure(min(finite))}" if finite else "not finite"
        return self.verdict(
            history,
            f"the last {len(recent)} scores {least}, the best "
            f"{figure(value)} at {in_words(best.at, history.unit)}",
            best.at,
        )
