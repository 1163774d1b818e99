"""``--set path=value``: changes to a space file before it is read."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from gantune.config import CommandFields, TrialConfig
from gantune.config.external import ExternalFields, names_trainer
from gantune.errors import ConfigError, Problem
from gantune.io.validation import (
    comma_list,
    did_you_mean,
    name_hint,
    nested_names,
    path_hint,
)
from gantune.io.yaml_document import Document, KeyPath, parse_document
from gantune.space.distributions import plain
from gantune.space.settings import SpaceFile
from gantune.space.tree import Target

_DEEPEST = 20  # parts of a path


class OptionOverride(str):
    """A ``path=value`` that an option of its own gave, which messages name instead."""

    def __new__(cls, text: str, option: str) -> Self:
        """``option``: as it was typed, such as ``--kimg 40``."""
        made = super().__new__(cls, text)
        made.option = option
        return made

    option: str


def _shown(text: str) -> str:
    return text.option if isinstance(text, OptionOverride) else f"--set {text}"


@dataclass(frozen=True)
class Source(Document):
    """A space file with overrides merged in. Problems name the override or the line at fault."""

    overrides: Mapping[KeyPath, str] = field(default_factory=dict)
    """Each override, as messages call it, by the place that it sets."""
    narrowed: Mapping[KeyPath, str] = field(default_factory=dict)
    """Each override that fixes a decision, by the place of the decision."""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at ``path``: in the override that set it, else in the file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.overrides:
                return Problem(message, self.overrides[path[:length]])
        return super().problem(path, message)

    def override_of(self, path: KeyPath) -> str:
        """The override that changed ``path``, something around it, or something in it, if any."""
        changed = {**self.overrides, **self.narrowed}
        found = (text for own, text in changed.items() if path[: len(own)] == own[: len(path)])
        return next(iter(found), "")


def with_overrides(document: Document, overrides: Sequence[str]) -> tuple[Source, list[Problem]]:
    """The file with each ``path=value`` merged in, and the problems of these texts.

    A path begins with a top-level name of the space file; any other path is inside ``trial``. The
    name of a decision leaves only one of its alternatives. The last override of a path counts.
    """
    tree = copy.deepcopy(document.tree)
    source = Source(tree, document.file, document.positions, document.text)
    problems = []
    last: dict[str, str] = {}
    for text in overrides:
        dotted, equals, _ = text.partition("=")
        path = "".join(dotted.split()).removeprefix("trial.") + equals
        last.pop(path, None)  # the order is that of the overrides that count
        last[path] = text
    for text in last.values():
        try:
            source = _applied(source, text)
        except _WrongOverrideError as error:
            problems.append(Problem(str(error), _shown(text)))
    return source, problems


class _WrongOverrideError(Exception):
    """Why an override cannot be applied."""


def _applied(source: Source, text: str) -> Source:
    """The source after one override; its tree is changed in place."""
    dotted, equals, written = text.partition("=")
    path = tuple(part.strip() for part in dotted.split("."))
    if len(path) > _DEEPEST:
        raise _WrongOverrideError(f"a path of {len(path):,} parts; none has more than {_DEEPEST}")
    if not equals or not all(path):
        raise _WrongOverrideError("this is no path=value, such as generator.lr=2e-4")
    if not written.strip():
        raise _WrongOverrideError("no value; write null for none")
    try:
        value = parse_document(written).tree
    except ConfigError as error:
        raise _WrongOverrideError(f"the value: {error.problems[0].message}") from None

    trial = source.tree.setdefault("trial", {})
    if path[0] not in _top_level(source.tree):
        decisions = [place for name, place in _decisions(trial, (), ()) if name == ".".join(path)]
        if decisions:
            _fix(trial, decisions, value)
            fixed: dict[KeyPath, str] = {("trial", *place): _shown(text) for place in decisions}
            return replace(source, narrowed={**source.narrowed, **fixed})
        _check_name(path, trial, is_own=names_trainer(source.tree))
        path = ("trial", *path)

    inside = source.tree
    for at, part in enumerate(path[:-1]):
        if inside.get(part) is None:
            inside[part] = {}
        inside = inside[part]
        if not isinstance(inside, dict):
            raise _WrongOverrideError(f"{'.'.join(path[: at + 1])} is not a mapping")
    inside[path[-1]] = value
    return replace(source, overrides={**source.overrides, path: _shown(text)})


def _top_level(tree: Mapping[str, Any]) -> set[str]:
    """The names of a file's top level; those of a command only where it has one."""
    known = set(SpaceFile.model_fields)
    return known if "command" in tree else known - set(CommandFields.model_fields) | {"command"}


def _check_name(path: Target, trial: Any, is_own: bool) -> None:
    model = ExternalFields if is_own else TrialConfig
    fields = [*model.model_fields, *(_root_keys(trial) if is_own else ())]
    if path[0] in fields or path[0] == "choose":
        return
    dotted, decisions = ".".join(path), [name for name, _ in _decisions(trial, (), ())]
    known = list(dict.fromkeys([*fields, *SpaceFile.model_fields, *decisions]))
    inside = [name for each in (SpaceFile, model) for name in nested_names(each)]
    hint = path_hint(dotted, known, inside) or name_hint(path[0], known)
    raise _WrongOverrideError(f"unknown name {path[0]!r}{hint}")


def _root_keys(node: Any) -> Iterator[str]:
    """All keys that a trial may have at its root, including those of alternatives."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key != "choose":
            yield key
        elif isinstance(value, dict):
            for alternatives in value.values():
                for part in alternatives.values() if isinstance(alternatives, dict) else ():
                    yield from _root_keys(part)


def _decisions(node: Any, path: Target, owner: Target) -> Iterator[tuple[str, Target]]:
    """Names of all decisions with their places in ``trial``. ``owner``: as in ``Decision``."""
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key != "choose":
            yield from _decisions(value, (*path, key), (*owner, key))
        elif isinstance(value, dict):
            for name, alternatives in value.items():
                place = (*path, key, name)
                yield ".".join((*owner, name)), place
                if isinstance(alternatives, dict):
                    for word, part in alternatives.items():
                        yield from _decisions(part, (*place, word), owner)


def _fix(trial: dict[str, Any], places: Sequence[Target], value: Any) -> None:
    """Leaves of each decision only the alternative ``value``."""
    word = plain(value)
    for place in places:
        holder = trial
        for part in place[:-1]:
            holder = holder[part]
        alternatives = holder[place[-1]] if isinstance(holder[place[-1]], dict) else {}
        if word not in alternatives:
            near = did_you_mean(word, alternatives)
            near = near or f" (it chooses from {comma_list(alternatives)})"
            raise _WrongOverrideError(f"the decision has no alternative {word!r}{near}")
        holder[place[-1]] = {word: alternatives[word]}
