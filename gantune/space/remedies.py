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
    apparent_kind,
    explain_foreign,
    is_distribution,
    is_number,
    read_distribution,
)
from gantune.space.rungs import Steps

AS_IT_IS = "as_it_is"
"""The alternative that changes nothing."""
DECISION = "remedy"
"""The decision between all alternatives."""

_PAIRS = 20  # the most
_MOST_CHANGES = 3  # settings that differ from the config
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")  # a plus joins pairs, a colon numbers values
_NAMES = "letters, digits, '_' and '-' can"
_MOST_REMEDIES = 200
_FIXED = ("kimg", "seed", "data")
_FACTOR = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)x")


# ---- What a space declares -----------------------------------------------------------------------


def declared_remedies(
    declared: Mapping[str, Mapping[str, Any]], config: ExternalConfig, document: Document
) -> list[Remedy]:
    """The remedies of a space for one config of a user's own trainer, in their order.

    A value ``0.25x`` is that multiple of the config's. One value of a remedy may be open: then it
    stands for a remedy for each of its choices, or for both ends and the middle of its range, by
    names such as ``lower_lr:1``. A remedy that has the name of one of gantune's is of its kind.
    Raises ``ConfigError`` with every name and value that cannot be used, at its place in
    ``document``.
    """
    known = dict(dotted_values(config.mapping()))
    problems, found = [], []
    for name, values in declared.items():
        place: KeyPath = ("remedies", name)
        if not _NAME.fullmatch(name) or name == AS_IT_IS:
            taken = "it is what the config itself is called" if name == AS_IT_IS else _NAMES
            problems.append(
                document.problem(place, f"remedies: {name!r} cannot name a remedy; {taken}")
            )
        changes: dict[str, list[Any]] = {}
        for path, value in values.items():
            changes[path], wrong = _read_values(path, value, known)
            if sum(len(each) > 1 for each in changes.values()) > 1 and len(changes[path]) > 1:
                wrong = [("", "a second open value; declare a remedy for each")]
            problems += [
                document.problem((*place, path, *filter(None, [key])), f"remedies.{name}: {text}")
                for key, text in wrong
            ]
        found += _remedies(name, changes)
    if len(found) > _MOST_REMEDIES and not problems:
        many = f"remedies: {len(found):,} changes, one for each value; at most {_MOST_REMEDIES} fit"
        problems.append(document.problem(("remedies",), many))
    if problems:
        raise ConfigError(problems)
    return found


def _read_values(
    path: str, value: Any, known: Mapping[str, Any]
) -> tuple[list[Any], list[tuple[str, str]]]:
    """The values that a declared one stands for, and errors as pairs of a key in it and a message.

    ``known``: the config's values by dotted path.
    """
    if path not in known:
        return [], [("", f"the config has no setting {path!r}{path_hint(path, known, known)}")]
    if path.partition(".")[0] in _FIXED:
        return [], [("", f"{path} makes another run of it, not a remedy")]
    own, values = known[path], [value]
    if is_distribution(value):
        read = _read_open(path, value, own)
        if isinstance(read, list):
            return [], read
        values = _few(read)
    elif isinstance(value, Mapping):
        other = explain_foreign(value) or f"a value belongs here, not {value_text(value)}"
        return [], [("", other)]
    found = []
    for item in values:
        factor = _FACTOR.fullmatch(item) if isinstance(item, str) else None
        if factor and is_number(own):
            item = _multiple(own, float(factor[1]))
        elif factor:
            return [], [("", f"{path} is {value_text(own)}, which has no multiple {item}")]
        elif isinstance(item, str) and is_number(own):
            what = f"{item!r} is no number and no multiple such as 0.25x"
            return [], [("", f"{path} is {value_text(own)}; {what}")]
        found.append(item)
    return found, []


