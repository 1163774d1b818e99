"""What the driver gives to engines and reports: plain values, without torch and Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gantune.scores.score import Score
from gantune.trial.records import Outcome


@dataclass(frozen=True)
class Wait:
    """There is no work until a running trial ends."""


@dataclass(frozen=True)
class Done:
    """There is no work left."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial or finalist of the study, for leaderboards and reports."""

    name: str
    """Its folder in the run folder, such as ``trials/0007``."""
    number: int
    """Its number, from 0; trials and finalists are numbered separately."""
    params: Mapping[str, Any]
    """The values that were drawn, by the names of the space's parameters."""
    budget_kimg: float
    """The length of the whole run in kimg."""
    rungs: Mapping[int, float] = field(default_factory=dict)
    """Scores at rungs, by percent of the budget."""
    outcome: Outcome | None = None
    """``None`` while it runs."""
    is_start: bool = False
    """Whether it is one of the space's ``start`` recipes."""
    origin: int | None = None
    """Of a finalist: number of the trial whose config it trains."""
    seed: int | None = None
    """Of a finalist: its training seed."""
    begun: float | None = field(default=None, compare=False)
    """When it was handed out first, in seconds since 1970."""
    ended: float | None = field(default=None, compare=False)
    """When its outcome was stored; ``None`` while it runs."""

    @property
    def score(self) -> Score | None:
        """Its score under the full protocol."""
        return None if self.outcome is None else self.outcome.score

    @property
    def value(self) -> float | None:
        """That score as a number."""
        return None if self.score is None else self.score.value
