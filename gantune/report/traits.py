"""What each trial trained with: its config's values by path, and the decisions that led to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gantune.config import AnyConfig, OwnConfig
from gantune.errors import GantuneError
from gantune.space import SearchSpace
from gantune.tuner.records import TrialRecord

__all__ = ["D_LR", "G_LR", "LOSS", "read_traits"]

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
    return config.mapping() if isinstance(config, OwnConfig) else config.model_dump()


def _flat(tree: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{place}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value
