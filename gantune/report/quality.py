"""An order of all trials that says something of their settings, the best first."""

from __future__ import annotations

from collections.abc import Sequence

from gantune.report.outcomes import ending_of
from gantune.tuner.records import TrialRecord

__all__ = ["in_order"]


def in_order(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Survivors by score; those pruned by rank, the furthest first and then by their last rung's
    score; those that came apart or found no memory, the latest first.

    Trials that crashed or have not ended are left out: they say nothing of their settings.
    """
    return sorted((r for r in trials if ending_of(r) not in ("crashed", "running")), key=_key)


def _key(record: TrialRecord) -> tuple[int, float, float]:
    if record.value is not None:
        return 0, record.value, record.number
    if ending_of(record) == "pruned" and record.rungs:
        last = max(record.rungs)
        return 1, -last, record.rungs[last]
    reached = record.outcome.kimg / record.budget_kimg if record.outcome else 0.0
    return 2, -reached, record.number
