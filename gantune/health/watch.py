"""``Watch``: a log's records brought to a monitor, and what a diagnosis needs of them kept."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

from gantune.health.logs.columns import SCORES
from gantune.health.logs.records import Record
from gantune.health.monitor import HealthMonitor
from gantune.health.verdict import Unit, Verdict

__all__ = ["ScorePoint", "Watch"]

_WHOLE = 20_000  # records that are all handed on: later one in so many of them, to spare memory


@dataclass(frozen=True)
class ScorePoint:
    """A finite score at its place, in the log's unit. ``name``: ``fid`` or ``score``."""

    at: float
    value: float
    name: str


class Watch:
    """Takes one record after the other; what it says at one depends on nothing after it.

    A place before the last one means that training went on again from there: what was seen from
    there on is forgotten. Lines of one place are one record, the later ones adding to it.
    """

    def __init__(self, monitor: HealthMonitor) -> None:
        self._monitor = monitor
        self.verdict: Verdict | None = None
        self.unit: Unit = "step"
        self.last = 0.0
        self.count = 0
        self.returns = 0
        self.merged = 0
        """Records that stood at the place of the one before, and became one with it."""
        self.resumed_at: float | None = None
        """Where the log goes back to after the verdict, if it does."""
        self.measured: set[str] = set()
        self._values: dict[str, float] = {}
        self._sound = array("d")  # places of records whose numbers are all finite
        self._scores: list[ScorePoint] = []

    def take(self, record: Record) -> Verdict | None:
        """The verdict, once it is there."""
        at, values = record.at, record.values
        is_back = self.count > 0 and at < self.last
        is_same = self.count > 0 and at == self.last
        self.count += 1
        self.returns += is_back
        self.merged += is_same
        self.last, self.unit = at, record.unit
        if self.verdict is not None:
            if is_back and self.resumed_at is None:
                self.resumed_at = at
            return self.verdict
        if is_back or is_same:
            self._forget(at, keeps_scores=is_same)
        self._values = {**self._values, **values} if is_same else dict(values)
        if self._values:
            self.measured |= values.keys()
            self._keep(at)
            if is_back or self._is_due():
                self.verdict = self._observe(record)
        return self.verdict

    def best_score(self) -> ScorePoint | None:
        """The lowest finite score up to the verdict, the first of equals."""
        return min(self._scores, key=attrgetter("value"), default=None)

    def last_sound(self, before: float) -> float | None:
        """The last place before ``before`` whose numbers were all finite."""
        index = bisect_left(self._sound, before)
        return self._sound[index - 1] if index else None

    def _forget(self, at: float, *, keeps_scores: bool) -> None:
        del self._sound[bisect_left(self._sound, at) :]
        if not keeps_scores:
            del self._scores[bisect_left(self._scores, at, key=attrgetter("at")) :]

    def _keep(self, at: float) -> None:
        if all(map(math.isfinite, self._values.values())):
            self._sound.append(at)
        for name in SCORES:
            value = self._values.get(name, math.nan)
            if math.isfinite(value):
                if self._scores and self._scores[-1].at == at:
                    self._scores.pop()
                self._scores.append(ScorePoint(at, value, name))
                break

    def _is_due(self) -> bool:
        """Whether the monitor sees this record; of a very long log it sees enough with fewer."""
        stride = self.count // _WHOLE
        return stride < 2 or self.count % stride == 0 or self._is_telling(self._values)

    @staticmethod
    def _is_telling(values: Mapping[str, float]) -> bool:
        """Whether a single record may say something by itself."""
        is_scored = any(name in values for name in SCORES)
        return is_scored or values.get("non_finite", 0.0) > 0 or not _are_finite(values)

    def _observe(self, record: Record) -> Verdict | None:
        """A tick and then its score, as a search takes them; a FID stands in its own row."""
        place = {record.unit: record.at}
        signals = dict(self._values)
        score, spread = signals.pop("score", None), signals.pop("feature_spread", None)
        verdict = self._monitor.observe(**place, **signals) if signals else None
        if score is not None:
            verdict = self._monitor.observe_score(score=score, spread=spread, **place)
        return verdict


def _are_finite(values: Mapping[str, float]) -> bool:
    return all(map(math.isfinite, values.values()))
