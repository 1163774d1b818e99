"""What driver, workers and reports exchange about runs of training; does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from gantune.config import AnyConfig
from gantune.health import Verdict
from gantune.io.formatting import figure, format_value, last_line
from gantune.scores.score import Score
from gantune.scores.text import extra_metrics_text, score_text

Kind = Literal["trial", "finalist"]

Ending = Literal[
    "completed", "paused", "pruned", "diverged", "collapsed", "stalled", "out_of_memory", "crashed"
]


@dataclass(frozen=True)
class Assignment:
    """One run of training for a worker."""

    name: str
    """Its folder below the run's, such as ``trials/0007`` or ``finalists/0002``."""
    config: AnyConfig
    rungs: tuple[float, ...]
    """Where the run is scored, as shares of its budget in (0, 1]; the last one is 1."""
    stability: str | Mapping[str, Any] = "default"
    """The health preset, or its rules."""
    has_peers: bool = False
    """Whether the driver compares it with others: then it decides where a rule about pace speaks.
    """
    decided: tuple[str, ...] = ()
    """The alternatives that were taken of the space's decisions, in their order."""

    @property
    def title(self) -> str:
        """Its name in messages: ``trials/0007 (wgan, clip)``."""
        return f"{self.name} ({', '.join(self.decided)})" if self.decided else self.name

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
    """There is no work until a running trial ends."""


@dataclass(frozen=True)
class Done:
    """There is no work left."""


class Position(NamedTuple):
    """How far a run has come."""

    kimg: float = 0.0
    """Thousands of real images shown."""
    step: int = 0
    """Generator steps made."""
    seconds: float = 0.0
    """Seconds of training, without scoring."""


@dataclass(frozen=True)
class RungReport:
    """A score at a rung. The driver answers whether the run continues."""

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
    computed_in: str = ""
    """As in ``Outcome``."""
    can_pause: bool = True
    """Whether the run has saved a checkpoint that it can go on from."""
    doubt: Verdict | None = None
    """What a rule about pace says."""

    def pruned(self) -> Outcome:
        """The run's outcome if the driver answers no."""
        return _pruned(self)


@dataclass(frozen=True)
class PaceReport:
    """What a rule about pace says between rungs. The driver, which knows the other runs, answers
    whether the run continues."""

    doubt: Verdict
    kimg: float
    step: int = 0
    best_kimg: float | None = None
    seconds: float = 0.0
    scoring_seconds: float = 0.0
    computed_in: str = ""

    def pruned(self) -> Outcome:
        """The run's outcome if the driver answers no, which adds the verdict."""
        return _pruned(self)


Report = RungReport | PaceReport

Answer = Callable[[Report], bool]
"""Says after a rung's score, or where a rule about pace speaks, whether the run continues."""


def _pruned(report: Report) -> Outcome:
    return Outcome(
        ending="pruned",
        kimg=report.kimg,
        step=report.step,
        best_kimg=report.best_kimg,
        seconds=report.seconds,
        scoring_seconds=report.scoring_seconds,
        computed_in=report.computed_in,
    )


Heartbeat = Callable[[], None]
"""Tells that the run is alive; it may be called at any time, as often as one likes."""


def no_heartbeat() -> None:
    """For a run that nobody watches."""


@dataclass(frozen=True)
class Standing:
    """A score at a rung beside the one that it had to reach to go on there."""

    percent: int
    """The rung, in percent of the budget."""
    score: float
    bound: float

    def __str__(self) -> str:
        score, bound = figure(self.score), figure(self.bound)
        digits = 3
        while score == bound and self.score != self.bound and digits < 17:
            digits += 1
            score, bound = (format_value(value, digits) for value in (self.score, self.bound))
        if self.score > self.bound:
            return f"{score} against {bound}, the bound at {self.percent}%"
        return f"{score}, within the bound of {bound} at {self.percent}%, but the budget was over"


