"""The benchmark of the scores' cost compares like with like."""

from __future__ import annotations

import pytest
import torch

from benchmarks.score_speed import Case, batch_speeds, compare, extra_metrics, report

CPU = torch.device("cpu")


@pytest.mark.parametrize("made", [200, 10], ids=["by dimensions", "by samples"])
def test_both_give_the_same_value(made: int) -> None:
    row = compare(Case(16, 100, made), CPU, rounds=2)
    assert row.difference < 1e-4
    assert min(row.theirs, row.ours, row.with_error, row.ratio) > 0


def test_the_report_has_a_row_for_each_case() -> None:
    row = compare(Case(16, 100, 200), CPU, rounds=1)
    speeds = batch_speeds(CPU, 1, sides=(8,), batches=(2, 4))
    assert min(speeds[0].images.values()) > 0
    text = report([row], speeds, extra_metrics(CPU, count=20), 0.5, "A machine")
    for place in (1, -1):
        header, rule, line = text.split("\n\n")[place].splitlines()
        assert header.count("|") == rule.count("|") == line.count("|")
    assert "0.50 GiB" in text
