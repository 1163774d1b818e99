"""The leaderboard: survivors by score, and the pruned trials below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from gantune.io.formatting import count, duration, format_ratio, format_value, number
from gantune.report.analysis.significance import rung_agreement
from gantune.report.wording import ENDINGS, short_names
from gantune.scores.text import protocol_line
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finalists import FinalistResult, start_recipe
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState, unscored_finalists


def new_table() -> Table:
    """A table in the style of all tables here."""
    return Table(
        header_style="dim", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0)
    )


@dataclass(frozen=True)
class Leaderboard:
    """Survivors ranked by score, then those pruned by rank, as wide as the console allows.

    Renderable by rich. ``most`` and ``most_pruned`` bound the rows; all trials with all parameters
    are in ``trials.csv``.
    """

    state: RunState
    most: int = 10
    most_pruned: int = 5

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        survivors, pruned = self.state.survivors, _pruned(self.state.trials)
        best, close = survivors[: self.most], pruned[: self.most_pruned]
        if not best and not close:
            yield Text("No trial has a score yet.")
            return
        rank_width = len(str(len(best)))
        columns = choose_columns([*best, *close], options.max_width - rank_width - GAP)
        yield Text(f"Leaderboard: {score_name(self.state)}, lower is better", "bold")
        table = new_table()
        table.add_column("#", justify="right", no_wrap=True)
        for column in columns:
            table.add_column(
                column.title, justify=column.justify, no_wrap=True, max_width=column.limit
            )
        for rank, record in enumerate(best, start=1):
            cells = [Text(column.cell(record)) for column in columns]
            table.add_row(str(rank), *cells, style="bold green" if rank == 1 else "")
        table.add_section()
        for record in close:
            table.add_row("-", *(Text(column.cell(record)) for column in columns), style="dim")
        yield table
        yield from _notes(best, bool(close))
        more = _more(survivors[len(best) :], pruned[len(close) :])
        yield Text("; ".join([*self._protocols(best), *more]), "dim")
        agreement = rung_agreement(survivors)
        if agreement is not None:
            yield Text(str(agreement), "yellow" if agreement.is_low else "dim")

    def _protocols(self, best: Sequence[TrialRecord]) -> Iterator[str]:
        """What the scores were taken under, and those of the rungs, which are of another."""
        scores = [record.score for record in best if record.score is not None]
        if scores:
            yield protocol_line(scores[0].protocol)
        rungs = self.state.rung_protocol
        if rungs is not None and not rungs.is_own:
            yield f"rungs: {protocol_line(rungs)}"


def _pruned(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Trials pruned by rank: those that came furthest first, then by the score they had there."""
    pruned = [r for r in trials if r.outcome and r.outcome.ending == "pruned" and r.rungs]
    return sorted(pruned, key=lambda record: (-max(record.rungs), record.rungs[max(record.rungs)]))


def _notes(best: Sequence[TrialRecord], has_pruned: bool) -> Iterator[Text]:
    for record in best:
        outcome = record.outcome
        if outcome is not None and collapsed_with_score(record):
            yield Text(
                f"* trial {record.number} {outcome.ending} at {number(outcome.kimg)} kimg, "
                f"scored at {number(outcome.best_kimg)} kimg",
                style="yellow",
            )
    if has_pruned:
        yield Text("- pruned by rank at its last rung", style="dim")


def _more(survivors: Sequence[TrialRecord], pruned: Sequence[TrialRecord]) -> Iterator[str]:
    """How many are not shown, and where they are."""
    if survivors:
        yield count(len(survivors), "more survivor")
    if pruned:
        yield f"{len(pruned)} more pruned"
    yield "everything: trials.csv"


# Which columns of the leaderboard fit and matter: parameters that differ, wide before narrow.


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

    return [
        Column("trial", trial, "left"),
        Column("score", lambda record: format_value(record.value)),
    ]


def _recall(record: TrialRecord) -> str:
    return format_ratio(record.score.recall if record.score else None)


def _coverage(record: TrialRecord) -> str:
    return format_ratio(record.score.coverage if record.score else None)


def _rungs(records: Sequence[TrialRecord]) -> list[Column]:
    percents = sorted({p for record in records for p in record.rungs if p < 100})
    return [Column(f"{percent}%", _rung(percent)) for percent in percents]


def _rung(percent: int) -> Callable[[TrialRecord], str]:
    return lambda record: format_value(record.rungs.get(percent))


def _kimg(record: TrialRecord) -> str:
    return number(float(record.outcome.kimg)) if record.outcome else number(None)


