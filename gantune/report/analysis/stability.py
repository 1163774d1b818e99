"""In which regions of the space training is unstable, as far as the data support it.

A region is one side of a cut through a setting's range, or one choice, among all trials or within
one loss. Every region is tested by Fisher's exact test on the counts of unstable trials. These are
hundreds of tests of few trials, so each p is compared with the smallest p of all regions when the
outcomes are permuted among the trials (Westfall and Young 1993, min-P): where settings decide
nothing, one search in twenty has any region.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gantune.report.analysis.hyperparameters import D_LR, G_LR, LOSS
from gantune.report.analysis.outcomes import is_judged, is_unstable
from gantune.trial.records import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATIO = "ratio of learning rates"
"""Name of D's learning rate divided by G's."""

_LEVEL = 0.05
_FEWEST = 4  # trials in a region
_MOST = 4  # regions
_CUTS = 60  # of a number's range, at most
_PERMUTATIONS = 999  # of the outcomes among the trials

Hyperparameters = Mapping[int, Mapping[str, Any]]
"""Of each trial by number, as ``read_hyperparameters`` gives them."""


@dataclass(frozen=True)
class Region:
    """A part of the space whose trials became unstable more often, or less often, than others."""

    name: str
    """The setting: a config's path, or ``RATIO``."""
    low: float | None
    """The smallest value inside; ``None`` without a lower bound."""
    high: float | None
    choice: Any
    """The value, where the setting is not a number."""
    loss: str | None
    """The region lies within this loss; ``None``: within all."""
    runs: int
    unstable: int
    others: int
    """Trials that it is compared with."""
    others_unstable: int
    p: float
    """Corrected for all regions that were tested."""
    numbers: frozenset[int]
    """Its trials."""

    @property
    def is_danger(self) -> bool:
        """Whether trials become unstable more often here than elsewhere."""
        return self.unstable * self.others > self.others_unstable * self.runs


@dataclass(frozen=True)
class Stability:
    """How many trials became unstable, and the regions where that is more or less likely."""

    runs: int
    """Trials that are stable or unstable; crashes and full memory do not count."""
    unstable: int
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class _Candidate:
    name: str
    low: float | None
    high: float | None
    choice: Any
    loss: str | None
    members: frozenset[int]


def find_regions(trials: Sequence[TrialRecord], values: Hyperparameters) -> Stability:
    """The significant regions, the clearest first; each next one is found among the remaining
    trials."""
    judged = [record for record in trials if is_judged(record)]
    unstable = {record.number: is_unstable(record) for record in judged}
    searched = list(dict.fromkeys(name for record in judged for name in record.params))
    found: list[Region] = []
    left = dict(unstable)
    while len(found) < _MOST:
        region = _clearest(left, list(_candidates(left, values, searched)))
        if region is None:
            break
        found.append(region)
        left = {n: failed for n, failed in left.items() if n not in region.numbers}
    return Stability(len(unstable), sum(unstable.values()), tuple(found))


def _candidates(
    numbers: Mapping[int, bool], values: Hyperparameters, searched: Sequence[str]
) -> Iterator[_Candidate]:
    """All regions with enough trials inside and outside, each set of trials once."""
    seen: set[frozenset[int]] = set()
    losses = sorted({str(values[n][LOSS]) for n in numbers if LOSS in values[n]})
    within: list[str | None] = [None, *(losses if len(losses) > 1 else [])]
    for loss in within:
        inside = [n for n in numbers if loss is None or str(values[n].get(LOSS)) == loss]
        for name in _names(inside, values, searched):
            known = {n: v for n in inside if (v := _value(values[n], name)) is not None}
            for candidate in _split(name, known, loss):
                size = len(candidate.members)
                if _FEWEST <= size <= len(numbers) - _FEWEST and candidate.members not in seen:
                    seen.add(candidate.members)
                    yield candidate


def _names(numbers: Sequence[int], values: Hyperparameters, searched: Sequence[str]) -> list[str]:
    """The settings that can bound a region: all searched ones, and the ratio of the rates."""
    rates = [name for name in (G_LR, D_LR) if any(name in values[n] for n in numbers)]
    names = list(dict.fromkeys([*rates, *searched]))
    return [*names, RATIO] if len(rates) == 2 else names