@dataclass(frozen=True)
class Outcome:
    """How a run of training ended."""

    ending: Ending
    """``completed``, ``pruned`` by rank at a rung, ``paused`` there, by health ``diverged``,
    ``collapsed`` or ``stalled``, ``out_of_memory``, or ``crashed``."""
    kimg: float
    """Thousands of real images shown when it ended."""
    step: int = 0
    """Generator steps made."""
    score: Score | None = None
    """Under the full protocol, of the best rung's checkpoint; ``None`` if unscored."""
    best_kimg: float | None = None
    """Where that checkpoint was taken."""
    verdict: Verdict | None = None
    """Verdict of the health rule that ended the run; ``None`` where none did."""
    seconds: float = 0.0
    """Seconds of training."""
    scoring_seconds: float = 0.0
    """Seconds of scoring, checkpoints and sample grids included."""
    computed_in: str = ""
    """The precision of gantune's trainer, ``fp32``, ``tf32``, ``bf16`` or ``fp16``; empty for your
    own trainer."""
    error: str = ""
    """Traceback or message of a run that crashed or ran out of memory."""
    standing: Standing | None = None
    """Of a run that was pruned or paused: by how much, where there was a bound."""
    remark: str = ""
    """Of a run without a verdict: what is odd about its scores, such as a last one far above the
    best."""

    @property
    def is_failure(self) -> bool:
        """Whether neither the budget nor rank ended or paused the run."""
        return self.ending not in ("completed", "paused", "pruned")

    def to_dict(self) -> dict[str, Any]:
        """A plain mapping for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Outcome:
        """Reads what ``to_dict`` gave."""
        fields = dict(tree)
        if fields.get("score") is not None:
            fields["score"] = Score.from_dict(fields["score"])
        if fields.get("verdict") is not None:
            fields["verdict"] = Verdict(**fields["verdict"])
        if fields.get("standing") is not None:
            fields["standing"] = Standing(**fields["standing"])
        return cls(**fields)


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
    rung_errors: Mapping[int, float] = field(default_factory=dict)
    """Standard errors of these scores, where they are known."""
    outcome: Outcome | None = None
    """``None`` while it runs. Of a paused trial it says where it stands, and may change later."""
    promoted: int = 0
    """The last rung, in percent of the budget, from which it was promoted; 0 for none."""
    is_start: bool = False
    """Whether it is one of the space's ``start`` recipes."""
    origin: int | None = None
    """Of a finalist: number of the trial whose config it trains."""
    seed: int | None = None
    """Of a finalist: its training seed."""
    begun: float | None = field(default=None, compare=False)
    """When it was handed out first, in seconds since 1970."""
    ended: float | None = field(default=None, compare=False)
    """When its outcome was stored; ``None`` while it runs or is paused."""
    pauses: tuple[tuple[float, float | None], ...] = field(default=(), compare=False)
    """When it was paused and promoted, in seconds since 1970; it was never promoted after ``None``.
    """

    @property
    def intervals(self) -> list[tuple[float, float | None]]:
        """When it was with a worker, in seconds since 1970; the last one is open while it runs."""
        if self.begun is None:
            return []
        starts = [self.begun, *(end for _, end in self.pauses if end is not None)]
        ends = [*(start for start, _ in self.pauses), self.ended]
        return list(zip(starts, ends, strict=False))

    @property
    def is_paused(self) -> bool:
        """Whether it waits at a rung for its promotion."""
        return self.outcome is not None and self.outcome.ending == "paused"

    @property
    def last_percent(self) -> int:
        """The last rung at which it was scored, in percent of the budget; 0 for none."""
        return max(self.rungs, default=0)

    @property
    def score(self) -> Score | None:
        """Its score under the full protocol."""
        return None if self.outcome is None else self.outcome.score

    @property
    def value(self) -> float | None:
        """That score as a number."""
        return None if self.score is None else self.score.value


_LONGEST_ERROR = 300  # characters


def why_ended(record: TrialRecord) -> str:
    """Why a run ended or waits, with the evidence; empty where there is nothing to tell."""
    outcome = record.outcome
    if outcome is None:
        return ""
    if outcome.verdict is not None:
        return f"{outcome.verdict.rule}: {outcome.verdict.sentence}"
    if outcome.error:
        return last_line(outcome.error)[:_LONGEST_ERROR]
    if outcome.ending in ("pruned", "paused"):
        waits = "waits: " if record.is_paused else ""
        if outcome.standing is not None:
            return f"{waits}{outcome.standing}"
        if record.rungs:
            where = f"at its {record.last_percent}% rung"
            return f"waits {where}" if record.is_paused else f"by rank {where}"
    return outcome.remark


def describe_outcome(name: str, outcome: Outcome) -> str:
    """How a run ended, in one line."""
    text = f"{name} {outcome.ending.replace('_', ' ')} at {outcome.kimg:g} kimg"
    if outcome.verdict is not None:
        text += f": {outcome.verdict.sentence}"
    elif outcome.standing is not None:
        text += f": {outcome.standing}"
    elif outcome.remark:
        text += f": {outcome.remark}"
    if outcome.score is not None:
        score = outcome.score
        text += f" ({score_text(score)}, {extra_metrics_text(score.recall, score.coverage)})"
    if outcome.error:
        text += f": {last_line(outcome.error)}"
    return text
