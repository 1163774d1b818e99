"""Names of Optuna's parameters: a name never has two meanings.

A value's name is its dotted path (``generator.lr``), a relative one's the ratio of two paths
(``discriminator.lr/generator.lr``), a decision's its own name behind the path of the mapping that
it stands in. Where two that differ would share a name, the alternative that leads there comes in
front, with a colon, which no name holds: ``wgan:generator.lr``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from gantune.errors import Problem
from gantune.io.yaml_document import Document
from gantune.space.tree import Decision, Leaf, Tree

__all__ = ["with_names"]


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
