"""Values relative to another one (``times``): where they lead, and how far they reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from gantune.errors import Problem
from gantune.io.validation import did_you_mean, find_field, is_conflict, model_problems
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.distributions import plain
from gantune.space.sampling import combinations, nest
from gantune.space.tree import Leaf, Target, Tree


def ratio_problems(tree: Tree, document: Document) -> list[Problem]:
    """Unknown or circular ``times``, and products that no ``TrialConfig`` can hold."""
    relative = [leaf for leaf in tree.leaves if leaf.times]
    wrong = {leaf.path: message for leaf in relative if (message := _wrong_target(leaf, tree))}
    problems = [
        document.problem((*leaf.path, "times"), f"{leaf.dotted}: {wrong[leaf.path]}")
        for leaf in relative
        if leaf.path in wrong
    ]
    if not problems and tree.takes_any:
        problems = list(_absent(relative, tree, document))
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
    values = [default] if is_known else [v for other in setting for v in _values(other)]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return f"times: {dotted!r} is no number"
    seen, ahead = set(), [leaf.times]
    while ahead:
        target = ahead.pop()
        if target == leaf.target:
            return "times: goes round in a circle, back to this value"
        if target not in seen:
            seen.add(target)
            ahead += [
                other.times for other in tree.leaves if other.target == target and other.times
            ]
    return ""


def _absent(relative: list[Leaf], tree: Tree, document: Document) -> Iterator[Problem]:
    """Multiples of a value that some trial with the multiple does not have."""
    asked = [leaf for leaf in relative if not _is_beside(leaf, tree)]
    for drawn in combinations(tree) if asked else ():
        for leaf in [leaf for leaf in asked if drawn.leaves.get(leaf.target) == leaf]:
            if leaf.times not in drawn.leaves:
                asked.remove(leaf)
                dotted = ".".join(leaf.times or ())
                what = f"times: some trials that have this value have no {dotted!r}"
                yield document.problem((*leaf.path, "times"), f"{leaf.dotted}: {what}")


def _is_beside(leaf: Leaf, tree: Tree) -> bool:
    """Whether the value that a leaf multiplies is set wherever the leaf is, by one place."""
    setting = [other for other in tree.leaves if other.target == leaf.times]
    return any(set(other.when) <= set(leaf.when) for other in setting)


def _range_problems(leaf: Leaf, tree: Tree, document: Document) -> Iterator[Problem]:
    low, high = _reach(leaf, tree)
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


def _reach(leaf: Leaf, tree: Tree) -> tuple[float, float]:
    """Least and largest value that the leaf may take."""
    own = [end for end in _numbers(leaf)]
    if leaf.times is None:
        return min(own), max(own)
    others = span(leaf.times, tree)
    products = [one * other for one in own for other in others]
    return min(products), max(products)


def span(target: Target, tree: Tree) -> tuple[float, float]:
    """Least and largest value at ``target``, wherever it is set, or left at its default."""
    setting = [leaf for leaf in tree.leaves if leaf.target == target and _numbers(leaf)]
    spans = [_reach(leaf, tree) for leaf in setting]
    default = tree.default_of(target)
    if default is not None and not any(not leaf.when for leaf in setting):
        spans.append((default, default))
    return min(low for low, _ in spans), max(high for _, high in spans)


def _numbers(leaf: Leaf) -> list[float]:
    return [v for v in _values(leaf) if isinstance(v, int | float) and not isinstance(v, bool)]


def _values(leaf: Leaf) -> tuple[Any, ...]:
    return leaf.distribution.ends() if leaf.is_open else (leaf.value,)
