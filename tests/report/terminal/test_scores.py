"""Scores as people read them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType
from rich.table import Table

from gantune.report.terminal.scores import score_sheet, score_table, scores_json
from gantune.scores import HeldOut, Score
from gantune.scores.score import FurtherScore
from tests.canned import make_score

SHARES = {"real_classes": {"cat": 0.5, "dog": 0.5}, "classes": {"cat": 1.0, "dog": 0.0}}
COPIES = HeldOut(
    count=300, value=9.0, training=2.0, between=0.5, nearer_training=0.91, copying=20.0
)


def drawn(what: RenderableType, width: int = 80) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(what)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def row(lines: list[str], name: str) -> list[str]:
    return next(line for line in lines if line.startswith(name)).split()


def test_a_sheet_says_which_direction_is_better() -> None:
    score = make_score(8.126, kid=0.01234, precision=0.807, generated=1200, **SHARES)
    lines = drawn(score_sheet("mine.npz", score))
    assert lines[0] == "mine.npz: 1,200 samples beside 1,797 real images"
    assert row(lines, "fid[")[:4] == ["fid[classifier-digits]", "8.13", "(0.10)", "lower"]
    assert row(lines, "kid")[:4] == ["kid", "0.0123", "(1.0e-3)", "lower"]
    assert row(lines, "precision")[1:3] == ["0.81", "higher"]
    for name in ("recall", "density", "coverage"):
        assert row(lines, name)[2] == "higher"
    assert row(lines, "class balance")[2:4] == ["0.50", "higher"]
    assert row(lines, "spread")[1:4] == ["1.00", "near", "1"]
    text = "\n".join(lines)
    assert "lost 1 of 2 classes: dog" in text and "98.0% of held-out" in text
    assert "copying" not in text
    assert f"protocol {score.protocol.hash}:" in text and "generated: 1200" in text


def test_a_sheet_is_readable_in_80_columns() -> None:
    lines = drawn(score_sheet("mine.npz", make_score(1234.5, held_out=COPIES, **SHARES)))
    table = lines[2 : lines.index("", 3)]
    assert len(table) == 2 + 8 + 3  # no row is broken into two; below are lost classes and copies
    assert max(map(len, lines)) <= 80
    assert "in 91% of pairs" in " ".join(lines)


def test_without_classes_there_is_no_balance() -> None:
    lines = drawn(score_sheet("mine.npz", make_score(8.0, accuracy=None)))
    assert not any("class balance" in line or "correctly" in line for line in lines)


def test_a_table_has_the_best_first_and_warns_by_name() -> None:
    ranking = [("a.npz", make_score(2.5)), ("b.npz", make_score(30.0, spread=0.1, **SHARES))]
    lines = drawn(score_table(ranking))
    assert max(map(len, lines)) <= 80
    assert "lower is better" in lines[0] and "higher is better" in lines[0]
    assert row(lines, "1")[:4] == ["1", "a.npz", "2.50", "(0.10)"]
    assert row(lines, "1")[4:6] == ["0.0100", "(1.0e-3)"]
    assert row(lines, "1")[-1] == "-" and row(lines, "2")[-1] == "0.50"
    assert sum(line.startswith("! b.npz: lost") for line in lines) == 2


@pytest.mark.parametrize(
    ("changes", "style"),
    [({}, "bold green"), ({"recall": 0.001}, "bold yellow"), (SHARES, "bold yellow")],
)
def test_the_best_is_green_only_where_something_was_learned(
    changes: dict[str, Any], style: str
) -> None:
    table = score_table([("a", make_score(2.5, **changes)), ("b", make_score(3.0))]).renderables[1]
    assert isinstance(table, Table)
    assert [row.style for row in table.rows] == [style, ""]


def test_json_holds_the_whole_score() -> None:
    score = make_score(2.5, held_out=COPIES, **SHARES)
    one = json.loads(json.dumps(scores_json([("a.npz", score)])))
    assert one.pop("samples") == "a.npz" and one.pop("balance") == 0.5
    told = one.pop("warnings")
    assert [sentence.split(":")[0] for sentence in told] == ["lost 1 of 2 classes", "copies"]
    assert one["protocol"]["hash"] == score.protocol.hash
    assert Score.from_dict(one) == score
    several = scores_json([("b", make_score(1.0)), ("a", score)])
    assert isinstance(several, list) and [each["samples"] for each in several] == ["b", "a"]


def test_scores_beside_the_first_follow_it() -> None:
    other = make_score(1.0, extractor="random").protocol
    first = make_score(8.0)
    also = (
        FurtherScore("fid_inf[classifier-digits]", 7.5, 0.2, first.protocol),
        FurtherScore("fid[random]", 3.25, 0.5, other),
    )
    lines = drawn(score_sheet("mine.npz", replace(first, also=also)))
    places = [i for i, line in enumerate(lines) if line.startswith("fid")]
    names = [lines[i].split()[0] for i in places[:3]]
    assert names == ["fid[classifier-digits]", "fid_inf[classifier-digits]", "fid[random]"]
    assert row(lines, "fid[random]")[1:4] == ["3.25", "(0.50)", "lower"]
    table = drawn(score_table([("a.npz", replace(first, also=also))]), width=140)
    assert row(table, "1")[6:8] == ["3.25", "(0.50)"]
