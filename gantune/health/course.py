"""``Course``: where a run is measured, and from where on that is enough for a rule."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gantune.config.loss_families import Family
from gantune.health.history import FEWEST_TICKS, SIGNALS, History, Unit, fewest_ticks, plural
from gantune.io.formatting import count, figure

_MOST_TICKS = 10_000  # of a plan: with finer ones, no rule can act earlier by anything that matters


@dataclass(frozen=True)
class Need:
    """What a rule needs, and the first place where a run has it; infinite where it never has."""

    at: float
    text: str


def every(*needs: Need) -> Need:
    """All of them: the one that comes last."""
    return max(needs, key=lambda need: need.at)


def either(*needs: Need) -> Need:
    """One of them: the one that comes first."""
    return min(needs, key=lambda need: need.at)


class Course:
    """The places of a run's ticks and scores, measured or planned.

    ``measured``: places of single signals; one that is missing has no place. ``None``: each tick
    has all. ``families``: those that its losses may have. ``has_fid``: whether scores are a FID of
    the Inception network.
    """

    def __init__(
        self,
        ticks: Sequence[float],
        scores: Sequence[float],
        *,
        budget: float | None,
        families: Iterable[Family],
        measured: Mapping[str, Sequence[float]] | None = None,
        has_fid: bool = False,
        unit: Unit = "kimg",
    ) -> None:
        self.ticks, self.scores, self.budget = ticks, scores, budget
        self.families, self.unit = frozenset(families), unit
        self._measured, self._has_fid = measured, has_fid

    @classmethod
    def of(cls, history: History) -> Course:
        """Where a run was measured so far."""
        measured: dict[str, list[float]] = {name: [] for name in SIGNALS}
        for tick in history.ticks:
            for name, value in tick.values.items():
                if math.isfinite(value):
                    measured[name].append(tick.at)
        return cls(
            [tick.at for tick in history.ticks],
            [score.at for score in history.scores],
            budget=history.budget,
            families=(history.facts.family,),
            measured=measured,
            has_fid=any("fid" in score.values for score in history.scores),
            unit=history.unit,
        )

    @classmethod
    def planned(
        cls, kimg: float, tick_kimg: float, scores: Iterable[float], families: Iterable[Family]
    ) -> Course:
        """Where a run of ``kimg`` will be measured; ``scores`` in kimg, 0 for the untrained one."""
        amount = min(max(math.ceil(kimg / tick_kimg - 1e-9), 1), _MOST_TICKS)
        step = max(tick_kimg, kimg / _MOST_TICKS)
        ticks = [min((index + 1) * step, kimg) for index in range(amount)]
        return cls(ticks, sorted(scores), budget=kimg, families=families)

    def length(self, kimg: float = 0.0) -> Need:
        """A known length of at least ``kimg``."""
        if self.budget is None:
            return Need(math.inf, "the length of the run")
        return Need(0.0 if self.budget >= kimg else math.inf, f"a run of {figure(kimg)} kimg")

    def place(self, at: float) -> Need:
        """The first tick at ``at`` or later."""
        found = bisect_left(self.ticks, at)
        text = f"{figure(at)} {plural(self.unit)}"
        return Need(self.ticks[found] if found < len(self.ticks) else math.inf, text)

    def share(self, share: float) -> Need:
        """The first tick after ``share`` of a known length."""
        if self.budget is None:
            return self.length()
        return Need(self.place(share * self.budget).at, f"{share:.0%} of the run")

    def tick(self, signal: str, number: int = 1) -> Need:
        """The ``number``-th tick that has a signal."""
        places = self._places(signal)
        text = signal if number == 1 or not places else f"{number} ticks with {signal}"
        return Need(places[number - 1] if len(places) >= number else math.inf, text)

    def whole(self, signal: str, patience: float) -> Need:
        """``History.whole``."""
        first = self.place(patience * (self.budget or 0.0))
        if not self.budget:
            first = Need(self._nth(FEWEST_TICKS), f"{FEWEST_TICKS} ticks")
        return every(self.tick(signal, 2), first)

    def window(
        self, signal: str, patience: float, *, values: int = FEWEST_TICKS, before: int = 0
    ) -> Need:
        """``History.window`` with so many values, and so many more ``before`` it."""
        places, fewest = self._places(signal), fewest_ticks(self.budget)
        if not places:
            return Need(math.inf, signal)
        at = next(self._windows(places, patience, values, before), math.inf)
        if values > FEWEST_TICKS:
            return Need(at, f"{values} ticks in {patience:.0%} of the run")
        if before:
            inside = max(fewest, math.ceil(patience * len(self.ticks)))
            return Need(at, f"{inside + before} ticks before the end of the run")
        is_short = at <= self._nth(fewest) or len(places) < fewest
        return Need(at, f"{fewest} ticks" if is_short else f"{patience:.0%} of the run")

    def score(self, number: int, *, after: float = 0.0, patience: float = 0.0) -> Need:
        """The first score that is at least the ``number``-th and at ``after`` or later, with
        another one before the last ``patience`` of the run."""
        text = count(number, "score")
        for at in self.scores[number - 1 :]:
            span = patience * max(at, self.budget or 0.0)
            if at >= after and self.scores[0] <= at - span:
                return Need(at, text)
        return Need(math.inf, text)

    def trained_score(self, number: int) -> Need:
        """The ``number``-th score of the generator after its first step."""
        trained = [at for at in self.scores if at > 0]
        at = trained[number - 1] if len(trained) >= number else math.inf
        return Need(at, count(number, "score"))

    @property
    def has_start(self) -> Need:
        """A score of the untrained generator."""
        is_there = bool(self.scores) and self.scores[0] == 0
        return Need(0.0 if is_there else math.inf, "a score of the untrained generator")

    @property
    def fid(self) -> Need:
        """Scores that are a FID of the Inception network."""
        return Need(0.0 if self._has_fid else math.inf, "a FID of the Inception network")

    def _nth(self, number: int) -> float:
        return self.ticks[number - 1] if len(self.ticks) >= number else math.inf

    def _places(self, signal: str) -> Sequence[float]:
        return self.ticks if self._measured is None else self._measured.get(signal, ())

    def _windows(
        self, places: Sequence[float], patience: float, values: int, before: int
    ) -> Iterator[float]:
        """The ticks at which a window over ``places`` has enough values in it and before it."""
        ticks, fewest, budget = self.ticks, fewest_ticks(self.budget), self.budget or 0.0
        begin = max(bisect_left(ticks, patience * budget), fewest - 1)
        for last in range(begin, len(ticks)):
            now = ticks[last]
            first = bisect_right(ticks, now - patience * max(now, budget))
            first = min(first, last + 1 - fewest)
            start = ticks[first - 1] if first else 0.0
            inside = bisect_right(places, now) - bisect_left(places, ticks[first])
            if inside >= values and bisect_right(places, start) >= before:
                yield now
