"""When each run trained, in lanes: which worker had it is not recorded, so overlap alone tells."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from gantune.tuner.records import TrialRecord

__all__ = ["Span", "lay_out"]

_PAUSE = 60.0  # seconds in which nothing trained, from which on they are left out
_SHOWN_PAUSE = 5.0  # seconds that stand in their place
_EXCHANGE = 0.05  # seconds by which the end of one run may be noted after the beginning of the next


@dataclass(frozen=True)
class Span:
    """One run on the search's own clock, which stands still where nothing trained."""

    record: TrialRecord
    begin: float
    """Seconds since the first run began, pauses left out."""
    end: float
    lane: int


def lay_out(records: Iterable[TrialRecord], now: float | None = None) -> list[Span]:
    """All runs whose beginning is known, by their beginning, each in the lowest lane that is free.

    ``now``: where a run that has not ended is cut, seconds since 1970.
    """
    now = time.time() if now is None else now
    times = [(r.begun, r.ended if r.ended is not None else now, r) for r in records if r.begun]
    times.sort(key=lambda entry: entry[:2])
    spans: list[Span] = []
    free: list[float] = []  # when each lane is
    latest = left_out = 0.0
    for begin, end, record in times:
        if not spans:
            left_out, latest = begin, begin
        elif begin - latest > _PAUSE:
            left_out += begin - latest - _SHOWN_PAUSE
        latest = max(latest, end)
        lane = next((k for k, until in enumerate(free) if until <= begin + _EXCHANGE), len(free))
        free[lane : lane + 1] = [end]
        spans.append(Span(record, begin - left_out, max(end, begin) - left_out, lane))
    return spans
