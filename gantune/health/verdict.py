"""``Verdict``: why health stopped a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Unit", "Verdict"]

Kind = Literal["diverged", "collapsed", "stalled"]
Unit = Literal["kimg", "step"]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a run, since when, and the evidence.

    ``diverged``: its numbers left all bounds; ``collapsed``: the game is over, the samples have
    lost their variety or the score is worse for good; ``stalled``: it never got anywhere.
    """

    kind: Kind
    rule: str
    at: float
    """Where it was found, in ``unit``: kimg, or steps of the trainer that wrote the log."""
    sentence: str
    since: float = 0.0
    """Where the evidence begins."""
    unit: Unit = "kimg"
