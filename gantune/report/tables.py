"""The tables of a report as plain data: leaderboard, finals, trials, spending.

A table holds columns, rows and typed values, and no markup. The terminal and the page render it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from gantune.io.formatting import (
    count,
    duration,
    format_ratio,
    format_value,
    number,
    share,
)
from gantune.report.analysis.outcomes import ENDINGS, MARKS, ending_of, pruned_trials
from gantune.report.analysis.spending import stopped_by
from gantune.report.wording import short_names
from gantune.scores.score import Score
from gantune.trial.records import TrialRecord, why_ended
from gantune.tuner.answer import has_learned
from gantune.tuner.descriptions import further_names, mean_text, score_name
from gantune.tuner.finals.finalists import FinalistResult, start_recipe
from gantune.tuner.state import RunState, unscored_finalists

NONE = number(None)
"""Text of a cell without a value."""

_PROGRESS, _PARAMETERS, _OTHERS, _EFFORT = range(1, 5)  # priorities of the leaderboard's columns

_ALWAYS = ("trial", "outcome", "score", "kimg")  # columns of all trials, whatever they have


Kind = Literal["", "best", "warning", "minor"]
"""What a row is: the best, one with warnings, or one that is not ranked."""


@dataclass(frozen=True)
class Column:
    """What a column shows, and when a narrow renderer may leave it out."""

    key: str
    """Its name in code: ``score``; ``rung 25``; ``param generator.lr``; ``seed 3``."""
    heading: str
    align: Literal["left", "right"] = "right"
    priority: int | None = 0
    """0: always shown. Of the others, the lowest numbers get their room first. ``None``: too much
    for a terminal."""
    is_whole: bool = False
    """Whether all columns of this priority are shown or none."""
    min_width: int | None = None
    """Set for text that may be cut, in characters. Such a column is shown only if all columns of
    the priority before it are."""
    max_width: int | None = None
    can_wrap: bool = False
    """Whether a narrow terminal may break its text into lines."""


@dataclass(frozen=True)
class Cell:
    """A value and its text."""

    text: str
    value: float | str | None = None
    """What the cell sorts by."""
    suffix: str = ""
    """What follows the text, such as ``start``; texts align without it."""

    @property
    def label(self) -> str:
        """Text and suffix."""
        return f"{self.text} {self.suffix}" if self.suffix else self.text


@dataclass(frozen=True)
class Row:
    """One line of a table: a cell for each column."""

    cells: tuple[Cell, ...]
    kind: Kind = ""
    run: str = ""
    """Folder of the trial below the run folder: ``trials/0003``."""
    ending: str = ""
    """A key of ``MARKS``."""
    starts_group: bool = False
    """Whether a gap separates it from the row above."""


@dataclass(frozen=True)
class Note:
    """A line below a table."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows under a title. A table without rows shows nothing."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...] = ()

    def select(self, *keys: str) -> Table:
        """The same table with only these columns, in this order."""
        places = {column.key: place for place, column in enumerate(self.columns)}
        chosen = [places[key] for key in keys]
        return replace(
            self,
            columns=tuple(self.columns[place] for place in chosen),
            rows=tuple(
                replace(row, cells=tuple(row.cells[place] for place in chosen)) for row in self.rows
            ),
        )

    def column(self, key: str) -> list[Cell]:
        """The cells of one column."""
        place = [column.key for column in self.columns].index(key)
        return [row.cells[place] for row in self.rows]


def leaderboard(state: RunState, most: int = 10, most_pruned: int = 5) -> Table:
    """Survivors by score, then trials that rank has pruned or paused, by their last rung.

    ``most`` and ``most_pruned`` limit the rows. Parameters that all these trials share with one
    value have no column; those that only some of them have share the column ``others``.
    """
    best, pruned = state.survivors[:most], pruned_trials(state.trials)[:most_pruned]
    fields = _leaderboard_fields([*best, *pruned])
    rows = [
        _row(record, fields, Cell(f"{rank}", rank), _kind(rank, record.score))
        for rank, record in enumerate(best, start=1)
    ]
    below = [_row(r, fields, Cell("||" if r.is_paused else "-"), "minor") for r in pruned]
    rows += [replace(row, starts_group=index == 0) for index, row in enumerate(below)]
    notes = [
        Note(
            f"* trial {record.number} {record.outcome.ending} at {number(record.outcome.kimg)} "
            f"kimg, scored at {number(record.outcome.best_kimg)} kimg",
            is_warning=True,
        )
        for record in best
        if record.outcome is not None and _failed_later(record)
    ]
    if not all(record.is_paused for record in pruned):
        notes.append(Note(f"- stopped by rank at its last rung{_bounds(pruned)}"))
    if any(record.is_paused for record in pruned):
        notes.append(Note("|| paused at its last rung; goes on if it is among the best there"))
    title = f"Leaderboard: {score_name(state)}, lower is better"
    columns = (Column("rank", "#"), *(column for column, _ in fields))
    return Table(title, columns, tuple(rows), tuple(notes))


def _kind(rank: int, scored: Score | FinalistResult | None) -> Kind:
    """The first is the best, if it has learned anything."""
    is_best = rank == 1 and scored is not None and has_learned(scored.recall)
    return "best" if is_best else ""


