"""Checks a whole space before training, so that no trial fails because of a typo.

Each candidate value is checked by itself, and each relative value (``times``) with the values that
it can multiply. Then combinations of decisions and choices, with ranges at their low and high ends,
are checked for values that conflict, and for combinations to advise against.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from gantune.config import TrialConfig, advice
from gantune.errors import Problem
from gantune.io.validation import did_you_mean, find_field, is_conflict, model_problems
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.distributions import Choices, Range, plain
from gantune.space.sampling import Sample, combinations, nest
from gantune.space.tree import Leaf, Target, Tree

_MOST_ADVICE = 5
_LAST = 1 << 30  # sorts values from the command line after all lines of the file
_COMPARABLE = ("source", "key", "split", "held_out", "resolution", "colour", "classes")


def check_tree(tree: Tree, document: Document) -> tuple[list[Problem], list[str]]:
    """Checks the trial of a space, value by value and then as a whole.

    Returns all problems, and where there are none, advice: a sentence for each setting that is
    valid but unusual.
    """
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
    structure = [*_conflicts(tree, document), *_ratio_problems(tree, document)]
    has_ratios = any(leaf.times for leaf in tree.leaves)
    advised: list[str] = []
    if not structure and not (problems and has_ratios):  # products need valid numbers
        found, advised = _check_combinations(tree, document)
        problems += found
    problems = list(dict.fromkeys([*problems, *structure]))
    return problems, [] if problems else advised


def _value_problems(leaf: Leaf, model: type[BaseModel], document: Document) -> Iterator[Problem]:
    """Problems of each value that the leaf can take, by itself."""
    if leaf.times:
        return  # the sampled number is a ratio; its product is checked instead
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
    """The values to check, with their keys below the leaf."""
    if isinstance(value, Choices):
        yield from ((item, ("choices", i)) for i, item in enumerate(value.values))
    elif isinstance(value, Range):
        yield value.low, ("low",)
        yield value.high, ("high",)
    else:
        yield value, ()


def _conflicts(tree: Tree, document: Document) -> Iterator[Problem]:
    """Pairs of places that would set one value in the same trial."""
    by_target: dict[Target, list[Leaf]] = {}
    for leaf in sorted(tree.leaves, key=lambda leaf: len(leaf.target)):
        chosen = dict(leaf.when)
        for length in range(1, len(leaf.target) + 1):
            for other in by_target.get(leaf.target[:length], []):
                is_inside = length < len(leaf.target)
                is_replaced = other.value == {} and (is_inside or leaf.value == {})
                can_meet = all(chosen.get(path, word) == word for path, word in other.when)
                if can_meet and not is_replaced:
                    yield _conflict(other, leaf, document)
        by_target.setdefault(leaf.target, []).append(leaf)


def _conflict(first: Leaf, second: Leaf, document: Document) -> Problem:
    """The problem at the later place; the command line comes after the file."""
    here, there = (document.problem(leaf.path, "") for leaf in (first, second))
    if (here.line or _LAST, here.column) > (there.line or _LAST, there.column):
        first, second, here, there = second, first, there, here
    remedy = "remove one of the two"
    if there.line is None and here.line is not None:
        remedy = f"use --set {'.'.join(map(str, first.path[1:]))}=... to set it there"
    place = f"line {here.line}" if here.line else here.file
    message = f"{second.dotted}: {place} sets this too ({first.dotted}); {remedy}"
    return document.problem(second.path, message)


def _check_combinations(tree: Tree, document: Document) -> tuple[list[Problem], list[str]]:
    """Checks combinations of values. Returns problems, and the most frequent advice."""
    problems: list[Problem] = []
    advised: Counter[str] = Counter()
    count = 0
    for sample in combinations(tree):
        count += 1

        def report(path: KeyPath, message: str, sample: Sample = sample) -> Problem:
            for length in range(len(path), 0, -1):
                leaf = sample.leaves.get(tuple(map(str, path[:length])))
                if leaf is not None:
                    return document.problem(leaf.path, message)
            return document.problem(("trial",), message)

        try:
            config = tree.model.model_validate(sample.tree())
            advised.update(advice(config) if isinstance(config, TrialConfig) else ())
        except ValidationError as error:
            if is_conflict(error):
                problems += model_problems(error, tree.model, report)
    lines = [
        f"{'advice' if times == count else 'advice for some trials'}: {sentence}"
        for sentence, times in advised.most_common(_MOST_ADVICE)
    ]
    if len(advised) > len(lines):
        lines.append(f"advice: {len(advised) - len(lines)} more like this")
    return problems, lines


def _ratio_problems(tree: Tree, document: Document) -> list[Problem]:
    """Unknown or circular ``times``, and products that are no valid values."""
    relative = [leaf for leaf in tree.leaves if leaf.times]
    problems = [
        document.problem((*leaf.path, "times"), f"{leaf.dotted}: {message}")
        for leaf in relative
        if (message := _wrong_target(leaf, tree))
    ]
    if not problems and tree.takes_any:
        problems = list(_missing_factors(relative, tree, document))
    if not problems:
        problems = [found for leaf in relative for found in _range_problems(leaf, tree, document)]
    return problems


def _wrong_target(leaf: Leaf, tree: Tree) -> str:
    assert leaf.times
    dotted = ".".join(leaf.times)
    default = tree.default_of(leaf.times)
    is_known = find_field(tree.model, leaf.times) is not None
    setting = [other for other in tree.leaves if other.target == leaf.times]
    if not is_known and not (tree.takes_any and setting):
        usual = () if tree.takes_any else ("generator.lr", "discriminator.lr")
        known = [*usual, *(other.dotted for other in tree.leaves)]
        return f"times: there is no value {dotted!r}{did_you_mean(dotted, known)}"
    values = [default] if is_known else [v for other in setting for v in other.possible_values()]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return f"times: {dotted!r} is no number"
    seen, ahead = set(), [leaf.times]
    while ahead:
        target = ahead.pop()
        if target == leaf.target:
            return "times: this value depends on itself in a circle"
        if target not in seen:
            seen.add(target)
            ahead += [
                other.times for other in tree.leaves if other.target == target and other.times
            ]
    return ""


def _missing_factors(relative: list[Leaf], tree: Tree, document: Document) -> Iterator[Problem]:
    """Relative values whose other factor is missing in some trials."""
    asked = []
    for leaf in relative:
        setting = [set(other.when) for other in tree.leaves if other.target == leaf.times]
        if not any(when <= set(leaf.when) for when in setting):
            asked.append(leaf)
    for sample in combinations(tree) if asked else ():
        for leaf in [leaf for leaf in asked if sample.leaves.get(leaf.target) == leaf]:
            if leaf.times not in sample.leaves:
                asked.remove(leaf)
                dotted = ".".join(leaf.times or ())
                what = f"times: some trials that have this value have no {dotted!r}"
                yield document.problem((*leaf.path, "times"), f"{leaf.dotted}: {what}")


def _range_problems(leaf: Leaf, tree: Tree, document: Document) -> Iterator[Problem]:
    low, high = tree.reach(leaf)
    for product in (low, high):

        def report(path: KeyPath, message: str, product: float = product) -> Problem:
            reached = f"reaches {plain(product)} (ratio times {'.'.join(leaf.times or ())})"
            return document.problem(
                leaf.path, f"{leaf.dotted}: {reached}; {message.removeprefix(leaf.dotted + ': ')}"
            )

        try:
            tree.model.model_validate(nest({leaf.target: product}))
        except ValidationError as error:
            if not (tree.takes_any and is_conflict(error)):
                yield from model_problems(error, tree.model, report)