def _value(values: Mapping[str, Any], name: str) -> Any:
    if name == RATIO:
        over, under = values.get(D_LR), values.get(G_LR)
        return over / under if over is not None and under else None
    return values.get(name)


def _split(name: str, values: Mapping[int, Any], loss: str | None) -> Iterator[_Candidate]:
    """Both sides of every cut between two values, or every choice."""
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values())
    if not is_number:
        for choice in dict.fromkeys(map(str, values.values())):
            members = frozenset(n for n, value in values.items() if str(value) == choice)
            yield _Candidate(name, None, None, choice, loss, members)
        return
    levels = sorted(set(values.values()))
    cuts = list(pairwise(levels))
    for below, above in cuts[:: math.ceil(len(cuts) / _CUTS) or 1]:
        upper = frozenset(n for n, value in values.items() if value >= above)
        yield _Candidate(name, above, None, None, loss, upper)
        yield _Candidate(name, None, below, None, loss, frozenset(values) - upper)


def _clearest(unstable: Mapping[int, bool], candidates: Sequence[_Candidate]) -> Region | None:
    """The region with the smallest adjusted p, if that is small enough."""
    total = sum(unstable.values())
    if not candidates or total in (0, len(unstable)):
        return None
    import numpy as np

    numbers = list(unstable)
    place = {n: column for column, n in enumerate(numbers)}
    member = np.zeros((len(candidates), len(numbers)), np.float32)
    for row, candidate in enumerate(candidates):
        member[row, [place[n] for n in candidate.members]] = 1
    outcomes = np.array([unstable[n] for n in numbers], np.float32)
    permuted = np.tile(outcomes, (_PERMUTATIONS + 1, 1))
    permuted[1:] = np.random.default_rng(0).permuted(permuted[1:], axis=1)
    ps = _fisher(member, permuted, total)  # [candidates, permutations]; first the real outcomes
    smallest = float(ps[:, 0].min())
    adjusted = float((ps.min(axis=0) <= smallest * (1 + 1e-9)).mean())
    if adjusted > _LEVEL:
        return None
    alike = [c for c, p in zip(candidates, ps[:, 0], strict=True) if p <= smallest * (1 + 1e-9)]
    chosen = max(alike, key=lambda c: sum(unstable[n] for n in c.members) / len(c.members))
    return _region(chosen, unstable, adjusted)


def _region(chosen: _Candidate, unstable: Mapping[int, bool], p: float) -> Region:
    total, inside = sum(unstable.values()), sum(unstable[n] for n in chosen.members)
    size = len(chosen.members)
    return Region(
        **{name: getattr(chosen, name) for name in ("name", "low", "high", "choice", "loss")},
        runs=size,
        unstable=inside,
        others=len(unstable) - size,
        others_unstable=total - inside,
        p=p,
        numbers=chosen.members,
    )


def _fisher(
    member: NDArray[np.float32], permuted: NDArray[np.float32], total: int
) -> NDArray[np.float64]:
    """Two-sided p of every region under every permutation, [candidates, permutations].

    Only counts matter, so one table is computed for each size of a region.
    """
    import numpy as np

    runs = member.shape[1]
    counts = np.rint(member @ permuted.T).astype(np.int64)
    sizes = member.sum(axis=1).astype(np.int64)
    result = np.empty(counts.shape)
    for size in np.unique(sizes):
        chance = _chances(runs, total, int(size))
        order = np.argsort(chance)
        sums = np.cumsum(chance[order])
        last = np.searchsorted(chance[order], chance * (1 + 1e-7), side="right") - 1
        table = np.minimum(sums[last], 1.0)
        rows = sizes == size
        result[rows] = table[counts[rows]]
    return result


def _chances(runs: int, total: int, size: int) -> NDArray[np.float64]:
    """Hypergeometric: chances of 0 to ``size`` unstable trials, of ``total`` among all ``runs``."""
    import numpy as np
    from scipy.special import gammaln  # scipy.stats takes seconds to import

    def ways(count: int, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = (chosen >= 0) & (chosen <= count)
        valid = np.where(inside, chosen, 0)
        logs = gammaln(count + 1) - gammaln(valid + 1) - gammaln(count - valid + 1)
        return np.where(inside, logs, -np.inf)

    here = np.arange(size + 1)
    logs = ways(total, here) + ways(runs - total, size - here) - ways(runs, np.array(size))
    return np.asarray(np.exp(logs))
