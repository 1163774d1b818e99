"""The combinations of a tree's decisions and choices, each with its ranges at one of their ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from gantune.space.distributions import Range
from gantune.space.sampling import Drawn, draw
from gantune.space.tree import Decision, Leaf, Tree

__all__ = ["combinations"]

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
    return lambda item: item.distribution.pick(source)


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
