"""Logs in CSV, other tables and JSON lines."""

from __future__ import annotations

import io
import math
import os
import re
from pathlib import Path

import pytest

from gantune.errors import LogError
from gantune.health.logs import Log, Record, open_log, open_records, open_stream, read_columns
from tests.health.logs.making import as_csv, as_lines, calm_rows, places


def read_table(text: str | bytes, tmp_path: Path, *columns: str) -> tuple[list[Record], Log]:
    path = tmp_path / "log.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with open_log(path, read_columns(columns)) as log:
        return list(log), log


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_any_delimiter(delimiter: str, tmp_path: Path) -> None:
    rows = calm_rows(5)
    records, log = read_table(as_csv(rows, delimiter), tmp_path)
    assert [{"step": r.at, **r.values} for r in records] == rows
    assert log.notes == []


def test_quotes_byte_order_mark_and_undecodable_bytes(tmp_path: Path) -> None:
    text = '\ufeff"Step","note","Loss/D"\r\n1,"a, ""b""\nc",0.5\r\n2,,0.25\r\n'
    records, log = read_table(text.encode() + b"3,\xe9,0.125\r\n", tmp_path)
    assert records == [
        Record(1.0, "step", {"d_loss": 0.5}),
        Record(2.0, "step", {"d_loss": 0.25}),
        Record(3.0, "step", {"d_loss": 0.125}),
    ]
    assert log.notes == []


def test_empty_cells_are_not_measured_and_non_finite_ones_are_kept(tmp_path: Path) -> None:
    records, log = read_table(
        "step,d_loss,fid\n1,nan,\n2,-inf, \n3,Infinity,NaN\n4,,inf\n", tmp_path
    )
    assert [set(record.values) for record in records] == [{"d_loss"}, {"d_loss"}, {"d_loss"}, set()]
    assert math.isnan(records[0].values["d_loss"]) and records[1].values["d_loss"] == -math.inf
    assert records[2].values["d_loss"] == math.inf
    assert log.notes == [
        "2 scores left out: not a number, negative or above 1e6, which no distance is"
    ]


@pytest.mark.parametrize("cell", ["NA", "n/a", "None", "null", "-", "--", ""])
def test_what_trainers_write_for_nothing(cell: str, tmp_path: Path) -> None:
    records, log = read_table(f"step,d_loss,g_loss\n1,1.5,{cell}\n", tmp_path)
    assert (records[0].values, log.notes) == ({"d_loss": 1.5}, [])


@pytest.mark.parametrize(
    ("text", "at", "d_loss"),
    [
        ("step;d_loss\n1;0,125\n", 1, 0.125),
        ("step\td_loss\n12,000\t1,234.5\n", 12_000, 1234.5),
        ("step;d_loss\n12.000,0;1.234,5\n", 12_000, 1234.5),
        ("step,d_loss\n1,tensor(0.5)\n", 1, 0.5),
        ("step,d_loss\n1,\"tensor(0.5, device='cuda:0')\"\n", 1, 0.5),
    ],
)
def test_numbers_as_people_write_them(text: str, at: float, d_loss: float, tmp_path: Path) -> None:
    (record,), log = read_table(text, tmp_path)
    assert (record.at, record.values, log.notes) == (at, {"d_loss": d_loss}, [])


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("step,d_loss\n1,1\n2,high\n3,1\n", "log.csv:3: d_loss: 'high' stands where a number"),
        ("step,Loss/D\n1,1\n2,1.2.3\n3,1\n", r"log.csv:3: Loss/D \(d_loss\): '1.2.3'"),
        ("step,d_loss\n1,1\n-1,1\n3,1\n", "log.csv:3: step -1 is no place"),
        ("step,d_loss\n1,1\nnan,1\n3,1\n", "log.csv:3: step nan is no place"),
    ],
)
def test_a_line_that_cannot_be_read_costs_that_line(text: str, note: str, tmp_path: Path) -> None:
    records, log = read_table(text, tmp_path)
    assert places(records) == [1, 3]
    assert len(log.notes) == 1 and re.match(f"1 line skipped: .*{note}", log.notes[0])


def test_a_stray_quote_costs_one_line(tmp_path: Path) -> None:
    rows = "".join(f"{step},1.5\n" for step in range(100))
    more = "".join(f"{step},0.5\n" for step in range(100, 200))
    records, log = read_table(f'step,d_loss\n{rows}"note: restarted\n{more}', tmp_path)
    assert places(records) == [*range(200)]
    assert log.notes == ["1 line skipped: no rows of the table"]


