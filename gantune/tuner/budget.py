"""What a search has spent, what it must keep for its end, and what else its budget has room for.

Everything follows from the records of the studies and the clock. Times are predicted from the
pace so far: seconds of a worker for each kimg, scoring included.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from gantune.errors import SpaceError
from gantune.space import SearchSpace
from gantune.space.distributions import Range, is_number
from gantune.trial.records import TrialRecord
from gantune.tuner.finals.finalists import most_finalists, start_finalist
from gantune.tuner.finals.margins import FACTORS
from gantune.tuner.pruning import PruningRule, make_rule, ties_at

RATES = ("generator.lr", "discriminator.lr")
"""The learning rates of gantune's trainer."""

_SMALL = 0.1  # of a search: what margins may take that nobody asked for


@dataclass(frozen=True)
class _Reach:
    """How far a trial has come, in shares of its length."""

    number: int
    """Negative for a trial to come."""
    reached: float
    """From where it goes on: where its last score was taken, or its start."""
    counted: float
    """Where its training ends that has begun, which ``Ledger.trained`` holds."""
    kimg: float
    """Its length."""

    @property
    def begun_kimg(self) -> float:
        return self.kimg * (self.counted - self.reached)

    @property
    def rest_kimg(self) -> float:
        return self.kimg * (1.0 - self.counted)


