"""The rules of ``pruning.rule``: which trials go on after a rung, pause, or stop there.

Halving is asynchronous successive halving (Li et al. 2020, A System for Massively Parallel
Hyperparameter Tuning, algorithm 2), and hyperband its several ladders (Li et al. 2018). A trial
that is not among the best at its rung is paused, and promoted later if it is among them then.
Every decision is a function of the study's records, so that a search that is resumed, or runs on
another engine, decides alike.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

from optuna.pruners import MedianPruner

from gantune.space.settings import Pruning
from gantune.trial.records import Standing, TrialRecord
from gantune.tuner.study import Study

_FACTOR_OF_TIES = 2.25
"""An estimate of one in how many trials goes on from a rung where ties do: of 60, 100 and 100
trials of three searches of two rungs, 17, 22 and 21% came to their end."""


class PruningRule(Protocol):
    """Decides at rungs. ``number`` is a trial's; ``percent`` is a rung in percent of the budget."""

    pauses: bool
    """Whether a trial that does not go on may go on later."""

    def goes_on(self, study: Study, number: int, percent: int, *, can_pause: bool) -> bool:
        """Whether a trial goes on at once after the rung that it has just reported.

        ``can_pause``: whether the trial has a checkpoint to go on from later.
        """

    def standing(
        self, records: Sequence[TrialRecord], number: int, percent: int
    ) -> Standing | None:
        """A trial that does not go on after a rung, beside the score that it had to reach; ``None``
        where there is no such score yet."""

    def paused_standings(self, records: Sequence[TrialRecord]) -> dict[int, Standing]:
        """The standing of each paused trial by its number, in a time that grows with the study as
        one of them does."""

    def due(self, records: Sequence[TrialRecord]) -> Iterable[TrialRecord]:
        """The paused trials that may be promoted by their rank or as ties, in that order."""

    def needed(self, records: Sequence[TrialRecord], least: int) -> TrialRecord | None:
        """The paused trial that is promoted next, whatever its rank, once no other trial begins or
        is due: so that ``least`` trials reach the end."""

    def leftover(self, records: Sequence[TrialRecord]) -> Iterable[TrialRecord]:
        """The paused trials in the order in which they get what is left of a budget that has no
        room for a whole trial."""

    def next_percent(self, number: int, percent: int) -> int:
        """The rung after ``percent`` at which a trial may be paused or stop; 100 at the latest."""

    def expected_share(self, trials: int, least: int) -> float | None:
        """What so many trials will have trained in all, in budgets of one trial; ``None`` where
        only the trials themselves show it."""


class NoPruning:
    """Every trial is trained to its end, unless health stops it."""

    pauses = False

    def goes_on(self, study: Study, number: int, percent: int, *, can_pause: bool) -> bool:
        return True

    def standing(
        self, records: Sequence[TrialRecord], number: int, percent: int
    ) -> Standing | None:
        return None

    def paused_standings(self, records: Sequence[TrialRecord]) -> dict[int, Standing]:
        return {}

    def due(self, records: Sequence[TrialRecord]) -> Iterable[TrialRecord]:
        return ()

    def needed(self, records: Sequence[TrialRecord], least: int) -> TrialRecord | None:
        return None

    def leftover(self, records: Sequence[TrialRecord]) -> Iterable[TrialRecord]:
        return ()

    def next_percent(self, number: int, percent: int) -> int:
        return 100

    def expected_share(self, trials: int, least: int) -> float | None:
        return None


class MedianRule(NoPruning):
    """Stops a trial whose best score so far is worse than the median of the others at this rung."""

    def __init__(self, startup: int) -> None:
        self._pruner = MedianPruner(n_startup_trials=startup)

    def goes_on(self, study: Study, number: int, percent: int, *, can_pause: bool) -> bool:
        return not study.should_prune(number, self._pruner)

    def standing(
        self, records: Sequence[TrialRecord], number: int, percent: int
    ) -> Standing | None:
        ended = [r.rungs[percent] for r in records if r.value is not None and percent in r.rungs]
        if not ended:
            return None
        best = min(score for rung, score in records[number].rungs.items() if rung <= percent)
        return Standing(percent, best, statistics.median(ended))