def test_a_header_that_changes_after_a_resume(tmp_path: Path) -> None:
    text = "step,d_loss,g_loss\n1,1,2\nstep,lr,g_loss,d_loss\n2,9,3,4\n"
    records, log = read_table(text, tmp_path)
    assert [record.values for record in records] == [
        {"d_loss": 1, "g_loss": 2},
        {"g_loss": 3, "d_loss": 4},
    ]
    assert log.notes == []


def test_ends_of_lines_of_old_macs(tmp_path: Path) -> None:
    assert places(read_table("step,d_loss\r1,1\r2,1\r", tmp_path)[0]) == [1, 2]


@pytest.mark.parametrize(
    ("text", "unit", "at"),
    [
        (",loss_D,loss_G\n0,1,1\n1,1,1\n", "step", [0, 1]),
        ("Unnamed: 0,loss_D\n5,1\n", "step", [5]),
        ("epoch,d_loss,g_loss\n1,1,1\n2,1,1\n", "epoch", [1, 2]),
        ("d_loss,g_loss\n1,1\n1,1\n", "record", [1, 2]),
        (
            "epoch,batch,d_loss\n0,0,1\n0,100,1\n1,0,1\n1,100,1\n2,0,1\n",
            "step",
            [0, 100, 200, 300, 400],
        ),
        ("epoch,step,d_loss\n0,50,1\n0,99,1\n1,150,1\n1,199,1\n", "step", [50, 99, 150, 199]),
        ("epoch,step,d_loss\n0,9,1\n1,9,1\n2,9,1\n1,9,1\n2,9,1\n", "step", [9, 18, 27, 18, 27]),
    ],
)
def test_places(text: str, unit: str, at: list[float], tmp_path: Path) -> None:
    records, _ = read_table(text, tmp_path)
    assert places(records) == at and {record.unit for record in records} == {unit}


def test_kimg_is_preferred_to_step(tmp_path: Path) -> None:
    text = "step,kimg,d_loss\n100,6.4,1.0\n200,12.8,1.0\n"
    assert read_table(text, tmp_path)[0][0] == Record(6.4, "kimg", {"d_loss": 1.0, "step": 100.0})
    assert places(read_table(text, tmp_path, "step=step")[0]) == [100.0, 200.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,d_loss\n1,low\n2,high\n", r"log.csv:2: d_loss: 'low' stands where a number"),
        ("step,d_loss\n-1,1\n", "log.csv:2: step -1 is no place; nothing could be read"),
        ("kimg,d_loss\nnan,1\n", "log.csv:2: kimg nan is no place"),
        ("step,d_loss\n", "a header but no rows"),
        ("step,d_loss\n\n\n", "a header but no rows"),
        ("", "log.csv: empty"),
        ("\n \n", "log.csv: empty"),
        ("step,lr\n1,2\n", "none of d_loss, g_loss, .*; columns found: 'step', 'lr'; name them"),
        ("step,d_lsos\n1,2\n", "did you mean --columns d_loss=d_lsos"),
        ("what is this\n", "no table, JSON lines or printed losses"),
    ],
)
def test_unreadable_log_is_reported(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LogError, match=message):
        read_table(text, tmp_path)


@pytest.mark.parametrize("tail", ["3", "3,1.", "3,1.2e", '3,"1.2', "kimg"])
def test_a_torn_last_line_is_skipped(tail: str, tmp_path: Path) -> None:
    whole = "step,d_loss,fid\n1,1.0,\n2,1.0,3.0\n"
    records, log = read_table(whole + tail, tmp_path)
    assert places(records) == [1.0, 2.0]
    assert log.notes == ["the last line skipped: incomplete"]


def test_a_last_line_without_an_end_is_read(tmp_path: Path) -> None:
    records, log = read_table("step,d_loss\n1,1.0\n2,1.5", tmp_path)
    assert (places(records), log.notes) == ([1.0, 2.0], [])


def test_other_lines_are_counted_and_the_header_may_be_repeated(tmp_path: Path) -> None:
    text = "step,d_loss,g_loss\n1,1,1\n2,1\nstep,d_loss,g_loss\n3,1,1,\n4,1,1,7\n,1,1\n5,1,1\n"
    records, log = read_table(text, tmp_path)
    assert places(records) == [1.0, 3.0, 5.0]
    assert log.notes == ["2 lines skipped: no rows of the table", "1 line skipped: without step"]


def test_file_without_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"PK\x03\x04\x00\x00")
    (tmp_path / "there.csv").touch()
    for name, message in (
        ("binary", "binary, not a log"),
        ("missing.csv", "no such file; there are: .*there.csv"),
        ("a\0b", "not a file name"),
    ):
        with pytest.raises(LogError, match=message), open_log(tmp_path / name) as log:
            list(log)


