"""The ``trial`` of a space file as two flat lists: its values, and their decisions.

The key ``choose`` in a mapping names decisions; the sampled alternative is merged into it.
Each item of the lists knows under which alternatives it exists.

A name of an Optuna parameter never has two meanings. A value's name is its dotted path
(``generator.lr``), a relative value's the ratio of two paths (``discriminator.lr/generator.lr``), a
decision's its own name after the path of its mapping. Where different items would share a name, it
is prefixed with the alternative that leads there and a colon: ``wgan:generator.lr``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from gantune.config import TrialConfig
from gantune.errors import Problem
from gantune.io.validation import (
    comma_list,
    find_field,
    name_hint,
    nested_names,
    path_hint,
    section_of,
)
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.conditions import Condition, can_meet, is_always_met
from gantune.space.distributions import (
    Choices,
    Distribution,
    Range,
    Same,
    apparent_kind,
    explain_foreign,
    is_distribution,
    is_list,
    is_number,
    known_kind,
    plain,
    read_distribution,
)

Target = tuple[str, ...]
"""A place in a config, such as ``("generator", "lr")``."""

_MAY_BE_NONE = (("penalties",), ("augment",))
"""Sections that a config also reads from the word ``none``."""

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]*")  # no '.', ':' or '/': they join names
_INTERPOLATION = re.compile(r"\$\{(.+)\}")  # of Hydra and OmegaConf
_WORD_RULE = "a name here has letters, digits, '_', '-', '+'"


@dataclass(frozen=True)
class Decision:
    """A named choice between parts of the tree."""

    path: KeyPath
    owner: Target
    """The mapping that the sampled alternative is merged into."""
    when: Condition
    alternatives: tuple[str, ...]
    """Names, in the file's order."""
    name: str = ""
    """Name of Optuna's parameter."""

    @property
    def base(self) -> str:
        """The name of the parameter where it is unique."""
        return ".".join((*self.owner, str(self.path[-1])))

    @cached_property
    def distribution(self) -> Choices:
        """The alternatives, in an order that does not depend on the file's."""
        return Choices(tuple(sorted(self.alternatives)))


@dataclass(frozen=True)
class Leaf:
    """A value of the tree: plain, a distribution or ``Same``; ``{}`` for an empty mapping."""

    target: Target
    places: tuple[KeyPath, ...]
    """The place in the file of each part of the target."""
    when: Condition
    value: Any
    name: str = ""
    """Name of Optuna's parameter; empty where the value is not open."""

    @property
    def path(self) -> KeyPath:
        """Its place in the file."""
        return self.places[-1]

    @property
    def dotted(self) -> str:
        """The target as text."""
        return ".".join(self.target)

    @cached_property
    def is_open(self) -> bool:
        """Whether the value is a distribution."""
        return isinstance(self.value, Choices | Range)

    @property
    def distribution(self) -> Distribution:
        """The distribution of an open value."""
        assert isinstance(self.value, Choices | Range)
        return self.value

    @property
    def times(self) -> Target | None:
        """The value that this one is relative to, if any."""
        times = self.value.times if self.is_open else None
        return tuple(times.split(".")) if times else None

    @property
    def same(self) -> Target | None:
        """The setting whose value this one takes, if any."""
        return tuple(self.value.path.split(".")) if isinstance(self.value, Same) else None

    @cached_property
    def reference(self) -> Target | None:
        """The setting that the value is computed from, by ``times`` or ``same``."""
        return self.times or self.same

    @property
    def base(self) -> str:
        """The name of the parameter where it is unique: the path, or a ratio of two paths."""
        return f"{self.dotted}/{self.value.times}" if self.times else self.dotted

    def written_values(self) -> tuple[Any, ...]:
        """The values as the file has them; the ends of a range; ratios of a relative value."""
        return self.distribution.ends() if self.is_open else (self.value,)


