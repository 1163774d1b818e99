"""``start``: settings known to work, as parameters that a study tries first.

Values that an entry does not set come from the config's defaults, never from sampling. The defaults
of an external trainer are unknown, so there an entry must set everything that is open. Values are
given by their paths, also where the space searches a ratio, or by the names of Optuna's parameters.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantune.errors import Problem
from gantune.io.validation import did_you_mean, explain_wrong_number, find_field
from gantune.io.yaml_document import KeyPath
from gantune.space.distributions import Range, as_sampled, is_number, plain
from gantune.space.overrides import Source
from gantune.space.sampling import is_active
from gantune.space.tree import Decision, Leaf, Target, Tree


@dataclass(frozen=True)
class StartPoints:
    """The valid entries, as values by path and as parameters."""

    entries: tuple[dict[str, Any], ...] = ()
    points: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    """Values and entries that overrides removed."""
    problems: tuple[Problem, ...] = ()


def read_start(entries: Sequence[Mapping[str, Any]], tree: Tree, source: Source) -> StartPoints:
    """Completes and checks each entry; leaves out entries that an override contradicts."""
    valid: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    notes: list[str] = []
    problems: list[Problem] = []
    for number, given in enumerate(entries):
        entry = _Entry(list(_flat(given)), tree, source)
        params = entry.read()
        errors = [wrong for wrong in entry.wrong if not any(map(source.override_of, wrong.places))]
        problems += [
            source.problem(("start", number, *wrong.key), f"start[{number}]: {wrong.message}")
            for wrong in errors
        ]
        notes += [f"start[{number}]: {text}" for text in entry.dropped]
        if entry.wrong and not errors:
            notes.append(f"start[{number}] is left out: {entry.wrong[0].message}")
        if not entry.wrong:
            valid.append(entry.given)
            points.append(params)
    return StartPoints(tuple(valid), tuple(points), tuple(notes), tuple(problems))


@dataclass(frozen=True)
class _Wrong:
    message: str
    key: tuple[str, ...] = ()
    """The key in the entry."""
    places: tuple[KeyPath, ...] = ()
    """Places in ``trial`` that contradict the entry."""


class _Entry:
    """Turns one entry into parameters and collects what is wrong with it."""

    def __init__(self, given: list[tuple[str, Any]], tree: Tree, source: Source) -> None:
        self.given, self._tree, self._source = dict(given), tree, source
        twice = [key for key, count in Counter(key for key, _ in given).items() if count > 1]
        self.wrong = [_Wrong(f"{key} is given twice; remove one of the two") for key in twice]
        self.dropped: list[str] = []
        self._chosen: dict[KeyPath, str] = {}
        self._used: set[str] = set()
        self._decided: set[str] = set()

    def read(self) -> dict[str, Any]:
        """The parameters; incomplete where ``wrong`` is not empty."""
        params: dict[str, Any] = {}
        for decision in self._tree.decisions:
            if is_active(decision.when, self._chosen):
                word = self._alternative(decision)
                if word is not None:
                    params[decision.name] = self._chosen[decision.path] = word
                elif self._source.override_of(decision.path):
                    return params  # the entry is left out, so its other values are not checked
        self._decided = set(self._used)
        leaves = [leaf for leaf in self._tree.leaves if is_active(leaf.when, self._chosen)]
        values = _Values(self, {leaf.target: leaf for leaf in leaves}, self._tree)
        for leaf in leaves:
            if leaf.is_open:
                params[leaf.name] = values.parameter(leaf)
            elif self.has(leaf.dotted):
                self._compare(leaf)
        for key in [key for key in self.given if key not in self._used]:
            self._explain(key)
        return params

    def has(self, key: str) -> bool:
        """Whether the entry has a value for ``key`` that does not choose an alternative."""
        return key in self.given and key not in self._decided

    def take(self, key: str) -> Any:
        """Returns the entry's value for ``key``, if any, and marks it as used."""
        self._used.add(key)
        return self.given.get(key)

    def _alternative(self, decision: Decision) -> str | None:
        for key in (decision.name, decision.base):
            if key in self.given:
                word = plain(self.take(key))
                if word in decision.alternatives:
                    return word
                near = did_you_mean(word, decision.alternatives)
                message = f"{key} has no alternative {word!r}{near}; the alternatives are "
                message += ", ".join(decision.alternatives)
                self.wrong.append(_Wrong(message, (key,), (decision.path,)))
                return None
        fitting = [word for word in decision.alternatives if self._is_default(decision, word)]
        if len(decision.alternatives) > 1 and not fitting:
            message = f"does not set {decision.name}; add {decision.name}: one of "
            message += ", ".join(decision.alternatives)
            self.wrong.append(_Wrong(message, places=(decision.path,)))
            return None
        return (fitting or decision.alternatives)[0]

    def _is_default(self, decision: Decision, word: str) -> bool:
        """Whether an alternative only sets values to their defaults."""
        inside = (*decision.when, (decision.path, word))
        leaves = [leaf for leaf in self._tree.leaves if leaf.when[: len(inside)] == inside]
        whole = self._tree.defaults()
        for leaf in leaves:
            at: Any = whole
            for part in leaf.target:
                at = at.get(part) if isinstance(at, dict) else None
            if not _holds(leaf, at, self._tree):
                return False
        return True

    def _compare(self, leaf: Leaf) -> None:
        value = self.take(leaf.dotted)
        if value == leaf.value:
            return
        winner = self._source.override_of(leaf.path)
        if winner:
            self._drop(leaf.dotted, winner)
        else:
            message = f"{leaf.dotted} is fixed to {plain(leaf.value)} in trial, not {plain(value)}"
            self.wrong.append(_Wrong(message, (leaf.dotted,)))

    def _drop(self, key: str, winner: str) -> None:
        self.dropped.append(f"{key} {plain(self.given.pop(key))} is replaced by {winner}")

    def _explain(self, key: str) -> None:
        """Reports why an unused key is wrong."""
        winner = self._source.override_of(("trial", *key.split(".")))
        items: tuple[Decision | Leaf, ...] = (*self._tree.decisions, *self._tree.leaves)
        here = [item for item in items if key in _names(item)]
        other = next((item.name for item in here if item.name in self._used), "")
        field = find_field(self._tree.model, key.split("."))
        if other:
            self._refuse(key, f"{key} and {other} set the same value; remove one of the two")
        elif here:
            way = " or ".join(f"{path[-1]} is {word}" for path, word in here[0].when[-1:])
            self._refuse(key, f"{key} exists only where {way}")
        elif winner:
            self._drop(key, winner)
        elif field is None:
            self._refuse(key, f"unknown name {key!r}{did_you_mean(key, (i.base for i in items))}")
        elif self.given[key] != self._tree.default_of(tuple(key.split("."))):
            message = f"{key} is not open: trial does not set it, so it keeps its default"
            self._refuse(key, message)

    def _refuse(self, key: str, message: str) -> None:
        """Reports a wrong key. An override may have removed the place that it had."""
        self.wrong.append(_Wrong(message, (key,), tuple(self._source.narrowed)))


