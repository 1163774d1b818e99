"""What a search has spent, what it must keep for its end, and what else its budget has room for.

Everything follows from the records of the studies and the clock. Times are predicted from the
pace so far: seconds of a worker for each kimg, scoring included.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gantune.errors import SpaceError
from gantune.space import SearchSpace
from gantune.space.distributions import Range
from gantune.trial.records import TrialRecord
from gantune.tuner.finals.finalists import most_finalists, start_finalist
from gantune.tuner.finals.margins import FACTORS
from gantune.tuner.pruning import PruningRule, make_rule, ties_at

RATES = ("generator.lr", "discriminator.lr")
"""The learning rates of gantune's trainer."""

_SMALL = 0.1  # of a search: what margins may take that nobody asked for


@dataclass(frozen=True)
class Ledger:
    """The account of a search at one moment."""

    space: SearchSpace
    trials: Sequence[TrialRecord]
    finalists: Sequence[TrialRecord]
    seconds: float
    """Seconds that the search has taken, over all its starts."""
    workers: int
    """Trials at a time."""
    improved: int = 0
    """How many trials had begun when the last better score came; see ``is_improvement``."""
    is_over: bool = False
    """Whether all trials and finals have ended."""

    @property
    def least(self) -> int:
        """How many trials must reach their end, so that the finals have what they need."""
        return max(1, self.space.finalists.top)

    @property
    def has_room(self) -> bool:
        """Whether another trial may begin, for all that is known without a prediction.

        All trials count but the crashed ones.
        """
        budget = self.space.budget
        counted = sum(r.outcome is None or r.outcome.ending != "crashed" for r in self.trials)
        return (
            (budget.trials is None or counted < budget.trials)
            and (budget.time is None or self.seconds < budget.time)
            and (budget.patience is None or self.since_improvement < budget.patience)
        )

    @property
    def is_spent(self) -> bool:
        """Whether a limit of kimg or time is reached, with nothing kept for the finals."""
        budget = self.space.budget
        return (budget.kimg is not None and self.trained >= budget.kimg) or (
            budget.time is not None and self.seconds >= budget.time
        )

    def fits(self, kimg: float = 0.0) -> bool:
        """Whether one more piece of training fits beside what has begun and what is kept for the
        search's end. The first trial always fits, as nothing is known before it."""
        budget = self.space.budget
        if not self.trials:
            return True
        if budget.kimg is not None and self.trained + self.kept + kimg > budget.kimg:
            return False
        if budget.time is None or self.pace is None:
            return True
        return self.seconds + self.seconds_kept + kimg * self.pace <= budget.time

    @property
    def fits_new_trial(self) -> bool:
        """Whether a new trial may begin: only one that could be trained to its end."""
        needed = self._beside_kept(len(self.trials), 0.0, 1.0)
        return self.has_room and self.fits(needed * self._trial_kimg)

    def fits_next_piece(self, record: TrialRecord) -> bool:
        """Whether a paused trial may go on until it may be paused again."""
        return self._fits_until(record, self._next_percent(record) / 100)

    def fits_to_end(self, record: TrialRecord) -> bool:
        """Whether a paused trial can still be trained to its end."""
        return self._fits_until(record, 1.0)

    def _fits_until(self, record: TrialRecord, goal: float) -> bool:
        needed = self._beside_kept(record.number, _share(record), goal)
        return self.fits(needed * record.budget_kimg)

    def _beside_kept(self, number: int, share: float, goal: float) -> float:
        """How much of a trial's training from one share of its budget to another is not kept for
        the furthest trials already, which it may be or become one of."""
        if not self._furthest:
            return goal - share
        lowest = min(self._furthest.values())
        return goal - share - max(goal - self._furthest.get(number, lowest), 0.0)

    def _next_percent(self, record: TrialRecord) -> int:
        return self._rule.next_percent(record.number, max(record.rungs, default=0))

    @property
    def since_improvement(self) -> int:
        """Trials begun since the last better score."""
        return len(self.trials) - self.improved

    @cached_property
    def _rule(self) -> PruningRule:
        return make_rule(self.space.pruning)

    @cached_property
    def trained(self) -> float:
        """Kimg trained by trials and finalists; of running ones what they were given to train."""
        return sum(map(self._trained, (*self.trials, *self.finalists)))

    def _trained(self, record: TrialRecord) -> float:
        if record.outcome is not None:
            return record.outcome.kimg
        if record.origin is not None:
            return record.budget_kimg
        return record.budget_kimg * self._next_percent(record) / 100

    @cached_property
    def pace(self) -> float | None:
        """Seconds of a worker for a kimg; ``None`` before anything was trained."""
        outcomes = [r.outcome for r in (*self.trials, *self.finalists) if r.outcome is not None]
        kimg = sum(outcome.kimg for outcome in outcomes)
        seconds = sum(outcome.seconds + outcome.scoring_seconds for outcome in outcomes)
        return seconds / kimg if kimg > 0 and seconds > 0 else None

    @cached_property
    def kept(self) -> float:
        """Kimg that the rest of the finals takes, and the trials that must reach their end."""
        finals = self._final_kimg * self._finals_left
        # ``trained`` holds the rest of a running trial up to its next rung.
        begun = {r.number: self._next_percent(r) / 100 for r in self.trials if r.outcome is None}
        rests = (1 - begun.get(number, share) for number, share in self._furthest.items())
        return finals + self._trial_kimg * sum(rests) + self._margin_kimg

    @cached_property
    def seconds_kept(self) -> float:
        """Seconds that ``kept`` takes with all workers; 0 before the pace is known."""
        pace, finals = self.pace or 0.0, math.ceil(self._finals_left / self.workers)
        rests = [self._trial_kimg * (1 - share) for share in self._furthest.values()]
        completions = max(max(rests, default=0.0), sum(rests) / self.workers)
        # One trial after the other, first at twice and half each rate, then further.
        rounds = 2 * math.ceil(len(rates(self.space)) * 2 / self.workers)
        margins = rounds * contenders(self.space) * self._final_kimg if self.has_margins else 0.0
        return pace * (finals * self._final_kimg + completions + margins)

    @cached_property
    def _trial_kimg(self) -> float:
        if self.trials:
            return self.trials[0].budget_kimg
        return float(self.space.first_config().kimg)

    @property
    def _final_kimg(self) -> float:
        return self.space.finalists.budget(self._trial_kimg)

    @property
    def _finals_left(self) -> int:
        # Which other trials an earlier plan trained again says nothing of the plan to come.
        starts = {record.number for record in start_finalist(self.space, self.trials)}
        trained = sum(record.origin in starts for record in self.finalists)
        return max(most_finalists(self.space, self.trials) - trained, 0)

    @property
    def has_margins(self) -> bool:
        """Whether the margins of the winner and of the trial that ties with it are trained."""
        return self._margin_kimg > 0

    @cached_property
    def _margin_kimg(self) -> float:
        """The most that the margins take; 0 where they are not trained."""
        finalists = self.space.finalists
        if finalists.margins is False:
            return 0.0
        most = margin_runs(self.space) * self._final_kimg
        return most if finalists.margins or most < _SMALL * self._planned_kimg else 0.0

    @property
    def _planned_kimg(self) -> float:
        """Kimg of the whole search without margins, for what is known now."""
        budget = self.space.budget
        if self.is_over:
            return self.trained
        limits = [limit for limit in (budget.kimg, self._searched_kimg) if limit is not None]
        if budget.time is not None and self.pace is not None:
            limits.append(budget.time * self.workers / self.pace)
        return min(limits, default=0.0)

    @cached_property
    def _furthest(self) -> dict[int, float]:
        """The trials that are kept room to reach their end where trials are paused, by number: what
        share of their budget they have reached. A negative number is a trial to come."""
        if not self.space.pruning.pauses:
            return {}
        alive = [r for r in self.trials if r.outcome is None or not r.outcome.is_failure]
        alive = [r for r in alive if r.outcome is None or r.outcome.ending != "pruned"]
        shares = {-place - 1: 0.0 for place in range(self.least)}
        shares |= {record.number: _share(record) for record in alive}
        furthest = sorted(shares.items(), key=lambda one: (-one[1], one[0] < 0, one[0]))
        return dict(furthest[: self.least])

    @property
    def expected_kimg(self) -> float | None:
        """Kimg that all trials will have trained, where a rule and a number of trials tell it
        better than the mean length of the trials so far."""
        if self.space.budget.trials is None:
            return None
        shares = self._rule.expected_share(self.space.budget.trials, self.least)
        return None if shares is None else shares * self._trial_kimg

    @property
    def most_kimg(self) -> float | None:
        """Kimg that all trials and finals take if nothing but halving stops any; ``None`` where
        neither the number of trials nor a budget in kimg says it."""
        limit = self.space.budget.kimg
        limits = [] if limit is None else [limit]
        if self._searched_kimg is not None:
            limits.append(self._searched_kimg + self._margin_kimg)
        return min(limits, default=None)

    @cached_property
    def _searched_kimg(self) -> float | None:
        """Kimg of all trials and finals; ``None`` where no number of trials says it."""
        budget = self.space.budget
        if budget.trials is None:
            return None
        searched = self.expected_kimg
        if searched is None:
            searched = budget.trials * self._trial_kimg
        return searched + most_finalists(self.space, self.trials) * self._final_kimg


