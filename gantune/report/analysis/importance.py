"""Which settings matter, and whether the data can say so.

Trials are ranked, the best first, and each setting is asked how much of the differences in rank it
explains by itself: the adjusted share of variance between its values, of a number between four
equally filled parts of its range (on ranks, so this is Kruskal and Wallis 1952 as a share). A share
is easily large where trials are few. So the ranks are dealt out anew among the trials, and a
setting counts only where it stands out from the largest that chance gives any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gantune.config import AnyConfig, ExternalConfig
from gantune.errors import GantuneError
from gantune.report.analysis.outcomes import rank_trials
from gantune.space import SearchSpace
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


FEWEST = 10
"""Trials with a setting, below which nothing is said of it."""


_PARTS = 4  # of a number's range


_FULL = 4  # trials in each, at least


_DEALS = 999  # of the ranks among the trials


_HALVES = 200  # halves of the trials, for the interval


_LEVEL = 0.05


_REACH = 1.645  # standard deviations to either side that hold 90%


@dataclass(frozen=True)
class Importance:
    """One setting and what it explains."""

    name: str
    trials: int
    """Those that have it; its share is of the differences among them."""
    share: float
    """Of the differences in rank, in [0, 1]; 0 where it explains no more than chance would."""
    low: float
    """90% interval, from halves of the trials (delete-half jackknife)."""
    high: float
    chance: float
    """What 95% of the deals stay below."""
    p: float
    """Adjusted for the number of settings: the largest standardised share of any, under deals."""

    @property
    def is_supported(self) -> bool:
        """Whether the data tell it from chance."""
        return self.p <= _LEVEL


def hyperparameter_importance(trials: Sequence[TrialRecord]) -> list[Importance]:
    """All settings with two values or more, the largest share first; none of too few trials."""
    ordered = rank_trials(trials)
    groups = dict(_groups(ordered))
    if not groups:
        return []
    import numpy as np

    rng = np.random.default_rng(0)
    count = len(ordered)
    ranks = np.arange(count, dtype=float)
    dealt = rng.permuted(np.tile(ranks, (_DEALS, 1)), axis=1)
    halves = np.array([rng.permutation(count)[: count // 2] for _ in range(_HALVES)])
    names = list(groups)
    real = np.array([_share(groups[name], ranks[None])[0] for name in names])
    chance = np.array([_share(groups[name], dealt) for name in names])  # [names, deals]
    middle, width = chance.mean(axis=1), chance.std(axis=1) + 1e-9
    largest = ((chance - middle[:, None]) / width[:, None]).max(axis=0)
    found = []
    for k, name in enumerate(names):
        spread = float(np.nanstd([_half(groups[name], half) for half in halves]))
        beyond = int((largest >= (real[k] - middle[k]) / width[k]).sum())
        found.append(
            Importance(
                name=name,
                trials=int((groups[name] >= 0).sum()),
                share=max(float(real[k]), 0.0),
                low=max(float(real[k]) - _REACH * spread, 0.0),
                high=min(max(float(real[k]) + _REACH * spread, 0.0), 1.0),
                chance=max(float(np.quantile(chance[k], 0.95)), 0.0),
                p=(1 + beyond) / (_DEALS + 1),
            )
        )
    return sorted(found, key=lambda one: (not one.is_supported, -one.share))


def _groups(ordered: Sequence[TrialRecord]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Of each setting the part that each trial lies in, [trials]; -1 where it has none."""
    import numpy as np

    for name in dict.fromkeys(name for record in ordered for name in record.params):
        places = [k for k, record in enumerate(ordered) if name in record.params]
        parts = _parts([ordered[k].params[name] for k in places])
        if len(places) >= FEWEST and len(set(parts)) > 1:
            group = np.full(len(ordered), -1)
            group[places] = parts
            yield name, group


def _parts(values: Sequence[Any]) -> list[int]:
    """In which part of the setting each value lies."""
    levels = list(dict.fromkeys(values))
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in levels)
    if not is_number or len(levels) <= _PARTS:
        return [levels.index(value) for value in values]
    import numpy as np

    count = max(2, min(_PARTS, len(values) // _FULL))
    cuts = np.quantile(values, np.linspace(0, 1, count + 1)[1:-1])
    return [int(part) for part in np.searchsorted(cuts, values, side="right")]


def _share(group: NDArray[np.int64], ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted share of variance between groups under each row of ranks, [rows]."""
    import numpy as np

    has = group >= 0
    _, group = np.unique(group[has], return_inverse=True)
    ranks = ranks[:, has]
    sizes = np.bincount(group)
    count, parts = len(group), len(sizes)
    if parts < 2 or count <= parts:
        return np.full(len(ranks), np.nan)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    sums = centred @ np.eye(parts)[group]
    between = (sums**2 / sizes).sum(axis=1)
    explained = between / np.maximum((centred**2).sum(axis=1), 1e-12)
    return np.asarray(1 - (1 - explained) * (count - 1) / (count - parts))


def _half(group: NDArray[np.int64], half: NDArray[np.int64]) -> float:
    return float(_share(group[half], half[None].astype(float))[0])


# What each trial trained with: its config's values by path, and the decisions that led to them.


G_LR, D_LR, LOSS = "generator.lr", "discriminator.lr", "loss"


def read_traits(record: TrialRecord, space: SearchSpace | None) -> dict[str, Any]:
    """Plain values by dotted path, parameters under their own names among them.

    A parameter that is a multiple of another value stands there as drawn; the path of the config
    has the product. Without a space, or where it no longer fits, there are the parameters alone.
    """
    found = dict(record.params)
    if space is None:
        return found
    try:
        config = space.configs_of(record.params)
    except GantuneError:
        return found
    flat = dict(_flat(_tree(config)))
    ratios = {
        name
        for name, distribution in space.parameters().items()
        if getattr(distribution, "times", None) is not None
    }
    multiples = {f"{name} (multiple)": found.pop(name) for name in ratios if name in found}
    return {**found, **flat, **multiples}


def _tree(config: AnyConfig) -> Mapping[str, Any]:
    return config.mapping() if isinstance(config, ExternalConfig) else config.model_dump()


def _flat(tree: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{place}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value