@dataclass(frozen=True)
class Tree:
    """All values and decisions. A decision comes after those that it depends on."""

    leaves: tuple[Leaf, ...] = ()
    decisions: tuple[Decision, ...] = ()
    model: type[BaseModel] = TrialConfig
    """The model of a sample: ``TrialConfig``, or the few fields of an external trainer's config."""

    @property
    def takes_any(self) -> bool:
        """Whether the model allows unknown keys, for an external trainer."""
        return _takes_any(self.model)

    def default_of(self, target: Target) -> Any:
        """The default of a config's value; ``None`` where it is unknown."""
        field_ = find_field(self.model, target)
        return field_.get_default(call_default_factory=False) if field_ else None

    def has_default(self, target: Target) -> bool:
        """Whether a config has the setting even where the space sets nothing around it."""
        parts = [find_field(self.model, target[:length]) for length in range(1, len(target))]
        return find_field(self.model, target) is not None and not any(
            part is None or part.get_default(call_default_factory=True) is None for part in parts
        )

    def defaults(self) -> dict[str, Any]:
        """A config with only defaults; empty for an external trainer."""
        return {} if self.takes_any else self.model().model_dump()

    @property
    def open(self) -> tuple[Decision | Leaf, ...]:
        """Everything that is searched."""
        return (*self.decisions, *(leaf for leaf in self.leaves if leaf.is_open))

    @cached_property
    def sections(self) -> Mapping[Target, str]:
        """The sections of a config, each with a setting inside it, as dotted text."""
        leaves = [leaf.dotted for leaf in self.leaves if leaf.value != {}]
        names = [*leaves, *nested_names(self.model)]
        found: dict[Target, str] = {}
        for name in names:
            target = tuple(name.split("."))
            for length in range(1, len(target)):
                found.setdefault(target[:length], name)
        return found

    def named_by(self, text: Any) -> str:
        """The setting that a text names, as ``generator.lr`` or ``${generator.lr}``; else empty."""
        if not isinstance(text, str):
            return ""
        name = found[1] if (found := _INTERPOLATION.fullmatch(text)) else text
        target = tuple(name.split("."))
        is_setting = find_field(self.model, target) is not None or bool(self.at(target))
        return name if is_setting and target not in self.sections else ""

    def at(self, target: Target, when: Condition = ()) -> list[Leaf]:
        """The leaves that can set ``target`` where ``when`` holds."""
        leaves = self._leaves_at.get(target, [])
        return [leaf for leaf in leaves if can_meet(leaf.when, when)]

    @cached_property
    def _leaves_at(self) -> Mapping[Target, list[Leaf]]:
        found: dict[Target, list[Leaf]] = defaultdict(list)
        for leaf in self.leaves:
            found[leaf.target].append(leaf)
        return dict(found)

    def values_at(self, target: Target, when: Condition = ()) -> list[Any]:
        """All values that a config may have at ``target`` where ``when`` holds; the ends of a
        range; with the default unless the space always sets it."""
        leaves = self.at(target, when)
        values = [value for leaf in leaves for value in self.values_of(leaf, when)]
        alternatives = {each.path: each.alternatives for each in self.decisions}
        if not is_always_met([leaf.when for leaf in leaves], alternatives, when):
            values.append(self.default_of(target))
        return values

    def values_of(self, leaf: Leaf, when: Condition = ()) -> list[Any]:
        """All values that a leaf can take where ``when`` holds; the ends of a range, and of a
        range of products."""
        when = (*leaf.when, *when)
        if leaf.same is not None:
            return self.values_at(leaf.same, when)
        if leaf.times is None:
            return list(leaf.written_values())
        factors = filter(is_number, self.values_at(leaf.times, when))
        ratios = list(filter(is_number, leaf.written_values()))
        products = [one * other for other in factors for one in ratios]
        return [min(products), max(products)] if products else []


def read_tree(
    trial: Mapping[str, Any], document: Document, model: type[BaseModel] = TrialConfig
) -> tuple[Tree, list[Problem]]:
    """Reads the ``trial`` of ``document``, whose samples are of ``model``.

    Returns the tree with all parameters named, and the problems found.
    """
    reader = _Reader(document, model)
    reader.mapping(trial, _Place(("trial",), (), ()), ())
    leaves = sorted(reader.leaves, key=lambda leaf: (leaf.target, _order(leaf.path)))
    decisions = sorted(reader.decisions, key=lambda d: (len(d.when), d.base, _order(d.path)))
    tree, wrong_names = _with_names(Tree(tuple(leaves), tuple(decisions), model), document)
    return tree, reader.problems + wrong_names


def _takes_any(model: type[BaseModel]) -> bool:
    return model.model_config.get("extra") == "allow"


def _order(path: KeyPath) -> tuple[str, ...]:
    return tuple(map(str, path))