def _read_open(
    path: str, value: Mapping[str, Any], own: Any
) -> Distribution | list[tuple[str, str]]:
    """A range or choices, or errors as pairs of a key and a message.

    ``own``: the value that the config has at ``path``.
    """
    choices, ends = value.get("choices"), (value.get("low"), value.get("high"))
    multiples = [end for end in ends if isinstance(end, str) and _FACTOR.fullmatch(end)]
    if multiples or "times" in value or "same" in value:
        return [("", "multiples of the config's value are written {choices: [0.5x, 0.25x]}")]
    if isinstance(choices, list) and any(isinstance(item, dict | list) for item in choices):
        return [("choices", "a choice is a single value; declare a remedy for each")]
    if choices is None and not (own is None or is_number(own)):
        return [("", f"{path} is {value_text(own)}; a range needs a number, so use choices")]
    read = read_distribution(value, float if isinstance(own, float) else apparent_kind(value))
    assert not isinstance(read, Same)
    return read


def _few(open_value: Distribution) -> list[Any]:
    """All choices, or both ends of a range and the middle on its own scale."""
    if isinstance(open_value, Choices):
        return list(open_value.values)
    low, high, step = open_value.low, open_value.last, open_value.step
    middle = math.sqrt(low) * math.sqrt(high) if open_value.log else low + (high - low) / 2
    if step is not None:
        middle = float(f"{low + round((middle - low) / step) * step:.12g}")
    elif low < (short := float(f"{middle:.4g}")) < high:
        middle = short
    middle = min(max(round(middle) if open_value.is_whole else middle, low), high)
    return list(dict.fromkeys((low, middle, high)))


def _multiple(own: float, factor: float) -> float:
    """A whole number stays one, and at least 1 in size."""
    if isinstance(own, int):
        return round(own * factor) or (1 if own > 0 else own)
    return float(f"{own * factor:.4g}")


def _remedies(name: str, changes: Mapping[str, Sequence[Any]]) -> list[Remedy]:
    """One remedy, or one for each value of a setting that has several."""
    own, count = REMEDIES.get(name), max(map(len, changes.values()), default=1)
    return [
        Remedy(
            name=f"{name}:{number + 1}" if count > 1 else name,
            advice=name.replace("_", " ") if own is None else own.advice,
            why="The space declares it." if own is None else own.why,
            source="remedies of the space" if own is None else own.source,
            answers=frozenset() if own is None else own.answers,
            changes=partial(_chosen, changes, number),
        )
        for number in range(count)
    ]


def _chosen(changes: Mapping[str, Sequence[Any]], number: int, _: ExternalConfig) -> Changes:
    return {path: each[number] if len(each) > 1 else each[0] for path, each in changes.items()}


# ---- The space of a stabilisation ----------------------------------------------------------------


def variants(
    config: AnyConfig,
    remedies: Sequence[Remedy],
    keep: Sequence[str] = (),
    *,
    images: float = math.inf,
    rungs: tuple[float, ...] = (),
) -> dict[str, AnyConfig]:
    """The config as it is, then with each remedy that applies, then with pairs of different kinds.

    Remedies are in their order, by name; pairs, such as ``lower_rates+r1``, in that of the places
    of both, at most 20. A variant differs in at most three settings, none of which is in ``keep``
    or inside a section there, and from each other variant. Left out is what needs more ``images``
    than there are, and what has steps too long for ``rungs`` that the config reaches: all variants
    share them.
    """
    found: dict[str, AnyConfig] = {AS_IT_IS: config}

    def add(name: str, changed: AnyConfig | None) -> None:
        if (
            changed is None
            or changed in found.values()
            or not _fits(config, changed, images, rungs)
        ):
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


def _fits(config: AnyConfig, changed: AnyConfig, images: float, rungs: tuple[float, ...]) -> bool:
    if isinstance(config, ExternalConfig) or isinstance(changed, ExternalConfig):
        return True
    has_rungs = Steps.of(changed).have(rungs) or not Steps.of(config).have(rungs)
    return changed.batch_size <= images and has_rungs


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
