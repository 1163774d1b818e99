"""The ``trial`` of a space file, taken apart: its values, and the decisions that they depend on.

``choose`` stands beside the keys of a mapping and names decisions; the alternative that is drawn
is merged into that mapping. Here the tree becomes two flat lists, in which every item says under
which alternatives it exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from gantune.config import TrialConfig
from gantune.errors import Problem
from gantune.io.validation import find_field
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.distributions import (
    Choices,
    Distribution,
    Range,
    apparent_kind,
    is_distribution,
    known_kind,
    plain,
    read_distribution,
)

Target = tuple[str, ...]
"""A place in a config, such as ``("generator", "lr")``."""

Condition = tuple[tuple[KeyPath, str], ...]
"""The decisions, by their place in the file, with the alternatives that lead to an item."""

_MAY_BE_NONE = (("penalties",), ("augment",))
"""Parts that a config reads from the word ``none`` too."""

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]*")  # no '.', ':' or '/': they join names
_WORDED = "a name here has letters, digits, '_', '-', '+'"


@dataclass(frozen=True)
class Decision:
    """A named choice between parts of the tree."""

    path: KeyPath
    owner: Target
    """The mapping that the drawn alternative is merged into."""
    when: Condition
    alternatives: tuple[str, ...]
    """Names, in the file's order."""
    name: str = ""
    """Name of Optuna's parameter."""

    @property
    def base(self) -> str:
        """The name that it has where no other has the same."""
        return ".".join((*self.owner, str(self.path[-1])))

    @property
    def distribution(self) -> Choices:
        """The alternatives, in an order that does not depend on the file's."""
        return Choices(tuple(sorted(self.alternatives)))


@dataclass(frozen=True)
class Leaf:
    """A value of the tree: plain, or a distribution; ``{}`` for an empty mapping."""

    target: Target
    places: tuple[KeyPath, ...]
    """Where in the file each part of the target is named."""
    when: Condition
    value: Any
    name: str = ""
    """Name of Optuna's parameter, where the value is a distribution."""

    @property
    def path(self) -> KeyPath:
        """Its place in the file."""
        return self.places[-1]

    @property
    def dotted(self) -> str:
        """The target as text."""
        return ".".join(self.target)

    @property
    def is_open(self) -> bool:
        """Whether a distribution stands here."""
        return isinstance(self.value, Choices | Range)

    @property
    def distribution(self) -> Distribution:
        """The distribution of an open value."""
        assert isinstance(self.value, Choices | Range)
        return self.value

    @property
    def times(self) -> Target | None:
        """The value that this one is relative to."""
        times = self.value.times if self.is_open else None
        return tuple(times.split(".")) if times else None

    @property
    def base(self) -> str:
        """The parameter's name where no other has the same: the path, or a ratio of two."""
        return f"{self.dotted}/{self.value.times}" if self.times else self.dotted


@dataclass(frozen=True)
class Tree:
    """All values and decisions; a decision stands after those that it depends on."""

    leaves: tuple[Leaf, ...] = ()
    decisions: tuple[Decision, ...] = ()
    model: type[BaseModel] = TrialConfig
    """What a draw must be: a ``TrialConfig``, or the few fields of an own trainer's config."""

    @property
    def takes_any(self) -> bool:
        """Whether keys that the model does not know are the trainer's own."""
        return _takes_any(self.model)

    def default_of(self, target: Target) -> Any:
        """The value that a config has where nothing is said; ``None`` where nobody knows."""
        field_ = find_field(self.model, target)
        return field_.get_default(call_default_factory=False) if field_ else None

    def defaults(self) -> dict[str, Any]:
        """A whole config of nothing but defaults; empty where they are a trainer's own."""
        return {} if self.takes_any else self.model().model_dump()

    @property
    def open(self) -> tuple[Decision | Leaf, ...]:
        """All that is searched."""
        return (*self.decisions, *(leaf for leaf in self.leaves if leaf.is_open))


