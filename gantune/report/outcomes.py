"""How outcomes are drawn: one colour and one symbol each, in every figure."""

from __future__ import annotations

from dataclasses import dataclass

from gantune.report.words import ENDINGS
from gantune.tuner.records import TrialRecord

__all__ = ["APART", "MARKS", "RUNNING", "STOPPED", "Mark", "came_apart", "ending_of", "is_judged"]

RUNNING = "running"
APART = ("diverged", "collapsed", "stalled")
"""Endings that health gives."""
STOPPED = (*APART, "pruned")
"""Endings before the budget's, by health or by rank: what they leave undone is saved."""


@dataclass(frozen=True)
class Mark:
    """How one outcome looks. Its colour is legible on white and on near black."""

    words: str
    colour: str
    symbol: str
    """Plotly's name."""
    sign: str
    """The same as a letter."""


MARKS = {
    "completed": Mark(ENDINGS["completed"], "#2f9e5f", "circle", "\u25cf"),
    "pruned": Mark(ENDINGS["pruned"], "#3b8eea", "circle-open", "\u25cb"),
    "diverged": Mark(ENDINGS["diverged"], "#d64545", "x", "\u2715"),
    "collapsed": Mark(ENDINGS["collapsed"], "#d9822b", "triangle-down", "\u25bc"),
    "stalled": Mark(ENDINGS["stalled"], "#9a6dd7", "square", "\u25a0"),
    "out_of_memory": Mark(ENDINGS["out_of_memory"], "#c2569c", "diamond", "\u25c6"),
    "crashed": Mark(ENDINGS["crashed"], "#8a8f98", "cross", "\u271a"),
    RUNNING: Mark(RUNNING, "#12a3a8", "circle-dot", "\u25c9"),
}
"""Each outcome in the order of legends; also of a trial that has none yet."""


def ending_of(record: TrialRecord) -> str:
    """A key of ``MARKS``."""
    return RUNNING if record.outcome is None else record.outcome.ending


def came_apart(record: TrialRecord) -> bool:
    """Whether health stopped it; one that keeps a score from before came apart all the same."""
    return ending_of(record) in APART


def is_judged(record: TrialRecord) -> bool:
    """Whether its end says something of its settings: it is alive or came apart.

    A crash is the code's or the machine's affair, full memory a matter of size.
    """
    return ending_of(record) in (*STOPPED, "completed")
