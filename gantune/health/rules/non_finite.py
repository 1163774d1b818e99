"""Losses or gradients that are no longer numbers."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field

from gantune.health.history import History, Point
from gantune.health.rules.rule import LABELS, Rule, in_words
from gantune.health.verdict import Kind, Verdict

_RECENT_TICKS = 3


class NonFinite(Rule):
    """Within three ticks a player skipped as many optimizer steps as it has in ``skipped`` ticks.

    A healthy run of low precision skips a step now and then, and that makes the whole tick's means
    NaN. So the share of skipped steps decides, of the player that skipped more. Where none is told,
    a loss, an output of D or a gradient norm that is not finite counts as a whole tick. A score
    that is not finite needs no second one.
    """

    name: ClassVar[str] = "non_finite"
    kind: ClassVar[Kind] = "diverged"
    is_instant: ClassVar[bool] = True

    skipped: Annotated[float, Field(gt=0, le=_RECENT_TICKS)]
    """Skipped steps, as a number of ticks."""

    def check(self, history: History) -> Verdict | None:
        if history.has_new_score and not math.isfinite(history.scores[-1].values["score"]):
            place = in_words(history.now, history.unit)
            return self.verdict(history, f"the score not finite at {place}", history.now)
        recent = history.ticks[-_RECENT_TICKS:]
        if not recent or not _lost(recent[-1]) or sum(map(_lost, recent)) < self.skipped:
            return None
        broken, place = _broken(recent[-1]), in_words(recent[-1].at, history.unit)
        if broken:
            sentence = f"{' and '.join(broken)} not finite at {place}"
        else:
            share = _lost(recent[-1])
            sentence = (
                f"{share:.0%} of a player's steps skipped for non-finite gradients at {place}"
            )
        return self.verdict(history, sentence, recent[-1].at)


def _lost(tick: Point) -> float:
    """The share of a player's steps in a tick that came to nothing."""
    share = tick.values.get("non_finite", 0.0)
    if share > 0:
        return min(share, 1.0)
    return 1.0 if math.isnan(share) or _broken(tick) else 0.0


def _broken(tick: Point) -> list[str]:
    return [
        label for name, label in LABELS.items() if not math.isfinite(tick.values.get(name, 0.0))
    ]
