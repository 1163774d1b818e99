"""Each trial's hyperparameters, and which of them matter as far as the data can tell.

Trials are ranked, the best first. Of each setting the adjusted share of variance in rank that it
explains by itself is computed: between its values, or for a number between four equally filled
parts of its range. On ranks this is the statistic of Kruskal and Wallis (1952) as a share. Such a
share is easily large where trials are few, so the ranks are permuted among the trials, and a
setting counts only if it exceeds the largest share that chance gives to any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gantune.config import ExternalConfig
from gantune.errors import GantuneError
from gantune.io.validation import dotted_values
from gantune.report.analysis.outcomes import rank_trials
from gantune.space import SearchSpace
from gantune.trial.records import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


G_LR, D_LR, LOSS = "generator.lr", "discriminator.lr", "loss"

FEWEST = 10
"""Trials that a setting needs to be judged."""

_PARTS = 4  # of a number's range
_PART_SIZE = 4  # trials in each part, at least
_PERMUTATIONS = 999  # of the ranks among the trials
_HALVES = 200  # random halves of the trials, for the interval
_LEVEL = 0.05
_REACH = 1.645  # standard deviations to either side that hold 90%


def read_hyperparameters(record: TrialRecord, space: SearchSpace | None) -> dict[str, Any]:
    """The values of a trial's config by dotted path, and its parameters by name.

    A parameter that is a multiple of another value is named ``NAME (multiple)``; the path of the
    config has the product. Without a space, or where the space no longer fits, only the parameters
    are there.
    """
    found = dict(record.params)
    if space is None:
        return found
    try:
        config = space.configs_of(record.params)
    except GantuneError:
        return found
    tree = config.mapping() if isinstance(config, ExternalConfig) else config.model_dump()
    multiples = {
        f"{name} (multiple)": found.pop(name)
        for name, distribution in space.parameters().items()
        if getattr(distribution, "times", None) is not None and name in found
    }
    return {**found, **dict(dotted_values(tree)), **multiples}


@dataclass(frozen=True)
class Importance:
    """One setting and how much it explains."""

    name: str
    trials: int
    """Trials that have the setting; the share is of the differences among them."""
    share: float
    """Of the differences in rank, in [0, 1]; 0 where it explains no more than chance would."""
    low: float
    """90% interval, from halves of the trials (delete-half jackknife)."""
    high: float
    chance: float
    """What 95% of the permutations stay below."""
    p: float
    """Adjusted for the number of settings, by the largest standardised share of any of them."""

    @property
    def is_supported(self) -> bool:
        """Whether it is significant."""
        return self.p <= _LEVEL


def hyperparameter_importance(trials: Sequence[TrialRecord]) -> list[Importance]:
    """All settings with at least two values, the largest share first; empty for too few trials."""
    ordered = rank_trials(trials)
    groups = dict(_groups(ordered))
    if not groups:
        return []
    import numpy as np

    rng = np.random.default_rng(0)
    count = len(ordered)
    ranks = np.arange(count, dtype=float)
    permuted = rng.permuted(np.tile(ranks, (_PERMUTATIONS, 1)), axis=1)
    halves = np.array([rng.permutation(count)[: count // 2] for _ in range(_HALVES)])
    names = list(groups)
    real = np.array([_share(groups[name], ranks[None])[0] for name in names])
    chance = np.array([_share(groups[name], permuted) for name in names])  # [names, permutations]
    middle, width = chance.mean(axis=1), chance.std(axis=1) + 1e-9
    largest = ((chance - middle[:, None]) / width[:, None]).max(axis=0)
    found = []
    for k, name in enumerate(names):
        group = groups[name]
        shares = np.array([_share(group[half], half[None].astype(float))[0] for half in halves])
        known = shares[np.isfinite(shares)]
        spread = known.std() if len(known) > 1 else np.inf  # too few share a value in any half
        beyond = int((largest >= (real[k] - middle[k]) / width[k]).sum())
        found.append(
            Importance(
                name=name,
                trials=int((group >= 0).sum()),
                share=max(float(real[k]), 0.0),
                low=max(float(real[k] - _REACH * spread), 0.0),
                high=min(max(float(real[k] + _REACH * spread), 0.0), 1.0),
                chance=max(float(np.quantile(chance[k], 0.95)), 0.0),
                p=(1 + beyond) / (_PERMUTATIONS + 1),
            )
        )
    return sorted(found, key=lambda one: (not one.is_supported, -one.share))


def _groups(ordered: Sequence[TrialRecord]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """For each setting the part of its range that each trial is in, [trials]; -1 without it.

    A setting that has another value in each trial tells nothing.
    """
    import numpy as np

    for name in dict.fromkeys(name for record in ordered for name in record.params):
        places = [k for k, record in enumerate(ordered) if name in record.params]
        parts = _parts([ordered[k].params[name] for k in places])
        if len(places) >= FEWEST and 1 < len(set(parts)) < len(parts):
            group = np.full(len(ordered), -1)
            group[places] = parts
            yield name, group


def _parts(values: Sequence[Any]) -> list[int]:
    """Index of the part of the range that each value is in."""
    levels = list(dict.fromkeys(values))
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in levels)
    if not is_number or len(levels) <= _PARTS:
        return [levels.index(value) for value in values]
    import numpy as np

    count = max(2, min(_PARTS, len(values) // _PART_SIZE))
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
