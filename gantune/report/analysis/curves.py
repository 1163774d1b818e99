"""Curves of runs and of logs, thinned to what a screen shows."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantune.health.logs import Record
from gantune.run_folder.stored_scores import read_score
from gantune.run_folder.trial import TrialFolder

LOSSES = ("d_loss", "g_loss")
_NOT_SIGNALS = ("kimg", "step", "seconds", "images_per_second", "epoch")
_MOST_SIGNALS = 4  # of an external trainer that reports no losses by their usual names
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

    Empty where nothing is written yet. A line that another process is writing is left out.
    """
    lines = folder.ticks()
    names = signals_of(lines[-1]) if lines else []
    points = _thinned(lines, most)
    return RunCurves(
        kimg=tuple(round(float(line["kimg"]), 3) for line in points),
        signals={name: tuple(_finite(line.get(name)) for line in points) for name in names},
        scores=tuple(_scores(folder)),
    )


def signals_of(line: Mapping[str, Any]) -> list[str]:
    """The losses, or the first numbers in the line where it has none of them."""
    losses = [name for name in LOSSES if line.get(name) is not None]
    if losses:
        return losses
    found = (k for k, v in line.items() if isinstance(v, int | float) and k not in _NOT_SIGNALS)
    return list(found)[:_MOST_SIGNALS]


def _scores(folder: TrialFolder) -> list[tuple[float, float]]:
    """The scores that rungs compare: not the full score, which has another protocol. All scores of
    a trainer that scores itself have one protocol."""
    found = []
    for line in folder.scores():
        is_full = line["rung"] is None and not read_score(folder.path, line).protocol.is_external
        if not is_full and line["kimg"] > 0 and math.isfinite(line["value"]):
            found.append((float(line["kimg"]), float(line["value"])))
    return found


def _thinned(lines: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    if len(lines) <= most:
        return list(lines)
    step = (len(lines) - 1) / (most - 1)
    return [lines[round(k * step)] for k in range(most)]


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


class Traces:
    """The curves of all signals of a log, by name."""

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}

    def see(self, record: Record) -> None:
        """Adds one record."""
        for name, value in record.values.items():
            self.curves.setdefault(name, Curve()).add(record.at, value)
