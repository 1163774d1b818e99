"""Samples training configurations from a tree, and enumerates combinations of its choices."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gantune.io.yaml_document import KeyPath
from gantune.space.conditions import Condition
from gantune.space.distributions import Range
from gantune.space.tree import Decision, Leaf, Target, Tree

_MOST_COMBINATIONS = 10_000
_MOST_WORK = 50_000_000  # combinations times the square of the items


@dataclass(frozen=True)
class Sample:
    """One sample of a tree: the leaves that exist in it, with their values."""

    leaves: Mapping[Target, Leaf]
    values: Mapping[Target, Any]

    def tree(self) -> dict[str, Any]:
        """The nested mapping that a config is made from."""
        return nest(self.values)


def sample_tree(tree: Tree, choose: Callable[[Decision | Leaf], Any]) -> Sample:
    """Samples decisions, then values, in an order that does not depend on the file's.

    ``choose`` returns the value of an open item; for a relative value, the ratio.
    """
    chosen: dict[KeyPath, str] = {}
    for decision in tree.decisions:
        if is_active(decision.when, chosen):
            chosen[decision.path] = choose(decision)
    leaves = {leaf.target: leaf for leaf in tree.leaves if is_active(leaf.when, chosen)}
    drawn = {
        target: choose(leaf) if leaf.is_open else leaf.value for target, leaf in leaves.items()
    }
    values = {
        target: _value(target, leaves, drawn, tree) if leaf.reference else drawn[target]
        for target, leaf in leaves.items()
    }
    return Sample(leaves, values)


def is_active(when: Condition, chosen: Mapping[KeyPath, str]) -> bool:
    """Whether an item exists under the chosen alternatives."""
    return not when or all(chosen.get(path) == word for path, word in when)


def nest(values: Mapping[Target, Any]) -> dict[str, Any]:
    """Values by target as nested mappings. An empty mapping is replaced by values inside it."""
    tree: dict[str, Any] = {}
    for target, value in sorted(values.items(), key=lambda item: len(item[0])):
        inside = tree
        for part in target[:-1]:
            inside = inside.setdefault(part, {})
        inside[target[-1]] = {} if value == {} else value
    return tree


def _value(
    target: Target, leaves: Mapping[Target, Leaf], drawn: Mapping[Target, Any], tree: Tree
) -> Any:
    leaf = leaves.get(target)
    own = drawn[target] if leaf else tree.default_of(target)
    if leaf is None or leaf.reference is None:
        return own
    other = _value(leaf.reference, leaves, drawn, tree)
    if leaf.same:
        return other
    return math.nan if other is None else own * other  # a missing value is reported by the check


def combinations(tree: Tree) -> Iterator[Sample]:
    """All combinations of decisions and choices, once with all ranges at their low ends and once at
    their high ends. Of too many combinations, the first 5,000 and 5,000 random ones, and fewer in
    spaces of more than 70 items."""
    items = len(tree.decisions) + len(tree.leaves)
    half = min(_MOST_COMBINATIONS, max(100, _MOST_WORK // max(1, items) ** 2)) // 2
    for side in (0, -1):
        script: list[int] = []
        for _ in range(half):
            walk = _Walk(script, side)
            yield sample_tree(tree, walk)
            next_script = walk.next_script()
            if next_script is None:
                break
            script = next_script
        else:
            at_random = _at_random(random.Random(side))
            yield from (sample_tree(tree, at_random) for _ in range(half))


def _at_random(source: random.Random) -> Callable[[Decision | Leaf], Any]:
    return lambda item: item.distribution.sample(source)


class _Walk:
    """Chooses along a script of indices; ``next_script`` is the script of the next combination.

    After the end of the script each choice is the first one. So scripts count like an odometer
    whose wheels depend on the earlier choices.
    """

    def __init__(self, script: list[int], side: int) -> None:
        self._script, self._side = script, side
        self._picks: list[tuple[int, int]] = []  # index, number of values

    def __call__(self, item: Decision | Leaf) -> Any:
        values = item.distribution.ends()
        if isinstance(item.distribution, Range):
            return values[self._side]
        at = len(self._picks)
        pick = self._script[at] if at < len(self._script) else 0
        self._picks.append((pick, len(values)))
        return values[pick]

    def next_script(self) -> list[int] | None:
        """The next script, or ``None`` after the last one."""
        picks = list(self._picks)
        while picks:
            pick, count = picks.pop()
            if pick + 1 < count:
                return [*(p for p, _ in picks), pick + 1]
        return None
