"""How far a search is, and the time that it may still take."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState

__all__ = ["Estimate", "estimate"]

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
    crashed = state.endings["crashed"]
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
