"""The tables of a report on a terminal: as many columns as its width allows."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from gantune.report.tables import Cell, Column, Kind, Note, Table

GAP = 2
"""Blanks between two columns."""

_STYLES: dict[Kind, str] = {"": "", "best": "bold green", "warning": "yellow", "minor": "dim"}


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
                column.heading,
                justify=column.align,
                no_wrap=not column.can_wrap,
                max_width=None if column.can_wrap else limit,
            )
        for index, row in enumerate(self.table.rows):
            if row.starts_group:
                rich.add_section()
            rich.add_row(*(Text(texts[place][index]) for place in limits), style=_STYLES[row.kind])
        yield rich


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