def _bounds(records: Sequence[TrialRecord]) -> str:
    """The scores that these trials had to reach: ``; the bound at 25% was 116``."""
    bounds: dict[int, list[float]] = {}
    for record in records:
        standing = record.outcome.standing if record.outcome else None
        if standing is not None and not record.is_paused:
            bounds.setdefault(standing.percent, []).append(standing.bound)
    texts = []
    for percent, found in sorted(bounds.items()):
        least, most = format_value(min(found)), format_value(max(found))
        texts.append(f"at {percent}% was {least if least == most else f'{least} to {most}'}")
    return f"; the bound {', '.join(texts)}" if texts else ""


def trials(state: RunState) -> Table:
    """All trials by number, with every parameter that differs between them.

    A column in which no trial has anything is left out.
    """
    records = state.trials
    names = list(dict.fromkeys(name for record in records for name in record.params))
    if len(records) > 1:
        names = [n for n in names if len({repr(r.params.get(n)) for r in records}) > 1]
    fields: list[_Field] = [
        (Column("trial", "trial", "left"), _trial),
        (Column("outcome", "outcome", "left"), _outcome),
        _SCORE,
        _metric("recall"),
        _metric("coverage"),
        (Column("kimg", "kimg"), partial(_kimg, with_share=True)),
        *_parameter_fields(names, short_names(names), records),
        *_rung_fields(records),
        (Column("time", "time"), _time),
        (Column("reason", "why it ended", "left"), reason),
    ]
    rows = tuple(_row(record, fields) for record in records)
    table = Table("All trials", tuple(column for column, _ in fields), rows)
    said = [
        column.key
        for column in table.columns
        if column.key in _ALWAYS or any(c.text not in ("", NONE) for c in table.column(column.key))
    ]
    return table.select(*said)


def finals(state: RunState) -> Table:
    """Finalists by their mean over seeds, with each seed's score, the start recipe among them.

    A finalist without a score on any seed comes last. A seed without a score shows how its training
    ended.
    """
    runs = [record for record in state.finalists if record.outcome is not None]
    seeds = sorted({run.seed for run in runs if run.seed is not None})
    starts = {record.number for record in start_recipe(state.trials)}
    names = {record.number: record.name for record in state.trials}
    by_seed = {
        (run.origin, run.seed): Cell(ENDINGS[ending_of(run)])
        if run.value is None
        else _cell(format_value, run.value)
        for run in runs
    }

    def row(origin: int, rank: Cell, values: Sequence[Cell], kind: Kind) -> Row:
        trial = Cell(f"{origin}", origin, "start" if origin in starts else "")
        scores = (by_seed.get((origin, seed), Cell(NONE)) for seed in seeds)
        return Row((rank, trial, *values, *scores), kind, names.get(origin, ""))

    rows, notes = [], []
    also = further_names(state.ranking)
    for rank, ranked in enumerate(state.ranking, start=1):
        values = [
            Cell(mean_text(ranked), ranked.mean),
            Cell(format_value(ranked.error, digits=2), ranked.error),
            _cell(format_ratio, ranked.recall),
            _cell(format_ratio, ranked.coverage),
            *(Cell(mean_text(by), by.mean) if by else Cell(NONE) for by in map(ranked.by, also)),
        ]
        kind = "warning" if ranked.warnings else _kind(rank, ranked)
        rows.append(row(ranked.origin, Cell(f"{rank}", rank), values, kind))
        if ranked.warnings:
            first, *rest = ranked.warnings
            more = f" (and {count(len(rest), 'more warning')})" if rest else ""
            notes.append(Note(f"! trial {ranked.origin}, {first}{more}", is_warning=True))
    if rows:
        unscored = unscored_finalists(state)
        rows += [
            row(origin, Cell("-"), (4 + len(also)) * [Cell(NONE)], "minor") for origin in unscored
        ]
    columns = (
        Column("rank", "#"),
        Column("trial", "trial", "left"),
        *(Column(key, key) for key in ("mean", "error", "recall", "coverage", *also)),
        *(Column(f"seed {seed}", f"seed {seed}", priority=1, is_whole=True) for seed in seeds),
    )
    over = f"mean ± standard deviation over {count(len(seeds), 'seed')}"
    return Table(f"Finals: {score_name(state)}, {over}", columns, tuple(rows), tuple(notes))


def spending(state: RunState) -> Table:
    """Stopped trials, grouped by the health rule or the outcome that stopped them."""
    columns = (
        Column("by", "stopped by", "left"),
        Column("ending", "as", "left"),
        Column("trials", "trials", can_wrap=True),
        Column("share", "mean share of budget", can_wrap=True),
    )
    rows = []
    for group in stopped_by(state):
        scored = f"({group.scored} scored)" if group.scored else ""
        by, words = Cell(group.reason, group.reason), ENDINGS[group.ending]
        ending = Cell("" if group.reason == words else words, words)
        amount = Cell(f"{group.runs}", group.runs, scored)
        rows.append(Row((by, ending, amount, _cell(share, group.share))))
    return Table("Stopped trials", columns, tuple(rows))