@dataclass(frozen=True)
class _Place:
    """The place of a mapping in the file and in the config."""

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
                self._report((*place.path, key), f"{key!r}: {_WORD_RULE}")
            else:
                self._value(value, place.child(key), when)
        if place.target and not set(node) - {"choose"}:
            self.leaves.append(Leaf(place.target, place.places, when, {}))

    def _value(self, value: Any, place: _Place, when: Condition) -> None:
        """Reads a plain value, a distribution or a mapping."""
        target, dotted = place.target, ".".join(place.target)
        is_known = not _takes_any(self.model) or find_field(self.model, target[:1]) is not None
        if is_known and find_field(self.model, target) is None:
            self._report(place.path, f"{dotted}: unknown name{self._unknown_hint(target)}")
            return
        section = section_of(self.model, target) if is_known else None
        kind = known_kind(self.model, target) if is_known else apparent_kind(value)
        is_part = target in _MAY_BE_NONE and self.model is TrialConfig
        if is_part and (value is None or value == "none"):
            value = {}  # as a config reads it, so that alternatives can add penalties
        if is_distribution(value):
            found = read_distribution(value, kind)
            if isinstance(found, list):
                for key, message in found:
                    path = (*place.path, key) if key else place.path
                    self._report(path, f"{dotted}: {message}")
                return
            value = found
        elif isinstance(value, Mapping) and (what := explain_foreign(value, is_own=not is_known)):
            self._report(place.path, f"{dotted}: {what}")
            return
        elif isinstance(value, Mapping) and is_known and section is None:
            ways = "a value, {choices: [...]}, {low: ..., high: ...} or {same: PATH}"
            self._report(place.path, f"{dotted}: {ways} belongs here, not {plain(value)[:80]}")
            return
        elif isinstance(value, Mapping):
            self.mapping(value, place, when)
            return
        elif isinstance(value, list) and section is not None:
            names = comma_list(section.model_fields)
            self._report(place.path, f"{dotted}: a mapping ({names}) belongs here, not a list")
            return
        elif isinstance(value, list) and is_known and not is_list(self.model, target):
            remedy = f"to search these values write {{choices: {plain(value)}}}"
            self._report(place.path, f"{dotted}: a list; {remedy}")
            return
        elif isinstance(value, int) and not isinstance(value, bool) and kind is float:
            value = float(value)
        self.leaves.append(Leaf(target, place.places, when, value))

    def _unknown_hint(self, target: Target) -> str:
        """What an unknown name could have been."""
        section = section_of(self.model, target[:-1])
        known = section.model_fields if section else ()
        nested = nested_names(self.model) if len(target) == 1 else ()
        return path_hint(target[-1], known, nested) or name_hint(target[-1], known)

    def _choose(self, node: Any, place: _Place, when: Condition) -> None:
        """Reads the decisions of a mapping."""
        root = (*place.path, "choose")
        if not isinstance(node, Mapping) or not node:
            self._report(root, "choose: decisions by name belong here, each with alternatives")
            return
        for name, alternatives in node.items():
            path = (*root, name)
            is_wrong = not isinstance(alternatives, Mapping) or is_distribution(alternatives)
            if is_wrong or not alternatives:
                self._report(path, f"{name}: alternatives by name belong here, each a mapping")
                continue
            for where, word in [(path, name), *(((*path, word), word) for word in alternatives)]:
                if not _WORD.fullmatch(word):
                    self._report(where, f"{word!r}: {_WORD_RULE}")
            self.decisions.append(Decision(path, place.target, when, tuple(alternatives)))
            for word, part in alternatives.items():
                inside = _Place((*path, word), place.target, place.places)
                if part is None or (isinstance(part, Mapping) and not is_distribution(part)):
                    self.mapping(part or {}, inside, (*when, (path, word)))
                else:
                    what = f"{name}.{word}: settings belong here, as a mapping"
                    self._report(inside.path, what)

    def _report(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.document.problem(path, message))


def _with_names(tree: Tree, document: Document) -> tuple[Tree, list[Problem]]:
    """Names every open item, where needed with the shortest prefix that makes names different.

    Also returns a problem for each name with two meanings.
    """
    groups: dict[str, list[Decision | Leaf]] = defaultdict(list)
    for item in tree.open:
        groups[item.base].append(item)
    names: dict[KeyPath, str] = {}
    problems = []
    for base, group in groups.items():
        values = [item.value for item in group if isinstance(item, Leaf)]
        is_one = len(values) == len(group) and all(value == values[0] for value in values)
        found = [base for _ in group]
        if len(group) > 1 and not is_one:
            for depth in range(1, 1 + max(len(item.when) for item in group)):
                prefixes = [[word for _, word in item.when[-depth:]] for item in group]
                found = [":".join((*prefix, base)) for prefix in prefixes]
                if len(set(found)) == len(found):
                    break
            else:
                message = f"{base}: a decision and a value have this name; rename the decision"
                problems.append(document.problem(group[0].path, message))
        names.update({item.path: name for item, name in zip(group, found, strict=True)})
    leaves = tuple(replace(leaf, name=names.get(leaf.path, "")) for leaf in tree.leaves)
    decisions = tuple(replace(item, name=names[item.path]) for item in tree.decisions)
    return replace(tree, leaves=leaves, decisions=decisions), problems