def read_lines(text: str, tmp_path: Path, *columns: str) -> tuple[list[Record], Log]:
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with open_log(path, read_columns(columns)) as log:
        return list(log), log


def test_objects_between_other_printed_lines(tmp_path: Path) -> None:
    rows = calm_rows(3)
    junk = "Loading data...\n[1, 2]\n{'lr': 1}\n\n" + "[" * 100_000 + "\n"
    lines = as_lines(rows).splitlines(keepends=True)
    records, log = read_lines(junk + lines[0] + "epoch 2\n" + "".join(lines[1:]), tmp_path)
    assert places(records) == [100.0, 200.0, 300.0]
    assert log.notes == ["5 lines skipped: no JSON objects"]


def test_lines_of_several_kinds(tmp_path: Path) -> None:
    text = '{"lr": 1}\n{"step": 1, "d_loss": 1}\n{"step": 1, "fid": 30}\n{"step": 2, "lr": 1}\n'
    records, log = read_lines(text, tmp_path)
    assert [(r.at, r.values) for r in records] == [
        (1.0, {"d_loss": 1.0}),
        (1.0, {"fid": 30.0}),
        (2.0, {}),
    ]
    assert log.notes == ["1 line skipped: without step"]


def test_numbers_of_all_kinds(tmp_path: Path) -> None:
    values = ["null", "NaN", "-Infinity", '"nan"', '"1.5"', '""', "1" + "0" * 400]
    text = "".join(f'{{"step": {i}, "d_loss": {v}}}\n' for i, v in enumerate(values))
    found = [record.values.get("d_loss") for record in read_lines(text, tmp_path)[0]]
    assert found[0] is None and found[5] is None
    assert math.isnan(found[1] or 0) and math.isnan(found[3] or 0)
    assert (found[2], found[4], found[6]) == (-math.inf, 1.5, math.inf)


@pytest.mark.parametrize("cell", ['"high"', "true", "[1]"])
def test_text_for_a_number_costs_its_line(cell: str, tmp_path: Path) -> None:
    text = f'{{"step": 1, "d_loss": 1}}\n{{"step": 2, "d_loss": {cell}}}\n'
    records, log = read_lines(text, tmp_path)
    assert places(records) == [1.0]
    assert re.match("1 line skipped: .*log.jsonl:2: d_loss: .* stands where a number", log.notes[0])
    left_out = text.replace("}", ', "g_loss": 1}')
    assert places(read_lines(left_out, tmp_path, "d_loss=")[0]) == [1.0, 2.0]


def test_torn_last_line(tmp_path: Path) -> None:
    records, log = read_lines('{"step": 1, "d_loss": 1}\n{"step": 2, "d_lo', tmp_path)
    assert places(records) == [1.0]
    assert log.notes == ["the last line skipped: incomplete"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n', "none of d_loss.*columns found: 'a'"),
        ('{"step": 1, "lr": 1}\n', "none of d_loss"),
        ('{"step": null, "d_loss": 1}\n', "no record has a place"),
        ('{"step": 1, "dis_los": 1}\n', "--columns d_loss=dis_los|none of"),
    ],
)
def test_nothing_to_judge(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LogError, match=message):
        read_lines(text, tmp_path)


def test_missing_named_column_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no column 'FID' for fid"):
        read_lines('{"step": 1, "d_loss": 1}\n', tmp_path, "fid=FID")


def test_pipe_is_not_read_ahead() -> None:
    """The next record is there while the writer still holds the pipe open."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123
        pipe.write(b'{"step": 1, "d_loss": 1}\n')
        records = iter(open_stream(stream))
        assert next(records).at == 1.0
        pipe.write(b'printed\rover\r{"step": 2, "d_loss": 1}\n')
        assert next(records).at == 2.0


def test_pipe_may_have_a_table_after_other_lines() -> None:
    log = open_stream(io.BytesIO(b"hello\nstep,d_loss\n1,1.5\n"))
    assert places(log) == [1.0]
    assert log.notes == ["1 line skipped: no rows of the table"]


def test_records_from_python() -> None:
    numpy = pytest.importorskip("numpy")
    rows = [{"step": numpy.int64(1), "d_loss": numpy.float32(0.5), "tag": object()}]
    assert list(open_records(rows)) == [Record(1.0, "step", {"d_loss": 0.5})]
    for wrong, message in (([], "no records"), ([{"a": 1}], "the records: none of")):
        with pytest.raises(LogError, match=message):
            list(open_records(wrong))
