"""Which columns of a table fit into a terminal."""

from __future__ import annotations

from gantune.report.tables import Cell, Column, Row, Table
from gantune.report.terminal.tables import TableView
from tests.report.factory import shown


def heading(width: int, *columns: Column) -> list[str]:
    """The headings that are shown where every cell holds ten characters."""
    row = Row(tuple(Cell(10 * "x") for _ in columns))
    return shown(TableView(Table("", columns, (row,))), width).splitlines()[0].split()


def test_lower_priorities_get_their_room_first_and_columns_keep_their_order() -> None:
    columns = (Column("a", "a"), Column("b", "b", priority=2), Column("c", "c", priority=1))
    assert heading(36, *columns) == ["a", "b", "c"]
    assert heading(35, *columns) == ["a", "c"]
    assert heading(20, *columns) == ["a"]


def test_a_column_without_priority_is_never_shown() -> None:
    assert heading(80, Column("a", "a"), Column("b", "b", priority=None)) == ["a"]


def test_columns_that_belong_together_are_shown_together() -> None:
    seeds = (Column("b", "b", priority=1, is_whole=True), Column("c", "c", priority=1))
    assert heading(36, Column("a", "a"), *seeds) == ["a", "b", "c"]
    assert heading(35, Column("a", "a"), *seeds) == ["a"]


def test_text_that_may_be_cut_needs_its_least_width_and_all_columns_before_it() -> None:
    text = Column("c", "c", priority=2, min_width=6, max_width=8)
    columns = (Column("a", "a"), Column("b", "b", priority=1), text)
    assert heading(32, *columns) == ["a", "b", "c"]
    assert heading(31, *columns) == ["a", "b"]
    assert heading(23, *columns) == ["a"]
    assert "xxxxxxx…" in shown(TableView(Table("", (text,), (Row((Cell(10 * "x"),)),))), 80)


def test_numbers_are_aligned_before_their_suffix() -> None:
    rows = (Row((Cell("7", 7, "start"),)), Row((Cell("12", 12),)))
    table = Table("", (Column("trial", "trial", "left"),), rows)
    assert [line.rstrip() for line in shown(TableView(table)).splitlines()[2:]] == [
        " 7 start",
        "12",
    ]
