"""Training that a search spent and saved, and the share of scoring in its time."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gantune.io.formatting import approximate_duration, number, share
from gantune.report.analysis.outcomes import ENDINGS, STOPPED, ending_of
from gantune.trial.records import TrialRecord
from gantune.tuner.state import RunState

_MOST_SCORING = 0.1  # share of a search's time, before it is reported as too much


@dataclass(frozen=True)
class Spending:
    """The trials that ended for one reason, and how much they trained."""

    reason: str
    """``completed``, a rule's name, ``pruned by rank``, ``pruned`` or ``paused at 50%``, ``the
    finals``."""
    ending: str
    """A key of ``ENDINGS``."""
    runs: int
    spent: float
    """Training done, kimg."""
    saved: float
    """Training that was planned and not done, kimg; 0 of crashes, which save nothing."""
    share: float
    """Mean share of their budget at which they ended, in [0, 1]."""
    scored: int
    """How many of them have a score; stopped ones from a checkpoint before their stop."""


@dataclass(frozen=True)
class Savings:
    """Training that was planned and not done because trials were stopped."""

    kimg: float
    share: float
    """Of the budget of all ended trials, in [0, 1]."""
    seconds: float
    """Of the search: the rest of each trial at its own pace, divided among parallel workers."""

    def __str__(self) -> str:
        return (
            f"Stopping early saved {number(float(self.kimg))} kimg, {share(self.share)} of the "
            f"trials' budget: {approximate_duration(self.seconds)} of this search."
        )


def stopped_by(state: RunState) -> list[Spending]:
    """Trials that ended before their budget, by rule or outcome, the most common first."""
    found = _by_reason(state, with_rungs=False)
    found = [one for one in found if one.ending not in ("completed", "paused")]
    return sorted(found, key=lambda one: -one.runs)


def spending(state: RunState) -> list[Spending]:
    """Completed trials first, then each rule and rung by what it saved, then the finals."""
    found = _by_reason(state, with_rungs=True)
    found.sort(key=lambda one: (one.ending != "completed", -one.saved, -one.spent))
    finals = [record for record in state.finalists if record.outcome is not None]
    return [*found, _spending("the finals", "completed", finals)] if finals else found


def _by_reason(state: RunState, *, with_rungs: bool) -> list[Spending]:
    """The trials that do not run, grouped. ``with_rungs``: trials pruned or paused at two rungs
    are two groups."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for record in state.trials:
        outcome = record.outcome
        if outcome is None:
            continue
        reason = outcome.verdict.rule if outcome.verdict else ENDINGS[outcome.ending]
        if with_rungs and outcome.ending in ("paused", "pruned") and record.rungs:
            reason = f"{outcome.ending} at {record.last_percent}%"
        groups.setdefault((reason, outcome.ending), []).append(record)
    return [_spending(reason, ending, records) for (reason, ending), records in groups.items()]


def _spending(reason: str, ending: str, records: Sequence[TrialRecord]) -> Spending:
    spent = sum(record.outcome.kimg for record in records if record.outcome)
    rest = sum(max(r.budget_kimg - r.outcome.kimg, 0) for r in records if r.outcome)
    return Spending(
        reason=reason,
        ending=ending,
        runs=len(records),
        spent=spent,
        saved=rest if ending in STOPPED else 0.0,
        share=statistics.fmean(map(_share, records)),
        scored=sum(record.value is not None for record in records),
    )


def _share(record: TrialRecord) -> float:
    assert record.outcome is not None
    return min(record.outcome.kimg / record.budget_kimg, 1.0) if record.budget_kimg else 1.0


def saved_by(state: RunState) -> Savings:
    """What stopping by health and by rank saved; crashes and full memory save nothing."""
    kimg = sum(one.saved for one in _by_reason(state, with_rungs=False))
    ended = (r for r in state.trials if r.outcome is not None and not r.is_paused)
    planned = sum(record.budget_kimg for record in ended)
    seconds = 0.0
    for record in state.trials:
        if record.outcome is not None and ending_of(record) in STOPPED and _share(record):
            seconds += record.outcome.seconds * (1 - _share(record)) / _share(record)
    busy = busy_seconds((*state.trials, *state.finalists))
    wall = min(state.seconds / busy, 1.0) if busy else 1.0  # of the search, a second of a worker
    return Savings(kimg, kimg / planned if planned else 0.0, seconds * wall)


def busy_seconds(records: Iterable[TrialRecord]) -> float:
    """Seconds of training and scoring in all ended runs."""
    outcomes = [record.outcome for record in records]
    return sum(o.seconds + o.scoring_seconds for o in outcomes if o is not None)


@dataclass(frozen=True)
class ScoringShare:
    """Shares in [0, 1] of a search's time, from the preparation of the extractor to its end."""

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
