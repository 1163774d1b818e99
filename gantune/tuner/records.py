"""What driver, engines and trials say to each other. Plain values: no torch, no Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gantune.scores.score import Score
from gantune.trial.records import Outcome


@dataclass(frozen=True)
class Wait:
    """Nothing to hand out until a running trial ends."""


@dataclass(frozen=True)
class Done:
    """Nothing left to hand out."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial or finalist as the study holds it; what leaderboards and reports are made of."""

    name: str
    """Its folder below the run's."""
    number: int
    """Its number, from 0; trials and finalists are numbered apart."""
    params: Mapping[str, Any]
    """What was drawn, by the names of the space's parameters."""
    budget_kimg: float
    """Its whole length in kimg."""
    rungs: Mapping[int, float] = field(default_factory=dict)
    """Scores at rungs by percent of the budget."""
    outcome: Outcome | None = None
    """``None`` while it runs."""
    is_start: bool = False
    """Whether it is one of the space's ``start`` recipes."""
    origin: int | None = None
    """For a finalist: number of the trial whose config it trains."""
    seed: int | None = None
    """For a finalist: its training seed."""
    begun: float | None = field(default=None, compare=False)
    """When it was handed out first, seconds since 1970."""
    ended: float | None = field(default=None, compare=False)
    """When its end was noted; ``None`` while it runs."""

    @property
    def score(self) -> Score | None:
        """Its score under the full protocol."""
        return None if self.outcome is None else self.outcome.score

    @property
    def value(self) -> float | None:
        """That score as a number."""
        return None if self.score is None else self.score.value
