"""Which columns of the leaderboard fit and matter: parameters that differ, wide before narrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from gantune.io.formatting import duration, hundredths, number
from gantune.report.words import fixed, short_names
from gantune.tuner.records import TrialRecord

__all__ = ["GAP", "Column", "choose_columns", "collapsed_with_score"]

GAP = 2
"""Blanks between two columns."""

_ALSO = "also"
_FIRST = ("lr", "batch_size")
_LEAST_ALSO = 16  # narrower, it would show too little to be worth its place
_MOST_ALSO = 44


@dataclass(frozen=True)
class Column:
    """One column: its title and what stands in it for a trial."""

    title: str
    cell: Callable[[TrialRecord], str]
    justify: Literal["left", "right"] = "right"
    limit: int | None = None
    """Width at which longer text is cut."""

    def width(self, records: Sequence[TrialRecord]) -> int:
        """Characters that the column takes for these trials."""
        widest = max(cell_len(text) for text in (self.title, *map(self.cell, records)))
        return widest if self.limit is None else min(widest, self.limit)


def choose_columns(records: Sequence[TrialRecord], width: int) -> list[Column]:
    """The columns for these trials that fit into ``width`` characters.

    Trial and score always stand, with recall and coverage, which show what the score hides. Rungs
    and kimg follow, then the parameters that all trials have, unless all share one value; those
    that only some alternatives have are gathered in one column. Steps and seconds come where there
    is room left.
    """
    varying, conditional = _parameters(records)
    titles = short_names([*varying, *conditional])
    parameters = [_parameter(name, titles[name], records) for name in varying]
    always = [*_identity(records), Column("recall", _recall), Column("coverage", _coverage)]
    room = width - sum(column.width(records) + GAP for column in always)
    way, room = _fitting([*_rungs(records), Column("kimg", _kimg)], records, room)
    chosen, room = _fitting(parameters, records, room)
    if conditional and room >= _LEAST_ALSO + GAP and len(chosen) == len(parameters):
        limit = min(room - GAP, _MOST_ALSO)
        also = [Column(_ALSO, _gathered(conditional, titles), "left", limit)]
        also, room = _fitting(also, records, room)
        chosen += also
    counted = any(r.outcome and r.outcome.step for r in records)  # other trainers need not say
    steps = [Column("steps", _steps)] if counted else []
    efforts, _ = _fitting([*steps, Column("time", _time)], records, room)
    return [*always, *way, *efforts, *chosen]


def _fitting(
    columns: Sequence[Column], records: Sequence[TrialRecord], room: int
) -> tuple[list[Column], int]:
    """Those of the columns, in their order, that fit into ``room``, and what is left of it."""
    fitting = []
    for column in columns:
        width = column.width(records) + GAP
        if width <= room:
            fitting.append(column)
            room -= width
    return fitting, room


def collapsed_with_score(record: TrialRecord) -> bool:
    """Whether a run came apart, but is ranked by a checkpoint from before."""
    outcome = record.outcome
    return outcome is not None and outcome.score is not None and outcome.ending != "completed"


def _parameters(records: Sequence[TrialRecord]) -> tuple[list[str], list[str]]:
    """Names that all trials have, with more than one value, and those that only some have.

    Words come before numbers, for a loss says more of a trial than a rate; then learning rates and
    the batch size, which matter most.
    """
    names = list(dict.fromkeys(name for record in records for name in record.params))
    everywhere = [name for name in names if all(name in record.params for record in records)]
    varying = [n for n in everywhere if len({repr(r.params[n]) for r in records}) > 1]
    varying = varying if len(records) > 1 else everywhere
    varying.sort(key=lambda name: (not isinstance(records[0].params[name], str), _minor(name)))
    return varying, [name for name in names if name not in everywhere]


def _minor(name: str) -> int:
    last = name.rpartition(".")[2]
    return _FIRST.index(last) if last in _FIRST else len(_FIRST)


def _parameter(name: str, title: str, records: Sequence[TrialRecord]) -> Column:
    is_text = any(isinstance(record.params[name], str) for record in records)
    justify: Literal["left", "right"] = "left" if is_text else "right"
    return Column(title, lambda record: number(record.params[name]), justify)


def _gathered(names: Sequence[str], titles: Mapping[str, str]) -> Callable[[TrialRecord], str]:
    def cell(record: TrialRecord) -> str:
        own = [name for name in names if name in record.params]
        return ", ".join(f"{titles[name]} {number(record.params[name])}" for name in own)

    return cell


def _identity(records: Sequence[TrialRecord]) -> list[Column]:
    digits = max(len(str(record.number)) for record in records)

    def trial(record: TrialRecord) -> str:
        mark = " start" if record.is_start else ""
        return f"{record.number:>{digits}}{mark}{' *' * collapsed_with_score(record)}"

    return [Column("trial", trial, "left"), Column("score", lambda record: fixed(record.value))]


def _recall(record: TrialRecord) -> str:
    return hundredths(record.score.recall if record.score else None)


def _coverage(record: TrialRecord) -> str:
    return hundredths(record.score.coverage if record.score else None)


def _rungs(records: Sequence[TrialRecord]) -> list[Column]:
    percents = sorted({p for record in records for p in record.rungs if p < 100})
    return [Column(f"{percent}%", _rung(percent)) for percent in percents]


def _rung(percent: int) -> Callable[[TrialRecord], str]:
    return lambda record: fixed(record.rungs.get(percent))


def _kimg(record: TrialRecord) -> str:
    return number(float(record.outcome.kimg)) if record.outcome else number(None)


def _steps(record: TrialRecord) -> str:
    return f"{record.outcome.step:,}" if record.outcome and record.outcome.step else number(None)


def _time(record: TrialRecord) -> str:
    return duration(record.outcome.seconds) if record.outcome else number(None)
