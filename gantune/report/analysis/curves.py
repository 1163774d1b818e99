"""Curves of runs and of logs, thinned to what a screen shows."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gantune.health.logs import Record
from gantune.run_folder.run import read_score
from gantune.run_folder.trial import TrialFolder

T = TypeVar("T")

LOSSES = ("d_loss", "g_loss")
_NOT_SIGNALS = ("kimg", "step", "seconds", "images_per_second", "epoch")
_MOST_SIGNALS = 4
_MOST_POINTS = 3000  # of a log's curve: more than a screen has columns


@dataclass(frozen=True)
class RunCurves:
    """The curves of one run. Numbers that are not finite are ``None``, a gap in the line."""

    kimg: tuple[float, ...]
    signals: Mapping[str, tuple[float | None, ...]]
    scores: tuple[tuple[float, float], ...]
    """(kimg, score) at rungs, or wherever an external trainer reported a score."""


def read_curves(folder: TrialFolder, most: int) -> RunCurves:
    """At most ``most`` points of each curve, the last point included.

    Signals are the losses, or the first numbers in a line where it has none of them. Empty where
    nothing is written yet. A line that another process is writing is left out. Scores are those
    that rungs compare: not the full score, which has another protocol. All scores of a trainer that
    scores itself have one protocol.
    """
    lines = folder.ticks()
    last = lines[-1] if lines else {}
    names = [name for name in LOSSES if last.get(name) is not None]
    if not names:  # an external trainer that reports no losses by their usual names
        numbers = (name for name, value in last.items() if isinstance(value, int | float))
        names = [name for name in numbers if name not in _NOT_SIGNALS][:_MOST_SIGNALS]
    points = thinned(lines, most)
    scores = []
    for line in folder.scores():
        is_full = line["rung"] is None and not read_score(folder.path, line).protocol.is_external
        if not is_full and line["kimg"] > 0 and math.isfinite(line["value"]):
            scores.append((float(line["kimg"]), float(line["value"])))
    return RunCurves(
        kimg=tuple(round(float(line["kimg"]), 3) for line in points),
        signals={name: tuple(_finite(line.get(name)) for line in points) for name in names},
        scores=tuple(scores),
    )


def thinned(values: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the values, evenly spaced, the first and the last included."""
    if len(values) <= most:
        return list(values)
    step = (len(values) - 1) / (most - 1)
    return [values[round(k * step)] for k in range(most)]


def _finite(value: Any) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")


class Curve:
    """One signal of a log, thinned while it is read: every n-th value, n growing with the log."""

    def __init__(self) -> None:
        self.places = array("d")
        self.values = array("d")
        self._stride = 1
        self._count = 0

    def add(self, at: float, value: float) -> None:
        """Adds the next value; one that is not finite is kept, as a gap."""
        first = bisect_left(self.places, at)  # a resumed run logs some places twice
        del self.places[first:], self.values[first:]
        if self._count % self._stride == 0 or not math.isfinite(value):
            self.places.append(at)
            self.values.append(value)
        self._count += 1
        if len(self.places) > 2 * _MOST_POINTS:
            self.places, self.values = self.places[::2], self.values[::2]
            self._stride *= 2


def add_record(curves: dict[str, Curve], record: Record) -> None:
    """Adds one record of a log to the curves of its signals, which are kept by name."""
    for name, value in record.values.items():
        curves.setdefault(name, Curve()).add(record.at, value)
