"""Checks a whole space before anything is trained, so that no trial dies of a typo.

Every candidate value is checked by itself; then the combinations of decisions and choices, each
with its ranges at their low and at their high ends, are checked for what must agree and for what
had better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from gantune.config import TrialConfig, advice
from gantune.errors import Problem
from gantune.io.validation import is_conflict, model_problems
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.distributions import Choices, Range
from gantune.space.relative import ratio_problems
from gantune.space.sampling import Drawn, combinations, nest
from gantune.space.tree import Condition, Leaf, Target, Tree

_MOST_ADVICE = 5


_LAST = 1 << 30


_COMPARABLE = ("source", "key", "split", "held_out", "resolution", "colour", "classes")


@dataclass(frozen=True)
class Findings:
    """What is to be said of a space's trial."""

    problems: list[Problem]
    """All that keeps it from being searched."""
    advice: list[str]
    """What can be searched but is seldom meant, a sentence each; none where there are problems."""


def check_tree(tree: Tree, document: Document) -> Findings:
    """Checks a space's trial, value by value and then as a whole."""
    problems = [
        problem for leaf in tree.leaves for problem in _value_problems(leaf, tree.model, document)
    ]
    problems += [
        document.problem(
            leaf.path,
            f"{leaf.dotted}: cannot be searched: scores on different data are never compared",
        )
        for leaf in tree.leaves
        if leaf.target[0] == "data" and leaf.target[-1] in _COMPARABLE
        if leaf.is_open or leaf.when
    ]
    structure = [*_conflicts(tree, document), *ratio_problems(tree, document)]
    has_ratios = any(leaf.times for leaf in tree.leaves)
    whole = Findings([], [])
    if not structure and not (problems and has_ratios):  # a ratio of what is no number is nothing
        whole = _check_combinations(tree, document)
    found = list(dict.fromkeys([*problems, *whole.problems, *structure]))
    return Findings(found, [] if found else whole.advice)


def _value_problems(leaf: Leaf, model: type[BaseModel], document: Document) -> Iterator[Problem]:
    """Problems of each value that the leaf may take, by itself."""
    if leaf.times:
        return  # the number drawn is a ratio: what counts is the product
    for value, suffix in _candidates(leaf.value):
        places = (*leaf.places[:-1], (*leaf.path, *suffix))

        def report(path: KeyPath, message: str, places: tuple[KeyPath, ...] = places) -> Problem:
            return document.problem(places[min(len(path), len(places)) - 1], message)

        try:
            model.model_validate(nest({leaf.target: value}))
        except ValidationError as error:
            if not is_conflict(error):
                yield from model_problems(error, model, report)


def _candidates(value: Any) -> Iterator[tuple[Any, KeyPath]]:
    """Values with the keys that lead to them from the leaf."""
    if isinstance(value, Choices):
        yield from ((item, ("choices", i)) for i, item in enumerate(value.values))
    elif isinstance(value, Range):
        yield value.low, ("low",)
        yield value.high, ("high",)
    else:
        yield value, ()


def _conflicts(tree: Tree, document: Document) -> Iterator[Problem]:
    """Two places that would set one value in the same trial."""
    by_target: dict[Target, list[Leaf]] = {}
    for leaf in sorted(tree.leaves, key=lambda leaf: len(leaf.target)):
        for length in range(1, len(leaf.target) + 1):
            for other in by_target.get(leaf.target[:length], []):
                is_inside = length < len(leaf.target)
                makes_room = other.value == {} and (is_inside or leaf.value == {})
                if not makes_room and _can_meet(leaf.when, other.when):
                    yield _conflict(other, leaf, document)
        by_target.setdefault(leaf.target, []).append(leaf)


def _conflict(first: Leaf, second: Leaf, document: Document) -> Problem:
    """Reported where it is said last; the command line comes after the file."""
    here, there = (document.problem(leaf.path, "") for leaf in (first, second))
    if (here.line or _LAST, here.column) > (there.line or _LAST, there.column):
        first, second, here, there = second, first, there, here
    way_out = "one of the two has to go"
    if there.line is None and here.line is not None:
        way_out = f"use --set {'.'.join(map(str, first.path[1:]))}=... to set it there"
    place = f"line {here.line}" if here.line else here.file
    message = f"{second.dotted}: {place} sets this too ({first.dotted}); {way_out}"
    return document.problem(second.path, message)


def _can_meet(first: Condition, second: Condition) -> bool:
    words = dict(first)
    return all(words.get(path, word) == word for path, word in second)


def _check_combinations(tree: Tree, document: Document) -> Findings:
    """What single values cannot show."""
    problems: list[Problem] = []
    advised: Counter[str] = Counter()
    count = 0
    for drawn in combinations(tree):
        count += 1

        def report(path: KeyPath, message: str, drawn: Drawn = drawn) -> Problem:
            for length in range(len(path), 0, -1):
                leaf = drawn.leaves.get(tuple(map(str, path[:length])))
                if leaf is not None:
                    return document.problem(leaf.path, message)
            return document.problem(("trial",), message)

        try:
            config = tree.model.model_validate(drawn.tree())
            advised.update(advice(config) if isinstance(config, TrialConfig) else ())
        except ValidationError as error:
            if is_conflict(error):
                problems += model_problems(error, tree.model, report)
    return Findings(problems, _worded(advised, count))


def _worded(advised: Counter[str], count: int) -> list[str]:
    """The advice that most of ``count`` combinations call for, and whether all of them do."""
    lines = [
        f"{'advice' if times == count else 'advice for some trials'}: {sentence}"
        for sentence, times in advised.most_common(_MOST_ADVICE)
    ]
    more = len(advised) - len(lines)
    return [*lines, f"advice: {more} more of its kind"] if more else lines