class _Plan(NamedTuple):
    """What is left to train before the finals."""

    kimg: float
    """By all workers, without what has begun, which ``Ledger.trained`` holds."""
    worker_kimg: float
    """By the worker that trains most of it, with what has begun, where the work is shared well."""


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
    resumes: bool = True
    """Whether a promoted trial goes on from its rung, and not from its start."""

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

    @cached_property
    def fits_new_trial(self) -> bool:
        """Whether a new trial may begin: only one that could be trained to its end.

        The first trial needs no room, as nothing is known before it.
        """
        new = _Reach(len(self.trials), 0.0, 0.0, self._longest_kimg)
        return self.has_room and (not self.trials or self._fits(new, 1.0))

    def fits_next_piece(self, record: TrialRecord) -> bool:
        """Whether a trial may go on from its last rung until it may be paused again. Where no new
        trial fits any more, it may only if it could be trained to its end."""
        goal = self._next_percent(record) / 100 if self.fits_new_trial else 1.0
        return self._fits(self._reach(record), goal)

    def fits_to_end(self, record: TrialRecord) -> bool:
        """Whether a paused trial can be trained to its end beside all that is kept."""
        return self._fits(self._reach(record), 1.0, takes_kept=False)

    def fits(self) -> bool:
        """Whether what has begun leaves enough for the search's end."""
        return self._fits()

    def _fits(
        self, one: _Reach | None = None, goal: float = 1.0, *, takes_kept: bool = True
    ) -> bool:
        """Whether that holds if ``one`` is trained up to a share of its length."""
        budget = self.space.budget
        if budget.kimg is None and budget.time is None:
            return True
        plan = self._plan(one, goal, takes_kept)
        if budget.kimg is not None and self.trained + plan.kimg + self._end_kimg > budget.kimg:
            return False
        if budget.time is None or self.pace is None:
            return True
        return self.seconds + plan.worker_kimg * self.pace + self._end_seconds <= budget.time

    def _plan(self, one: _Reach | None, goal: float, takes_kept: bool) -> _Plan:
        """What is left to train before the finals if ``one`` is trained up to a share of its
        length: its own training, and the rest of the trials that must reach their end.

        ``takes_kept``: whether ``one`` may be one of these, or take the place of one.
        """
        furthest, others = self._furthest[: self._kept_trials], self._running
        added = begins = 0.0
        if one is not None:
            after = replace(one, counted=goal)
            added, begins = one.kimg * (goal - one.counted), after.begun_kimg
            others = [reach for reach in self._running if reach.number != one.number]
            if takes_kept:
                rivals = [reach for reach in self._furthest if reach.number != one.number]
                furthest = sorted([after, *rivals], key=lambda reach: -reach.counted)
                furthest = furthest[: self._kept_trials]
        rests = sum(reach.rest_kimg for reach in furthest)
        longest = max((reach.begun_kimg + reach.rest_kimg for reach in furthest), default=0.0)
        # Of what other workers have begun, half is trained on average.
        whole = begins + sum(reach.begun_kimg for reach in others) / 2 + rests
        return _Plan(added + rests, max(begins, longest, whole / self.workers))

    def _reach(self, record: TrialRecord) -> _Reach:
        reached = record.last_percent / 100
        if record.outcome is not None:
            reached = 0.0 if record.is_paused and not self.resumes else reached
            return _Reach(record.number, reached, reached, record.budget_kimg)
        begun = self._next_percent(record) / 100
        return _Reach(record.number, reached, begun, record.budget_kimg)

    def _next_percent(self, record: TrialRecord) -> int:
        return self._rule.next_percent(record.number, record.last_percent)

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
    def _end_kimg(self) -> float:
        """Kimg that the rest of the finals and the margins take."""
        return self._final_kimg * self._finals_left + self._margin_kimg

    @cached_property
    def _end_seconds(self) -> float:
        """Seconds that they take with all workers; 0 before the pace is known."""
        begun = sum(record.outcome is None for record in self.finalists)
        finals = math.ceil((self._finals_left + begun / 2) / self.workers)
        # One trial after the other, first at twice and half each rate, then further.
        rounds = 2 * math.ceil(len(rates(self.space)) * 2 / self.workers)
        margins = rounds * contenders(self.space) if self.has_margins else 0
        return (self.pace or 0.0) * self._final_kimg * (finals + margins)

    @cached_property
    def _trial_kimg(self) -> float:
        if self.trials:
            return self.trials[0].budget_kimg
        return float(self.space.first_config().kimg)

    @cached_property
    def _longest_kimg(self) -> float:
        """The length of the longest trial that the space may draw."""
        tree, path = self.space.tree, ("kimg",)
        found = tree.values_at(path) if not tree.takes_any or tree.at(path) else []
        return max([float(value) for value in found if is_number(value)], default=self._trial_kimg)

    @property
    def _final_kimg(self) -> float:
        return self.space.finalists.budget(self._longest_kimg)

    @property
    def _finals_left(self) -> int:
        # Which other trials an earlier plan trained again says nothing of the plan to come.
        starts = {
            record.number: self.space.finalists.budget(record.budget_kimg)
            for record in start_finalist(self.space, self.trials)
        }
        trained = sum(
            r.origin in starts and starts[r.origin] == r.budget_kimg for r in self.finalists
        )
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
    def _kept_trials(self) -> int:
        """How many trials are kept room to reach their end: where trials are paused, as many as
        must, or as the budget has room for. Where none is, each has its room from its start."""
        if not self.space.pruning.pauses:
            return 0
        budget, rooms = self.space.budget, []
        if budget.kimg is not None:
            finals = most_finalists(self.space, self.trials) * self._final_kimg
            rooms.append(budget.kimg - finals - self._margin_kimg)
        if budget.time is not None and self.pace is not None:
            rooms.append((budget.time - self._end_seconds) * self.workers / self.pace)
        most = min((int(room / self._longest_kimg) for room in rooms), default=self.least)
        return min(self.least, max(most, 1))

    @cached_property
    def _furthest(self) -> list[_Reach]:
        """The trials that have come furthest and may reach their end, one more than are kept room,
        and then as many trials to come as are kept room."""
        ended = [r for r in self.trials if r.outcome is not None and not r.outcome.is_failure]
        alive = [self._reach(r) for r in ended if r.outcome and r.outcome.ending != "pruned"]
        alive += self._running
        most = heapq.nsmallest(
            self._kept_trials + 1,
            alive,
            key=lambda reach: (-reach.counted, -reach.kimg, reach.number),
        )
        return [*most, *[_Reach(-1, 0.0, 0.0, self._longest_kimg)] * self._kept_trials]

    @cached_property
    def _running(self) -> list[_Reach]:
        return [self._reach(record) for record in self.trials if record.outcome is None]

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


def fewest_kimg(space: SearchSpace) -> float:
    """Kimg of one trial, the finals and the margins that the space asks for."""
    trial = space.first_config().kimg
    return trial + _last_runs(space) * space.finalists.budget(trial)


def _last_runs(space: SearchSpace) -> int:
    return most_finalists(space) + (margin_runs(space) if space.finalists.margins else 0)


def check_budget(space: SearchSpace) -> None:
    """Raises ``SpaceError`` where ``budget.kimg`` has no room for one trial and the finals."""
    limit, least, runs = space.budget.kimg, fewest_kimg(space), _last_runs(space)
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
