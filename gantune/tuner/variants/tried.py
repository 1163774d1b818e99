"""``Tried``: what a config, or one change of it, did over its seeds, and which change is best."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gantune.config import AnyConfig
from gantune.health import Verdict
from gantune.health.remedies import Change, differences
from gantune.trial.records import TrialRecord
from gantune.tuner.answer import has_learned


@dataclass(frozen=True)
class Tried:
    """What one alternative did over all its trainings."""

    name: str
    """``as_it_is``, a remedy, or two that are joined by ``+``."""
    changes: tuple[Change, ...]
    """How it differs from the config."""
    ended: int
    """Trainings that came to their end or got a verdict; those that were pruned tell nothing."""
    survived: int
    """How many of these got no verdict."""
    scores: tuple[float, ...]
    """The scores of those that survived, at their ends: the best checkpoint may be much earlier."""
    recalls: tuple[float, ...]
    """The recalls of their best checkpoints, where the scores have one."""
    rung: tuple[int, float] | None
    """The last rung of its first training, in percent, and the score there."""
    kimg: float
    """Thousands of images trained in all."""
    verdicts: tuple[Verdict, ...]

    @property
    def verdict(self) -> Verdict | None:
        """The first verdict by the rule of most."""
        counts = Counter(one.rule for one in self.verdicts)
        return max(self.verdicts, key=lambda one: counts[one.rule], default=None)

    @property
    def score(self) -> float | None:
        """Mean of the scores."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def holds(self) -> bool:
        """Whether most of several seeds survived."""
        return self.ended > 1 and 2 * self.survived > self.ended

    @property
    def has_learned(self) -> bool:
        """Whether any of those that survived has some of the real images' variety."""
        return not self.recalls or any(map(has_learned, self.recalls))

    def is_within_error_of(self, other: Tried) -> bool:
        """Whether the mean scores differ by at most the standard error of their difference.

        Breiman et al. 1984 choose the simplest model within one standard error of the best. The
        ties of a search's finalists are wider: their differences are not significant.
        """
        if min(len(self.scores), len(other.scores)) < 2:
            return False
        squares = (statistics.variance(one.scores) / len(one.scores) for one in (self, other))
        difference = statistics.fmean(self.scores) - statistics.fmean(other.scores)
        return abs(difference) <= math.sqrt(sum(squares))


def summary(
    name: str, changed: AnyConfig, config: AnyConfig, records: Sequence[TrialRecord]
) -> Tried:
    """What a changed config did; ``records``: its trainings, the first one first."""
    outcomes = [record.outcome for record in records if record.outcome is not None]
    ended = [one for one in outcomes if one.is_failure or one.ending == "completed"]
    alive = [
        record
        for record in records
        if record.outcome is not None and record.outcome.ending == "completed"
    ]
    last = [record.rungs.get(100, record.value) for record in alive]
    recalls = [record.score.recall for record in alive if record.score is not None]
    return Tried(
        name=name,
        changes=tuple(differences(config, changed)),
        ended=len(ended),
        survived=len(alive),
        scores=tuple(score for score in last if score is not None),
        recalls=tuple(recall for recall in recalls if recall is not None),
        rung=max(records[0].rungs.items(), default=None) if records else None,
        kimg=sum(one.kimg for one in outcomes),
        verdicts=tuple(one.verdict for one in ended if one.verdict is not None),
    )


def in_order(found: Iterable[Tried]) -> list[Tried]:
    """The answer first: of what holds, the smallest change within the standard error of the best.
    Then what holds by score, then the others by how far they came."""
    ranked = sorted(found, key=_place)
    if not ranked or not ranked[0].holds:
        return ranked
    best = ranked[0]
    alike = [one for one in ranked if one.holds and (one is best or one.is_within_error_of(best))]
    answer = min(alike, key=lambda one: len(one.changes))
    return [answer, *(one for one in ranked if one is not answer)]


def _place(one: Tried) -> tuple[bool, bool, float, bool, int, float]:
    """Orders what was tried: what holds first, then by score; then those without one by their last
    rung and the score there, those that failed last."""
    percent, there = one.rung or (0, 0.0)
    has_failed = one.ended > 0 and one.survived == 0
    return not one.holds, one.score is None, one.score or 0.0, has_failed, -percent, there