class _Values:
    """Computes parameters from one entry, where some values are relative to others."""

    def __init__(self, entry: _Entry, leaves: Mapping[Target, Leaf], tree: Tree) -> None:
        self._entry, self._leaves, self._tree = entry, leaves, tree

    def parameter(self, leaf: Leaf) -> Any:
        """The value of Optuna's parameter; a ratio for a relative leaf."""
        entry = self._entry
        is_direct = entry.has(leaf.name) and leaf.name != leaf.dotted
        key = leaf.name if is_direct else leaf.dotted
        value = entry.take(key) if entry.has(key) else self._tree.default_of(leaf.target)
        if leaf.times and not is_direct and is_number(value):
            value = _ratio(value, self._absolute(leaf.times))
        fitting = as_sampled(leaf.distribution, value)
        is_given = entry.has(key) or find_field(self._tree.model, leaf.target) is not None
        if not is_given or not leaf.distribution.contains(fitting):
            self._refuse(leaf, value, key if entry.has(key) else "")
        return fitting

    def _absolute(self, target: Target) -> Any:
        leaf = self._leaves.get(target)
        if leaf is None:
            return self._tree.default_of(target)
        if not leaf.is_open:
            return leaf.value
        given = self._entry.given
        if leaf.times and leaf.name in given and is_number(given[leaf.name]):
            return given[leaf.name] * self._absolute(leaf.times)
        key = next((key for key in (leaf.name, leaf.dotted) if self._entry.has(key)), None)
        return self._tree.default_of(target) if key is None else given[key]

    def _refuse(self, leaf: Leaf, value: Any, key: str) -> None:
        times = self._leaves.get(leaf.times) if leaf.times else None
        places = (leaf.path, *((times.path,) if times else ()))
        if isinstance(value, str) and isinstance(leaf.distribution, Range):
            message = f"{leaf.name}: {explain_wrong_number(value)}"
        elif key:
            message = f"{leaf.name}: {plain(value)} is outside {leaf.distribution}"
        elif find_field(self._tree.model, leaf.target) is None:
            message = f"does not set {leaf.name}; add {leaf.dotted} to the entry"
        else:
            message = f"does not set {leaf.name}, and its default, {plain(value)}, is outside "
            message += f"{leaf.distribution}; add {leaf.dotted} to the entry"
        self._entry.wrong.append(_Wrong(message, (key,) if key else (), places))


def _holds(leaf: Leaf, value: Any, tree: Tree) -> bool:
    """Whether a leaf can have a config's default ``value``."""
    if leaf.value == {}:
        return isinstance(value, dict)
    if leaf.times and is_number(value):
        value = _ratio(value, tree.default_of(leaf.times))
    return leaf.distribution.contains(value) if leaf.is_open else bool(value == leaf.value)


def _ratio(value: float, other: Any) -> float:
    return value / other if is_number(other) and other else float("inf")


def _names(item: Decision | Leaf) -> tuple[str, ...]:
    """All names that an entry may use for an item."""
    return (item.name, item.base, *((item.dotted,) if isinstance(item, Leaf) else ()))


def _flat(entry: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in entry.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
