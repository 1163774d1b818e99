"""Rule: D's loss oscillates with growing amplitude."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from gantune.health.course import Course, Need
from gantune.health.history import History, Window
from gantune.health.rules.rule import Rule, Share, Verdict
from gantune.io.formatting import figure

_PARTS = 4
_FEWEST = 6  # values in each part, needed to see an oscillation


class Cycling(Rule):
    """D's loss oscillates, and in each quarter of the window wider than in the quarter before.

    The simplest GAN circles around its equilibrium, on orbits that widen with the learning rate
    (Mescheder et al. 2018, section 3). Widths span the 20th to the 80th percentile, so that single
    outliers do not count, and are compared with the scale of the loss, so that small oscillations
    do not count.
    """

    name = "cycling"
    kind = "diverged"

    growth: Annotated[float, Field(gt=1)]
    """Factor by which each quarter of the window is wider than the quarter before."""
    width: Annotated[float, Field(gt=0)]
    """Width of the last quarter over D's neutral loss, or over the loss in the first ticks."""
    turns: Annotated[int, Field(ge=2)]
    """How often the last quarter must cross its own median: a slope is no oscillation."""
    patience: Share
    """Length of the window as a share of the budget."""

    def need(self, course: Course) -> Need:
        return course.window("d_loss", self.patience, values=_PARTS * _FEWEST)

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        if window is None or len(window.values) < _PARTS * _FEWEST:
            return None
        count = len(window.values)
        places = [part * count // _PARTS for part in range(_PARTS + 1)]
        parts = [
            Window(window.values[start:end], window.begin, window.end)
            for start, end in pairwise(places)
        ]
        widths = [part.width for part in parts]
        scale = _scale(history)
        if scale is None or widths[-1] <= self.width * scale:
            return None
        if any(later <= self.growth * earlier for earlier, later in pairwise(widths)):
            return None
        if _turns(parts[-1].values) < self.turns:
            return None
        return self.verdict(
            history,
            f"D loss oscillates over a width of {figure(widths[-1])}, up from "
            f"{figure(widths[0])} {history.length_text(window.length)} earlier",
            window.begin,
        )


def _scale(history: History) -> float | None:
    """D's neutral loss; without one, the reach of the loss in the opening and its width there.

    A critic's loss may be noise around 0. Its median size is then less than half the width of the
    noise, and compared with that, any noise would be a large oscillation.
    """
    if history.has_neutral:
        return history.facts.discriminator_neutral
    opening = history.opening("d_loss")
    return opening.reach + opening.width if opening else None


def _turns(values: Sequence[float]) -> int:
    middle = sorted(values)[len(values) // 2]
    sides = [value > middle for value in values if value != middle]
    return sum(earlier != later for earlier, later in pairwise(sides))
