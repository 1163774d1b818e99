"""What driver, engines and trials say to each other. Plain values: no torch, no Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gantune.config import AnyConfig
from gantune.health.verdict import Verdict
from gantune.scores.score import Score

__all__ = ["Assignment", "Done", "Ending", "Kind", "Outcome", "RungReport", "TrialRecord", "Wait"]

Kind = Literal["trial", "finalist"]

Ending = Literal[
    "completed", "pruned", "diverged", "collapsed", "stalled", "out_of_memory", "crashed"
]


@dataclass(frozen=True)
class Assignment:
    """One run of training for a worker."""

    name: str
    """Its folder below the run's, such as ``trials/0007`` or ``finalists/0002``."""
    config: AnyConfig
    rungs: tuple[float, ...]
    """Points of scoring as shares of the budget in (0, 1]; the last one is 1."""
    stability: str | Mapping[str, Any] = "default"
    """Preset or rules of health."""

    @property
    def kind(self) -> Kind:
        """Whether this is a trial of the search or a finalist's training."""
        return "trial" if self.name.startswith("trials/") else "finalist"

    @property
    def number(self) -> int:
        """Number within its kind."""
        return int(self.name.rpartition("/")[2])


@dataclass(frozen=True)
class Wait:
    """Nothing to hand out until a running trial ends."""


@dataclass(frozen=True)
class Done:
    """Nothing left to hand out."""


@dataclass(frozen=True)
class RungReport:
    """A score at a rung; the driver's answer to it is whether to go on."""

    rung: float
    """Share of the budget, in (0, 1]."""
    kimg: float
    score: Score
    step: int = 0
    """Generator steps made."""
    best_kimg: float | None = None
    """Where the best score so far was taken."""
    seconds: float = 0.0
    """Seconds of training so far."""
    scoring_seconds: float = 0.0
    """Seconds of scoring so far, checkpoints and sample grids included."""

    def pruned(self) -> Outcome:
        """The outcome of the run, should the answer be no."""
        return Outcome(
            ending="pruned",
            kimg=self.kimg,
            step=self.step,
            best_kimg=self.best_kimg,
            seconds=self.seconds,
            scoring_seconds=self.scoring_seconds,
        )


@dataclass(frozen=True)
class Outcome:
    """How a run of training ended."""

    ending: Ending
    """``completed``, ``pruned`` by rank at a rung, by health ``diverged``, ``collapsed`` or
    ``stalled``, ``out_of_memory``, or ``crashed``."""
    kimg: float
    """Thousands of real images shown when it ended."""
    step: int = 0
    """Generator steps made."""
    score: Score | None = None
    """Under the full protocol, of the checkpoint that the rungs picked; ``None`` if unscored."""
    best_kimg: float | None = None
    """Where that checkpoint was taken."""
    verdict: Verdict | None = None
    """Of the health rule that ended it; ``None`` where none did."""
    seconds: float = 0.0
    """Seconds of training."""
    scoring_seconds: float = 0.0
    """Seconds of scoring, checkpoints and sample grids included."""
    error: str = ""
    """Traceback or message of one that crashed or ran out of memory."""

    def to_dict(self) -> dict[str, Any]:
        """A plain mapping for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Outcome:
        """Reads back what ``to_dict`` gave."""
        fields = dict(tree)
        if fields.get("score") is not None:
            fields["score"] = Score.from_dict(fields["score"])
        if fields.get("verdict") is not None:
            fields["verdict"] = Verdict(**fields["verdict"])
        return cls(**fields)


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
