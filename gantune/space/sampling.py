"""From the tree to one training configuration: draw what is open, merge what was drawn."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gantune.errors import Problem
from gantune.io.yaml_document import Document, KeyPath
from gantune.space.distributions import Range
from gantune.space.tree import Condition, Decision, Leaf, Target, Tree


@dataclass(frozen=True)
class Drawn:
    """One draw: the leaves that exist in it, with their values."""

    leaves: Mapping[Target, Leaf]
    values: Mapping[Target, Any]

    def tree(self) -> dict[str, Any]:
        """The draw as the mapping that a config is made from."""
        return nest(self.values)


def draw(tree: Tree, choose: Callable[[Decision | Leaf], Any]) -> Drawn:
    """Draws decisions, then values, in an order that does not depend on the file's.

    ``choose`` gives the value of an open item; of a relative one, the ratio.
    """
    chosen: dict[KeyPath, str] = {}
    for decision in tree.decisions:
        if is_active(decision.when, chosen):
            chosen[decision.path] = choose(decision)
    leaves = {leaf.target: leaf for leaf in tree.leaves if is_active(leaf.when, chosen)}
    drawn = {
        target: choose(leaf) if leaf.is_open else leaf.value for target, leaf in leaves.items()
    }
    values = {target: _product(target, leaves, drawn, tree) for target in leaves}
    return Drawn(leaves, values)


def is_active(when: Condition, chosen: Mapping[KeyPath, str]) -> bool:
    """Whether the chosen alternatives lead to an item."""
    return all(chosen.get(path) == word for path, word in when)


def nest(values: Mapping[Target, Any]) -> dict[str, Any]:
    """Dotted places as nested mappings; an empty mapping gives way to what stands inside it."""
    tree: dict[str, Any] = {}
    for target, value in sorted(values.items(), key=lambda item: len(item[0])):
        inside = tree
        for part in target[:-1]:
            inside = inside.setdefault(part, {})
        inside[target[-1]] = {} if value == {} else value
    return tree


def _product(
    target: Target, leaves: Mapping[Target, Leaf], drawn: Mapping[Target, Any], tree: Tree
) -> Any:
    times = leaves[target].times if target in leaves else None
    own = drawn[target] if target in drawn else tree.default_of(target)
    if times is None:
        return own
    other = _product(times, leaves, drawn, tree)
    return math.nan if other is None else own * other  # of what is not there: the check says so


# Names of Optuna's parameters: a name never has two meanings.
#
# A value's name is its dotted path (``generator.lr``), a relative one's the ratio of two paths
# (``discriminator.lr/generator.lr``), a decision's its own name behind the path of the mapping that
# it stands in. Where two that differ would share a name, the alternative that leads there comes in
# front, with a colon, which no name holds: ``wgan:generator.lr``.


def with_names(tree: Tree, document: Document) -> tuple[Tree, list[Problem]]:
    """The tree with every open item named."""
    groups: dict[str, list[Decision | Leaf]] = defaultdict(list)
    for item in tree.open:
        groups[item.base].append(item)
    names: dict[tuple[str | int, ...], str] = {}
    problems = []
    for group in groups.values():
        found = _names(group)
        names.update({item.path: name for item, name in zip(group, found, strict=True)})
        if not _is_one_thing(group) and len(set(found)) < len(found):
            message = f"{group[0].base}: a decision and a value have this name; rename the decision"
            problems.append(document.problem(group[0].path, message))
    leaves = tuple(replace(leaf, name=names.get(leaf.path, "")) for leaf in tree.leaves)
    decisions = tuple(replace(item, name=names[item.path]) for item in tree.decisions)
    return replace(tree, leaves=leaves, decisions=decisions), problems


def _names(group: list[Decision | Leaf]) -> list[str]:
    """One name for each: the shortest way of naming that tells them apart."""
    if _is_one_thing(group):
        return [item.base for item in group]
    for depth in range(1, 1 + max(len(item.when) for item in group)):
        names = [_prefixed(item, depth) for item in group]
        if len(set(names)) == len(names):
            return names
    return [_prefixed(item, len(item.when)) for item in group]


def _prefixed(item: Decision | Leaf, depth: int) -> str:
    """The name behind its innermost ``depth`` alternatives."""
    words: Iterable[str] = (word for _, word in item.when[-depth:]) if depth else ()
    return ":".join((*words, item.base))


def _is_one_thing(group: list[Decision | Leaf]) -> bool:
    first = group[0]
    return len(group) == 1 or all(
        isinstance(item, Leaf) and isinstance(first, Leaf) and item.value == first.value
        for item in group
    )


# The combinations of a tree's decisions and choices, each with its ranges at one of their ends.


_MOST_COMBINATIONS = 10_000


def combinations(tree: Tree) -> Iterator[Drawn]:
    """All combinations, or where there are too many, so many of them and as many at random."""
    for side in (0, -1):
        script: list[int] = []
        for _ in range(_MOST_COMBINATIONS // 2):
            walk = _Walk(script, side)
            yield draw(tree, walk)
            following = walk.following()
            if following is None:
                break
            script = following
        else:
            at_random = _at_random(random.Random(side))
            yield from (draw(tree, at_random) for _ in range(_MOST_COMBINATIONS // 2))


def _at_random(source: random.Random) -> Callable[[Decision | Leaf], Any]:
    return lambda item: item.distribution.sample(source)


class _Walk:
    """One run through the tree along a script of picks; ``following`` is the next script.

    Beyond the script's end every pick is the first, so that scripts count like an odometer whose
    wheels depend on the picks before them.
    """

    def __init__(self, script: list[int], side: int) -> None:
        self._script, self._side = script, side
        self._picks: list[tuple[int, int]] = []  # pick, out of so many

    def __call__(self, item: Decision | Leaf) -> Any:
        values = item.distribution.ends()
        if isinstance(item.distribution, Range):
            return values[self._side]
        at = len(self._picks)
        pick = self._script[at] if at < len(self._script) else 0
        self._picks.append((pick, len(values)))
        return values[pick]

    def following(self) -> list[int] | None:
        """The script after this one, or ``None`` after the last."""
        picks = list(self._picks)
        while picks:
            pick, count = picks.pop()
            if pick + 1 < count:
                return [*(p for p, _ in picks), pick + 1]
        return None
