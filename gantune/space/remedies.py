"""Remedies in spaces: those that a space declares, and the space of a stabilisation.

A stabilisation searches one config, changed by remedies, as a decision between them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

from gantune.config import AnyConfig, ExternalConfig
from gantune.errors import ConfigError
from gantune.health.remedies import (
    REMEDIES,
    Changes,
    Remedy,
    differences,
    kind_of,
    plain_values,
    value_text,
)
from gantune.io.validation import dotted_values, path_hint
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.distributions import (
    Choices,
    Distribution,
    Same,
    explain_foreign,
    is_distribution,
    is_number,
    read_distribution,
)

AS_IT_IS = "as_it_is"
"""The alternative that changes nothing."""
DECISION = "remedy"
"""The decision between all alternatives."""

_PAIRS = 20  # the most
_MOST_CHANGES = 3  # settings that differ from the config
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")  # pairs are joined by a plus
_FIXED = ("kimg", "seed", "data")
_FACTOR = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)x")


# ---- What a space declares -----------------------------------------------------------------------


def declared_remedies(
    declared: Mapping[str, Mapping[str, Any]], config: ExternalConfig, document: Document
) -> list[Remedy]:
    """The remedies of a space for one config of a user's own trainer, in their order.

    A value ``0.25x`` is that multiple of the config's. One value of a remedy may be open: then it
    stands for a remedy for each of its choices, or for both ends and the middle of its range, by
    names such as ``lower_lr_1``. A remedy that has the name of one of gantune's is of its kind.
    Raises ``ConfigError`` with every name and value that cannot be used, at its place in
    ``document``.
    """
    problems, found = [], []
    for name, values in declared.items():
        place: KeyPath = ("remedies", name)
        if not _NAME.fullmatch(name):
            wrong = f"{name!r} cannot name a remedy; letters, digits, '_' and '-' can"
            problems.append(document.problem(place, f"remedies: {wrong}"))
        changes: dict[str, list[Any]] = {}
        for path, value in values.items():
            try:
                changes[path] = _declared_values(path, value, config)
                if len(changes[path]) > 1 and sum(len(each) > 1 for each in changes.values()) > 1:
                    raise ValueError("a second open value; declare a remedy for each")
            except ValueError as error:
                problems.append(document.problem((*place, path), f"remedies.{name}: {error}"))
        found += _remedies(name, changes)
    names = [remedy.name for remedy in found]
    for remedy in found:
        if remedy.declared and names.count(remedy.name) > 1:
            wrong = f"two remedies are called {remedy.name}; rename one"
            problems.append(document.problem(("remedies", remedy.declared), f"remedies: {wrong}"))
    if problems:
        raise ConfigError(problems)
    return found


def _declared_values(path: str, value: Any, config: ExternalConfig) -> list[Any]:
    """The values that a declared one stands for. Raises ``ValueError`` where it cannot be used."""
    known = dict(dotted_values(config.mapping()))
    if path not in known:
        raise ValueError(f"the config has no setting {path!r}{path_hint(path, known, known)}")
    if path.partition(".")[0] in _FIXED:
        raise ValueError(f"{path} makes another run of it, not a remedy")
    values = [value]
    if isinstance(value, Mapping) and not is_distribution(value):
        other = explain_foreign(value)
        raise ValueError(other or f"a value belongs here, not {value_text(value)}")
    if is_distribution(value):
        kind = type(known[path])
        if any(isinstance(value.get(end), float) for end in ("low", "high", "step")):
            kind = float
        read = read_distribution(value, kind)
        if isinstance(read, list):
            raise ValueError("; ".join(message for _, message in read))
        if isinstance(read, Same) or read.times is not None:
            raise ValueError("a multiple of the config's value is written 0.25x")
        values = _values(read)
    return [_multiple(path, known[path], item) for item in values]


def _values(open_value: Distribution) -> list[Any]:
    """All choices, or both ends of a range and the middle on its own scale."""
    if isinstance(open_value, Choices):
        return list(open_value.values)
    low, high = open_value.low, open_value.last
    middle = math.sqrt(low * high) if open_value.log else (low + high) / 2
    if open_value.step is not None:
        middle = low + round((middle - low) / open_value.step) * open_value.step
    middle = round(middle) if open_value.is_whole else float(f"{middle:.4g}")
    return list(dict.fromkeys((low, middle, high)))


def _multiple(path: str, own: Any, value: Any) -> Any:
    """A value, or that multiple of the config's: a whole number stays one, at least 1 in size."""
    factor = _FACTOR.fullmatch(value) if isinstance(value, str) else None
    if factor is None:
        return value
    if not is_number(own):
        raise ValueError(f"{path} is {own!r}, which has no multiple {value}")
    product = own * float(factor[1])
    if isinstance(own, int):
        return round(product) or (1 if own > 0 else own)
    return float(f"{product:.4g}")


def _remedies(name: str, changes: Mapping[str, Sequence[Any]]) -> list[Remedy]:
    """One remedy, or one for each value of a setting that has several."""
    own, count = REMEDIES.get(name), max(map(len, changes.values()), default=1)
    return [
        Remedy(
            name=f"{name}_{number + 1}" if count > 1 else name,
            advice=name.replace("_", " ") if own is None else own.advice,
            why="The space declares it." if own is None else own.why,
            source="remedies of the space" if own is None else own.source,
            answers=frozenset() if own is None else own.answers,
            changes=partial(_chosen, changes, number),
            declared=name if count > 1 else "",
        )
        for number in range(count)
    ]


def _chosen(changes: Mapping[str, Sequence[Any]], number: int, _: ExternalConfig) -> Changes:
    return {path: each[number] if len(each) > 1 else each[0] for path, each in changes.items()}


# ---- The space of a stabilisation ----------------------------------------------------------------


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
