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
from gantune.space.prior import is_prior
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
        if is_prior(given, source.tree.get("trial")):
            continue
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
        self._leaves: dict[Target, Leaf] = {}
        """The leaves that exist under the chosen alternatives."""
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
        self._leaves = {leaf.target: leaf for leaf in leaves}
        for leaf in leaves:
            if leaf.is_open:
                params[leaf.name] = self._parameter(leaf)
            elif self._has(leaf.dotted):
                self._check_fixed(leaf, self._take(leaf.dotted))
        for key in [key for key in self.given if key not in self._used]:
            self._explain(key)
        return params

    def _has(self, key: str) -> bool:
        """Whether the entry has a value for ``key`` that does not choose an alternative."""
        return key in self.given and key not in self._decided

    def _take(self, key: str) -> Any:
        """The entry's value for ``key``, which is then marked as used."""
        self._used.add(key)
        return self.given[key]

    def _alternative(self, decision: Decision) -> str | None:
        for key in (decision.name, decision.base):
            if key in self.given:
                word = plain(self._take(key))
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
        defaults = self._tree.defaults()
        for leaf in self._tree.leaves:
            if leaf.when[: len(inside)] != inside:
                continue
            value: Any = defaults
            for part in leaf.target:
                value = value.get(part) if isinstance(value, dict) else None
            if leaf.times and is_number(value):
                value = _ratio(value, self._tree.default_of(leaf.times))
            if leaf.same:
                fits = value == self._tree.default_of(leaf.same)
            elif leaf.value == {}:
                fits = isinstance(value, dict)
            else:
                fits = leaf.distribution.contains(value) if leaf.is_open else value == leaf.value
            if not fits:
                return False
        return True

    def _check_fixed(self, leaf: Leaf, value: Any) -> None:
        """A value that ``trial`` does not search must be the one that it has there."""
        own = self._absolute(leaf.target)
        winners = filter(None, map(self._source.override_of, self._places(leaf)))
        if value == own:
            return
        if winner := next(winners, ""):
            self._drop(leaf.dotted, winner)
            return
        what = (
            f"{leaf.value} in trial, {plain(own)}"
            if leaf.same
            else f"fixed to {plain(own)} in trial"
        )
        self.wrong.append(_Wrong(f"{leaf.dotted} is {what}, not {plain(value)}", (leaf.dotted,)))

    def _places(self, leaf: Leaf | None) -> tuple[KeyPath, ...]:
        """The places that decide a value: its own, and those of the settings it depends on."""
        if leaf is None:
            return ()
        other = self._leaves.get(leaf.reference) if leaf.reference else None
        return leaf.path, *self._places(other)

    def _parameter(self, leaf: Leaf) -> Any:
        """The value of Optuna's parameter; a ratio for a relative leaf."""
        is_direct = self._has(leaf.name) and leaf.name != leaf.dotted
        key = leaf.name if is_direct else leaf.dotted
        is_given, is_known = self._has(key), find_field(self._tree.model, leaf.target) is not None
        value = self._take(key) if is_given else self._tree.default_of(leaf.target)
        if leaf.times and not is_direct and is_number(value):
            value = _ratio(value, self._absolute(leaf.times))
        fitting = as_sampled(leaf.distribution, value)
        if (is_given or is_known) and leaf.distribution.contains(fitting):
            return fitting

        if isinstance(value, str) and isinstance(leaf.distribution, Range):
            message = f"{leaf.name}: {explain_wrong_number(value)}"
        elif is_given:
            message = f"{leaf.name}: {plain(value)} is outside {leaf.distribution}"
        elif not is_known:
            message = f"does not set {leaf.name}; add {leaf.dotted} to the entry"
        else:
            message = f"does not set {leaf.name}, and its default, {plain(value)}, is outside "
            message += f"{leaf.distribution}; add {leaf.dotted} to the entry"
        self.wrong.append(_Wrong(message, (key,) if is_given else (), self._places(leaf)))
        return fitting

    def _absolute(self, target: Target) -> Any:
        """The value of a config, from which others are computed as multiples."""
        leaf = self._leaves.get(target)
        if leaf is None:
            return self._tree.default_of(target)
        if not leaf.is_open:
            return self._absolute(leaf.same) if leaf.same else leaf.value
        if leaf.times and is_number(self.given.get(leaf.name)):
            return self.given[leaf.name] * self._absolute(leaf.times)
        key = next((key for key in (leaf.name, leaf.dotted) if self._has(key)), None)
        return self._tree.default_of(target) if key is None else self.given[key]

    def _drop(self, key: str, winner: str) -> None:
        self.dropped.append(f"{key} {plain(self.given.pop(key))} is replaced by {winner}")

    def _explain(self, key: str) -> None:
        """Reports why an unused key is wrong."""
        winner = self._source.override_of(("trial", *key.split(".")))
        items: tuple[Decision | Leaf, ...] = (*self._tree.decisions, *self._tree.leaves)
        here = [i for i in items if key in (i.name, i.base, getattr(i, "dotted", None))]
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


def _ratio(value: float, other: Any) -> float:
    return value / other if is_number(other) and other else float("inf")


def _flat(entry: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in entry.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
