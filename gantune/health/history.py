"""``History``: what was observed of a run so far, and windows over it."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from gantune.families import LossFacts

__all__ = ["FEWEST_TICKS", "FEWEST_WITHOUT_BUDGET", "SIGNALS", "History", "Point", "Window"]

SIGNALS = ("d_loss", "g_loss", "d_grad", "g_grad", "non_finite", "spread")
"""The signals that rules read, named as a tick names them; any other is ignored."""

FEWEST_TICKS = 5
"""Ticks in the shortest window, and in a run's opening: a median of five bears two that are off."""

FEWEST_WITHOUT_BUDGET = 20
"""Ticks in the shortest window of a run whose length nobody told: they may be its very start."""


@dataclass(frozen=True)
class Point:
    """What was measured at one kimg, by name; what was not measured is absent."""

    kimg: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Window:
    """The finite values of one signal in the ticks past ``begin`` and up to ``end``, both kimg."""

    values: Sequence[float]
    begin: float
    end: float

    @property
    def kimg(self) -> float:
        """Length, kimg."""
        return self.end - self.begin

    @property
    def median(self) -> float:
        """Their median."""
        return statistics.median(self.values)

    @property
    def size(self) -> float:
        """The median of their absolute values."""
        return statistics.median(map(abs, self.values))

    @property
    def upper(self) -> float:
        """The value that four of five do not exceed."""
        return sorted(self.values)[math.ceil(0.8 * len(self.values)) - 1]

    @property
    def lower(self) -> float:
        """The value that four of five do not fall short of."""
        return sorted(self.values, reverse=True)[math.ceil(0.8 * len(self.values)) - 1]

    @property
    def rise(self) -> float:
        """By what share the median of the last third lies above that of the first."""
        third = max(1, len(self.values) // 3)
        first = statistics.median(self.values[:third])
        return statistics.median(self.values[-third:]) / first - 1 if first > 0 else 0.0


class History:
    """Ticks and scores of one run, in the order of their kimg.

    A tick or score at or before the last one means that training went on again from an earlier
    checkpoint: what was observed from there on is forgotten.
    """

    def __init__(self, facts: LossFacts, budget_kimg: float | None = None) -> None:
        self.facts = facts
        self.budget_kimg = budget_kimg
        self.ticks: list[Point] = []
        self.scores: list[Point] = []

    @property
    def kimg(self) -> float:
        """How far the run has come; 0 before anything was observed."""
        return max((points[-1].kimg for points in (self.ticks, self.scores) if points), default=0.0)

    def add_tick(self, kimg: float, signals: Mapping[str, float | None]) -> None:
        """Takes in one tick. Raises ``ValueError`` for a ``kimg`` below 0 or not finite."""
        named = {name: signals.get(name) for name in SIGNALS}
        values = {name: _number(value) for name, value in named.items() if value is not None}
        _append(self.ticks, Point(_position(kimg), values))

    def add_score(self, kimg: float, score: float) -> None:
        """Takes in one score. Raises ``ValueError`` for a ``kimg`` below 0 or not finite."""
        _append(self.scores, Point(_position(kimg), {"score": _number(score)}))

    def window(self, signal: str, patience: float) -> Window | None:
        """``signal`` over the last ``patience`` of the run, a share of its budget in kimg.

        Where no budget is known or more than it was seen, a share of what was seen. ``None`` until
        that much was seen, or where the signal was measured in fewer ticks than a window needs.
        """
        fewest = FEWEST_TICKS if self.budget_kimg else FEWEST_WITHOUT_BUDGET
        if len(self.ticks) < fewest:
            return None
        now = self.ticks[-1].kimg
        span = patience * max(now, self.budget_kimg or 0.0)
        # The last tick that began before the window opens belongs to it.
        first = bisect_right(self.ticks, now - span, key=attrgetter("kimg"))
        first = min(first, len(self.ticks) - fewest)
        begin = self.ticks[first - 1].kimg if first else 0.0
        values = list(_finite(self.ticks[first:], signal))
        if now < span or len(values) < FEWEST_TICKS:
            return None
        return Window(values, begin, now)

    def opening(self, signal: str) -> float | None:
        """The run's own scale of ``signal``: the median size of its first ``FEWEST_TICKS`` values.

        ``None`` before there are as many.
        """
        sizes = [abs(value) for value in islice(_finite(self.ticks, signal), FEWEST_TICKS)]
        return statistics.median(sizes) if len(sizes) == FEWEST_TICKS else None

    def highest(self, signal: str, until: float) -> float | None:
        """The largest finite value of ``signal`` in the ticks up to ``until`` kimg, if any."""
        earlier = bisect_right(self.ticks, until, key=attrgetter("kimg"))
        return max(_finite(islice(self.ticks, earlier), signal), default=None)


def _finite(ticks: Iterable[Point], signal: str) -> Iterator[float]:
    for tick in ticks:
        value = tick.values.get(signal)
        if value is not None and math.isfinite(value):
            yield value


def _append(points: list[Point], point: Point) -> None:
    del points[bisect_left(points, point.kimg, key=attrgetter("kimg")) :]
    points.append(point)


def _position(kimg: float) -> float:
    position = _number(kimg)
    if not 0 <= position < math.inf:
        raise ValueError(f"kimg must be a finite number from 0 up, not {kimg!r}")
    return position


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the floats
        return math.inf if value > 0 else -math.inf
