"""Where in the space runs come apart, as far as the data support it.

Every half of the space that one cut gives, and every choice, alone and within each loss, is tried:
Fisher's exact test on the counts of runs that came apart. That are hundreds of tests of few runs,
so each p is set against the smallest p of all of them when the endings are dealt out anew among the
runs (Westfall and Young 1993, min-P): in a search where settings decide nothing, one in twenty has
any sentence at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gantune.report.analysis.importance import D_LR, G_LR, LOSS
from gantune.report.analysis.outcomes import is_judged, is_unstable
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


RATIO = "ratio of learning rates"
"""Name of what stands for the learning rate of D over that of G."""


_LEVEL = 0.05


_FEWEST = 4  # runs in a region; of fewer, no share is worth a sentence


_MOST = 4  # sentences


_CUTS = 60  # of a number's range; of more trials, every so many values


_DEALS = 999  # of the endings among the runs


@dataclass(frozen=True)
class Region:
    """A part of the space whose runs came apart more often, or less, than the others."""

    name: str
    """The setting; ``RATIO``, or a config's path."""
    low: float | None
    """Runs above this; ``None`` where it is no bound."""
    high: float | None
    choice: Any
    """The value, of a setting that is no number."""
    loss: str | None
    """Within this loss alone."""
    runs: int
    apart: int
    others: int
    """Runs that it is compared with."""
    others_apart: int
    p: float
    """Adjusted for all regions that were tried."""
    numbers: frozenset[int]
    """Its trials."""

    @property
    def is_danger(self) -> bool:
        """Whether runs come apart more often here than elsewhere."""
        return self.apart * self.others > self.others_apart * self.runs


@dataclass(frozen=True)
class Stability:
    """What can be said of where runs come apart."""

    runs: int
    """Trials that are alive or came apart."""
    apart: int
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class _Candidate:
    name: str
    low: float | None
    high: float | None
    choice: Any
    loss: str | None
    members: frozenset[int]


def find_regions(
    trials: Sequence[TrialRecord], traits: Mapping[int, Mapping[str, Any]]
) -> Stability:
    """The regions that stand out, the clearest first; each next one among the runs that are left.

    ``traits``: of each trial by number, as ``read_traits`` gives them.
    """
    judged = [record for record in trials if is_judged(record)]
    apart = {record.number: is_unstable(record) for record in judged}
    searched = list(dict.fromkeys(name for record in judged for name in record.params))
    found: list[Region] = []
    left = dict(apart)
    while len(found) < _MOST:
        region = _clearest(left, list(_candidates(left, traits, searched)))
        if region is None:
            break
        found.append(region)
        left = {n: ended for n, ended in left.items() if n not in region.numbers}
    return Stability(len(apart), sum(apart.values()), tuple(found))


def _candidates(
    numbers: Mapping[int, bool], traits: Mapping[int, Mapping[str, Any]], searched: Sequence[str]
) -> Iterator[_Candidate]:
    """All regions with enough runs inside and outside, each set of runs once."""
    seen: set[frozenset[int]] = set()
    losses = sorted({str(traits[n][LOSS]) for n in numbers if LOSS in traits[n]})
    within: list[str | None] = [None, *(losses if len(losses) > 1 else [])]
    for loss in within:
        inside = [n for n in numbers if loss is None or str(traits[n].get(LOSS)) == loss]
        for name in _names(inside, traits, searched):
            values = {n: v for n in inside if (v := _value(traits[n], name)) is not None}
            for candidate in _parts(name, values, loss):
                size = len(candidate.members)
                if _FEWEST <= size <= len(numbers) - _FEWEST and candidate.members not in seen:
                    seen.add(candidate.members)
                    yield candidate


def _names(
    numbers: Sequence[int], traits: Mapping[int, Mapping[str, Any]], searched: Sequence[str]
) -> list[str]:
    """What may bound a region: all that was searched, and the ratio of the learning rates."""
    rates = [name for name in (G_LR, D_LR) if any(name in traits[n] for n in numbers)]
    names = list(dict.fromkeys([*rates, *searched]))
    return [*names, RATIO] if len(rates) == 2 else names


def _value(traits: Mapping[str, Any], name: str) -> Any:
    if name == RATIO:
        over, under = traits.get(D_LR), traits.get(G_LR)
        return over / under if over is not None and under else None
    return traits.get(name)


def _parts(name: str, values: Mapping[int, Any], loss: str | None) -> Iterator[_Candidate]:
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


def _clearest(apart: Mapping[int, bool], candidates: Sequence[_Candidate]) -> Region | None:
    """The region with the smallest adjusted p, if that is small enough."""
    total = sum(apart.values())
    if not candidates or total in (0, len(apart)):
        return None
    import numpy as np

    numbers = list(apart)
    place = {n: column for column, n in enumerate(numbers)}
    member = np.zeros((len(candidates), len(numbers)), np.float32)
    for row, candidate in enumerate(candidates):
        member[row, [place[n] for n in candidate.members]] = 1
    dealt = np.tile(np.array([apart[n] for n in numbers], np.float32), (_DEALS + 1, 1))
    dealt[1:] = np.random.default_rng(0).permuted(dealt[1:], axis=1)
    ps = _fisher(member, dealt, total)  # [candidates, deals], the first deal is the real one
    smallest = float(ps[:, 0].min())
    adjusted = float((ps.min(axis=0) <= smallest * (1 + 1e-9)).mean())
    if adjusted > _LEVEL:
        return None
    alike = [c for c, p in zip(candidates, ps[:, 0], strict=True) if p <= smallest * (1 + 1e-9)]
    chosen = max(alike, key=lambda c: sum(apart[n] for n in c.members) / len(c.members))
    return _region(chosen, apart, adjusted)


def _region(chosen: _Candidate, apart: Mapping[int, bool], p: float) -> Region:
    total, inside = sum(apart.values()), sum(apart[n] for n in chosen.members)
    size = len(chosen.members)
    return Region(
        **{name: getattr(chosen, name) for name in ("name", "low", "high", "choice", "loss")},
        runs=size,
        apart=inside,
        others=len(apart) - size,
        others_apart=total - inside,
        p=p,
        numbers=chosen.members,
    )


def _fisher(
    member: NDArray[np.float32], dealt: NDArray[np.float32], total: int
) -> NDArray[np.float64]:
    """Two-sided p of every region under every deal, [candidates, deals].

    A table for each size of a region, as only counts enter.
    """
    import numpy as np

    runs = member.shape[1]
    counts = np.rint(member @ dealt.T).astype(np.int64)
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
    """Hypergeometric: of 0 to ``size`` that came apart in a region, where ``total`` of all did."""
    import numpy as np
    from scipy.special import gammaln  # scipy.stats takes seconds to import

    def ways(count: int, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = (chosen >= 0) & (chosen <= count)
        kept = np.where(inside, chosen, 0)
        logs = gammaln(count + 1) - gammaln(kept + 1) - gammaln(count - kept + 1)
        return np.where(inside, logs, -np.inf)

    here = np.arange(size + 1)
    logs = ways(total, here) + ways(runs - total, size - here) - ways(runs, np.array(size))
    return np.asarray(np.exp(logs))
