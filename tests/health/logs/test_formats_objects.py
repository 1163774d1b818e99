"""JSON lines."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path

import pytest

from gantune.errors import LogError
from gantune.health.logs import Log, Record, open_log, open_records, open_stream, read_columns
from tests.health.logs.making import as_lines, calm_rows, places


def read(text: str, tmp_path: Path, *columns: str) -> tuple[list[Record], Log]:
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with open_log(path, read_columns(columns)) as log:
        return list(log), log


def test_lines_between_whatever_else_is_printed(tmp_path: Path) -> None:
    rows = calm_rows(3)
    junk = "Loading data...\n[1, 2]\n{'lr': 1}\n\n" + "[" * 100_000 + "\n"
    lines = as_lines(rows).splitlines(keepends=True)
    records, log = read(junk + lines[0] + "epoch 2\n" + "".join(lines[1:]), tmp_path)
    assert places(records) == [100.0, 200.0, 300.0]
    assert log.notes == ["5 lines left out: no JSON objects"]


def test_lines_of_several_kinds(tmp_path: Path) -> None:
    text = '{"lr": 1}\n{"step": 1, "d_loss": 1}\n{"step": 1, "fid": 30}\n{"step": 2, "lr": 1}\n'
    records, log = read(text, tmp_path)
    assert [(r.at, r.values) for r in records] == [
        (1.0, {"d_loss": 1.0}),
        (1.0, {"fid": 30.0}),
        (2.0, {}),
    ]
    assert log.notes == ["1 line left out: without step or kimg"]


def test_numbers_of_all_kinds(tmp_path: Path) -> None:
    values = ["null", "NaN", "-Infinity", '"nan"', '"1.5"', '""', "1" + "0" * 400]
    text = "".join(f'{{"step": {i}, "d_loss": {v}}}\n' for i, v in enumerate(values))
    found = [record.values.get("d_loss") for record in read(text, tmp_path)[0]]
    assert found[0] is None and found[5] is None
    assert math.isnan(found[1] or 0) and math.isnan(found[3] or 0)
    assert (found[2], found[4], found[6]) == (-math.inf, 1.5, math.inf)


@pytest.mark.parametrize("cell", ['"high"', "true", "[1]"])
def test_what_is_no_number_is_told_with_its_line(cell: str, tmp_path: Path) -> None:
    text = f'{{"step": 1, "d_loss": 1}}\n{{"step": 2, "d_loss": {cell}}}\n'
    with pytest.raises(LogError, match=r"log.jsonl:2: d_loss: .* stands where a number belongs"):
        read(text, tmp_path)
    left_out = text.replace("}", ', "g_loss": 1}')
    assert places(read(left_out, tmp_path, "d_loss=")[0]) == [1.0, 2.0]


def test_torn_last_line(tmp_path: Path) -> None:
    records, log = read('{"step": 1, "d_loss": 1}\n{"step": 2, "d_lo', tmp_path)
    assert places(records) == [1.0]
    assert log.notes == ["the last line left out: not whole yet"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n', "no column for the place .*columns found: 'a'"),
        ('{"step": 1, "lr": 1}\n', "none of d_loss"),
        ('{"step": null, "d_loss": 1}\n', "no record has a place"),
        ('{"step": 1, "dis_los": 1}\n', "--columns d_loss=dis_los|none of"),
    ],
)
def test_nothing_to_judge(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LogError, match=message):
        read(text, tmp_path)


def test_a_named_column_that_never_comes_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no column 'FID' for fid"):
        read('{"step": 1, "d_loss": 1}\n', tmp_path, "fid=FID")


def test_a_pipe_is_read_no_further_than_asked() -> None:
    """The next record is there while the writer still holds the pipe open."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123
        pipe.write(b'{"step": 1, "d_loss": 1}\n')
        records = iter(open_stream(stream))
        assert next(records).at == 1.0
        pipe.write(b'printed\rover\r{"step": 2, "d_loss": 1}\n')
        assert next(records).at == 2.0


def test_a_pipe_may_bring_a_table_after_other_lines() -> None:
    log = open_stream(io.BytesIO(b"hello\nstep,d_loss\n1,1.5\n"))
    assert places(log) == [1.0]
    assert log.notes == ["1 line left out: no rows of the table"]


def test_records_of_python() -> None:
    numpy = pytest.importorskip("numpy")
    rows = [{"step": numpy.int64(1), "d_loss": numpy.float32(0.5), "tag": object()}]
    assert list(open_records(rows)) == [Record(1.0, "step", {"d_loss": 0.5})]
    for wrong, message in (([], "no records"), ([{"a": 1}], "the records: no column")):
        with pytest.raises(LogError, match=message):
            list(open_records(wrong))
