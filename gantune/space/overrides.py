"""``--set path=value``: changes to a space file before it is read."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gantune.config import TrialConfig
from gantune.config.external import ExternalFields
from gantune.errors import ConfigError, Problem
from gantune.io.validation import comma_list, did_you_mean, nested_names
from gantune.io.yaml_document import Document, KeyPath, parse_document
from gantune.space.distributions import plain
from gantune.space.settings import SpaceFile


@dataclass(frozen=True)
class Source(Document):
    """A space file with the command line's changes in it; problems name where a value is from."""

    overrides: Mapping[KeyPath, str] = field(default_factory=dict)
    """Text of each override by the place that it sets."""
    narrowed: Mapping[KeyPath, str] = field(default_factory=dict)
    """Text of each override that left only one alternative of a decision, by its place."""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at ``path``: in the override that set it, else in the file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.overrides:
                return Problem(message, f"--set {self.overrides[path[:length]]}")
        return super().problem(path, message)

    def override_of(self, path: KeyPath) -> str:
        """The override that changed ``path``, something around it, or something in it, if any."""
        changed = {**self.overrides, **self.narrowed}
        found = (text for own, text in changed.items() if path[: len(own)] == own[: len(path)])
        return next((f"--set {text}" for text in found), "")


def with_overrides(document: Document, overrides: Sequence[str]) -> tuple[Source, list[Problem]]:
    """The file with each ``path=value`` put in its place, and what is wrong with them.

    A path begins with a top-level name of the space file, or else lies in ``trial``. The name of
    a decision fixes it to one of its alternatives. Of two for one path the last one wins.
    """
    tree = copy.deepcopy(document.tree)
    source = Source(tree, document.file, document.positions, document.text)
    problems = []
    last = {_path_text(text): number for number, text in enumerate(overrides)}
    for number, text in enumerate(overrides):
        if last[_path_text(text)] != number:
            continue
        try:
            source = _applied(source, text)
        except _WrongOverrideError as error:
            problems.append(Problem(str(error), f"--set {text}"))
    return source, problems


class _WrongOverrideError(Exception):
    """Why an override cannot be applied."""


def _path_text(text: str) -> str:
    """The path of an override as it is compared; where there is none, the whole text."""
    dotted, equals, _ = text.partition("=")
    return "".join(dotted.split()).removeprefix("trial.") + equals


def _parsed(text: str) -> tuple[tuple[str, ...], Any]:
    dotted, equals, value = text.partition("=")
    path = tuple(part.strip() for part in dotted.split("."))
    if not equals or not all(path):
        raise _WrongOverrideError("this is no path=value, such as generator.lr=2e-4")
    if not value.strip():
        raise _WrongOverrideError("no value; write null for none")
    try:
        return path, parse_document(value).tree
    except ConfigError as error:
        raise _WrongOverrideError(f"the value: {error.problems[0].message}") from None


def _applied(source: Source, text: str) -> Source:
    """The source after one override; its tree is changed in place."""
    path, value = _parsed(text)
    trial = source.tree.setdefault("trial", {})
    if path[0] not in SpaceFile.model_fields:
        decisions = [place for name, place in _decisions(trial, (), ()) if name == ".".join(path)]
        if decisions:
            _fix(trial, decisions, value)
            fixed: dict[KeyPath, str] = {("trial", *place): text for place in decisions}
            return replace(source, narrowed={**source.narrowed, **fixed})
        _check_name(path, trial, is_own="trainer" in source.tree)
        path = ("trial", *path)
    _put(source.tree, path, value)
    return replace(source, overrides={**source.overrides, path: text})


def _check_name(path: tuple[str, ...], trial: Any, is_own: bool) -> None:
    model = ExternalFields if is_own else TrialConfig
    fields = [*model.model_fields, *(_root_keys(trial) if is_own else ())]
    if path[0] not in fields and path[0] != "choose":
        decisions = [name for name, _ in _decisions(trial, (), ())]
        known = [*fields, *SpaceFile.model_fields, *decisions]
        inside = [name for each in (SpaceFile, model) for name in nested_names(each)]
        meant = [name for name in inside if name.endswith("." + ".".join(path))]
        if meant:
            near = f" (did you mean {' or '.join(map(repr, meant))}?)"
        else:
            near = did_you_mean(".".join(path), known) or did_you_mean(path[0], known)
        near = near or f"; known: {comma_list(dict.fromkeys(known))}"
        raise _WrongOverrideError(f"unknown name {path[0]!r}{near}")


def _root_keys(node: Any) -> Iterator[str]:
    """All keys that a trial may have at its root, those of alternatives among them."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key != "choose":
            yield key
        elif isinstance(value, dict):
            for alternatives in value.values():
                for part in alternatives.values() if isinstance(alternatives, dict) else ():
                    yield from _root_keys(part)


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    inside = tree
    for at, part in enumerate(path[:-1]):
        if inside.get(part) is None:
            inside[part] = {}
        if not isinstance(inside[part], dict):
            raise _WrongOverrideError(f"{'.'.join(path[: at + 1])} is no mapping")
        inside = inside[part]
    inside[path[-1]] = value


def _decisions(
    node: Any, path: tuple[str, ...], owner: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names of all decisions with their places in ``trial``."""
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


def _fix(trial: dict[str, Any], places: Sequence[tuple[str, ...]], value: Any) -> None:
    """Leaves of each decision only the alternative ``value``."""
    word = plain(value)
    for place in places:
        holder = trial
        for part in place[:-1]:
            holder = holder[part]
        alternatives = holder[place[-1]]
        if not isinstance(alternatives, dict) or word not in alternatives:
            known = list(alternatives) if isinstance(alternatives, dict) else []
            near = did_you_mean(word, known) or f" (it chooses from {comma_list(known)})"
            raise _WrongOverrideError(f"the decision has no alternative {word!r}{near}")
        holder[place[-1]] = {word: alternatives[word]}
