"""``Verdict``: why health stopped a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a run, since when, and the evidence.

    ``diverged``: its numbers left all bounds; ``collapsed``: the game is over or the samples have
    lost their variety; ``stalled``: it never left its starting score.
    """

    kind: Literal["diverged", "collapsed", "stalled"]
    rule: str
    kimg: float
    sentence: str
