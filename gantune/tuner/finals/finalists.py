"""Finalists: survivors that are trained again from scratch on fresh seeds, and their ranking."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gantune.scores.score import HeldOut, Score, check_comparable
from gantune.scores.score import warnings as doubts
from gantune.space import SearchSpace
from gantune.space.settings import Finalists
from gantune.trial.records import TrialRecord


class PlannedFinal(NamedTuple):
    """One training of the finals."""

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
    """Scores under the full protocol, of the seeds that have one."""
    warnings: tuple[str, ...]
    """Reasons to distrust its score; a finalist with warnings wins only if all have some."""

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
        """Sample standard deviation over seeds; ``None`` for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def by(self, name: str) -> FinalistResult | None:
        """The same finalist by a further score of that name; ``None`` where not all seeds have it.

        Its ``scores`` are the further ones, without other metrics.
        """
        found = [one for score in self.scores for one in score.also if one.name == name]
        if len(found) < len(self.scores):
            return None
        scores = (replace(Score.external(f.value, f.protocol), error=f.error) for f in found)
        return replace(self, scores=tuple(scores))

    @property
    def error(self) -> float | None:
        """Standard error of one seed's score that sampling alone causes: the root mean square over
        seeds. ``deviation`` would be as large if all seeds trained alike. ``None`` where no samples
        were scored."""
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
        """The mean of each number over seeds; ``None`` where no images were held out."""
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

    Raises ``ScoreError`` where their scores have two protocols.
    """
    scored = [record for record in records if record.value is not None]
    check_comparable(_scores(scored))
    return sorted(scored, key=lambda record: (record.value or 0.0, record.number))


def plan_finalists(space: SearchSpace, records: Sequence[TrialRecord]) -> list[PlannedFinal]:
    """Every training of the finals, seed by seed: the top survivors and the first start recipe.

    The seeds are those after that of the trials. Where trials are paused, only those that were
    trained to their end take part: a score from an early rung is no match for theirs.
    """
    finalists, trial_seed = space.finalists, space.first_config().seed
    scored = survivors(records)
    if space.pruning.pauses:
        scored = [record for record in scored if 100 in record.rungs]
    chosen = scored[: finalists.top]
    if not chosen:
        return []
    chosen += [record for record in start_finalist(space, records) if record not in chosen]
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


def most_finalists(space: SearchSpace, records: Sequence[TrialRecord] = ()) -> int:
    """The largest number of trainings in the finals, for what is known while trials run."""
    finalists = space.finalists
    has_start = finalists.start and bool(space.points)
    if start_recipe(records):
        has_start = bool(start_finalist(space, records))
    return (finalists.top + has_start) * finalists.seeds if finalists.top else 0


def start_recipe(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The first ``start`` recipe, as a list of one or none."""
    return [record for record in records if record.is_start][:1]


def start_finalist(space: SearchSpace, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The start recipe as a list of one or none: none where the finals do not train it.

    They do not where its trial failed without a score: its other seeds would take as long as a
    finalist's, and there would be nothing to compare.
    """
    if not (space.finalists.start and space.finalists.top):
        return []
    return [
        record
        for record in start_recipe(records)
        if record.value is not None or record.outcome is None or not record.outcome.is_failure
    ]


def rank_finalists(
    records: Iterable[TrialRecord], trials: Sequence[TrialRecord], finalists: Finalists
) -> list[FinalistResult]:
    """All finalists with a score, by mean: first those without warnings, then the others.

    Leaves out trainings of another length, which an earlier command asked for. Raises
    ``ScoreError`` where their scores, or those of ``trials``, have two protocols.
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
    ranked = [
        FinalistResult(
            origin=origin,
            is_start=origin in starts,
            seeds=tuple(run.seed for run in runs if run.seed is not None),
            scores=tuple(_scores(runs)),
            warnings=tuple(text for run in runs for text in _warnings(run)),
        )
        for origin, runs in by_origin.items()
    ]
    return sorted(
        (finalist for finalist in ranked if finalist.scores),
        key=lambda finalist: (bool(finalist.warnings), finalist.mean, finalist.origin),
    )


def _warnings(run: TrialRecord) -> list[str]:
    assert run.outcome is not None
    if run.outcome.score is None:
        return [f"seed {run.seed} {run.outcome.ending}"]
    return [f"seed {run.seed}: {text}" for text in doubts(run.outcome.score)]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _scores(records: Iterable[TrialRecord]) -> list[Score]:
    return [record.score for record in records if record.score is not None]
