"""Curves of a log of any length, thinned while it is read."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left

from gantune.health.logs import Record

__all__ = ["Curve", "Traces"]

_MOST = 3000  # points of a curve: more than a screen has columns


class Curve:
    """One signal over the run, evenly thinned: every n-th value, n growing with their number."""

    def __init__(self) -> None:
        self.places = array("d")
        self.values = array("d")
        self._stride = 1
        self._count = 0

    def add(self, at: float, value: float) -> None:
        """Takes in the next value; one that is not finite is kept, as a gap."""
        first = bisect_left(self.places, at)  # a log that goes back is drawn as it went on
        del self.places[first:], self.values[first:]
        if self._count % self._stride == 0 or not math.isfinite(value):
            self.places.append(at)
            self.values.append(value)
        self._count += 1
        if len(self.places) > 2 * _MOST:
            self.places, self.values = self.places[::2], self.values[::2]
            self._stride *= 2


class Traces:
    """The curves of all signals of a log, by name."""

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}

    def see(self, record: Record) -> None:
        """Takes in one record."""
        for name, value in record.values.items():
            self.curves.setdefault(name, Curve()).add(record.at, value)
