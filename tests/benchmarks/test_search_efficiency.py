"""The replay of a recorded sweep, and its strategies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_efficiency
from benchmarks.curves import Curves
from benchmarks.search_efficiency import (
    STRATEGIES,
    Replay,
    intervals,
    main,
    spent_until_best,
)


def replay() -> Replay:
    """Three settings on a line, of 10 kimg; the second is the best at the end."""
    runs = [
        Curves(number, 0, {}, [], [{"value": value + 20 - k, "error": 0.5} for k in range(21)])
        for number, value in enumerate((3.0, 1.0, 2.0))
    ]
    return Replay(runs, [{"lr": 0.0}, {"lr": 0.5}, {"lr": 1.0}], 10.0)


def test_the_nearest_setting_is_given_once() -> None:
    table = replay()
    assert [table.nearest({"lr": 0.45}) for _ in range(4)] == [1, 0, 2, None]


def test_only_what_is_trained_counts_and_the_best_must_reach_its_end() -> None:
    table = replay()
    assert table.train(0, 0, 25) == (3.0 + 20 - 5, 0.5)
    assert table.spent == pytest.approx(2.5)
    table.train(1, 0, 50)
    assert not table.has_best
    table.train(1, 50, 100)
    assert table.has_best
    assert table.spent == pytest.approx(12.5)


def test_an_interval_holds_the_ratio() -> None:
    row = intervals("x", np.array([1.0, 2.0, 3.0]), np.array([10.0, 12.0, 8.0]))
    assert (row.strategy, row.ratio, row.median) == ("x", pytest.approx(0.2), 2.0)
    assert row.low < 0.2 < row.high
    missed = intervals("x", np.array([1.0, np.inf]), np.array([10.0, 12.0]))
    assert missed.missed == 1
    assert missed.ratio == pytest.approx((1 + 304 * 40) / 22)


@pytest.mark.integration
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_finds_one_of_the_best(strategy: str) -> None:
    spent = spent_until_best(strategy, seed=1)
    assert 40 <= spent <= 304 * 40 or ("hyperband" in strategy and spent == float("inf"))
    if "halving (default)" in strategy:
        assert spent == spent_until_best(strategy, seed=1)


def test_the_figures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {name: STRATEGIES[name] for name in list(STRATEGIES)[:2]}
    monkeypatch.setattr(search_efficiency, "STRATEGIES", chosen)
    monkeypatch.setattr(search_efficiency, "spent_until_best", lambda strategy, seed: 100.0 + seed)
    monkeypatch.setattr(
        search_efficiency,
        "run_all",
        lambda jobs, processes: [search_efficiency.spent_until_best(*job) for job in jobs],
    )
    main(["--orders", "3"], tmp_path, tmp_path / "page.md")
    text = (tmp_path / "search_efficiency_cpu.md").read_text(encoding="utf-8")
    assert "| random | 1.000 |" in text
