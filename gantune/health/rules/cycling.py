"""Losses that swing ever wider."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field

from gantune.health.history import History, Window
from gantune.health.rules.rule import Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure

_PARTS = 4
_FEWEST = 6  # values of a part: a swing needs as many to be seen


class Cycling(Rule):
    """D's loss swings, and every part of the window swings wider than the one before.

    Around a point of rest the simplest of these games goes in circles that widen with the learning
    rate (Mescheder et al. 2018, section 3). Widths are those of four of five ticks, so that single
    leaps count for nothing, and beside the loss's own scale, so that small swings do.
    """

    name: ClassVar[str] = "cycling"
    kind: ClassVar[Kind] = "diverged"

    growth: Annotated[float, Field(gt=1)]
    """By how much each quarter of the window swings wider than the one before."""
    width: Annotated[float, Field(gt=0)]
    """Width of the last quarter's swing over D's neutral loss, or over its size in the opening."""
    turns: Annotated[int, Field(ge=2)]
    """How often the last quarter crosses its own median, at least: a slope is no swing."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        if window is None or len(window.values) < _PARTS * _FEWEST:
            return None
        parts = _quarters(window)
        widths = [part.upper - part.lower for part in parts]
        scale = _scale(history)
        if scale is None or widths[-1] <= self.width * scale:
            return None
        if any(later <= self.growth * earlier for earlier, later in pairwise(widths)):
            return None
        if _turns(parts[-1].values) < self.turns:
            return None
        return self.verdict(
            history,
            f"D loss swings by {figure(widths[-1])}, from {figure(widths[0])} "
            f"{in_words(window.length, history.unit)} before",
            window.begin,
        )


def _quarters(window: Window) -> list[Window]:
    count = len(window.values)
    places = [part * count // _PARTS for part in range(_PARTS + 1)]
    return [
        Window(window.values[start:end], window.begin, window.end)
        for start, end in pairwise(places)
    ]


def _scale(history: History) -> float | None:
    if history.has_neutral:
        return history.facts.discriminator_neutral
    return history.opening("d_loss")


def _turns(values: Sequence[float]) -> int:
    middle = sorted(values)[len(values) // 2]
    sides = [value > middle for value in values if value != middle]
    return sum(earlier != later for earlier, later in pairwise(sides))