_Field = tuple[Column, Callable[[TrialRecord], Cell]]


def _row(
    record: TrialRecord, fields: Sequence[_Field], rank: Cell | None = None, kind: Kind = ""
) -> Row:
    cells = (cell(record) for _, cell in fields)
    ranks = () if rank is None else (rank,)
    return Row((*ranks, *cells), kind, record.name, ending_of(record))


def _leaderboard_fields(records: Sequence[TrialRecord]) -> list[_Field]:
    names = list(dict.fromkeys(name for record in records for name in record.params))
    common = [name for name in names if all(name in record.params for record in records)]
    others = [name for name in names if name not in common]
    varying = [n for n in common if len({repr(r.params[n]) for r in records}) > 1]
    varying = varying if len(records) > 1 else common
    # Words first, as a loss says more of a trial than a rate; then the numbers that matter most.
    first = {"lr": 0, "batch_size": 1}
    varying.sort(key=lambda name: first.get(name.rpartition(".")[2], 2))
    varying.sort(key=lambda name: not isinstance(records[0].params[name], str))
    titles = short_names([*varying, *others])
    fields: list[_Field] = [
        (Column("trial", "trial", "left"), partial(_trial, marks_failure=True)),
        _SCORE,
        _metric("error", partial(format_value, digits=2), priority=None),
        _metric("recall"),
        _metric("coverage"),
        *_rung_fields(records),
        (Column("kimg", "kimg", priority=_PROGRESS), _kimg),
        (Column("scored_at", "at kimg", priority=None), _scored_at),
    ]
    if any(r.outcome and r.outcome.step for r in records):  # external trainers may report none
        fields.append((Column("steps", "steps", priority=_EFFORT), _steps))
    fields.append((Column("time", "time", priority=_EFFORT), _time))
    fields += _parameter_fields(varying, titles, records)
    if others:
        column = Column("others", "also", "left", _OTHERS, min_width=16, max_width=44)

        def parameters(record: TrialRecord) -> Cell:
            own = [name for name in others if name in record.params]
            return Cell(", ".join(f"{titles[name]} {number(record.params[name])}" for name in own))

        fields.append((column, parameters))
    return fields


_SCORE: _Field = (Column("score", "score"), lambda record: _cell(format_value, record.value))


def _metric(
    name: str, text: Callable[[Any], str] = format_ratio, priority: int | None = 0
) -> _Field:
    column = Column(name, name, priority=priority)
    return column, lambda record: _cell(text, getattr(record.score, name, None))


def _parameter_fields(
    names: Sequence[str], titles: Mapping[str, str], records: Sequence[TrialRecord]
) -> list[_Field]:
    def field(name: str) -> _Field:
        is_text = any(isinstance(record.params.get(name), str | bool) for record in records)
        column = Column(f"param {name}", titles[name], "left" if is_text else "right", _PARAMETERS)
        return column, lambda record: _cell(number, record.params.get(name))

    return [field(name) for name in names]


def _rung_fields(records: Sequence[TrialRecord]) -> list[_Field]:
    def field(percent: int) -> _Field:
        column = Column(f"rung {percent}", f"{percent}%", priority=_PROGRESS)
        return column, lambda record: _cell(format_value, record.rungs.get(percent))

    return [field(p) for p in sorted({p for r in records for p in r.rungs if p < 100})]


def _trial(record: TrialRecord, marks_failure: bool = False) -> Cell:
    mark = "*" if marks_failure and _failed_later(record) else ""
    suffix = " ".join(filter(None, ("start" if record.is_start else "", mark)))
    return Cell(f"{record.number}", record.number, suffix)


def _failed_later(record: TrialRecord) -> bool:
    """Whether a checkpoint from before its failure is scored."""
    return record.score is not None and ending_of(record) != "completed"


def _outcome(record: TrialRecord) -> Cell:
    ending = ending_of(record)
    return Cell(MARKS[ending].words, list(MARKS).index(ending))


def _kimg(record: TrialRecord, with_share: bool = False) -> Cell:
    outcome, budget = record.outcome, record.budget_kimg
    cell = _cell(number, float(outcome.kimg) if outcome else None)
    if not with_share or outcome is None or not budget or outcome.kimg / budget >= 0.995:
        return cell
    return replace(cell, suffix=f"({share(outcome.kimg / budget)})")


def _scored_at(record: TrialRecord) -> Cell:
    return _cell(format_value, record.outcome.best_kimg if record.outcome else None)


def _steps(record: TrialRecord) -> Cell:
    steps = record.outcome.step if record.outcome else 0
    return Cell(f"{steps:,}", steps) if steps else Cell(NONE)


def _time(record: TrialRecord) -> Cell:
    seconds = record.outcome.seconds if record.outcome else None
    return Cell(NONE) if seconds is None else Cell(duration(seconds), seconds)


def reason(record: TrialRecord) -> Cell:
    """Why a trial ended, where its outcome does not say it."""
    return Cell(why_ended(record))


def _cell(text: Callable[[Any], str], value: Any) -> Cell:
    return Cell(text(value), value)
