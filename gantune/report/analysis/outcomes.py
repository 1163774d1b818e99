"""Outcomes of trials: how they are drawn, what they say about the settings, and a ranking."""

from collections.abc import Sequence
from dataclasses import dataclass

from gantune.trial.records import TrialRecord

RUNNING = "running"

APART = ("diverged", "collapsed")
"""Outcomes of trials that came apart: a health rule saw them fail."""

SLOW = ("stalled",)
"""Outcomes of trials that learned nothing, or no longer: too slow, and not broken."""

UNSTABLE = (*APART, *SLOW)
"""Outcomes of trials that a health rule stopped."""

STOPPED = (*UNSTABLE, "pruned")
"""Outcomes of trials that health or rank stopped; the rest of their budget is saved."""


@dataclass(frozen=True)
class OutcomeStyle:
    """How one outcome is drawn. The colour is legible on white and on near black."""

    words: str
    colour: str
    symbol: str
    """Plotly's name of the marker."""
    sign: str
    """The marker as a character."""


MARKS = {
    "completed": OutcomeStyle("completed", "#2f9e5f", "circle", "\u25cf"),
    "pruned": OutcomeStyle("pruned by rank", "#3b8eea", "circle-open", "\u25cb"),
    "paused": OutcomeStyle("paused", "#98891f", "circle-open-dot", "\u25ce"),
    "diverged": OutcomeStyle("diverged", "#d64545", "x", "\u2715"),
    "collapsed": OutcomeStyle("collapsed", "#d9822b", "triangle-down", "\u25bc"),
    "stalled": OutcomeStyle("stalled", "#9a6dd7", "square", "\u25a0"),
    "out_of_memory": OutcomeStyle("out of memory", "#c2569c", "diamond", "\u25c6"),
    "crashed": OutcomeStyle("crashed", "#8a8f98", "cross", "\u271a"),
    RUNNING: OutcomeStyle(RUNNING, "#12a3a8", "circle-dot", "\u25c9"),
}
"""The style of each outcome, and of running trials, in the order of legends."""

ENDINGS = {ending: mark.words for ending, mark in MARKS.items() if ending != RUNNING}
"""Each outcome in words, in the order in which they are listed."""


def ending_of(record: TrialRecord) -> str:
    """A key of ``MARKS``."""
    return RUNNING if record.outcome is None else record.outcome.ending


def is_unstable(record: TrialRecord) -> bool:
    """Whether a health rule stopped it; it may have a score from before."""
    return ending_of(record) in UNSTABLE


def is_judged(record: TrialRecord) -> bool:
    """Whether its outcome says something about its settings: it was stable or unstable.

    Crashes depend on code and machine, and full memory on size.
    """
    return ending_of(record) in (*STOPPED, "paused", "completed")


def rank_trials(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """All trials from best to worst, without crashed and running ones.

    Survivors come first, by score. Pruned and paused trials follow, the furthest first and then by
    their last rung score; then unstable ones and those that ran out of memory, the latest first.
    """
    return sorted((r for r in trials if ending_of(r) not in ("crashed", RUNNING)), key=_rank_key)


def _rank_key(record: TrialRecord) -> tuple[int, float, float]:
    if record.value is not None:
        return 0, record.value, record.number
    if ending_of(record) in ("pruned", "paused") and record.rungs:
        last = record.last_percent
        return 1, -last, record.rungs[last]
    reached = record.outcome.kimg / record.budget_kimg if record.outcome else 0.0
    return 2, -reached, record.number


def pruned_trials(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Trials pruned by rank or paused: the furthest first, then by their score there."""
    pruned = [r for r in trials if ending_of(r) in ("pruned", "paused") and r.rungs]
    return sorted(pruned, key=lambda r: (-r.last_percent, r.rungs[r.last_percent]))
