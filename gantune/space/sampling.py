"""From the tree to one training configuration: draw what is open, merge what was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gantune.io.yaml_document import Path_
from gantune.space.tree import Condition, Decision, Leaf, Target, Tree

__all__ = ["Drawn", "draw", "is_active", "nest"]


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
    chosen: dict[Path_, str] = {}
    for decision in tree.decisions:
        if is_active(decision.when, chosen):
            chosen[decision.path] = choose(decision)
    leaves = {leaf.target: leaf for leaf in tree.leaves if is_active(leaf.when, chosen)}
    drawn = {
        target: choose(leaf) if leaf.is_open else leaf.value for target, leaf in leaves.items()
    }
    values = {target: _product(target, leaves, drawn, tree) for target in leaves}
    return Drawn(leaves, values)


def is_active(when: Condition, chosen: Mapping[Path_, str]) -> bool:
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
