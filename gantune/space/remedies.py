"""The space of a stabilisation: one config, changed by remedies, as a decision between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

from gantune.config import AnyConfig
from gantune.health.remedies import KINDS, REMEDIES, Remedy, differences, plain_values
from gantune.io.yaml_document import KeyPath

AS_IT_IS = "as_it_is"
"""The alternative that changes nothing."""
DECISION = "remedy"
"""The decision between all alternatives."""

_PAIRED = 4  # remedies of each kind, the first ones by their record
_MOST_CHANGES = 3  # settings that differ from the config


def variants(
    config: AnyConfig, remedies: Sequence[Remedy], keep: Sequence[str] = ()
) -> dict[str, AnyConfig]:
    """The config as it is, then with each remedy that applies, then with pairs of the first four of
    different kinds.

    In the order of ``remedies``, by name; of a pair ``lower_rates+r1``. A variant differs in at
    most three settings, none of which is in ``keep`` or inside a section there, and from each other
    variant.
    """
    found: dict[str, AnyConfig] = {AS_IT_IS: config}

    def add(name: str, changed: AnyConfig | None) -> None:
        if changed is None or changed in found.values():
            return
        paths = [change.path for change in differences(config, changed)]
        if len(paths) <= _MOST_CHANGES and not any(is_kept(path, keep) for path in paths):
            found[name] = changed

    for remedy in remedies:
        add(remedy.name, remedy.applied(config))
    by_name = {remedy.name: remedy for remedy in remedies}
    paired = {kind: list[str]() for kind in KINDS}
    for name in by_name:
        if name in found:
            paired.setdefault(_kind(name), []).append(name)
    for one, other in combinations(paired.values(), 2):
        for first, second in product(one[:_PAIRED], other[:_PAIRED]):
            add(f"{first}+{second}", by_name[second].applied(found[first]))
    return found


def _kind(name: str) -> str:
    """The kind of a remedy; one that a user has declared under another name is its own."""
    kinds = (kind for kind, remedies in KINDS.items() if REMEDIES.get(name) in remedies)
    return next(kinds, name)


def is_kept(path: str, keep: Iterable[str]) -> bool:
    """Whether a setting, or the section that it is in or contains, is among those to keep."""
    return any(
        path == kept or path.startswith(f"{kept}.") or kept.startswith(f"{path}.") for kept in keep
    )


def space_tree(
    variants: Mapping[str, AnyConfig], seeds: Sequence[int], **sections: Any
) -> dict[str, Any]:
    """A space file's content with a decision between variants of one config.

    What all variants share is fixed; each alternative has what differs. ``seeds``: those of
    training. ``sections``: ``study``, ``budget`` and so on.
    """
    leaves = {name: dict(_leaves(_plain(config))) for name, config in variants.items()}
    every = dict.fromkeys(path for found in leaves.values() for path in found)
    shared, open_paths = {}, []
    for path in every:
        values = [found.get(path, _MISSING) for found in leaves.values()]
        if all(value == values[0] for value in values):
            shared[path] = values[0]
        else:
            open_paths.append(path)
    trial = _nested(shared)
    trial["seed"] = {"choices": list(seeds)}
    alternatives = {
        name: _nested({path: found[path] for path in open_paths if path in found})
        for name, found in leaves.items()
    }
    if len(variants) > 1:
        trial["choose"] = {DECISION: alternatives}
    return {**sections, "trial": trial}


_MISSING = object()


def _plain(config: AnyConfig) -> dict[str, Any]:
    """A config's values without those that are unset, which is their default."""
    tree = plain_values(config)
    del tree["seed"]
    return {name: value for name, value in tree.items() if value is not None}


def _leaves(tree: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, name))
        elif value is not None and value != []:
            yield (*path, name), value


def _nested(leaves: Mapping[KeyPath, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        inside = tree
        for name in path[:-1]:
            inside = inside.setdefault(str(name), {})
        inside[str(path[-1])] = value
    return tree