class Halving:
    """Of the n trials that have reached a rung, the best floor(n / factor) go on.

    Those also go on that tie with the last of these, as far as they are in the better half: whose
    scores differ by at most a share ``noise`` of its size, or by less than the standard error of
    the difference. So a rung whose scores are far apart chooses few, and one whose scores say
    little chooses many, where chance would choose. With a noise of 0 the rank alone decides.

    ``percents``: the rungs below 100, rising. With several ``ladders``, hyperband's, ladder k
    begins at rung k, and a trial is compared with those of its own ladder. Ladders take turns:
    ladder k gets a number of trials that costs about as much as those of ladder 0.

    The ``exempt`` trials, by number, go on from every rung, and are ranked there like all others.
    """

    pauses = True

    def __init__(
        self,
        percents: Sequence[int],
        factor: float,
        *,
        ladders: int = 1,
        noise: float = 0.0,
        exempt: Iterable[int] = (),
    ) -> None:
        self._exempt = frozenset(exempt)
        self._percents, self._factor, self._noise = tuple(percents), factor, noise
        firsts = self._percents[:ladders] or (100,)
        shares = [max(1, round(firsts[-1] / first)) for first in firsts]
        self._turns = [ladder for ladder, share in enumerate(shares) for _ in range(share)]

    def goes_on(self, study: Study, number: int, percent: int, *, can_pause: bool) -> bool:
        records = study.records()
        trial, rungs = records[number], self._rungs_of(number)
        if percent not in rungs or trial.promoted >= percent:
            return True
        peers = self._peers(records, self._ladder(number), percent)
        least = 0 if can_pause else 1  # it goes on now or never
        return number in (record.number for record in self._chosen(peers, percent, least))

    def standing(
        self, records: Sequence[TrialRecord], number: int, percent: int
    ) -> Standing | None:
        bound = self._bound(self._peers(records, self._ladder(number), percent), percent)
        return None if bound is None else Standing(percent, records[number].rungs[percent], bound)

    def paused_standings(self, records: Sequence[TrialRecord]) -> dict[int, Standing]:
        found = {}
        for percent in self._percents:
            for ladder in range(max(self._turns) + 1):
                peers = self._peers(records, ladder, percent)
                bound = self._bound(peers, percent)
                if bound is None:
                    continue
                for record in peers:
                    if is_paused_at(record, percent):
                        found[record.number] = Standing(percent, record.rungs[percent], bound)
        return found

    def _bound(self, peers: Sequence[TrialRecord], percent: int) -> float | None:
        """The score of the last of those that went on from a rung."""
        ranked, last = best_at(peers, percent), len(self._chosen(peers, percent)) - 1
        # Beyond the share that goes on, those that were needed.
        for record in ranked[last + 1 :]:
            if record.number in self._exempt or not _went_on(record, percent):
                break
            last += 1
        return None if last < 0 else ranked[last].rungs[percent]

    def due(self, records: Sequence[TrialRecord]) -> Iterable[TrialRecord]:
        for percent in reversed(self._percents):
            for ladder in range(max(self._turns) + 1):
                peers = self._peers(records, ladder, percent)
                exempt = [record for record in peers if record.number in self._exempt]
                for record in (*exempt, *self._chosen(peers, percent)):
                    if is_paused_at(record, percent):
                        yield record

    def needed(self, records: Sequence[TrialRecord], least: int) -> TrialRecord | None:
        for percent in reversed(self._percents):
            paused = [r for r in records if is_paused_at(r, percent)]
            if paused and self._needs_more(records, percent, least):
                return best_at(paused, percent)[0]
        return None

    def leftover(self, records: Sequence[TrialRecord]) -> Iterable[TrialRecord]:
        """Those first that have passed most rungs, and of these the best scores."""

        def order(record: TrialRecord) -> tuple[float, ...]:
            percent, first = record.last_percent, self._ladder(record.number)
            passed = sum(rung <= percent for rung in self._percents[first:])
            return -passed, record.rungs[percent]

        return sorted((r for r in records if r.is_paused and r.rungs), key=order)

    def next_percent(self, number: int, percent: int) -> int:
        return next((rung for rung in self._rungs_of(number) if rung > percent), 100)

    def expected_share(self, trials: int, least: int) -> float | None:
        factor = min(self._factor, _FACTOR_OF_TIES) if self._noise else self._factor
        exempt = {number for number in self._exempt if number < trials}
        begun = Counter(self._ladder(number) for number in range(trials) if number not in exempt)
        whole, least = float(len(exempt)), max(least - len(exempt), 0)
        for ladder, count in begun.items():
            for before, after in pairwise((0, *self._percents[ladder:], 100)):
                whole += count * (after - before) / 100
                count = min(count, max(int(count / factor), least))
        return whole

    def _chosen(
        self, peers: Sequence[TrialRecord], percent: int, least: int = 0
    ) -> list[TrialRecord]:
        """Those that go on of the trials that have reached a rung, best first."""
        ranked, count = best_at(peers, percent), max(int(len(peers) / self._factor), least)
        return ranked[: self._last_tie(ranked, count, percent) if count and self._noise else count]

    def _last_tie(self, ranked: Sequence[TrialRecord], count: int, percent: int) -> int:
        """The place of the last one in the better half that ties with the one at ``count``."""
        last = ranked[count - 1]
        bound = last.rungs[percent] + self._noise * abs(last.rungs[percent])
        for place in range(len(ranked) // 2, count, -1):
            record = ranked[place - 1]
            if record.rungs[percent] <= bound or ties_at(last, record, percent):
                return place
        return count

    def _needs_more(self, records: Sequence[TrialRecord], percent: int, least: int) -> bool:
        """Whether too few trials are beyond a rung, and none that still runs can change who is
        best there."""
        running = [record for record in records if record.outcome is None]
        if any(record.last_percent < percent and record.promoted < percent for record in running):
            return False
        beyond = [record for record in records if _went_on(record, percent)]
        return sum(r.outcome is None or not r.outcome.is_failure for r in beyond) < least

    def _peers(
        self, records: Iterable[TrialRecord], ladder: int, percent: int
    ) -> list[TrialRecord]:
        """The trials of a ladder that have reached a rung."""
        return [r for r in records if percent in r.rungs and self._ladder(r.number) == ladder]

    def _ladder(self, number: int) -> int:
        return self._turns[number % len(self._turns)]

    def _rungs_of(self, number: int) -> tuple[int, ...]:
        """The rungs at which a trial may be paused."""
        if number in self._exempt:
            return ()
        return self._percents[self._ladder(number) :]


def make_rule(pruning: Pruning) -> PruningRule:
    """The rule that a space names."""
    percents = [round(100 * share) for share in pruning.shares]
    if pruning.rule == "median":
        return MedianRule(pruning.startup)
    if pruning.rule == "none" or not percents:
        return NoPruning()
    ladders = len(percents) if pruning.rule == "hyperband" else 1
    return Halving(
        percents,
        pruning.reduction_factor,
        ladders=ladders,
        noise=pruning.noise,
        exempt=pruning.exempt,
    )


def best_at(records: Iterable[TrialRecord], percent: int) -> list[TrialRecord]:
    """Records by their score at a rung, best first; of two that are equal the earlier trial."""
    return sorted(records, key=lambda record: (record.rungs[percent], record.number))


def ties_at(better: TrialRecord, worse: TrialRecord, percent: int) -> bool:
    """Whether two scores at a rung differ by less than the standard error of the difference."""
    error = math.hypot(*(one.rung_errors.get(percent, 0.0) for one in (better, worse)))
    return worse.rungs[percent] - better.rungs[percent] < error


def is_in_better_half(records: Iterable[TrialRecord], number: int) -> bool:
    """Whether a run's score at its last rung is among the better half of all that were there."""
    by_number = {record.number: record for record in records}
    percent = by_number[number].last_percent
    scores = [record.rungs[percent] for record in by_number.values() if percent in record.rungs]
    return bool(scores) and by_number[number].rungs[percent] <= statistics.median(scores)


def is_paused_at(record: TrialRecord, percent: int) -> bool:
    """Whether a trial is paused at this rung."""
    return record.is_paused and record.last_percent == percent


def _went_on(record: TrialRecord, percent: int) -> bool:
    return record.promoted >= percent or record.last_percent > percent
