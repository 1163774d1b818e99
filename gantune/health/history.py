"""``History``: the ticks and scores of a run so far, and windows over them."""

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Literal

from gantune.config.loss_families import LossFacts
from gantune.io.formatting import figure

Unit = Literal["kimg", "step", "epoch", "record"]
"""What places count; a record is a line of a log that says no place."""

SIGNALS = (
    *("d_loss", "g_loss", "d_real", "d_fake", "d_real_std", "d_fake_std", "d_grad", "g_grad"),
    *("non_finite", "spread", "g_update", "step"),
)
"""The signals that rules read, by their names in a tick. Other signals are ignored."""

FEWEST_TICKS = 5
"""Ticks in the shortest window and in a run's opening: a median of five tolerates two outliers."""

FEWEST_WITHOUT_BUDGET = 20
"""The same for a run of unknown length, where fewer ticks may only be its very start."""

FEWEST_SCORES = 8
"""Scores that are needed to judge a run of unknown length."""

_MOST_VALUES = 200  # in a window; longer windows are subsampled evenly, so long logs stay cheap


@dataclass(frozen=True)
class Point:
    """The values measured at one place of the run, by name. Signals not measured are absent."""

    at: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Window:
    """The finite values of one signal in the ticks after ``begin`` and up to ``end``."""

    values: Sequence[float]
    begin: float
    end: float

    @property
    def length(self) -> float:
        """Length in the run's unit."""
        return self.end - self.begin

    @property
    def median(self) -> float:
        """Median of the values."""
        return statistics.median(self.values)

    @property
    def mean(self) -> float:
        """Mean of the values; their sum may be larger than any float."""
        return math.fsum(value / len(self.values) for value in self.values)

    @property
    def size(self) -> float:
        """Median of the absolute values."""
        return statistics.median(map(abs, self.values))

    @property
    def upper(self) -> float:
        """80th percentile of the values."""
        return sorted(self.values)[math.ceil(0.8 * len(self.values)) - 1]

    @property
    def lower(self) -> float:
        """20th percentile of the values."""
        return sorted(self.values, reverse=True)[math.ceil(0.8 * len(self.values)) - 1]

    @property
    def width(self) -> float:
        """Distance of the 20th from the 80th percentile: single outliers do not count."""
        return self.upper - self.lower

    @property
    def reach(self) -> float:
        """90th percentile of the absolute values; of fewer than ten values, all but the largest."""
        return sorted(map(abs, self.values))[int(0.9 * (len(self.values) - 1))]

    @property
    def rise(self) -> float:
        """Relative increase from the median of the first third to the median of the last third."""
        third = max(1, len(self.values) // 3)
        first = statistics.median(self.values[:third])
        return statistics.median(self.values[-third:]) / first - 1 if first > 0 else 0.0


class History:
    """Ticks and scores of one run in order, by kimg or by steps.

    A tick or score at or before the last one means that training resumed from an earlier
    checkpoint. Everything observed from that place on is dropped.

    ``budget``: the length of the run, if known. ``is_scaled``: the losses contain other terms than
    the adversarial ones, or are multiplied by a factor. Then their neutral values mean nothing, and
    the run's opening is the only scale.
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
        """The place that the run has reached; 0 before anything was observed."""
        return max((points[-1].at for points in (self.ticks, self.scores) if points), default=0.0)

    @property
    def extent(self) -> float:
        """The length that shares refer to: the budget, or the observed length where it is larger
        or no budget is known."""
        return max(self.now, self.budget or 0.0)

    @property
    def _fewest_ticks(self) -> int:
        return fewest_ticks(self.budget)

    @property
    def has_new_score(self) -> bool:
        """Whether the run was scored at its current place."""
        return bool(self.scores) and self.scores[-1].at == self.now

    def add_tick(self, at: float, signals: Mapping[str, float | None]) -> None:
        """Adds a tick. Raises ``ValueError`` where the place is negative or not finite."""
        named = {name: signals.get(name) for name in SIGNALS}
        values = {name: as_float(value) for name, value in named.items() if value is not None}
        _append(self.ticks, Point(self._position(at), values), self.scores)

    def add_score(
        self,
        at: float,
        score: float,
        *,
        fid: float | None = None,
        feature_spread: float | None = None,
    ) -> None:
        """Adds a score (a distance, lower is better) and what was measured with it.

        Raises ``ValueError`` where the place is negative or not finite.
        """
        measured = {"score": score, "fid": fid, "feature_spread": feature_spread}
        values = {name: as_float(value) for name, value in measured.items() if value is not None}
        _append(self.scores, Point(self._position(at), values), self.ticks)

    def window(self, signal: str, patience: float) -> Window | None:
        """``signal`` over the last ``patience`` of the run, a share of its ``extent``.

        ``None`` before that much was observed, or where the signal was measured in too few ticks.
        A long window is subsampled: it has only every n-th tick.
        """
        fewest = self._fewest_ticks
        if len(self.ticks) < fewest:
            return None
        now = self.ticks[-1].at
        span = patience * max(now, self.budget or 0.0)
        # The tick during which the window begins belongs to it.
        first = bisect_right(self.ticks, now - span, key=attrgetter("at"))
        first = min(first, len(self.ticks) - fewest)
        begin = self.ticks[first - 1].at if first else 0.0
        stride = -(-(len(self.ticks) - first) // _MOST_VALUES)
        values = list(_finite(islice(self.ticks, first, None, stride), signal))
        if now < span or len(values) < FEWEST_TICKS:
            return None
        return Window(values, begin, now)

    def before(self, signal: str, until: float) -> Window | None:
        """``signal`` from the start to ``until``; ``None`` where it has too few values."""
        count = bisect_right(self.ticks, until, key=attrgetter("at"))
        stride = -(-count // _MOST_VALUES) or 1
        values = list(_finite(islice(self.ticks, 0, count, stride), signal))
        return Window(values, 0.0, until) if len(values) >= FEWEST_TICKS else None

    def opening(self, signal: str) -> Window | None:
        """The run's own scale of ``signal``: its first finite values, as many as the shortest
        window needs. ``None`` before they were observed."""
        fewest = self._fewest_ticks
        measured = (tick for tick in self.ticks if math.isfinite(tick.values.get(signal, math.nan)))
        first = list(islice(measured, fewest))
        if len(first) < fewest:
            return None
        return Window([tick.values[signal] for tick in first], 0.0, first[-1].at)

    def whole(self, signal: str, patience: float) -> Window | None:
        """``signal`` in all ticks so far, from the second one on; ``None`` before they make up
        ``patience`` of the budget. Without a budget from the fifth on: a record may be a single
        step, where a tick is a mean over its steps.
        """
        fewest = 2 if self.budget else FEWEST_TICKS
        if len(self.ticks) < fewest or self.ticks[-1].at < patience * (self.budget or 0.0):
            return None
        stride = -(-len(self.ticks) // _MOST_VALUES)
        values = list(_finite(islice(self.ticks, 0, None, stride), signal))
        return Window(values, 0.0, self.ticks[-1].at) if len(values) >= 2 else None

    def highest(self, signal: str, until: float) -> float | None:
        """The largest finite value of ``signal`` in the ticks up to ``until``, if any."""
        earlier = bisect_right(self.ticks, until, key=attrgetter("at"))
        return max(_finite(islice(self.ticks, earlier), signal), default=None)

    def best_score(self, until: float = math.inf) -> Point | None:
        """The lowest finite score up to ``until``, if any."""
        finite = (p for p in self.scores if p.at <= until and math.isfinite(p.values["score"]))
        return min(finite, key=lambda point: point.values["score"], default=None)

    @property
    def has_neutral(self) -> bool:
        """Whether D's loss has a neutral value: the loss of a D that guesses."""
        return bool(self.facts.discriminator_neutral) and not self.is_scaled

    def discriminator_level(self, loss: float) -> float | None:
        """D's loss relative to its scale: 0 for a D without mistakes, 1 for one that guesses.

        Without a neutral value the scale is the size of the loss in the run's opening; ``None``
        before that is known.
        """
        floor, neutral = self.facts.discriminator_floor, self.facts.discriminator_neutral
        if not self.has_neutral:
            opening = self.opening("d_loss")
            return loss / opening.size if opening and opening.size else None
        return (loss - floor) / (neutral - floor)

    @property
    def level_reference(self) -> str:
        """The text for what ``discriminator_level`` is relative to."""
        return "its neutral value" if self.has_neutral else "its size in the first records"

    def length_text(self, length: float) -> str:
        """A length or place of this run: ``12 kimg``, ``40,000 steps``."""
        return f"{figure(length)} {plural(self.unit)}"

    def _position(self, at: float) -> float:
        position = as_float(at)
        if not 0 <= position < math.inf:
            raise ValueError(f"{self.unit} must be a finite number from 0 up, not {at!r}")
        return position


def plural(unit: Unit) -> str:
    """A unit's name after a number: ``kimg``, ``steps``."""
    return unit if unit == "kimg" else f"{unit}s"


def fewest_ticks(budget: float | None) -> int:
    """Ticks in the shortest window and in the opening of a run of this length, if it is known."""
    return FEWEST_TICKS if budget else FEWEST_WITHOUT_BUDGET


def _finite(ticks: Iterable[Point], signal: str) -> Iterator[float]:
    for tick in ticks:
        value = tick.values.get(signal)
        if value is not None and math.isfinite(value):
            yield value


def _append(points: list[Point], point: Point, others: list[Point]) -> None:
    """Adds a point. Where the run resumed at it, drops all later points."""
    if points and point.at <= points[-1].at:
        del points[bisect_left(points, point.at, key=attrgetter("at")) :]
        del others[bisect_right(others, point.at, key=attrgetter("at")) :]
    points.append(point)


def as_float(value: Any) -> float:
    """The value as a float; infinite for an integer too large for a float."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
