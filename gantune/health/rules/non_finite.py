"""Rule: losses, gradients or scores are NaN or infinite."""

import math
from typing import Annotated

from pydantic import Field

from gantune.health.course import Course, Need, either
from gantune.health.history import History, Point
from gantune.health.rules.rule import LABELS, Rule, Verdict
from gantune.io.formatting import and_list

_RECENT_TICKS = 3


class NonFinite(Rule):
    """Within three ticks a player skipped as many optimizer steps as ``skipped`` ticks have.

    A healthy run in low precision skips a step now and then, and one such step makes the means of
    its tick NaN. So the share of skipped steps decides, that of the player that skipped more. Where
    it is not reported, a non-finite loss, output of D or gradient norm counts as one skipped tick.
    A single non-finite score is enough.
    """

    name = "non_finite"
    kind = "diverged"
    is_instant = True

    skipped: Annotated[float, Field(gt=0, le=_RECENT_TICKS)]
    """Skipped steps, as a number of ticks."""

    def need(self, course: Course) -> Need:
        return either(course.score(1), Need(course.place(0.0).at, "1 tick"))

    def check(self, history: History) -> Verdict | None:
        if history.has_new_score and not math.isfinite(history.scores[-1].values["score"]):
            place = history.length_text(history.now)
            return self.verdict(history, f"score not finite at {place}", history.now)
        recent = history.ticks[-_RECENT_TICKS:]
        if not recent or not _skipped(recent[-1]) or sum(map(_skipped, recent)) < self.skipped:
            return None
        signals, place = _non_finite(recent[-1]), history.length_text(recent[-1].at)
        if signals:
            sentence = f"{and_list(signals)} not finite at {place}"
        else:
            share = _skipped(recent[-1])
            sentence = (
                f"{share:.0%} of a player's steps skipped for non-finite gradients at {place}"
            )
        return self.verdict(history, sentence, recent[-1].at)


def _skipped(tick: Point) -> float:
    """The share of a player's steps in a tick that were skipped."""
    share = tick.values.get("non_finite", 0.0)
    if share > 0:
        return min(share, 1.0)
    return 1.0 if math.isnan(share) or _non_finite(tick) else 0.0


def _non_finite(tick: Point) -> list[str]:
    """Labels of the signals that are not finite."""
    return [
        label for name, label in LABELS.items() if not math.isfinite(tick.values.get(name, 0.0))
    ]
