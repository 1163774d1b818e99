"""The tables of a report on a terminal: leaderboard, finals, and how many columns have room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from gantune.io.formatting import count
from gantune.report import tables
from gantune.report.analysis.outcomes import ENDINGS, pruned_trials
from gantune.report.analysis.rungs import rung_agreement
from gantune.report.tables import Cell, Column, Kind, Note, Table
from gantune.scores.text import protocol_line
from gantune.tuner.state import RunState

GAP = 2
"""Blanks between two columns."""

_STYLES: dict[Kind, str] = {"": "", "best": "bold green", "warning": "yellow", "minor": "dim"}
_OUTCOME_STYLES = {
    "completed": "green",
    "pruned": "cyan",
    "paused": "yellow",
    "diverged": "red",
    "collapsed": "red",
    "stalled": "yellow",
    "out_of_memory": "magenta",
    "crashed": "bold red",
}


def leaderboard_view(state: RunState, most: int = 10, most_pruned: int = 5) -> Group:
    """Survivors ranked by score, then trials pruned by rank, under their protocols.

    ``most`` and ``most_pruned`` limit the rows; ``trials.csv`` has all trials with all parameters.
    """
    table = tables.leaderboard(state, most, most_pruned)
    if not table.rows:
        return Group(Text("No trial has a score yet."))
    scores = [record.score for record in state.survivors if record.score is not None]
    remarks = [protocol_line(score.protocol) for score in scores[:1]]
    rungs = state.rung_protocol
    if rungs is not None and not rungs.is_external:
        remarks.append(f"rungs: {protocol_line(rungs)}")
    survivors = len(state.survivors) - most
    if survivors > 0:
        remarks.append(count(survivors, "more survivor"))
    others = pruned_trials(state.trials)[most_pruned:]
    for paused, word in ((False, "pruned"), (True, "paused")):
        if amount := sum(record.is_paused == paused for record in others):
            remarks.append(f"{amount} more {word}")
    remarks.append("everything: trials.csv")

    agreement, notes = rung_agreement(state.survivors), []
    if agreement is not None:
        text = f"! {agreement}" if agreement.is_low else f"{agreement}"
        notes.append(render_note(Note(text, agreement.is_low)))
    return Group(*_titled(table), Text("; ".join(remarks), "dim"), *notes)


def finals_view(state: RunState) -> Group:
    """Finalists by their mean over seeds, the start recipe among them; empty without finals."""
    table, ranking = tables.finals(state), state.ranking
    if not table.rows:
        return Group()
    line = protocol_line(ranking[0].scores[0].protocol)
    if ranking[0].error is not None:
        line += "; error: the sampling error of one seed's score"
    return Group(*_titled(table), Text(line, "dim"))


def _titled(table: Table) -> list[Text | TableView]:
    return [Text(table.title, "bold"), TableView(table), *map(render_note, table.notes)]


def outcome_counts_line(state: RunState) -> Text:
    """How many trials had each outcome: ``6 completed, 4 pruned by rank, 2 diverged``."""
    parts = [
        Text(f"{state.outcome_counts[outcome]} {words}", _OUTCOME_STYLES[outcome])
        for outcome, words in ENDINGS.items()
        if state.outcome_counts[outcome]
    ]
    return Text(", ").join(parts) if parts else Text("no trial has ended yet", "dim")


def new_table() -> RichTable:
    """An empty table in the style of all tables on the terminal."""
    return RichTable(
        header_style="dim", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0)
    )


@dataclass(frozen=True)
class TableView:
    """A table with as many columns as the console has room for. Renderable by rich."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self.table.columns
        texts = [_texts(self.table.column(column.key)) for column in columns]
        limits = _fit(columns, texts, options.max_width)
        rich = new_table()
        for place, limit in limits.items():
            column = columns[place]
            rich.add_column(
                Text(column.heading),  # brackets in it are no markup
                justify=column.align,
                no_wrap=not column.can_wrap,
                max_width=None if column.can_wrap else limit,
            )
        for index, row in enumerate(self.table.rows):
            if row.starts_group:
                rich.add_section()
            rich.add_row(*(Text(texts[place][index]) for place in limits), style=_STYLES[row.kind])
        yield rich


def fact_grid(rows: Iterable[tuple[str, str]]) -> RichTable:
    """Facts, each a name and a text, without lines around them."""
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(name, Text(text))
    return grid


def render_note(note: Note) -> Text:
    """A line below a table."""
    return Text(note.text, "yellow" if note.is_warning else "dim")


def _texts(cells: list[Cell]) -> list[str]:
    """Texts of a column; before suffixes they are aligned to the right."""
    if not any(cell.suffix for cell in cells):
        return [cell.text for cell in cells]
    width = max(cell_len(cell.text) for cell in cells)
    return [f"{cell.text:>{width}} {cell.suffix}".rstrip() for cell in cells]


def _fit(columns: Sequence[Column], texts: Sequence[Sequence[str]], width: int) -> dict[int, int]:
    """The columns that fit, in order: their place, and the width at which their text is cut."""
    widths = [
        max(map(cell_len, (column.heading, *cells)))
        for column, cells in zip(columns, texts, strict=True)
    ]
    fitting: dict[int, int] = {}
    room, is_complete = width, True
    for priority in sorted({c.priority for c in columns if c.priority is not None}):
        places = [place for place, column in enumerate(columns) if column.priority == priority]
        needed = sum(widths[place] + GAP for place in places)
        if any(columns[place].is_whole for place in places) and needed > room:
            places = []
        was_complete, is_complete = is_complete, True
        for place in places:
            least, most = columns[place].min_width, columns[place].max_width
            if least is not None and most is not None:
                can_stand = was_complete and least + GAP <= room
                limit = min(widths[place], most, room - GAP)
            else:
                limit = widths[place]
                can_stand = priority == 0 or limit + GAP <= room
            if can_stand:
                fitting[place] = limit
                room -= limit + GAP
            else:
                is_complete = False
    return dict(sorted(fitting.items()))
