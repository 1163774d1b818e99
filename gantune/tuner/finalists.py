"""Finalists: survivors trained again from scratch on fresh seeds, and their ranking."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gantune.scores.score import HeldOut, Score, check_comparable
from gantune.scores.score import warnings as doubts
from gantune.space import Finalists, SearchSpace
from gantune.tuner.records import TrialRecord


@dataclass(frozen=True)
class PlannedFinal:
    """One training that the finals need."""

    origin: int
    """Number of the trial whose config is trained."""
    seed: int
    kimg: float
    """Length of the training."""


@dataclass(frozen=True)
class FinalistResult:
    """One finalist over all its seeds."""

    origin: int
    is_start: bool
    """Whether it is the space's first ``start`` recipe."""
    seeds: tuple[int, ...]
    """All training seeds."""
    scores: tuple[Score, ...]
    """Under the full protocol, of the seeds that have one."""
    warnings: tuple[str, ...]
    """Why its score is not to be believed; such a finalist wins only where all have some."""

    @property
    def values(self) -> tuple[float, ...]:
        """The scores as numbers."""
        return tuple(score.value for score in self.scores)

    @property
    def mean(self) -> float:
        """Mean score over seeds."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds; ``None`` of fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def error(self) -> float | None:
        """Standard error of one seed's score from the drawing of its samples: the root of the mean
        square of the seeds' own. What ``deviation`` would be if all seeds trained alike; ``None``
        where no samples were scored."""
        square = _mean(None if score.error is None else score.error**2 for score in self.scores)
        return None if square is None else math.sqrt(square)

    @property
    def recall(self) -> float | None:
        """Mean over seeds; ``None`` where no samples were scored."""
        return _mean(score.recall for score in self.scores)

    @property
    def coverage(self) -> float | None:
        """Mean over seeds; ``None`` where no samples were scored."""
        return _mean(score.coverage for score in self.scores)

    @property
    def held_out(self) -> HeldOut | None:
        """Each number's mean over seeds; ``None`` where no images were held out."""
        found = [score.held_out for score in self.scores if score.held_out is not None]
        if not found:
            return None
        mean = statistics.fmean
        return HeldOut(
            count=found[0].count,
            value=mean(one.value for one in found),
            training=mean(one.training for one in found),
            between=found[0].between,
            nearer_training=mean(one.nearer_training for one in found),
            copying=mean(one.copying for one in found),
        )


def survivors(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials with a score under the full protocol, best first; ties in order of number.

    Raises ``ScoreError`` where their scores are of two protocols.
    """
    scored = [(score, record) for record in records if (score := record.score) is not None]
    check_comparable(score for score, _ in scored)
    scored.sort(key=lambda pair: (pair[0].value, pair[1].number))
    return [record for _, record in scored]


def plan_finalists(
    records: Sequence[TrialRecord], finalists: Finalists, trial_seed: int
) -> list[PlannedFinal]:
    """Every training the finals need, seed by seed: the top survivors and the first start recipe.

    The seeds follow ``trial_seed``, the one that the search itself trained with.
    """
    chosen = survivors(records)[: finalists.top]
    if not chosen:
        return []
    chosen += [record for record in start_recipe(records) if record not in chosen]
    return plan_runs(chosen, finalists, trial_seed)


def plan_runs(
    chosen: Sequence[TrialRecord], finalists: Finalists, trial_seed: int
) -> list[PlannedFinal]:
    """The trainings of some trials as finalists, seed by seed."""
    return [
        PlannedFinal(record.number, trial_seed + 1 + k, finalists.budget(record.budget_kimg))
        for k in range(finalists.seeds)
        for record in chosen
    ]


def most_finalists(space: SearchSpace) -> int:
    """How many trainings the finals need at most: before the trials have ended, their number."""
    finalists = space.finalists
    return (finalists.top + bool(space.points)) * finalists.seeds if finalists.top else 0


def start_recipe(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The first ``start`` recipe, as a list of one or none."""
    return [record for record in records if record.is_start][:1]


def rank_finalists(
    records: Iterable[TrialRecord], trials: Sequence[TrialRecord], finalists: Finalists
) -> list[FinalistResult]:
    """All finalists with at least one score: sound ones by mean first, then those with warnings.

    Trainings of another length than ``finalists`` asks for, of an earlier command, are left out.
    Raises ``ScoreError`` where their scores, or those of ``trials``, are of two protocols.
    """
    records = list(records)
    check_comparable(_scores([*trials, *records]))
    starts = [record.number for record in start_recipe(trials)]
    by_origin: dict[int, list[TrialRecord]] = {}
    for record in records:
        if record.outcome is None or record.origin is None:
            continue
        if record.budget_kimg == finalists.budget(trials[record.origin].budget_kimg):
            by_origin.setdefault(record.origin, []).append(record)
    ranked = [_ranked(origin, runs, origin in starts) for origin, runs in by_origin.items()]
    return sorted(
        (finalist for finalist in ranked if finalist.scores),
        key=lambda finalist: (bool(finalist.warnings), finalist.mean, finalist.origin),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _scores(records: Iterable[TrialRecord]) -> list[Score]:
    return [record.score for record in records if record.score is not None]


def _ranked(origin: int, runs: Sequence[TrialRecord], is_start: bool) -> FinalistResult:
    warnings = []
    for run in runs:
        assert run.outcome is not None
        if run.outcome.score is None:
            warnings.append(f"seed {run.seed} {run.outcome.ending}")
        else:
            warnings += [f"seed {run.seed}: {text}" for text in doubts(run.outcome.score)]
    return FinalistResult(
        origin=origin,
        is_start=is_start,
        seeds=tuple(run.seed for run in runs if run.seed is not None),
        scores=tuple(_scores(runs)),
        warnings=tuple(warnings),
    )
