"""``Verdict``: why health stopped a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Verdict"]

Kind = Literal["diverged", "collapsed", "stalled"]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a run, since when, and the evidence.

    ``diverged``: its numbers left all bounds; ``collapsed``: the game is over or the samples have
    lost their variety; ``stalled``: it never left its starting score.
    """

    kind: Kind
    rule: str
    kimg: float
    sentence: str
