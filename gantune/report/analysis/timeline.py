"""When each run trained, in lanes: which worker had it is not recorded, so overlap alone tells."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState

_PAUSE = 60.0  # seconds in which nothing trained, from which on they are left out


_SHOWN_PAUSE = 5.0  # seconds that stand in their place


_EXCHANGE = 0.05  # seconds by which the end of one run may be noted after the beginning of the next


@dataclass(frozen=True)
class TimelineBar:
    """One run on the search's own clock, which stands still where nothing trained."""

    record: TrialRecord
    begin: float
    """Seconds since the first run began, pauses left out."""
    end: float
    lane: int


def lay_out(records: Iterable[TrialRecord], now: float | None = None) -> list[TimelineBar]:
    """All runs whose beginning is known, by their beginning, each in the lowest lane that is free.

    ``now``: where a run that has not ended is cut, seconds since 1970.
    """
    now = time.time() if now is None else now
    times = [(r.begun, r.ended if r.ended is not None else now, r) for r in records if r.begun]
    times.sort(key=lambda entry: entry[:2])
    spans: list[TimelineBar] = []
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
        spans.append(TimelineBar(record, begin - left_out, max(end, begin) - left_out, lane))
    return spans


# How far a search is, and the time that it may still take.


_LEAST_KIMG = 2.0  # done before an estimate is worth anything


_LEAST_SECONDS = 5.0


@dataclass(frozen=True)
class Estimate:
    """What is done and what is likely left, in kimg of training and in seconds."""

    done_kimg: float
    left_kimg: float
    seconds_left: float | None
    """``None`` while too little is done to tell, and where time alone bounds the search."""


def estimate(state: RunState) -> Estimate:
    """The search's remaining time, at the pace it has had so far, scoring and pauses included.

    A trial to come is taken to last as long as the mean of those that ended, stopped ones
    included; a finalist's training is taken to run to its end.
    """
    ended = [record for record in state.trials if record.outcome is not None]
    length = _mean(r.outcome.kimg for r in ended if r.outcome) or _mean(
        r.budget_kimg for r in state.trials
    )
    final = _mean(r.budget_kimg for r in state.finalists) or _mean(
        r.budget_kimg for r in state.trials
    )
    running = {record.name: _reached(state, record) for record in state.running}
    done = sum(r.outcome.kimg for r in (*state.trials, *state.finalists) if r.outcome)
    done += sum(running.values())
    left = sum(
        max((length if record.origin is None else final) - running[record.name], 0.0)
        for record in state.running
    )
    left += final * max(state.planned_finalists - len(state.finalists), 0)
    if state.planned_trials is None:
        return Estimate(done, left, None)
    crashed = state.outcome_counts["crashed"]
    left += length * max(state.planned_trials - (len(state.trials) - crashed), 0)
    if done < _LEAST_KIMG or state.seconds < _LEAST_SECONDS:
        return Estimate(done, left, None)
    return Estimate(done, left, left / done * state.seconds)


def _reached(state: RunState, record: TrialRecord) -> float:
    tick = state.folder.trial(record.name).last_line()
    return float(tick["kimg"]) if tick is not None else 0.0


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.fmean(found) if found else 0.0
