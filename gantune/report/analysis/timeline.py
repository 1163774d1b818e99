"""When each run trained, in lanes that follow from overlap, and the time left of a search."""

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

from gantune.trial.records import TrialRecord
from gantune.tuner.state import RunState

_PAUSE = 60.0  # seconds without training, from which on a pause is left out
_SHOWN_PAUSE = 5.0  # seconds drawn for such a pause
_EXCHANGE = 0.05  # seconds by which the end of one run may be recorded after the start of the next
_LEAST_KIMG, _LEAST_SECONDS = 2.0, 5.0  # done before the time left can be estimated


@dataclass(frozen=True)
class TimelineBar:
    """One run until its end or a pause, on the search's clock, which stops where nothing trains."""

    record: TrialRecord
    start: float
    """Seconds since the first run started, without pauses."""
    end: float
    lane: int


def lay_out(records: Iterable[TrialRecord], now: float | None = None) -> list[TimelineBar]:
    """All runs with a known start, in that order, each in the lowest free lane.

    Which worker trained a run is not recorded. ``now``: end of the bars of running runs, in seconds
    since 1970.
    """
    now = time.time() if now is None else now
    times = [
        (begun, ended if ended is not None else now, record)
        for record in records
        for begun, ended in record.intervals
    ]
    times.sort(key=lambda entry: entry[:2])
    bars: list[TimelineBar] = []
    free: list[float] = []  # when each lane is
    latest = left_out = 0.0
    for start, end, record in times:
        if not bars:
            left_out, latest = start, start
        elif start - latest > _PAUSE:
            left_out += start - latest - _SHOWN_PAUSE
        latest = max(latest, end)
        lane = next((k for k, until in enumerate(free) if until <= start + _EXCHANGE), len(free))
        free[lane : lane + 1] = [end]
        bars.append(TimelineBar(record, start - left_out, max(end, start) - left_out, lane))
    return bars


def last_moment(state: RunState) -> float:
    """Until when the runs without an end have trained, in seconds since 1970: now, or the last
    sign of a search that was stopped."""
    now = time.time()
    if state.folder.is_running:
        return now
    records = (*state.trials, *state.finalists)
    known = [at for record in records for times in record.intervals for at in times if at]
    signs = (state.folder.trial(record.name).last_change for record in state.running)
    return min(max([*known, *(at for at in signs if at is not None)], default=now), now)


@dataclass(frozen=True)
class Estimate:
    """Training done and probably left, in kimg, and the time left."""

    done_kimg: float
    left_kimg: float
    seconds_left: float | None
    """``None`` while too little is done to tell, and where nothing bounds the search."""


def estimate(state: RunState) -> Estimate:
    """The remaining time at the pace since the first trial began, scoring included, at most what
    ``budget.time`` leaves. What workers do before that, such as loading the feature extractor, and
    pauses of the search are no part of the pace.

    Without halving it assumes that a future trial takes as long as the mean of the ended ones,
    stopped ones included, and that a finalist's training runs to its end.
    """
    budget = _mean(record.budget_kimg for record in state.trials)
    length = _mean(r.outcome.kimg for r in state.trials if r.outcome) or budget
    final = _mean(record.budget_kimg for record in state.finalists) or budget
    done = sum(r.outcome.kimg for r in (*state.trials, *state.finalists) if r.outcome)
    searched = sum(record.outcome.kimg for record in state.trials if record.outcome)
    left = 0.0
    for record in state.running:
        tick = state.folder.trial(record.name).last_tick()
        reached = float(tick["kimg"]) if tick is not None else 0.0
        done += reached
        if record.origin is None:
            searched += reached
        if record.origin is not None or state.expected_kimg is None:
            left += max((length if record.origin is None else final) - reached, 0.0)
    left += final * max(state.planned_finalists - len(state.finalists), 0)
    limits = []
    if state.time_limit is not None and not state.is_over:
        limits.append(max(state.time_limit - state.seconds, 0.0))
    if state.planned_trials is not None:
        if state.expected_kimg is not None:
            open_trials = [r for r in state.trials if r.outcome is None or r.is_paused]
            has_more = open_trials or len(state.trials) < state.planned_trials
            left += max(state.expected_kimg - searched, 0.0) if has_more else 0.0
        else:
            begun = len(state.trials) - state.outcome_counts["crashed"]
            left += length * max(state.planned_trials - begun, 0)
        if state.kimg_limit is not None:
            left = min(left, max(state.kimg_limit - done, 0.0))
    elif state.kimg_limit is not None:
        left = max(state.kimg_limit - done, 0.0)
    else:
        return Estimate(done, left, min(limits, default=None))
    bars = lay_out((*state.trials, *state.finalists), last_moment(state))
    seconds = max((bar.end for bar in bars), default=0.0)
    if done >= _LEAST_KIMG and seconds >= _LEAST_SECONDS:
        limits.append(left / done * seconds)
    return Estimate(done, left, min(limits, default=None))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.fmean(found) if found else 0.0
