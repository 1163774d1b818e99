"""``History``: what was observed of a run so far, and windows over it."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from gantune.config.loss_families import LossFacts
from gantune.health.verdict import Unit

SIGNALS = (
    *("d_loss", "g_loss", "d_real", "d_fake", "d_real_std", "d_fake_std", "d_grad", "g_grad"),
    *("non_finite", "spread", "g_update", "step"),
)
"""The signals that rules read, named as a tick names them; any other is ignored."""

FEWEST_TICKS = 5
"""Ticks in the shortest window, and in a run's opening: a median of five bears two that are off."""

FEWEST_WITHOUT_BUDGET = 20
"""Ticks in the shortest window of a run whose length nobody told: they may be its very start."""

FEWEST_SCORES = 8
"""Scores by which a run of unknown length is judged: fewer may be of its very start."""

_MOST_VALUES = 200  # of a window: more are thinned out evenly, so that long logs stay cheap


@dataclass(frozen=True)
class Point:
    """What was measured at one place of the run, by name; what was not measured is absent."""

    at: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Window:
    """The finite values of one signal in the ticks past ``begin`` and up to ``end``."""

    values: Sequence[float]
    begin: float
    end: float

    @property
    def length(self) -> float:
        """In the run's unit."""
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
    def reach(self) -> float:
        """The absolute value that nine of ten do not exceed; of fewer, all but the largest."""
        return sorted(map(abs, self.values))[int(0.9 * (len(self.values) - 1))]

    @property
    def rise(self) -> float:
        """By what share the median of the last third lies above that of the first."""
        third = max(1, len(self.values) // 3)
        first = statistics.median(self.values[:third])
        return statistics.median(self.values[-third:]) / first - 1 if first > 0 else 0.0


class History:
    """Ticks and scores of one run, in their order, by kimg or by steps.

    A tick or score at or before the last one means that training went on again from an earlier
    checkpoint: what was observed from there on is forgotten.

    ``budget``: the run's whole length, if known. ``is_scaled``: the losses hold other terms than
    the adversarial ones, or are multiplied by something, so that their neutral values say nothing
    and only the run's own opening tells their scale.
    """

    def __init__(
        self,
        facts: LossFacts,
        budget: float | None = None,
        *,
        unit: Unit = "kimg",
        is_scaled: bool = False,
    ) -> None:
        self.facts, self.budget = facts, budget
        self.unit, self.is_scaled = unit, is_scaled
        self.ticks: list[Point] = []
        self.scores: list[Point] = []

    @property
    def now(self) -> float:
        """How far the run has come; 0 before anything was observed."""
        return max((points[-1].at for points in (self.ticks, self.scores) if points), default=0.0)

    @property
    def extent(self) -> float:
        """What shares are of: the budget, or what was seen where that is more or all there is."""
        return max(self.now, self.budget or 0.0)

    @property
    def _fewest(self) -> int:
        return FEWEST_TICKS if self.budget else FEWEST_WITHOUT_BUDGET

    @property
    def has_new_score(self) -> bool:
        """Whether the run was scored where it stands."""
        return bool(self.scores) and self.scores[-1].at == self.now

    def add_tick(self, at: float, signals: Mapping[str, float | None]) -> None:
        """Takes in one tick. Raises ``ValueError`` for a place below 0 or not finite."""
        named = {name: signals.get(name) for name in SIGNALS}
        values = {name: _number(value) for name, value in named.items() if value is not None}
        _append(self.ticks, Point(self._position(at), values), self.scores)

    def add_score(
        self,
        at: float,
        score: float,
        *,
        fid: float | None = None,
        feature_spread: float | None = None,
    ) -> None:
        """Takes in one score (a distance, lower is better), and what was measured with it.

        Raises ``ValueError`` for a place below 0 or not finite.
        """
        measured = {"score": score, "fid": fid, "feature_spread": feature_spread}
        values = {name: _number(value) for name, value in measured.items() if value is not None}
        _append(self.scores, Point(self._position(at), values), self.ticks)

    def window(self, signal: str, patience: float) -> Window | None:
        """``signal`` over the last ``patience`` of the run, a share of its ``extent``.

        ``None`` until that much was seen, or where the signal was measured in fewer ticks than a
        window needs. Of a long window every n-th tick alone is looked at.
        """
        fewest = self._fewest
        if len(self.ticks) < fewest:
            return None
        now = self.ticks[-1].at
        span = patience * max(now, self.budget or 0.0)
        # The last tick that began before the window opens belongs to it.
        first = bisect_right(self.ticks, now - span, key=attrgetter("at"))
        first = min(first, len(self.ticks) - fewest)
        begin = self.ticks[first - 1].at if first else 0.0
        stride = -(-(len(self.ticks) - first) // _MOST_VALUES)
        values = list(_finite(islice(self.ticks, first, None, stride), signal))
        if now < span or len(values) < FEWEST_TICKS:
            return None
        return Window(values, begin, now)

    def before(self, signal: str, until: float) -> Window | None:
        """``signal`` from the beginning to ``until``; ``None`` of fewer values than a window's."""
        count = bisect_right(self.ticks, until, key=attrgetter("at"))
        stride = -(-count // _MOST_VALUES) or 1
        values = list(_finite(islice(self.ticks, 0, count, stride), signal))
        return Window(values, 0.0, until) if len(values) >= FEWEST_TICKS else None

    def opening(self, signal: str) -> float | None:
        """The run's own scale of ``signal``: the median size of its first values, as many as the
        shortest window has. ``None`` before there are as many."""
        fewest = self._fewest
        sizes = [abs(value) for value in islice(_finite(self.ticks, signal), fewest)]
        return statistics.median(sizes) if len(sizes) == fewest else None

    def highest(self, signal: str, until: float) -> float | None:
        """The largest finite value of ``signal`` in the ticks up to ``until``, if any."""
        earlier = bisect_right(self.ticks, until, key=attrgetter("at"))
        return max(_finite(islice(self.ticks, earlier), signal), default=None)

    def best_score(self, until: float = math.inf) -> Point | None:
        """The finite score that is lowest, of those up to ``until``, if any."""
        known = (point for point in self.scores if point.at <= until)
        return min(
            (point for point in known if math.isfinite(point.values["score"])),
            key=lambda point: point.values["score"],
            default=None,
        )

    @property
    def has_neutral(self) -> bool:
        """Whether D's loss has a scale of its own: the value it takes where D knows nothing."""
        return bool(self.facts.discriminator_neutral) and not self.is_scaled

    def discriminator_level(self, loss: float) -> float | None:
        """D's loss above that of one that makes no mistake, over the same of one that knows
        nothing; over its size in the run's own opening where losses are scaled, or of a family
        without a neutral value. ``None`` where that is not known yet."""
        floor, neutral = self.facts.discriminator_floor, self.facts.discriminator_neutral
        if not self.has_neutral:
            opening = self.opening("d_loss")
            return loss / opening if opening else None
        return (loss - floor) / (neutral - floor)

    @property
    def level_in_words(self) -> str:
        """What ``discriminator_level`` is a share of."""
        return "its neutral value" if self.has_neutral else "its size in the first records"

    def _position(self, at: float) -> float:
        position = _number(at)
        if not 0 <= position < math.inf:
            raise ValueError(f"{self.unit} must be a finite number from 0 up, not {at!r}")
        return position


def _finite(ticks: Iterable[Point], signal: str) -> Iterator[float]:
    for tick in ticks:
        value = tick.values.get(signal)
        if value is not None and math.isfinite(value):
            yield value


def _append(points: list[Point], point: Point, others: list[Point]) -> None:
    """Adds a point; where the run has gone back to it, what lay beyond is gone."""
    if points and point.at <= points[-1].at:
        del points[bisect_left(points, point.at, key=attrgetter("at")) :]
        del others[bisect_right(others, point.at, key=attrgetter("at")) :]
    points.append(point)


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the floats
        return math.inf if value > 0 else -math.inf
