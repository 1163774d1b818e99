"""How outcomes are drawn: one colour and one symbol each, in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gantune.report.wording import ENDINGS
from gantune.tuner.records import TrialRecord

RUNNING = "running"


UNSTABLE = ("diverged", "collapsed", "stalled")
"""Endings that health gives."""


STOPPED = (*UNSTABLE, "pruned")
"""Endings before the budget's, by health or by rank: what they leave undone is saved."""


@dataclass(frozen=True)
class OutcomeStyle:
    """How one outcome looks. Its colour is legible on white and on near black."""

    words: str
    colour: str
    symbol: str
    """Plotly's name."""
    sign: str
    """The same as a letter."""


MARKS = {
    "completed": OutcomeStyle(ENDINGS["completed"], "#2f9e5f", "circle", "\u25cf"),
    "pruned": OutcomeStyle(ENDINGS["pruned"], "#3b8eea", "circle-open", "\u25cb"),
    "diverged": OutcomeStyle(ENDINGS["diverged"], "#d64545", "x", "\u2715"),
    "collapsed": OutcomeStyle(ENDINGS["collapsed"], "#d9822b", "triangle-down", "\u25bc"),
    "stalled": OutcomeStyle(ENDINGS["stalled"], "#9a6dd7", "square", "\u25a0"),
    "out_of_memory": OutcomeStyle(ENDINGS["out_of_memory"], "#c2569c", "diamond", "\u25c6"),
    "crashed": OutcomeStyle(ENDINGS["crashed"], "#8a8f98", "cross", "\u271a"),
    RUNNING: OutcomeStyle(RUNNING, "#12a3a8", "circle-dot", "\u25c9"),
}
"""Each outcome in the order of legends; also of a trial that has none yet."""


def ending_of(record: TrialRecord) -> str:
    """A key of ``MARKS``."""
    return RUNNING if record.outcome is None else record.outcome.ending


def is_unstable(record: TrialRecord) -> bool:
    """Whether health stopped it; one that keeps a score from before came apart all the same."""
    return ending_of(record) in UNSTABLE


def is_judged(record: TrialRecord) -> bool:
    """Whether its end says something of its settings: it is alive or came apart.

    A crash is the code's or the machine's affair, full memory a matter of size.
    """
    return ending_of(record) in (*STOPPED, "completed")


# An order of all trials that says something of their settings, the best first.


def rank_trials(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Survivors by score; those pruned by rank, the furthest first and then by their last rung's
    score; those that came apart or found no memory, the latest first.

    Trials that crashed or have not ended are left out: they say nothing of their settings.
    """
    return sorted((r for r in trials if ending_of(r) not in ("crashed", "running")), key=_key)


def _key(record: TrialRecord) -> tuple[int, float, float]:
    if record.value is not None:
        return 0, record.value, record.number
    if ending_of(record) == "pruned" and record.rungs:
        last = max(record.rungs)
        return 1, -last, record.rungs[last]
    reached = record.outcome.kimg / record.budget_kimg if record.outcome else 0.0
    return 2, -reached, record.number
