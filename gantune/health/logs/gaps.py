"""Tells values that were not measured from values that are not finite, where a log writes NaN for
both."""

from __future__ import annotations

import math
from collections.abc import Mapping

_DENSE = 5  # finite values in a row, after which a NaN is one


class Gaps:
    """Leaves NaN out of a signal that is often empty, record by record.

    A NaN counts in a signal that was finite in the five records before, and where every loss of the
    log is NaN. Otherwise it is a gap, as in a column that has a value in every fifth record. A gap
    counts once it is longer than five records and more than twice as long as any from which the
    signal came back.
    """

    def __init__(self) -> None:
        self._run: dict[str, int] = {}
        self._gap: dict[str, int] = {}
        self._longest: dict[str, int] = {}
        self._losses: set[str] = set()

    def filled(self, values: Mapping[str, float]) -> dict[str, float]:
        """The values that were measured. Infinite ones were."""
        losses = {name: value for name, value in values.items() if name.endswith("_loss")}
        self._losses |= losses.keys()
        is_lost = losses.keys() == self._losses and not any(map(math.isfinite, losses.values()))
        return {
            name: value
            for name, value in values.items()
            if not self._is_gap(name, value) or is_lost
        }

    def _is_gap(self, name: str, value: float) -> bool:
        if not math.isnan(value):
            self._longest[name] = max(self._longest.get(name, 0), self._gap.get(name, 0))
            self._run[name], self._gap[name] = self._run.get(name, 0) + 1, 0
            return False
        run, longest = self._run.get(name, 0), self._longest.get(name, 0)
        self._gap[name] = gap = self._gap.get(name, 0) + 1
        if gap == 1 and run >= _DENSE and not longest:
            self._gap[name] = gap = _DENSE + 1  # it counts, and so do those that follow
        self._run[name] = 0
        return gap <= max(_DENSE, 2 * longest)
