"""The space of a stabilisation: one config, changed by remedies, as a decision between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from gantune.config import AnyConfig
from gantune.health.remedies import Remedy, differences, kind_of, plain_values
from gantune.io.yaml_document import KeyPath

AS_IT_IS = "as_it_is"
"""The alternative that changes nothing."""
DECISION = "remedy"
"""The decision between all alternatives."""

_PAIRS = 20  # the most
_MOST_CHANGES = 3  # settings that differ from the config


def variants(
    config: AnyConfig, remedies: Sequence[Remedy], keep: Sequence[str] = ()
) -> dict[str, AnyConfig]:
    """The config as it is, then with each remedy that applies, then with pairs of different kinds.

    Remedies are in their order, by name; pairs, such as ``lower_rates+r1``, in that of the places
    of both, at most 20. A variant differs in at most three settings, none of which is in ``keep``
    or inside a section there, and from each other variant.
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
    alone = [remedy for remedy in remedies if remedy.name in found]
    places = sorted(combinations(range(len(alone)), 2), key=lambda pair: (sum(pair), pair))
    most = len(found) + _PAIRS
    for one, other in ((alone[first], alone[second]) for first, second in places):
        if len(found) < most and kind_of(one) != kind_of(other):
            add(f"{one.name}+{other.name}", other.applied(found[one.name]))
    return found


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
