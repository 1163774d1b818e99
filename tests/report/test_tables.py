"""The content of every table; renderers are tested beside them for what they add."""

from __future__ import annotations

from gantune.report.tables import Cell, Column, Row, Table


def texts(table: Table, *keys: str) -> list[list[str]]:
    """Each row's texts in these columns."""
    return [[cell.label for cell in row.cells] for row in table.select(*keys).rows]


def test_a_selection_keeps_rows_and_the_order_of_its_keys() -> None:
    table = Table("t", (Column("a", "A"), Column("b", "B")), (Row((Cell("1", 1), Cell("2", 2))),))
    chosen = table.select("b", "a")
    assert [column.heading for column in chosen.columns] == ["B", "A"]
    assert texts(table, "b", "a") == [["2", "1"]]
    assert table.column("b") == [Cell("2", 2)]
