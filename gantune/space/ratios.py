"""Values relative to another one (``times``): where they lead, and how far they reach."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from gantune.config import TrialConfig
from gantune.documents import Document, Path_
from gantune.errors import Problem
from gantune.problems import find_field, model_problems, nearest
from gantune.space.distributions import plain
from gantune.space.sampling import nest
from gantune.space.tree import Leaf, Target, Tree, default_of

__all__ = ["ratio_problems", "span"]


def ratio_problems(tree: Tree, document: Document) -> list[Problem]:
    """Unknown or circular ``times``, and products that no ``TrialConfig`` can hold."""
    relative = [leaf for leaf in tree.leaves if leaf.times]
    wrong = {leaf.path: message for leaf in relative if (message := _wrong_target(leaf, tree))}
    problems = [
        document.problem((*leaf.path, "times"), f"{leaf.dotted}: {wrong[leaf.path]}")
        for leaf in relative
        if leaf.path in wrong
    ]
    if not problems:
        problems = [found for leaf in relative for found in _range_problems(leaf, tree, document)]
    return problems


def _wrong_target(leaf: Leaf, tree: Tree) -> str:
    assert leaf.times
    dotted = ".".join(leaf.times)
    default = default_of(leaf.times)
    if find_field(TrialConfig, leaf.times) is None:
        known = [*("generator.lr", "discriminator.lr"), *(other.dotted for other in tree.leaves)]
        return f"times: there is no value {dotted!r}{nearest(dotted, known)}"
    if isinstance(default, bool) or not isinstance(default, int | float):
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


def _range_problems(leaf: Leaf, tree: Tree, document: Document) -> Iterator[Problem]:
    low, high = _reach(leaf, tree)
    for product in (low, high):

        def report(path: Path_, message: str, product: float = product) -> Problem:
            reached = f"reaches {plain(product)} (ratio times {'.'.join(leaf.times or ())})"
            return document.problem(
                leaf.path, f"{leaf.dotted}: {reached}; {message.removeprefix(leaf.dotted + ': ')}"
            )

        try:
            TrialConfig.model_validate(nest({leaf.target: product}))
        except ValidationError as error:
            yield from model_problems(error, TrialConfig, report)


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
    if not any(not leaf.when for leaf in setting):
        spans.append((default_of(target), default_of(target)))
    return min(low for low, _ in spans), max(high for _, high in spans)


def _numbers(leaf: Leaf) -> list[float]:
    values = leaf.distribution.ends() if leaf.is_open else (leaf.value,)
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
