"""What stopping trials early has saved."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from gantune.report.outcomes import STOPPED, ending_of
from gantune.report.words import ENDINGS
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState

__all__ = ["Savings", "Stopped", "busy_seconds", "saved_by", "stopped_by"]


@dataclass(frozen=True)
class Stopped:
    """The trials that one rule stopped."""

    by: str
    """The health rule's name, or the ending: ``pruned by rank``, ``out of memory``."""
    ending: str
    trials: int
    share: float
    """Mean share of their budget at which they stopped, in [0, 1]."""
    scored: int
    """How many of them are ranked all the same, by a checkpoint from before."""


@dataclass(frozen=True)
class Savings:
    """Training that was planned and not done because trials were stopped."""

    kimg: float
    share: float
    """Of the budget of all ended trials, in [0, 1]."""
    seconds: float
    """Of the search: each trial's rest at its own pace, over as many at once as there were."""


def stopped_by(state: RunState) -> list[Stopped]:
    """Trials stopped by each rule, the commonest first; the completed are not among them."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for record in state.trials:
        if record.outcome is not None and record.outcome.ending != "completed":
            ending, verdict = record.outcome.ending, record.outcome.verdict
            by = verdict.rule if verdict is not None else ENDINGS[ending]
            groups.setdefault((by, ending), []).append(record)
    found = [
        Stopped(
            by=by,
            ending=ENDINGS[ending],
            trials=len(records),
            share=statistics.fmean(_share(record) for record in records),
            scored=sum(record.value is not None for record in records),
        )
        for (by, ending), records in groups.items()
    ]
    return sorted(found, key=lambda stopped: -stopped.trials)


def saved_by(state: RunState) -> Savings:
    """What stopping by health and by rank saved; crashes and full memory save nothing."""
    ended = [record for record in state.trials if record.outcome is not None]
    stopped = [record for record in ended if ending_of(record) in STOPPED]
    kimg = sum(record.budget_kimg * (1 - _share(record)) for record in stopped)
    planned = sum(record.budget_kimg for record in ended)
    rest = sum(_rest_seconds(record) for record in stopped)
    return Savings(kimg, kimg / planned if planned else 0.0, rest * _wall_share(state))


def _share(record: TrialRecord) -> float:
    assert record.outcome is not None
    return min(record.outcome.kimg / record.budget_kimg, 1.0) if record.budget_kimg else 1.0


def _rest_seconds(record: TrialRecord) -> float:
    assert record.outcome is not None
    spent, share = record.outcome.seconds, _share(record)
    return spent * (1 - share) / share if share else 0.0


def _wall_share(state: RunState) -> float:
    """Seconds of the search per second of a worker: about one over the number of workers."""
    busy = busy_seconds((*state.trials, *state.finalists))
    return min(state.seconds / busy, 1.0) if busy else 1.0


def busy_seconds(records: Iterable[TrialRecord]) -> float:
    """Seconds of training and scoring in all ended runs."""
    outcomes = [record.outcome for record in records]
    return sum(o.seconds + o.scoring_seconds for o in outcomes if o is not None)