def read_tree(
    trial: Mapping[str, Any], document: Document, model: type[BaseModel] = TrialConfig
) -> tuple[Tree, list[Problem]]:
    """Takes the ``trial`` of ``document`` apart, whose draws are to be of a ``model``.

    Names of parameters are not given yet.
    """
    reader = _Reader(document, model)
    reader.mapping(trial, _Place(("trial",), (), ()), ())
    leaves = sorted(reader.leaves, key=lambda leaf: (leaf.target, _order(leaf.path)))
    decisions = sorted(reader.decisions, key=lambda d: (len(d.when), d.base, _order(d.path)))
    return Tree(tuple(leaves), tuple(decisions), model), reader.problems


def _takes_any(model: type[BaseModel]) -> bool:
    return model.model_config.get("extra") == "allow"


def _order(path: KeyPath) -> tuple[str, ...]:
    return tuple(map(str, path))


@dataclass(frozen=True)
class _Place:
    """A mapping's place in the file, and its part of the config."""

    path: KeyPath
    target: Target
    places: tuple[KeyPath, ...]

    def child(self, key: str) -> _Place:
        path = (*self.path, key)
        return _Place(path, (*self.target, key), (*self.places, path))


@dataclass
class _Reader:
    document: Document
    model: type[BaseModel]
    leaves: list[Leaf] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def mapping(self, node: Mapping[str, Any], place: _Place, when: Condition) -> None:
        for key, value in node.items():
            if key == "choose":
                self._choose(value, place, when)
            elif _takes_any(self.model) and not _WORD.fullmatch(key):
                self._report_at((*place.path, key), f"{key!r}: {_WORDED}")
            else:
                self._value(value, place.child(key), when)
        if place.target and not set(node) - {"choose"}:
            self.leaves.append(Leaf(place.target, place.places, when, {}))

    def _value(self, value: Any, place: _Place, when: Condition) -> None:
        is_part = place.target in _MAY_BE_NONE and self.model is TrialConfig
        if is_part and (value is None or value == "none"):
            value = {}  # as a config reads it, so that alternatives may put penalties into it
        if is_distribution(value):
            value = self._distribution(value, place)
            if value is None:
                return
        elif isinstance(value, Mapping):
            self.mapping(value, place, when)
            return
        elif isinstance(value, list) and self._is_known(place.target):
            self._report(place, f"a list; to search these values write {{choices: {plain(value)}}}")
            return
        elif isinstance(value, int) and self._kind(place.target, value) is float:
            value = value if isinstance(value, bool) else float(value)
        self.leaves.append(Leaf(place.target, place.places, when, value))

    def _distribution(self, value: Mapping[str, Any], place: _Place) -> Distribution | None:
        found = read_distribution(value, self._kind(place.target, value))
        if not isinstance(found, list):
            return found
        for key, message in found:
            self._report(place.child(key) if key else place, message, ".".join(place.target))
        return None

    def _choose(self, node: Any, place: _Place, when: Condition) -> None:
        path = (*place.path, "choose")
        if not isinstance(node, Mapping) or not node:
            self._report_at(path, "choose: decisions by name belong here, each with alternatives")
            return
        for name, alternatives in node.items():
            self._decision((*path, name), alternatives, place, when)

    def _decision(self, path: KeyPath, node: Any, place: _Place, when: Condition) -> None:
        name = str(path[-1])
        if not isinstance(node, Mapping) or not node or is_distribution(node):
            self._report_at(path, f"{name}: alternatives by name belong here, each a mapping")
            return
        words = [(path, name), *(((*path, word), word) for word in node)]
        for where, word in words:
            if not _WORD.fullmatch(word):
                self._report_at(where, f"{word!r}: {_WORDED}")
        self.decisions.append(Decision(path, place.target, when, tuple(node)))
        for word, part in node.items():
            inside = _Place((*path, word), place.target, place.places)
            if part is None or (isinstance(part, Mapping) and not is_distribution(part)):
                self.mapping(part or {}, inside, (*when, (path, word)))
            else:
                self._report_at(inside.path, f"{name}.{word}: settings belong here, as a mapping")

    def _is_known(self, target: Target) -> bool:
        """Whether the model says what belongs here."""
        return not _takes_any(self.model) or find_field(self.model, target[:1]) is not None

    def _kind(self, target: Target, value: Any) -> type:
        return known_kind(self.model, target) if self._is_known(target) else apparent_kind(value)

    def _report(self, place: _Place, message: str, label: str = "") -> None:
        self._report_at(place.path, f"{label or '.'.join(place.target)}: {message}")

    def _report_at(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.document.problem(path, message))
