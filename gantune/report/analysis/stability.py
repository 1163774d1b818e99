"""In which regions of the space training comes apart, or is too slow, as far as the data say.

A region is one side of a cut through a setting's range, or one choice, among all trials or within
one loss. Every region is tested by Fisher's exact test on the counts of unstable trials. These are
hundreds of tests of few trials, so each p is compared with the smallest p of all regions when the
outcomes are permuted among the trials (Westfall and Young 1993, min-P): where settings decide
nothing, one search in twenty has any region.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gantune.report.analysis.hyperparameters import D_LR, G_LR, LOSS
from gantune.report.analysis.outcomes import APART, ending_of, is_judged
from gantune.trial.records import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATIO = "ratio of learning rates"
"""Name of D's learning rate divided by G's."""

_OTHERS = ("stalled", "pruned", "paused", "completed")  # none of them came apart
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
    numbers: frozenset[int]
    """Its trials."""
    loss: str | None
    """The region lies within this loss; ``None``: within all."""
    low: float | None = None
    """The smallest value inside; ``None`` without a lower bound."""
    high: float | None = None
    choice: Any = None
    """The value, where the setting is not a number."""
    unstable: int = 0
    others: int = 0
    """Trials that it is compared with."""
    others_unstable: int = 0
    p: float = 1.0
    """Corrected for all regions that were tested."""

    @property
    def runs(self) -> int:
        """How many trials it has."""
        return len(self.numbers)


@dataclass(frozen=True)
class Stability:
    """How many trials failed in one way, and the regions where that is more or less likely."""

    runs: int
    """Trials that tell of it; crashes and full memory do not count."""
    unstable: int
    """Trials that ended in this way."""
    regions: tuple[Region, ...]
    words: str = "came apart"
    """What those trials did."""


def find_regions(
    trials: Sequence[TrialRecord],
    values: Hyperparameters,
    endings: Sequence[str] = APART,
    words: str = "came apart",
) -> Stability:
    """The significant regions, the clearest first; each next one is found among the remaining
    trials.

    ``endings``: the outcomes that count, ``words``: what trials with them did. A trial that came
    apart says nothing of its pace, so it does not count where others are looked for.
    """
    judged = [
        record
        for record in trials
        if is_judged(record) and ending_of(record) in (*endings, *_OTHERS)
    ]
    unstable = {record.number: ending_of(record) in endings for record in judged}
    searched = list(dict.fromkeys(name for record in judged for name in record.params))
    found: list[Region] = []
    left = dict(unstable)
    while len(found) < _MOST:
        region = _clearest(left, list(_candidates(left, values, searched)))
        if region is None:
            break
        found.append(region)
        left = {n: failed for n, failed in left.items() if n not in region.numbers}
    return Stability(len(unstable), sum(unstable.values()), tuple(found), words)


def _candidates(
    numbers: Mapping[int, bool], values: Hyperparameters, searched: Sequence[str]
) -> Iterator[Region]:
    """All regions with enough trials inside and outside, each set of trials once.

    They are bounded by the settings that were searched, and by the ratio of the learning rates.
    """
    seen: set[frozenset[int]] = set()
    losses = sorted({str(values[n][LOSS]) for n in numbers if LOSS in values[n]})
    within: list[str | None] = [None, *(losses if len(losses) > 1 else [])]
    for loss in within:
        inside = [n for n in numbers if loss is None or str(values[n].get(LOSS)) == loss]
        rates = [name for name in (G_LR, D_LR) if any(name in values[n] for n in inside)]
        ratio = [RATIO] if len(rates) == 2 else []
        for name in dict.fromkeys([*rates, *searched, *ratio]):
            known = {n: v for n in inside if (v := _value(values[n], name)) is not None}
            for region in _split(name, known, loss):
                if _FEWEST <= region.runs <= len(numbers) - _FEWEST and region.numbers not in seen:
                    seen.add(region.numbers)
                    yield region


def _value(values: Mapping[str, Any], name: str) -> Any:
    if name == RATIO:
        over, under = values.get(D_LR), values.get(G_LR)
        return over / under if over is not None and under else None
    return values.get(name)


def _split(name: str, values: Mapping[int, Any], loss: str | None) -> Iterator[Region]:
    """Both sides of every cut between two values, or every choice."""
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values())
    if not is_number:
        for choice in dict.fromkeys(map(str, values.values())):
            members = frozenset(n for n, value in values.items() if str(value) == choice)
            yield Region(name, members, loss, choice=choice)
        return
    cuts = list(pairwise(sorted(set(values.values()))))
    for below, above in cuts[:: math.ceil(len(cuts) / _CUTS) or 1]:
        upper = frozenset(n for n, value in values.items() if value >= above)
        yield Region(name, upper, loss, low=above)
        yield Region(name, frozenset(values) - upper, loss, high=below)


def _clearest(unstable: Mapping[int, bool], candidates: Sequence[Region]) -> Region | None:
    """The region with the smallest adjusted p, if that is small enough."""
    total = sum(unstable.values())
    if not candidates or total in (0, len(unstable)):
        return None
    import numpy as np

    numbers = list(unstable)
    place = {n: column for column, n in enumerate(numbers)}
    member = np.zeros((len(candidates), len(numbers)), np.float32)
    for row, candidate in enumerate(candidates):
        member[row, [place[n] for n in candidate.numbers]] = 1
    outcomes = np.array([unstable[n] for n in numbers], np.float32)
    permuted = np.tile(outcomes, (_PERMUTATIONS + 1, 1))
    permuted[1:] = np.random.default_rng(0).permuted(permuted[1:], axis=1)
    ps = _fisher(member, permuted, total)  # [candidates, permutations]; first the real outcomes
    smallest = float(ps[:, 0].min())
    adjusted = float((ps.min(axis=0) <= smallest * (1 + 1e-9)).mean())
    if adjusted > _LEVEL:
        return None
    alike = [c for c, p in zip(candidates, ps[:, 0], strict=True) if p <= smallest * (1 + 1e-9)]
    chosen = max(alike, key=lambda region: sum(unstable[n] for n in region.numbers) / region.runs)
    inside = sum(unstable[n] for n in chosen.numbers)
    return replace(
        chosen,
        unstable=inside,
        others=len(unstable) - chosen.runs,
        others_unstable=total - inside,
        p=adjusted,
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
    from scipy.special import betaln  # scipy.stats takes seconds to import

    def ways(count: int, chosen: Any) -> Any:
        """Logarithm of the number of ways to choose; -inf where there are too few to choose of."""
        return -np.log1p(count) - betaln(np.maximum(count - chosen + 1, 0), chosen + 1)

    here = np.arange(size + 1)
    logs = ways(total, here) + ways(runs - total, size - here) - ways(runs, size)
    return np.asarray(np.exp(logs))