def _steps(record: TrialRecord) -> str:
    return f"{record.outcome.step:,}" if record.outcome and record.outcome.step else number(None)


def _time(record: TrialRecord) -> str:
    return duration(record.outcome.seconds) if record.outcome else number(None)


# The finals: survivors trained again on fresh seeds, by their mean.


_TITLES = ("#", "trial", "mean", "error", "recall", "coverage")


_NONE = number(None)


@dataclass(frozen=True)
class Finals:
    """Finalists by their mean over seeds, the start recipe among them. Renderable by rich.

    A finalist without any score stands last, with how its trainings ended. Each seed's score is
    shown where the console has room for all of them.
    """

    state: RunState

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ranking = self.state.ranking
        if not ranking:
            return
        seeds = sorted({run.seed for run in self._ended() if run.seed is not None})
        over = f"mean over {count(len(seeds), 'fresh seed')} ± standard deviation"
        yield Text(f"Finals: {score_name(self.state)}, {over}", "bold")
        titles = [*_TITLES, *(f"seed {seed}" for seed in seeds)]
        rows = [*self._ranked(seeds), *self._unscored(seeds)]
        if _width([titles, *rows]) > options.max_width:
            titles, rows = titles[: len(_TITLES)], [row[: len(_TITLES)] for row in rows]
        table = new_table()
        for title in titles:
            table.add_column(title, justify="left" if title == "trial" else "right", no_wrap=True)
        for place, row in enumerate(rows):
            table.add_row(*row, style=self._style(place))
        yield table
        yield from map(_doubt, (ranked for ranked in ranking if ranked.warnings))
        line = protocol_line(ranking[0].scores[0].protocol)
        if ranking[0].error is not None:
            line += "; error: of one seed's score, from the drawing of its samples"
        yield Text(line, "dim")

    def _ranked(self, seeds: Sequence[int]) -> Iterator[list[str]]:
        for rank, ranked in enumerate(self.state.ranking, start=1):
            yield [
                str(rank),
                self._name(ranked.origin),
                mean_text(ranked),
                format_value(ranked.error, digits=2),
                format_ratio(ranked.recall),
                format_ratio(ranked.coverage),
                *self._cells(ranked.origin, seeds),
            ]

    def _unscored(self, seeds: Sequence[int]) -> Iterator[list[str]]:
        for origin in unscored_finalists(self.state):
            yield ["-", self._name(origin), *4 * [_NONE], *self._cells(origin, seeds)]

    def _cells(self, origin: int, seeds: Sequence[int]) -> list[str]:
        """How each seed's training ended."""
        cells = {run.seed: _ending(run) for run in self._ended() if run.origin == origin}
        return [cells.get(seed, _NONE) for seed in seeds]

    def _ended(self) -> list[TrialRecord]:
        return [run for run in self.state.finalists if run.outcome is not None]

    def _name(self, origin: int) -> str:
        is_start = origin in [record.number for record in start_recipe(self.state.trials)]
        return f"{origin} start" if is_start else str(origin)

    def _style(self, place: int) -> str:
        ranking = self.state.ranking
        if place >= len(ranking):
            return "dim"
        return "yellow" if ranking[place].warnings else "bold green" if place == 0 else ""


def _width(rows: Sequence[Sequence[str]]) -> int:
    """Characters that a table of these rows takes."""
    return sum(max(map(cell_len, column)) + GAP for column in zip(*rows, strict=True))


def _ending(record: TrialRecord) -> str:
    assert record.outcome is not None
    return ENDINGS[record.outcome.ending] if record.value is None else format_value(record.value)


def _doubt(ranked: FinalistResult) -> Text:
    first, *rest = ranked.warnings
    more = f" (and {count(len(rest), 'more warning')})" if rest else ""
    return Text(f"! trial {ranked.origin}, {first}{more}", style="yellow")


_STYLES = {
    "completed": "green",
    "pruned": "cyan",
    "diverged": "red",
    "collapsed": "red",
    "stalled": "yellow",
    "out_of_memory": "magenta",
    "crashed": "bold red",
}


def endings_line(state: RunState) -> Text:
    """How many trials ended how: ``6 completed, 4 pruned by rank, 2 diverged``."""
    endings = state.endings
    parts = [
        Text(f"{endings[ending]} {words}", _STYLES[ending])
        for ending, words in ENDINGS.items()
        if endings[ending]
    ]
    return Text(", ").join(parts) if parts else Text("no trial has ended yet", "dim")
