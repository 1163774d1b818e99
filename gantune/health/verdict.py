"""``Verdict``: why health stopped a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["diverged", "collapsed", "stalled"]
Unit = Literal["kimg", "step"]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a run, since when, and the evidence.

    ``diverged``: its numbers left all bounds; ``collapsed``: the game is over, the samples have
    lost their variety or the score is worse for good; ``stalled``: it never got anywhere.
    """

    kind: Kind
    """What became of the run, as above."""
    rule: str
    """Name of the rule that found it, such as ``discriminator_won``."""
    at: float
    """Where it was found, in ``unit``: kimg, or steps of the trainer that wrote the log."""
    sentence: str
    """The evidence in words, with its numbers."""
    since: float = 0.0
    """Where the evidence begins."""
    unit: Unit = "kimg"
    """Of both places."""