def _share(record: TrialRecord) -> float:
    """The share of its budget at which a trial's last score was taken."""
    return max(record.rungs, default=0) / 100


def rates(space: SearchSpace) -> Sequence[str]:
    """The settings whose margins are trained: both learning rates, and with a trainer of the user's
    own each fraction that is searched on a logarithmic scale."""
    if space.own_trainer is None:
        return RATES
    scaled = (
        leaf.dotted
        for leaf in space.tree.leaves
        if isinstance(leaf.value, Range) and leaf.value.log and isinstance(leaf.value.low, float)
    )
    return [*dict.fromkeys(scaled)]


def contenders(space: SearchSpace) -> int:
    """The most trials whose margins are trained: the winner, and one that ties with it."""
    return min(most_finalists(space) // space.finalists.seeds, 2)


def margin_runs(space: SearchSpace) -> int:
    """The most trainings of the margins."""
    return len(FACTORS) * len(rates(space)) * contenders(space)


def is_improvement(records: Iterable[TrialRecord], number: int, percent: int) -> bool:
    """Whether a trial's score at a rung is better than that of all others there, by more than the
    standard error of the difference."""
    by_number = {record.number: record for record in records if percent in record.rungs}
    new = by_number.pop(number)
    best = min(by_number.values(), key=lambda record: record.rungs[percent], default=None)
    if best is None:
        return True
    return new.rungs[percent] < best.rungs[percent] and not ties_at(new, best, percent)


def check_budget(space: SearchSpace) -> None:
    """Raises ``SpaceError`` where ``budget.kimg`` has no room for one trial and the finals."""
    limit, trial, runs = space.budget.kimg, space.first_config().kimg, most_finalists(space)
    if space.finalists.margins:
        runs += margin_runs(space)
    least = trial + runs * space.finalists.budget(trial)
    if limit is None or limit >= least:
        return
    finals = f" and {runs} trainings of the finals" if runs else ""
    if space.finalists.margins:
        finals += f", {margin_runs(space)} of them for margins (finalists.margins),"
    fewer = ", train fewer finals, such as --set finalists.top=0," if runs else ""
    what = f"budget.kimg: {limit:g} is less than one trial{finals} take"
    message = f"{what}, {least:g}; give more{fewer} or train shorter with --kimg"
    raise SpaceError([space.document.problem(("budget", "kimg"), message)])


def budget_key(space: SearchSpace) -> str:
    """The limits of a search as one text: a search that is extended has another one."""
    budget = space.budget
    limits = budget.trials, budget.kimg, budget.time, budget.patience
    return json.dumps([*limits, space.finalists.top])
