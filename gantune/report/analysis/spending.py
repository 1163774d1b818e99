"""Training that a search spent and saved, and the share of scoring in its time."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gantune.io.formatting import share
from gantune.report.analysis.outcomes import STOPPED, ending_of
from gantune.report.wording import ENDINGS
from gantune.trial.records import TrialRecord
from gantune.tuner.state import RunState

_MOST_SCORING = 0.1  # share of a search's time, before it is reported as too much


@dataclass(frozen=True)
class Stopped:
    """The trials that one health rule stopped, or that ended in one other way."""

    by: str
    """The health rule's name, or the outcome: ``pruned by rank``, ``out of memory``."""
    ending: str
    trials: int
    share: float
    """Mean share of their budget at which they stopped, in [0, 1]."""
    scored: int
    """How many of them have a score, from a checkpoint before their stop."""


@dataclass(frozen=True)
class Savings:
    """Training that was planned and not done because trials were stopped."""

    kimg: float
    share: float
    """Of the budget of all ended trials, in [0, 1]."""
    seconds: float
    """Of the search: the rest of each trial at its own pace, divided among parallel workers."""


def stopped_by(state: RunState) -> list[Stopped]:
    """Trials that did not complete, by rule or outcome, the commonest first."""
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
    """Seconds of the search per second of a worker, about 1 / workers."""
    busy = busy_seconds((*state.trials, *state.finalists))
    return min(state.seconds / busy, 1.0) if busy else 1.0


def busy_seconds(records: Iterable[TrialRecord]) -> float:
    """Seconds of training and scoring in all ended runs."""
    outcomes = [record.outcome for record in records]
    return sum(o.seconds + o.scoring_seconds for o in outcomes if o is not None)


@dataclass(frozen=True)
class Spending:
    """Trials that ended for one reason."""

    reason: str
    """``completed``, a health rule's name, ``pruned at 50%``, ``the finals``."""
    ending: str
    runs: int
    spent: float
    """Training done, kimg."""
    saved: float
    """Training that was planned and not done, kimg; 0 of crashes, which save nothing."""


def spending(state: RunState) -> list[Spending]:
    """Completed trials first, then each rule and rung by what it saved, then the finals."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for record in state.trials:
        if record.outcome is not None:
            groups.setdefault((_reason(record), ending_of(record)), []).append(record)
    found = [_spending(reason, ending, records) for (reason, ending), records in groups.items()]
    found.sort(key=lambda one: (one.ending != "completed", -one.saved, -one.spent))
    finals = [record for record in state.finalists if record.outcome is not None]
    return [*found, _spending("the finals", "completed", finals)] if finals else found


def _reason(record: TrialRecord) -> str:
    assert record.outcome is not None
    outcome = record.outcome
    if outcome.verdict is not None:
        return outcome.verdict.rule
    if outcome.ending == "pruned" and record.rungs:
        return f"pruned at {max(record.rungs)}%"
    return ENDINGS[outcome.ending]


def _spending(reason: str, ending: str, records: Sequence[TrialRecord]) -> Spending:
    spent = sum(record.outcome.kimg for record in records if record.outcome)
    rest = sum(max(r.budget_kimg - r.outcome.kimg, 0) for r in records if r.outcome)
    return Spending(reason, ending, len(records), spent, rest if ending in STOPPED else 0.0)


@dataclass(frozen=True)
class ScoringShare:
    """Shares of a search's whole time, from the making of the extractor to its end, in [0, 1]."""

    total: float
    """Scoring, checkpoints and sample grids included, of the time of all workers."""
    preparing: float
    """The part before the first trial: all workers wait for the extractor and the real images'
    features, then each reads them and takes a score to warm up."""

    def __str__(self) -> str:
        text = f"Scoring took {share(self.total)} of the search's time"
        if self.total <= _MOST_SCORING:
            return f"{text}."
        return (
            f"{text}, {share(self.preparing)} before the first trial: over {_MOST_SCORING:.0%}. "
            "Longer trials, or fewer objective.rung_samples and samples, reduce it."
        )


def scoring_share(state: RunState) -> ScoringShare | None:
    """The share of scoring in the search so far; ``None`` before any time has passed.

    An estimate where the search was resumed with another number of workers.
    """
    spent = state.timing
    whole = spent.workers * (spent.seconds + spent.preparing_seconds)
    if whole <= 0:
        return None
    outcomes = [record.outcome for record in (*state.trials, *state.finalists)]
    preparing = spent.workers * spent.preparing_seconds + spent.warmup_seconds
    scoring = preparing + sum(o.scoring_seconds for o in outcomes if o is not None)
    return ScoringShare(min(scoring / whole, 1.0), preparing / whole)
