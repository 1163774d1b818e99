"""What a search spent its training on, and what stopping saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gantune.report.outcomes import STOPPED, ending_of
from gantune.report.words import ENDINGS
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState

__all__ = ["Spending", "spending"]


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
    """By reason: what was completed first, then each rule and rung by what it saved."""
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
